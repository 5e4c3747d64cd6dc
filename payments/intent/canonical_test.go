package intent

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/parleypay/parley/internal/shared"
)

func TestCanonicalForm(t *testing.T) {
	for in, want := range map[string]string{
		` { "b" : 1 , "a" : [ true , false , null , -12 ] } `: `{"a":[true,false,null,-12],"b":1}`,
		`{"\u20ac":1,"\r":2,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}`:// RFC 8785 §3.2.3, without its U+FB33, which is not NFC
		"{\"\\r\":2,\"1\":4,\"\u0080\":6,\"ö\":7,\"€\":1,\"😀\":5}",
		`"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/"`: `"€$\u000f\nA'B\"\\\\\"/"`, // RFC 8785 §3.2.2
		`"\b\f\t\u0000\u001f\u007f\u2028"`:                "\"\\b\\f\\t\\u0000\\u001f\u007f\u2028\"",
		`9007199254740991`:                                `9007199254740991`,
		`{}`:                                              `{}`,
		`[[[[[[[[]]]]]]]]`:                                `[[[[[[[[]]]]]]]]`,
		"\t\r\n {\"caf\u00e9\":\"\u00e9\"}\n":             `{"café":"é"}`,
		`{"aa":1,"a":2,"":3,"A":4}`:                       `{"":3,"A":4,"a":2,"aa":1}`,
		"{\"\U0001F600\":1,\"\uFE80\":2,\"\uE000\":3}":    "{\"\U0001F600\":1,\"\uE000\":3,\"\uFE80\":2}", // by UTF-16 units, not by bytes
	} {
		got, err := Canonicalize([]byte(in))
		if err != nil || string(got) != want {
			t.Errorf("%s\n gives %s, %v\n want  %s", in, got, err, want)
		}
	}
}

func TestCanonicalizeRefuses(t *testing.T) {
	for in, why := range map[string]string{
		``: "not a JSON value", `{"a":1,"a":1}`: "twice", `{"a":1,"\u0061":2}`: "twice", `[1.0]`: "fraction", `[1e3]`: "exponent", `[1E3]`: "exponent",
		`-0`: "plain integer", `01`: "plain integer", `-`: "plain integer", `9007199254740992`: "2^53", `-9007199254740992`: "2^53",
		`9007199254740993`: "2^53", `99999999999999999999`: "2^53", `"\ud800"`: "surrogate", `"\udc00\ud800"`: "surrogate", `"\ud800\u0041"`: "surrogate",
		"\"e\u0301\"": "form C", `"e\u0301"`: "form C", "{\"e\u0301\":1}": "form C", "\"\u212b\"": "form C", `"\uffff"`: "noncharacter", "\"\ufdd0\"": "noncharacter",
		"\"\xff\"": "UTF-8", "\"\xc0\x80\"": "UTF-8", "\"\xed\xa0\x80\"": "UTF-8", "\"a\nb\"": "control", "\"a\x00b\"": "control",
		`[[[[[[[[[]]]]]]]]]`: "levels", `{} {}`: "after", "\ufeff{}": "not a JSON value", `{"a":NaN}`: "not a JSON value", `[1,]`: "not a JSON value", `{'a':1}`: "name missing",
		`"` + strings.Repeat("a", MaxPayload) + `"`: "bytes", `[` + strings.Repeat("1,", 64) + `1]`: "elements", `"\u12"`: "escape", `"\x41"`: "escape", `"abc`: "end",
	} {
		got, err := Canonicalize([]byte(in))
		if err == nil {
			t.Errorf("%.60q accepted as %.60s", in, got)
		} else if !strings.Contains(err.Error(), why) {
			t.Errorf("%.60q: %v, want %q", in, err, why)
		}
	}
}

