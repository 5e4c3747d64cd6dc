// Package config reads a YAML configuration file into a struct and reports everything that is wrong with it at once, by key and line.
//
// It knows no setting of its own, expands no environment variable and follows no reference: secrets are named by the file they are in.
package config

import (
	"cmp"
	"encoding"
	"fmt"
	"io"
	"maps"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxSize bounds a configuration file in octets, and maxDepth its nesting.
const (
	maxSize  = 1 << 20
	maxDepth = 16
)

// Fault is one thing that is wrong. Text says what, without the value when the key may hold a secret or a person's data.
type Fault struct {
	File string
	Line int // 0 when there is no place to point at
	Key  string
	Text string
}

// Error returns "bank.yaml:12: rail.participant: is required".
func (f Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		b.WriteString(":" + strconv.Itoa(f.Line))
	}
	b.WriteString(": ")
	if f.Key != "" {
		b.WriteString(f.Key + ": ")
	}
	b.WriteString(f.Text)
	return b.String()
}

// Faults is all that is wrong with one file, in the order of its lines.
type Faults []Fault

// Error returns one line per fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].Error()
	}
	return strings.Join(lines, "\n")
}

// Source is a file that was read: where each key stands, and the faults found so far. It is not safe for concurrent use.
type Source struct {
	file   string
	lines  map[string]int
	faults Faults
}

// Read decodes the file at path into the struct that into points to. The struct's fields carry `yaml:"key"` or `yaml:"key,required"`
// tags, or `yaml:",inline"` when their own
// fields are meant; untagged fields and "-" are left alone. Keys the struct has no field for are faults. The caller adds what it finds wrong in the
// values with Faultf and then asks Err.
func Read(path string, into any) *Source {
	f, err := os.Open(path)
	if err != nil {
		s := &Source{file: path}
		s.Faultf("", "%v", err)
		return s
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		s := &Source{file: path}
		s.Faultf("", "%v", err)
		return s
	}
	return Parse(path, data, into)
}

// Parse is Read for bytes in memory; file names them in faults.
func Parse(file string, data []byte, into any) *Source {
	s := &Source{file: file, lines: map[string]int{}}
	target := reflect.ValueOf(into)
	if target.Kind() != reflect.Pointer || target.Elem().Kind() != reflect.Struct {
		panic("config: into is not a pointer to a struct")
	}
	if len(data) > maxSize {
		s.Faultf("", "the file is over %d octets", maxSize)
		return s
	}
	parsed, err := parser.ParseBytes(data, 0)
	if err != nil {
		s.faults = append(s.faults, syntaxFault(file, err))
		return s
	}
	if len(parsed.Docs) > 1 {
		s.Faultf("", "holds %d documents, want one", len(parsed.Docs))
		return s
	}
	var body ast.Node
	if len(parsed.Docs) == 1 {
		body = parsed.Docs[0].Body
	}
	s.value("", body, target.Elem(), 0)
	return s
}

// Faultf records that the value at key is wrong. The line is the key's, or that of the nearest enclosing key that is in the file.
func (s *Source) Faultf(key, format string, args ...any) {
	line := 0
	for k := key; k != "" && line == 0; k = parent(k) {
		line = s.lines[k]
	}
	s.faults = append(s.faults, Fault{File: s.file, Line: line, Key: key, Text: fmt.Sprintf(format, args...)})
}

// Has reports whether key is in the file.
func (s *Source) Has(key string) bool { return s.lines[key] > 0 }

// Err returns nil, or a Faults with everything that was found.
func (s *Source) Err() error {
	if len(s.faults) == 0 {
		return nil
	}
	out := slices.Clone(s.faults)
	slices.SortStableFunc(out, func(a, b Fault) int { return cmp.Compare(a.Line, b.Line) })
	return out
}

func parent(key string) string {
	if i := strings.LastIndexAny(key, ".["); i >= 0 {
		return key[:i]
	}
	return ""
}

// syntaxFault keeps the position and the first line of what the YAML parser says; the rest of its text quotes the file.
func syntaxFault(file string, err error) Fault {
	f := Fault{File: file, Text: "is not YAML"}
	text, _, _ := strings.Cut(err.Error(), "\n")
	if at, rest, ok := strings.Cut(strings.TrimPrefix(text, "["), "] "); ok {
		line, _, _ := strings.Cut(at, ":")
		if n, err := strconv.Atoi(line); err == nil {
			f.Line, f.Text = n, rest
			return f
		}
	}
	f.Text += ": " + text
	return f
}

func (s *Source) value(key string, n ast.Node, v reflect.Value, depth int) {
	if depth > maxDepth {
		s.Faultf(key, "is nested over %d levels", maxDepth)
		return
	}
	switch n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		s.Faultf(key, "uses an anchor, alias or tag; write the value out")
		return
	}
	if v.Kind() == reflect.Pointer {
		if n == nil || n.Type() == ast.NullType {
			return
		}
		v.Set(reflect.New(v.Type().Elem()))
		s.value(key, n, v.Elem(), depth)
		return
	}
	if _, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok || v.Kind() != reflect.Struct && v.Kind() != reflect.Slice && v.Kind() != reflect.Map {
		s.scalar(key, n, v)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		s.object(key, n, v, depth)
	case reflect.Slice:
		s.list(key, n, v, depth)
	case reflect.Map:
		s.table(key, n, v, depth)
	}
}

