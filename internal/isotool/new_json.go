package isotool

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/parleypay/parley/payments"
)

// The JSON of parley iso new mirrors the model of package iso20022: the fields of its types by their names, beginning small. Amounts are
// texts such as "EUR 4.50", times RFC 3339 with their zone, numbers there are none.

// fromFlag is a text given by a flag, which may also stand for true, false or the one text of a list.
type fromFlag string

// parseJSON reads one JSON value strictly: no name twice, nothing behind it, at most 32 levels.
func parseJSON(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v, err := jsonValue(d, "", 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("something stands behind the JSON value")
	}
	return v, nil
}

func jsonValue(d *json.Decoder, path string, depth int) (any, error) {
	if depth > 32 {
		return nil, fmt.Errorf("%s: more than 32 levels", path)
	}
	t, err := d.Token()
	if err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	switch t {
	case json.Delim('{'):
		m := make(map[string]any)
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, fmt.Errorf("not JSON: %w", err)
			}
			name := k.(string)
			at := dotted(path, name)
			if _, ok := m[name]; ok {
				return nil, fmt.Errorf("%.100q stands twice", at)
			}
			if m[name], err = jsonValue(d, at, depth+1); err != nil {
				return nil, err
			}
		}
		_, err := d.Token()
		return m, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := jsonValue(d, dotted(path, strconv.Itoa(len(list))), depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	}
	return t, nil
}

func dotted(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// setField puts the text of a flag into a JSON value, at a path such as debtor.name or batches.0.id.
func setField(v any, path []string, text string) (any, error) {
	if len(path) == 0 {
		if v != nil {
			return nil, fmt.Errorf("stands in the JSON document too, or twice")
		}
		return fromFlag(text), nil
	}
	if i, err := strconv.Atoi(path[0]); err == nil {
		list, _ := v.([]any)
		if i < 0 || i > len(list) {
			return nil, fmt.Errorf("the list has %d before it", len(list))
		}
		if i == len(list) {
			list = append(list, nil)
		}
		x, err := setField(list[i], path[1:], text)
		list[i] = x
		return list, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		if v != nil {
			return nil, fmt.Errorf("stands in the JSON document too, or twice")
		}
		m = make(map[string]any)
	}
	x, err := setField(m[path[0]], path[1:], text)
	m[path[0]] = x
	return m, err
}

// fieldName returns the JSON name of a field: MessageID is messageId, UETR is uetr.
func fieldName(name string) string {
	r := []rune(name)
	var b strings.Builder
	for i, c := range r {
		upper := unicode.IsUpper(c)
		before := i > 0 && unicode.IsUpper(r[i-1])
		after := i+1 < len(r) && unicode.IsLower(r[i+1])
		if upper && (i == 0 || before && !after) {
			c = unicode.ToLower(c)
		}
		b.WriteRune(c)
	}
	return b.String()
}

// hidden are fields that the message asked for and its profile decide.
var hidden = []string{"MsgDef", "Version"}

var (
	timeType    = reflect.TypeFor[time.Time]()
	amountType  = reflect.TypeFor[payments.Amount]()
	nameType    = reflect.TypeFor[payments.Name]()
	accountType = reflect.TypeFor[payments.Account]()
)

// jsonReader reads JSON values into the model, and keeps everything that is wrong.
type jsonReader struct {
	wrong []problem
}

func (r *jsonReader) fail(path, rule, text string) {
	r.wrong = append(r.wrong, problem{Path: path, Rule: "json." + rule, Text: text})
}

// read sets v, what is not in the JSON stays as it is.
func (r *jsonReader) read(v reflect.Value, x any, path string) {
	text, isText := x.(string)
	flag, isFlag := x.(fromFlag)
	if isFlag {
		text, isText = string(flag), true
	}
	if isText && strings.ContainsRune(text, 0) {
		r.fail(path, "text", "a NUL character")
		return
	}
	wantText := func() bool {
		switch x.(type) {
		case json.Number:
			r.fail(path, "number", "a number; amounts and everything else are texts here, such as \"EUR 4.50\"")
		case nil:
			r.fail(path, "null", "null; leave out what is not said")
		default:
			if !isText {
				r.fail(path, "text", "a text is wanted here")
			}
		}
		return isText
	}
	var err error
	switch t := v.Type(); {
	case t == timeType:
		if wantText() {
			var at time.Time
			if at, err = time.Parse(time.RFC3339Nano, text); err != nil {
				r.fail(path, "time", "no time with its zone, such as 2026-11-23T12:00:00Z")
				return
			}
			v.Set(reflect.ValueOf(at))
		}
	case t == amountType:
		if wantText() {
			currency, value, _ := strings.Cut(text, " ")
			var a payments.Amount
			if a, err = payments.ParseAmount(value, payments.Currency(currency)); err != nil {
				r.fail(path, "amount", strings.TrimPrefix(err.Error(), "payments: ")+"; wanted is a text such as \"EUR 4.50\"")
				return
			}
			v.Set(reflect.ValueOf(a))
		}
	case t == nameType:
		if wantText() {
			var n payments.Name
			if n, err = payments.ParseName(text); err != nil {
				r.fail(path, "name", strings.TrimPrefix(err.Error(), "payments: "))
				return
			}
			v.Set(reflect.ValueOf(n))
		}
	case t == accountType:
		if wantText() {
			var a payments.Account
			if a, err = payments.ParseAccount(text); err != nil {
				r.fail(path, "account", strings.TrimPrefix(err.Error(), "payments: "))
				return
			}
			v.Set(reflect.ValueOf(a))
		}
	case t.Kind() == reflect.String:
		if wantText() {
			v.SetString(text)
		}
	case t.Kind() == reflect.Bool:
		b, ok := x.(bool)
		if isFlag && (text == "true" || text == "false") {
			b, ok = text == "true", true
		}
		if !ok {
			r.fail(path, "boolean", "true or false is wanted here")
			return
		}
		v.SetBool(b)
	case t.Kind() == reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(t.Elem()))
		}
		r.read(v.Elem(), x, path)
	case t.Kind() == reflect.Slice:
		list, ok := x.([]any)
		if isFlag && t.Elem().Kind() == reflect.String {
			list, ok = []any{flag}, true
		}
		if !ok {
			r.fail(path, "list", "a list is wanted here")
			return
		}
		v.Set(reflect.MakeSlice(t, len(list), len(list)))
		for i, e := range list {
			r.read(v.Index(i), e, dotted(path, strconv.Itoa(i)))
		}
	case t.Kind() == reflect.Struct:
		m, ok := x.(map[string]any)
		if !ok {
			r.fail(path, "object", "an object is wanted here: "+strings.Join(fieldNames(t), ", "))
			return
		}
		names := make([]string, 0, len(m))
		for k := range m {
			names = append(names, k)
		}
		slices.Sort(names)
		for _, k := range names {
			i := slices.Index(fieldNames(t), k)
			if i < 0 {
				r.fail(dotted(path, clip(k, 60)), "unknown", "there is no such field here; there are "+strings.Join(fieldNames(t), ", "))
				continue
			}
			r.read(v.FieldByName(goNames(t)[i]), m[k], dotted(path, k))
		}
	}
}

