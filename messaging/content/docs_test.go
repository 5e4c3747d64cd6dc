package content

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/messaging"
)

// The examples and numbers in docs/protocol.md are those of the code.
func TestDocs(t *testing.T) {
	raw, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(raw)
	m := Message{Salt: [16]byte(unhex("5eed9406c2545547ab6f09f20a18b003")), Expires: Expiry{Seconds: 1_800_000_000}, Body: Part{Disposition: Render, Kind: Single, MediaType: "text/plain", Content: []byte("Hi")}}
	encoded := encode(t, m)
	id := ID(messaging.DeviceID{0xaa}, messaging.ChatID{0xbb}, encoded, m.Salt)
	report := Report{At: time.UnixMilli(1_800_000_000_000), Statuses: []MessageStatus{{id, Delivered}}}.Message()
	for _, want := range []string{
		hex.EncodeToString(encoded), id.String(), hex.EncodeToString(report.Body.Content), TypeStatus, TypeText,
		fmt.Sprintf("at most %d,%03d octets", MaxSize/1000, MaxSize%1000), fmt.Sprintf("map, at most %d |", MaxExtensions), fmt.Sprintf("at most %d deep and %d in all", MaxDepth, MaxParts),
		fmt.Sprintf("at most %d lines", MaxStatuses), "at most 4,095 octets", fmt.Sprintf("| %d | array of", -2), fmt.Sprintf("| %d | 1 summary, 2 full |", extensionBridge),
	} {
		if !strings.Contains(page, want) {
			t.Errorf("docs/protocol.md does not say %q", want)
		}
	}
}