// pairs returns the members of a mapping, and false when n is something else.
func pairs(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case nil:
		return nil, true
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	case *ast.NullNode:
		return nil, true
	default:
		return nil, false
	}
}

func join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

func (s *Source) object(key string, n ast.Node, v reflect.Value, depth int) {
	members, ok := pairs(n)
	if !ok {
		s.Faultf(key, "must be a set of keys")
		return
	}
	fields := map[string]field{}
	collect(v, fields)
	known := slices.Collect(maps.Keys(fields))
	slices.Sort(known)
	seen := map[string]bool{}
	for _, m := range members {
		name := m.Key.GetToken().Value
		at := join(key, name)
		s.lines[at] = m.Key.GetToken().Position.Line
		f, ok := fields[name]
		if !ok {
			s.Faultf(at, "unknown key%s", suggest(name, known))
			continue
		}
		if seen[name] {
			s.Faultf(at, "is there twice")
			continue
		}
		seen[name] = true
		s.value(at, m.Value, f.value, depth+1)
	}
	for _, name := range known {
		if fields[name].required && !seen[name] {
			s.Faultf(join(key, name), "is required")
		}
	}
}

type field struct {
	value    reflect.Value
	required bool
}

// collect finds the fields of a struct by key, those of structs tagged `yaml:",inline"` included.
func collect(v reflect.Value, into map[string]field) {
	for i := range v.NumField() {
		name, option, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		switch {
		case option == "inline":
			collect(v.Field(i), into)
		case name != "" && name != "-":
			into[name] = field{v.Field(i), option == "required"}
		}
	}
}

func (s *Source) list(key string, n ast.Node, v reflect.Value, depth int) {
	if n == nil || n.Type() == ast.NullType {
		return
	}
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		s.Faultf(key, "must be a list")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values)))
	for i, item := range seq.Values {
		at := fmt.Sprintf("%s[%d]", key, i)
		s.lines[at] = firstLine(item)
		s.value(at, item, v.Index(i), depth+1)
	}
}

func (s *Source) table(key string, n ast.Node, v reflect.Value, depth int) {
	members, ok := pairs(n)
	if !ok {
		s.Faultf(key, "must be a set of keys")
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, m := range members {
		name := m.Key.GetToken().Value
		at := join(key, name)
		s.lines[at] = m.Key.GetToken().Position.Line
		item := reflect.New(v.Type().Elem()).Elem()
		s.value(at, m.Value, item, depth+1)
		v.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), item)
	}
}

func firstLine(n ast.Node) int {
	if members, ok := pairs(n); ok && len(members) > 0 {
		return members[0].Key.GetToken().Position.Line
	}
	if t := n.GetToken(); t != nil {
		return t.Position.Line
	}
	return 0
}

var durationType = reflect.TypeFor[time.Duration]()

func (s *Source) scalar(key string, n ast.Node, v reflect.Value) {
	text, ok := scalarText(n)
	if !ok {
		s.Faultf(key, "must be a single value")
		return
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if err := u.UnmarshalText([]byte(text)); err != nil {
			s.Faultf(key, "%v", err)
		}
		return
	}
	switch {
	case v.Type() == durationType:
		d, err := time.ParseDuration(text)
		if err != nil {
			s.Faultf(key, "must be a duration such as 500ms, 20s or 5m")
			return
		}
		v.SetInt(int64(d))
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		if n.Type() != ast.BoolType {
			s.Faultf(key, "must be true or false")
			return
		}
		v.SetBool(text == "true")
	case v.CanInt():
		i, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			s.Faultf(key, "must be a whole number that fits %d bits", v.Type().Bits())
			return
		}
		v.SetInt(i)
	case v.CanUint():
		i, err := strconv.ParseUint(text, 10, v.Type().Bits())
		if err != nil {
			s.Faultf(key, "must be a whole number, not negative, that fits %d bits", v.Type().Bits())
			return
		}
		v.SetUint(i)
	default:
		panic("config: no support for fields of type " + v.Type().String())
	}
}

// scalarText returns the characters of a scalar as they stand in the file, so that 021000021 stays a routing number.
func scalarText(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	default:
		return "", false
	}
}

// suggest names the known key that a typing error probably meant, or lists what there is.
func suggest(name string, known []string) string {
	best, least := "", 3
	for _, k := range known {
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	if best != "" {
		return fmt.Sprintf(" (did you mean %s?)", best)
	}
	return " (there are: " + strings.Join(known, ", ") + ")"
}

// distance is the Levenshtein distance of two short strings.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