func goNames(t reflect.Type) (names []string) {
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() && !slices.Contains(hidden, f.Name) {
			names = append(names, f.Name)
		}
	}
	return names
}

func fieldNames(t reflect.Type) (names []string) {
	for _, n := range goNames(t) {
		names = append(names, fieldName(n))
	}
	return names
}

// field is a value of the model that is a text in JSON.
type field struct {
	path, kind, text string
}

// flatten lists the fields of v that are said; with all, those that could be, where a list has one item.
func flatten(v reflect.Value, path string, all bool) (list []field) {
	leaf := func(kind, text string) []field {
		if !all && v.IsZero() {
			return nil
		}
		return []field{{path, kind, text}}
	}
	switch t := v.Type(); {
	case t == timeType:
		return leaf("time", v.Interface().(time.Time).Format(time.RFC3339Nano))
	case t == amountType:
		return leaf("amount", v.Interface().(payments.Amount).String())
	case t == nameType:
		return leaf("name", v.Interface().(payments.Name).Reveal())
	case t == accountType:
		return leaf("account", v.Interface().(payments.Account).Reveal())
	case t.Kind() == reflect.String:
		return leaf("text", v.String())
	case t.Kind() == reflect.Bool:
		return leaf("true or false", strconv.FormatBool(v.Bool()))
	case t.Kind() == reflect.Pointer:
		if v.IsNil() {
			if !all {
				return nil
			}
			v = reflect.New(t.Elem())
		}
		return flatten(v.Elem(), path, all)
	case t.Kind() == reflect.Slice:
		if v.Len() == 0 && all {
			return flatten(reflect.New(t.Elem()).Elem(), dotted(path, "0"), all)
		}
		for i := range v.Len() {
			list = append(list, flatten(v.Index(i), dotted(path, strconv.Itoa(i)), all)...)
		}
	case t.Kind() == reflect.Struct:
		for i, n := range goNames(t) {
			list = append(list, flatten(v.FieldByName(n), dotted(path, fieldNames(t)[i]), all)...)
		}
	}
	return list
}

// appendJSON appends what v says as JSON, indented; false if it says nothing.
func appendJSON(b []byte, v reflect.Value, indent string) ([]byte, bool) {
	if fields := flatten(v, "", false); len(fields) == 0 {
		return b, false
	} else if t := v.Type(); t.Kind() == reflect.Bool {
		return append(b, fields[0].text...), true
	} else if t == timeType || t == amountType || t == nameType || t == accountType || t.Kind() == reflect.String {
		return appendText(b, fields[0].text), true
	}
	inner := indent + "  "
	switch t := v.Type(); t.Kind() {
	case reflect.Pointer:
		return appendJSON(b, v.Elem(), indent)
	case reflect.Slice:
		b = append(b, '[')
		for i := range v.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(append(b, '\n'), inner...)
			var ok bool
			if b, ok = appendJSON(b, v.Index(i), inner); !ok {
				b = append(b, "{}"...)
			}
		}
		return append(append(append(b, '\n'), indent...), ']'), true
	default:
		b = append(b, '{')
		first := true
		for i, n := range goNames(t) {
			value, ok := appendJSON(nil, v.FieldByName(n), inner)
			if !ok {
				continue
			}
			if !first {
				b = append(b, ',')
			}
			first = false
			b = append(append(b, '\n'), inner...)
			b = append(appendText(b, fieldNames(t)[i]), ": "...)
			b = append(b, value...)
		}
		return append(append(append(b, '\n'), indent...), '}'), true
	}
}

func appendText(b []byte, s string) []byte {
	var w bytes.Buffer
	enc := json.NewEncoder(&w)
	enc.SetEscapeHTML(false)
	enc.Encode(s)
	return append(b, strings.TrimSuffix(w.String(), "\n")...)
}
