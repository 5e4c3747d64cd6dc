package isotool

import "strings"

// cell is one text of a table.
type cell struct {
	text  string // has gone through visible if it comes from a file
	style style
	right bool // aligned
}

func text(s string) cell             { return cell{text: s} }
func styled(st style, s string) cell { return cell{text: s, style: st} }

// table collects rows and prints them in columns. The last column is broken into lines at the screen's width; the others are as wide as
// their longest text, at most widest.
type table struct {
	indent int
	widest int // 0 means 40 columns
	rows   [][]cell
}

// row adds a row. Without cells it is an empty line.
func (t *table) row(cells ...cell) { t.rows = append(t.rows, cells) }

// print writes the table.
func (t *table) print(s *screen) {
	if t.widest == 0 {
		t.widest = 40
	}
	var widths []int
	for _, row := range t.rows {
		for i, c := range row[:max(len(row)-1, 0)] {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], min(columns(c.text), t.widest))
		}
	}
	for _, row := range t.rows {
		if len(row) == 0 {
			s.printf("\n")
			continue
		}
		var b strings.Builder
		b.WriteString(strings.Repeat(" ", t.indent))
		at := t.indent
		for i, c := range row[:len(row)-1] {
			pad := max(widths[i]-columns(c.text), 0)
			if c.right {
				b.WriteString(strings.Repeat(" ", pad) + s.paint(c.style, c.text) + "  ")
			} else {
				b.WriteString(s.paint(c.style, c.text) + strings.Repeat(" ", pad) + "  ")
			}
			at += widths[i] + 2
			if columns(c.text) > widths[i] { // too long for its column: the rest goes below
				line := strings.TrimRight(b.String(), " ")
				b.Reset()
				b.WriteString(line + "\n" + strings.Repeat(" ", at))
			}
		}
		last := row[len(row)-1]
		for i, line := range wrap(last.text, max(s.width-at, 24)) {
			if i > 0 {
				b.WriteString("\n" + strings.Repeat(" ", at))
			}
			b.WriteString(s.paint(last.style, line))
		}
		s.printf("%s\n", strings.TrimRight(b.String(), " "))
	}
}

// wrap breaks a text into lines of at most width columns, at spaces where there are some, else behind / or anywhere.
func wrap(s string, width int) (lines []string) {
	for columns(s) > width {
		at, col, space, slash := 0, 0, 0, 0
		for i, r := range s {
			if col += runeColumns(r); col > width && i > 0 {
				at = i
				break
			}
			switch r {
			case ' ':
				space = i
			case '/':
				slash = i
			}
		}
		switch {
		case at == 0: // one character wider than the line
			return append(lines, s)
		case s[at] == ' ':
		case space > 0:
			at = space
		case slash > 0:
			at = slash
		}
		lines = append(lines, strings.TrimRight(s[:at], " "))
		s = strings.TrimLeft(s[at:], " ")
	}
	return append(lines, s)
}
