package isotool

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/parleypay/parley/internal/shared"
	"github.com/parleypay/parley/payments/iso20022"
)

// The command's verdict on each published document, and on one broken in a simple way, is xmllint's with the schema of its namespace.
// Package iso20022 compares many thousand more.
func TestValidateAgreesWithXmllint(t *testing.T) {
	xmllint, err := exec.LookPath("xmllint")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	files, _ := filepath.Glob(filepath.Join(shared.Path(t, "iso20022/samples"), "*.xml"))
	dir := t.TempDir()
	compared, invalid := 0, 0
	for _, name := range files {
		wire, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		tree, err := iso20022.Inspect(wire)
		if err != nil {
			t.Fatal(err)
		}
		def := tree.Root().Definition()
		if def == "" {
			continue // a wrapper, which xmllint has no schema for
		}
		whole := tree.Root().Part()
		first := tree.Root()
		for !first.IsLeaf() {
			for c := range first.Children() {
				first = c
				break
			}
		}
		_, end := first.Range()
		for i, doc := range [][]byte{wire, whole, append(append(append([]byte(nil), wire[:end]...), first.Part()...), wire[end:]...)} {
			file := filepath.Join(dir, "doc.xml")
			if err := os.WriteFile(file, doc, 0o600); err != nil {
				t.Fatal(err)
			}
			err := exec.Command(xmllint, "--nonet", "--noout", "--schema", shared.Path(t, "iso20022/xsd/"+def+".xsd"), file).Run()
			var failed *exec.ExitError
			if err != nil && !errors.As(err, &failed) {
				t.Fatal(err)
			}
			status, out, _ := call(t, nil, "validate", file)
			if compared++; err != nil {
				invalid++
			}
			if (status == exitOK) != (err == nil) || status == exitUnreadable {
				t.Errorf("%s, variant %d: status %d, xmllint %v\n%s", filepath.Base(name), i, status, err, out)
			}
		}
	}
	if t.Logf("%d documents, %d of them invalid", compared, invalid); compared < 50 || invalid < 15 {
		t.Errorf("%d documents, %d of them invalid: too few to say anything", compared, invalid)
	}
}
