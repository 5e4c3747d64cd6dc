package pattern

import "testing"

func TestFits(t *testing.T) {
	for _, c := range []struct {
		s     string
		parts []any
		want  bool
	}{
		{"", nil, true},
		{"x", nil, false},
		{"M20261123A1", []any{"M", Day, Upper, 2}, true},
		{"M20261323A1", []any{"M", Day, Upper, 2}, false}, // no such month
		{"M2026112", []any{"M", Day}, false},
		{"m20261123", []any{"M", Day}, false},
		{"12a", []any{Digits, 3}, false},
		{"123", []any{Digits, 2}, false}, // something behind the end
		{"123", []any{Digits, 4}, false},
		{"aB9", []any{Alnum, 3}, true},
		{"aB9", []any{Upper, 3}, false},
		{"a-9", []any{Alnum, 3}, false},
		{"٣", []any{Digits, 2}, false}, // an Arabic digit is two bytes and none of ours
	} {
		if got := Fits(c.s, c.parts...); got != c.want {
			t.Errorf("%q %v: %v", c.s, c.parts, got)
		}
	}
}