func TestJSONTestSuite(t *testing.T) {
	dir := shared.Path(t, "bad-inputs/json/test_parsing")
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 300 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	accepted, refused := 0, 0
	for _, file := range files {
		b, err := os.ReadFile(filepath.Join(dir, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		got, err := Canonicalize(b)
		switch kind := file.Name()[0]; {
		case kind == 'n' && err == nil:
			t.Errorf("%s accepted as %s", file.Name(), got)
		case kind == 'i' && err == nil:
			t.Errorf("%s accepted: whatever is implementation-defined is refused", file.Name())
		case kind == 'y' && err != nil:
			refused++
			ok := false
			for _, why := range []string{"fraction or exponent", "plain integer", "2^53-1", "twice", "noncharacter", "form C"} {
				ok = ok || strings.Contains(err.Error(), why)
			}
			if !ok {
				t.Errorf("%s: %v", file.Name(), err)
			}
		case kind == 'y':
			accepted++
			if !sameJSON(b, got) {
				t.Errorf("%s means something else as %s", file.Name(), got)
			}
		}
	}
	if accepted < 60 {
		t.Errorf("only %d of the valid texts accepted, %d refused", accepted, refused)
	}
}

// sameJSON compares by encoding/json, on texts without numbers that it would round.
func sameJSON(a, b []byte) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	p, _ := json.Marshal(x)
	q, _ := json.Marshal(y)
	return bytes.Equal(p, q)
}

func TestJSONTransform(t *testing.T) {
	accepted := map[string]string{
		"number_1000000000000000.json":  `[1000000000000000]`,
		"string_with_escaped_NULL.json": `["A\u0000B"]`,
	}
	dir := shared.Path(t, "bad-inputs/json/test_transform")
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		b, _ := os.ReadFile(filepath.Join(dir, file.Name()))
		got, err := Canonicalize(b)
		if want := accepted[file.Name()]; string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%s: %s, %v, want %q", file.Name(), got, err, want)
		}
	}
}

// eachLine calls f with every value of a base64 corpus.
func eachLine(t *testing.T, name string, f func(name string, b []byte)) {
	t.Helper()
	file, err := os.Open(shared.Path(t, name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	n := 0
	for lines.Scan() {
		var line struct {
			Name string
			B64  []byte
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		f(line.Name, line.B64)
		n++
	}
	if n < 100 || lines.Err() != nil {
		t.Fatalf("%d lines, %v", n, lines.Err())
	}
}

func TestJSONCorpus(t *testing.T) {
	eachLine(t, "bad-inputs/json/go-fuzz-corpus-json.jsonl", func(name string, b []byte) {
		checkCanonical(t, b)
		for _, parse := range bodyParsers {
			if parse(b) == nil {
				t.Errorf("%s is a body", name)
			}
		}
	})
}

var bodyParsers = []func([]byte) error{
	func(b []byte) error { _, err := ParseCheck(b); return err },
	func(b []byte) error { _, err := ParseApproval(b); return err },
	func(b []byte) error { _, err := ParseNotice(b); return err },
	func(b []byte) error { _, err := ParseEnrol(b); return err },
	func(b []byte) error { _, err := ParseEnrolledKey(b); return err },
	func(b []byte) error { _, err := ParseJWK(b); return err },
}

// checkCanonical checks what must hold of every input: it is refused with a FormatError, or its canonical form is a fixed point
// that encoding/json reads as the same.
func checkCanonical(t *testing.T, b []byte) {
	t.Helper()
	got, err := Canonicalize(b)
	if err != nil {
		var format *FormatError
		if !errors.As(err, &format) {
			t.Errorf("%.80q: %T", b, err)
		}
		return
	}
	if again, err := Canonicalize(got); len(got) <= MaxPayload && (err != nil || !bytes.Equal(again, got)) {
		t.Errorf("%.80q: canonical form %s is not its own: %s, %v", b, got, again, err)
	}
	if !sameJSON(b, got) {
		t.Errorf("%.80q means something else as %s", b, got)
	}
}

func TestCanonicalRandom(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var draw func(depth int) any
		draw = func(depth int) any {
			switch rapid.IntRange(0, 5-2*(depth/6)).Draw(r, "kind") {
			case 0:
				return rapid.Int64Range(-maxInteger, maxInteger).Draw(r, "n")
			case 1:
				return rapid.Bool().Draw(r, "b")
			case 2, 3:
				return rapid.String().Draw(r, "s")
			case 4:
				list := []any{}
				for range rapid.IntRange(0, 3).Draw(r, "len") {
					list = append(list, draw(depth+1))
				}
				return list
			default:
				m := map[string]any{}
				for range rapid.IntRange(0, 3).Draw(r, "len") {
					m[rapid.String().Draw(r, "key")] = draw(depth + 1)
				}
				return m
			}
		}
		b, err := json.Marshal(draw(0))
		if err != nil {
			r.Fatal(err)
		}
		checkCanonical(t, b)
	})
}

func FuzzCanonicalize(f *testing.F) {
	for _, s := range []string{`{"a":[1,-2,"\ud83d\ude00"],"b":{}}`, `{"a":1,"a":2}`, `[1e5]`, "\"e\u0301\"", `"\u0000"`, `[[[[[[[[[[`, `{"typ":"paymandate.1"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) { checkCanonical(t, b) })
}
