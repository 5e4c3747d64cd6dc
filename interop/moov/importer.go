package moov

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/moov-io/iso20022/pkg/document"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
)

// Options say what the types of moov-io/iso20022 cannot.
type Options struct {
	// Zone is the zone of every date and time in the value, since the library drops zones when it reads. Nil refuses any value that has a
	// time in it.
	Zone *time.Location
}

// Refusal is why a value of the library is not imported. It repeats no value.
type Refusal struct {
	Path string // of element names
	Text string
}

func (r *Refusal) Error() string { return "moov: " + r.Path + ": " + r.Text }

// Import turns a document of moov-io/iso20022 that a program holds into Parley's model. It refuses what it cannot prove to be exact: an
// amount of more than 15 significant digits or more decimals than its currency has, a choice with more than one branch set, times
// without Options.Zone, binary and foreign content. What then does not fit the ISO schema, or a payment, is refused with an
// *iso20022.Fault.
//
// Two things cannot be known and are taken as not said: false in an optional boolean and zero in an optional number, which the library
// leaves out. A zone that was in a text before the library read it is gone: Options.Zone is the caller's word for it.
func Import(doc document.Iso20022Document, o Options) (iso20022.Message, error) {
	def, ok := strings.CutPrefix(doc.NameSpace(), iso20022.Namespace(""))
	if !ok {
		return nil, &Refusal{"/", "not of an ISO 20022 namespace"}
	}
	return ImportMessage(doc.InspectMessage(), def, o)
}

// ImportMessage is Import of the message inside a document, such as a *pacs_v08.FIToFICustomerCreditTransferV08, as the message
// definition def, such as "pacs.008.001.08".
func ImportMessage(message any, def string, o Options) (iso20022.Message, error) {
	v := reflect.ValueOf(message)
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return nil, &Refusal{"/", "not a message of moov-io/iso20022"}
	}
	field, ok := v.Type().FieldByName("XMLName")
	if !ok {
		return nil, &Refusal{"/", "not a message of moov-io/iso20022"}
	}
	w := writer{options: o}
	w.b.WriteString(`<Document xmlns="` + iso20022.Namespace(def) + `">`)
	name, _, _ := strings.Cut(field.Tag.Get("xml"), ",")
	if err := w.element(name, v, false); err != nil {
		return nil, err
	}
	w.b.WriteString("</Document>")
	return iso20022.Decode(w.b.Bytes())
}

// writer writes a value of the library as XML, exactly.
type writer struct {
	options Options
	b       bytes.Buffer
	path    []string
}

func (w *writer) refuse(text string) error {
	return &Refusal{"/" + strings.Join(w.path, "/"), text}
}

var timeType = reflect.TypeFor[time.Time]()

// element writes one element, or as many as a slice has. An optional element is left out if it is zero.
func (w *writer) element(name string, v reflect.Value, optional bool) error {
	w.path = append(w.path, name)
	defer func() { w.path = w.path[:len(w.path)-1] }()
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		v, optional = v.Elem(), false
	}
	if optional && v.IsZero() {
		return nil
	}
	if v.Kind() == reflect.Slice {
		if v.Type().Elem().Kind() == reflect.Uint8 {
			if v.Len() > 0 {
				return w.refuse("binary content")
			}
			return nil
		}
		w.path = w.path[:len(w.path)-1]
		defer func() { w.path = append(w.path, name) }()
		for i := range v.Len() {
			if err := w.element(name, v.Index(i), false); err != nil {
				return err
			}
		}
		return nil
	}
	if v.Kind() == reflect.Struct && !v.Type().ConvertibleTo(timeType) {
		return w.structure(name, v)
	}
	text, err := w.text(v)
	if err != nil || text == "" {
		return err
	}
	w.b.WriteString("<" + name + ">")
	xml.EscapeText(&w.b, []byte(text))
	w.b.WriteString("</" + name + ">")
	return nil
}

// text returns the text of a value that is no element of elements.
func (w *writer) text(v reflect.Value) (string, error) {
	if v.Type().ConvertibleTo(timeType) {
		return w.time(v.Convert(timeType).Interface().(time.Time), v.Type().Name())
	}
	switch v.Kind() {
	case reflect.String:
		return v.String(), nil
	case reflect.Bool:
		return strconv.FormatBool(v.Bool()), nil
	case reflect.Float64:
		text, err := exact(v.Float())
		if err != nil {
			return "", w.refuse(err.Error())
		}
		return text, nil
	}
	return "", w.refuse("a value of the kind " + v.Kind().String())
}

