package mls

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/parleypay/parley/internal/shared"
)

// hexBytes is octets as the test vectors write them.
type hexBytes []byte

func (h *hexBytes) UnmarshalJSON(b []byte) error {
	var s *string
	if err := json.Unmarshal(b, &s); err != nil || s == nil {
		*h = nil
		return err
	}
	raw, err := hex.DecodeString(*s)
	*h = raw
	if raw == nil && err == nil {
		*h = hexBytes{} // "" is not null
	}
	return err
}

// MarshalJSON implements json.Marshaler.
func (h hexBytes) MarshalJSON() ([]byte, error) {
	if h == nil {
		return []byte("null"), nil
	}
	return json.Marshal(hex.EncodeToString(h))
}

// readVectorFile returns a file of the working group's test vectors, from PARLEY_MLS_VECTORS or the shared reference data.
func readVectorFile(t testing.TB, name string) []byte {
	t.Helper()
	dir := os.Getenv("PARLEY_MLS_VECTORS")
	if dir == "" {
		return shared.Read(t, "mls-vectors/"+name)
	}
	if _, err := os.Stat(dir); err != nil && os.Getenv("CI") == "" {
		t.Skipf("PARLEY_MLS_VECTORS names no directory: %v", err)
	}
	b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// vectors decodes a file of test vectors: a list of T.
func vectors[T any](t testing.TB, name string) []T {
	t.Helper()
	var list []T
	if err := json.Unmarshal(readVectorFile(t, name), &list); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if len(list) == 0 {
		t.Fatalf("%s: no entries", name)
	}
	return list
}

// vectorSuite returns the suite of a vector, or nil if it is unsupported, which must be refused with the typed error.
func vectorSuite(t testing.TB, id CipherSuite) *suite {
	t.Helper()
	s, err := lookupSuite(id)
	if err == nil {
		return s
	}
	var unsupported *UnsupportedSuiteError
	if !errors.As(err, &unsupported) || unsupported.Suite != id || id != 4 && id != 6 {
		t.Fatalf("suite %v: %v", id, err)
	}
	return nil
}

// counted reports how many entries of a file were checked and how many skipped, so that a run shows what it proves.
func counted(t testing.TB, passed, skipped int) {
	t.Helper()
	if passed == 0 {
		t.Error("no entry was checked")
	}
	t.Logf("%d entries passed, %d of unsupported suites refused", passed, skipped)
}

// mustMarshal returns the encoding of v.
func mustMarshal(t testing.TB, v interface{ encode(*encoder) }) []byte {
	t.Helper()
	b, err := marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
