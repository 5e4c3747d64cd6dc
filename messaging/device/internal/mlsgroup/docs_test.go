package mlsgroup

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The numbers of the MLS profile in docs/protocol.md are those of the code.
func TestDocs(t *testing.T) {
	raw, err := os.ReadFile("../../../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	var steps []string
	for _, b := range buckets {
		steps = append(steps, fmt.Sprint(b))
	}
	for _, want := range []string{
		fmt.Sprintf("0x%04x", uint16(suite)), strings.Join(steps, ", ") + " octets", fmt.Sprintf("at most %d leaves", MaxMembers), fmt.Sprintf("1 to %d octets of UTF-8", MaxName),
		fmt.Sprintf("at most %d,%03d\ngenerations", maxForward/1000, maxForward%1000), fmt.Sprintf("at most %d skipped", maxSkipped), "stay for two epochs", fmt.Sprintf("lifetime %d days", int(Lifetime.Hours()/24)), "`parley binding 1`",
	} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("docs/protocol.md does not say %q", want)
		}
	}
	if keepEpochs != 2 {
		t.Error("docs/protocol.md says two epochs")
	}
}