// time writes a time as its type says, with the zone of the options.
func (w *writer) time(t time.Time, typ string) (string, error) {
	if t.IsZero() {
		return "", nil
	}
	layout := ""
	switch typ {
	case "ISODate":
		return t.Format(time.DateOnly), nil
	case "ISODateTime":
		layout = "2006-01-02T15:04:05.999999999Z07:00"
	default:
		return "", w.refuse("a time of another kind than a date or a date and time")
	}
	if w.options.Zone == nil {
		return "", w.refuse("a time, whose zone the library has dropped: say it by Options.Zone")
	}
	if _, offset := t.Zone(); offset == 0 {
		t = time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), w.options.Zone)
	}
	return t.Format(layout), nil
}

// exact returns the text of a number, if it is the number that was meant: a binary fraction holds any decimal of 15 digits, and gives
// it back as its shortest text.
func exact(f float64) (string, error) {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return "", fmt.Errorf("not a number")
	case f < 0 || f == 0 && math.Signbit(f):
		return "", fmt.Errorf("below zero")
	}
	text := strconv.FormatFloat(f, 'f', -1, 64)
	if digits := strings.Trim(strings.Replace(text, ".", "", 1), "0"); len(digits) > 15 {
		return "", fmt.Errorf("more than 15 digits, which a binary fraction does not hold exactly")
	}
	return text, nil
}

// structure writes an element of elements, or an amount.
func (w *writer) structure(name string, v reflect.Value) error {
	t := v.Type()
	for i := range t.NumField() {
		if _, options, _ := strings.Cut(t.Field(i).Tag.Get("xml"), ","); options == "chardata" {
			return w.amount(name, v, v.Field(i))
		}
	}
	set := 0
	at := w.b.Len()
	w.b.WriteString("<" + name + ">")
	content := w.b.Len()
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Name == "XMLName" {
			continue
		}
		tag, options, _ := strings.Cut(f.Tag.Get("xml"), ",")
		if tag == "" || strings.Contains(options, "any") || strings.Contains(options, "attr") {
			if !v.Field(i).IsZero() {
				return w.refuse("foreign content in " + f.Name)
			}
			continue
		}
		before := w.b.Len()
		isChoice := strings.HasSuffix(t.Name(), "Choice")
		if err := w.element(tag, v.Field(i), isChoice || strings.Contains(options, "omitempty")); err != nil {
			return err
		}
		if w.b.Len() > before {
			set++
		}
		if isChoice && set > 1 {
			return w.refuse("more than one branch of a choice is set")
		}
	}
	if w.b.Len() == content && strings.HasSuffix(t.Name(), "Choice") {
		w.b.Truncate(at) // nothing is said
		return nil
	}
	w.b.WriteString("</" + name + ">")
	return nil
}

// amount writes a number with its currency, and the decimals of it.
func (w *writer) amount(name string, v, number reflect.Value) error {
	code := ""
	for i := range v.NumField() {
		if tag := v.Type().Field(i).Tag.Get("xml"); strings.HasPrefix(tag, "Ccy,attr") {
			code = v.Field(i).String()
		}
	}
	if number.Kind() != reflect.Float64 {
		return w.refuse("an amount of the kind " + number.Kind().String())
	}
	if code == "" && number.Float() == 0 {
		return nil
	}
	currency, err := payments.ParseCurrency(code)
	if err != nil {
		return w.refuse("unknown currency")
	}
	text, err := exact(number.Float())
	if err != nil {
		return w.refuse(err.Error())
	}
	whole, fraction, _ := strings.Cut(text, ".")
	digits, _ := currency.Digits()
	if len(fraction) > digits {
		return w.refuse("more decimals than the currency has")
	}
	if text = whole; digits > 0 {
		text += "." + fraction + strings.Repeat("0", digits-len(fraction))
	}
	w.b.WriteString("<" + name + ` Ccy="` + string(currency) + `">` + text + "</" + name + ">")
	return nil
}
