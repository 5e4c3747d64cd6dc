package device

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/messaging/mls"
)

// The numbers of the MLS profile in docs/protocol.md are those of the code.
func TestDocs(t *testing.T) {
	raw, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	thousands := func(n int) string { return fmt.Sprintf("%d,%03d", n/1000, n%1000) }
	wants := []string{
		fmt.Sprintf("at most %d leaves", MaxMembers), fmt.Sprintf("1 to %d octets of UTF-8", MaxName), "at most " + thousands(maxForward) + "\ngenerations",
		fmt.Sprintf("at most %d skipped", maxSkipped), "stay for two epochs", fmt.Sprintf("lifetime %d days", int(lifetime.Hours()/24)),
		"at most " + thousands(MaxPlaintext) + " octets", "`parley binding 1`",
	}
	for _, s := range defaultSuites {
		wants = append(wants, fmt.Sprintf("0x%04x, %v", uint16(s), s))
	}
	for _, want := range wants {
		if !strings.Contains(string(raw), want) {
			t.Errorf("docs/protocol.md does not say %q", want)
		}
	}
	if keepEpochs != 2 || keepEpoch != time.Hour || clockSkew != time.Hour || !defaultSuites[0].PostQuantum() || defaultSuites[0] != mls.XWingAES256GCM {
		t.Error("docs/protocol.md says two epochs, an hour, and a post-quantum suite first")
	}
}

// TestPadding looks at the lengths that the relay sees.
func TestPadding(t *testing.T) {
	t.Parallel()
	_, a, b, chat := pair(t)
	seal := func(n int) (length int) {
		t.Helper()
		err := a.s.update(t.Context(), func(x *tx) error {
			env, err := a.session(x, chat).Seal(make([]byte, n), nil)
			length = len(env)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return length
	}
	sizes := map[int]bool{}
	for n := 0; n < 1800; n += 37 {
		sizes[seal(n)] = true
	}
	if len(sizes) != 4 { // 256, 512, 1024, 2048
		t.Fatalf("messages of 0 to 1800 octets show %d lengths", len(sizes))
	}
	if err := a.s.update(t.Context(), func(x *tx) error { _, err := a.session(x, chat).Seal(make([]byte, MaxPlaintext+1), nil); return err }); err == nil {
		t.Fatal("sealed more than the limit")
	}
	if n := seal(MaxPlaintext); n > 66<<10 || n < 64<<10 {
		t.Fatalf("the largest message has %d octets", n)
	}
	a.say(chat, "x")
	b.waitTexts("x")
}
