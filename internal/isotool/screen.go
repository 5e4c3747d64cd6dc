package isotool

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"
)

// screen is where a subcommand writes for people: it knows whether colours are wanted and how many columns there are.
type screen struct {
	w        io.Writer
	terminal bool
	colour   bool // a terminal, and NO_COLOR is unset
	width    int  // columns; 100 where there is no terminal
}

// newScreen returns the screen that w is.
func newScreen(w io.Writer) *screen {
	s := &screen{w: w, width: 100}
	if f, ok := w.(*os.File); ok {
		if width, ok := terminalWidth(f); ok {
			s.terminal = true
			_, plain := os.LookupEnv("NO_COLOR")
			s.colour = !plain && os.Getenv("TERM") != "dumb"
			if width > 0 {
				s.width = max(width, 40)
			}
		}
	}
	return s
}

// style is how a text looks on a terminal with colours.
type style string

const (
	plain  style = ""
	bold   style = "1"
	dim    style = "2"
	red    style = "31;1"
	green  style = "32"
	yellow style = "33"
	cyan   style = "36"
)

// paint returns text in a style. The text is trusted: what comes from a file has gone through visible.
func (s *screen) paint(st style, text string) string {
	if !s.colour || st == plain || text == "" {
		return text
	}
	return "\x1b[" + string(st) + "m" + text + "\x1b[0m"
}

func (s *screen) printf(format string, args ...any) { fmt.Fprintf(s.w, format, args...) }

// visible returns text that shows what is in s and does nothing else to a terminal: control characters, those that change the
// direction of writing and those that cannot be seen are named, such as ⟨ESC⟩ or ⟨U+202E⟩. Nothing is left out.
func visible(s string) string {
	ok := true
	for _, r := range s {
		if !harmless(r) {
			ok = false
			break
		}
	}
	if ok {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, "⟨%02X⟩", s[i])
		case harmless(r):
			b.WriteRune(r)
		default:
			if name, ok := controlNames[r]; ok {
				b.WriteString("⟨" + name + "⟩")
			} else {
				fmt.Fprintf(&b, "⟨U+%04X⟩", r)
			}
		}
	}
	return b.String()
}

var controlNames = map[rune]string{0: "NUL", 7: "BEL", 8: "BS", 9: "TAB", 10: "LF", 13: "CR", 27: "ESC", 127: "DEL"}

func harmless(r rune) bool {
	if r < 0x7f {
		return r >= 0x20
	}
	return r != utf8.RuneError && (unicode.IsGraphic(r) && r != '\u2028' && r != '\u2029')
}

// columns returns how many columns a text takes on a terminal.
func columns(s string) int {
	n := 0
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

func runeColumns(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case r >= 0x1100 && (r <= 0x115f || r >= 0x2e80 && r <= 0xa4cf && r != 0x303f || r >= 0xac00 && r <= 0xd7a3 || r >= 0xf900 && r <= 0xfaff ||
		r >= 0xfe30 && r <= 0xfe6f || r >= 0xff00 && r <= 0xff60 || r >= 0xffe0 && r <= 0xffe6 || r >= 0x1f300 && r <= 0x1faff || r >= 0x20000 && r <= 0x3fffd):
		return 2
	}
	return 1
}

// clip shortens a text to at most n octets, with … in the middle, for what a hostile file makes long.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	head, tail := n/2, len(s)-n/2+len("…")
	for head > 0 && !utf8.RuneStart(s[head]) {
		head--
	}
	for tail < len(s) && !utf8.RuneStart(s[tail]) {
		tail++
	}
	return s[:head] + "…" + s[tail:]
}

// plural returns "1 file" or "2 files".
func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
