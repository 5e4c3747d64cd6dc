package isotool

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parleypay/parley/internal/shared"
)

// TestPage plays the transcripts of docs/iso-tool.md: each block that begins with "$ parley iso", in the folder of the reference data.
func TestPage(t *testing.T) {
	page, err := os.ReadFile(filepath.FromSlash("../../docs/iso-tool.md"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(shared.Path(t, "iso20022"))
	played := 0
	for i, block := range strings.Split(string(page), "```\n") {
		command, want, _ := strings.Cut(block, "\n")
		args, ok := strings.CutPrefix(command, "$ parley iso ")
		if i%2 == 0 || !ok {
			continue
		}
		var out bytes.Buffer
		for _, stage := range strings.Split(args, " | parley iso ") { // what one prints is read by the next
			in := out
			out = bytes.Buffer{}
			Run(words(stage), &in, &out, &out)
		}
		if out.String() != want {
			t.Errorf("parley iso %s\nprints\n%s\nthe page says\n%s", args, out.String(), want)
		}
		played++
	}
	if played < 6 {
		t.Errorf("only %d transcripts were found", played)
	}
}

// words splits a command line at its spaces, but not inside quotation marks.
func words(line string) (args []string) {
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			args = append(args, part)
		} else {
			args = append(args, strings.Fields(part)...)
		}
	}
	return args
}
