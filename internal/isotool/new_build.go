package isotool

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"
)

// builder makes one message.
type builder struct {
	profile *rail.Profile // nil: the document alone, by ISO's schema
	now     time.Time
	seed    string // makes the ids
}

// makers make an empty message, by its name without a version.
var makers = map[string]func() iso20022.Message{
	"pacs.008": func() iso20022.Message { return new(iso20022.CreditTransfer) },
	"pacs.009": func() iso20022.Message { return new(iso20022.InstitutionTransfer) },
	"pacs.002": func() iso20022.Message { return new(iso20022.StatusReport) },
	"pacs.028": func() iso20022.Message { return new(iso20022.StatusRequest) },
	"pacs.004": func() iso20022.Message { return new(iso20022.Return) },
	"camt.056": func() iso20022.Message { return new(iso20022.Recall) },
	"camt.055": func() iso20022.Message { return new(iso20022.Recall) },
	"camt.029": func() iso20022.Message { return new(iso20022.Resolution) },
	"camt.026": func() iso20022.Message { return new(iso20022.Query) },
	"camt.028": func() iso20022.Message { return new(iso20022.Addition) },
	"pain.001": func() iso20022.Message { return new(iso20022.Initiation) },
	"pain.002": func() iso20022.Message { return new(iso20022.InitiationReport) },
	"pain.013": func() iso20022.Message { return new(iso20022.PaymentRequest) },
	"pain.014": func() iso20022.Message { return new(iso20022.RequestAnswer) },
	"admi.002": func() iso20022.Message { return new(iso20022.Rejection) },
	"admi.004": func() iso20022.Message { return new(iso20022.SystemEvent) },
	"admi.007": func() iso20022.Message { return new(iso20022.Receipt) },
	"admi.011": func() iso20022.Message { return new(iso20022.EventReceipt) },
}

// definitionOf returns the definition that a message is written in: the one asked for, else that of the rail, else the newest.
func definitionOf(asked string, p *rail.Profile) (string, error) {
	var defs []string
	for _, d := range iso20022.Definitions() {
		if makers[messageName(d)] != nil && (d == asked || messageName(d) == asked) {
			defs = append(defs, d)
		}
	}
	if len(defs) == 0 {
		return "", fmt.Errorf("no message %.40q is made here; there are %s", asked, strings.Join(messageNames(), ", "))
	}
	if p != nil {
		all := defs
		defs = slices.DeleteFunc(slices.Clone(defs), func(d string) bool { return !slices.Contains(p.Definitions, d) })
		if len(defs) == 0 {
			return "", fmt.Errorf("%s does not travel on %s", strings.Join(all, ", "), p.Title)
		}
	}
	slices.Sort(defs)
	return defs[len(defs)-1], nil
}

func messageNames() (names []string) {
	for n := range makers {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// newMessage is a message with its header, as JSON has it: the fields of the message, and "header" beside them.
type newMessage struct {
	header  iso20022.Header
	message iso20022.Message
}

// built is what build made.
type built struct {
	wire  []byte
	model iso20022.Message
	given []field // what was asked for
	wrong []problem
}

// build makes a message of a definition from a JSON value. What is wrong with it is in the result; there are no bytes then.
func (b *builder) build(def string, x map[string]any) *built {
	out := &built{}
	r := &jsonReader{}
	n := newMessage{message: makers[messageName(def)]()}
	fields := make(map[string]any)
	for k, v := range x {
		if k == "header" {
			r.read(reflect.ValueOf(&n.header).Elem(), v, "header")
			continue
		}
		fields[k] = v
	}
	model := reflect.ValueOf(n.message).Elem()
	r.read(model, fields, "")
	if out.wrong = r.wrong; out.wrong != nil {
		return out
	}
	out.given = flatten(model, "", false)
	if out.given == nil {
		out.wrong = []problem{{Rule: "json.missing", Text: "nothing is said; see --example"}}
		return out
	}
	setMsgDef(model, def)
	from := b.sender(&n)
	id := b.fill(&n, fields, from)
	if b.profile == nil {
		wire, err := n.message.Append(nil)
		if err == nil {
			_, err = iso20022.Decode(wire)
		}
		out.wire, out.model = wire, n.message
		out.refuse(err)
		return out
	}
	p := b.profile
	if from == "" {
		out.wrong = append(out.wrong, problem{Path: "header.from", Rule: "json.missing", Text: "who sends it: give --from, or the agent of the sender"})
		return out
	}
	to := n.header.To
	if to == "" {
		to = p.Service
	}
	if from == p.Service && n.header.To == "" {
		out.wrong = append(out.wrong, problem{Path: "header.to", Rule: "json.missing", Text: "the rail sends it: give --to, the participant it goes to"})
		return out
	}
	if t, ok := n.message.(*iso20022.CreditTransfer); ok {
		m, err := p.NewTransfer(rail.TransferInput{
			UETR: t.UETR, EndToEndID: t.EndToEndID, Amount: t.Amount, Debtor: t.Debtor, Creditor: t.Creditor, Remittance: t.Remittance, Reference: t.Reference,
			Purpose: t.Purpose, Category: t.CategoryPrtry, Participant: from, Suffix: b.suffix("message"), Now: b.now,
		})
		if err != nil {
			out.refuse(err)
			return out
		}
		for _, made := range []string{"endToEndId", "amount", "debtor", "creditor", "remittance", "reference", "purpose", "categoryPrtry"} {
			delete(fields, made) // as the rail writes them
		}
		(&jsonReader{}).read(reflect.ValueOf(m.Transfer).Elem(), fields, "")
		n.message, id = m.Transfer, m.Transfer.MessageID
	}
	header := p.NewHeader(from, to, def, id, b.now)
	overlay := reflect.ValueOf(&header).Elem()
	given := reflect.ValueOf(n.header)
	for i := range given.NumField() {
		if !given.Field(i).IsZero() {
			overlay.Field(i).Set(given.Field(i))
		}
	}
	out.model = n.message
	var err error
	switch m := n.message.(type) {
	case *iso20022.CreditTransfer:
		out.wire, err = p.Encode(&rail.Message{Header: header, Transfer: m})
	case *iso20022.StatusReport:
		out.wire, err = p.Encode(&rail.Message{Header: header, Status: m})
	case *iso20022.StatusRequest:
		out.wire, err = p.Encode(&rail.Message{Header: header, Request: m})
	default:
		var doc []byte
		if doc, err = m.Append(nil); err == nil {
			out.wire, err = p.Wrap(&header, doc)
		}
	}
	if err != nil {
		out.refuse(err)
		return out
	}
	verdict, err := p.Check(out.wire)
	if err != nil {
		out.refuse(err)
	}
	for _, f := range verdict.Faults {
		out.wrong = append(out.wrong, problem{Path: f.Path, Rule: f.Rule, Text: f.Text})
	}
	return out
}

// refuse notes an error of the codec or the profile.
func (o *built) refuse(err error) {
	if err == nil {
		return
	}
	if faults := rail.Faults(err); faults != nil {
		for _, f := range faults {
			o.wrong = append(o.wrong, problem{Path: f.Path, Rule: f.Rule, Text: f.Text})
		}
		return
	}
	if f := asFault(err); f != nil {
		o.wrong = append(o.wrong, problem{Path: f.Path, Rule: f.Rule, Text: f.Text})
		return
	}
	o.wrong = append(o.wrong, problem{Rule: "rail.refused", Text: err.Error()})
}

func setMsgDef(model reflect.Value, def string) {
	if f := model.FieldByName("MsgDef"); f.IsValid() {
		f.SetString(def)
	}
}

// sender returns who sends a message: the header's word, else the agent that its kind of message comes from.
func (b *builder) sender(n *newMessage) payments.AgentID {
	if n.header.From != "" {
		return n.header.From
	}
	switch m := n.message.(type) {
	case *iso20022.CreditTransfer:
		return or(m.Instructing.ID, m.Debtor.Agent.ID)
	case *iso20022.InstitutionTransfer:
		return or(m.Instructing.ID, m.Debtor.Agent.ID)
	case *iso20022.StatusReport:
		return m.Instructing.ID
	case *iso20022.StatusRequest:
		return m.Instructing.ID
	case *iso20022.Return:
		return m.Instructing.ID
	case *iso20022.Recall:
		return or(m.Case.Assigner.Agent.ID, m.Assigner.ID)
	case *iso20022.Resolution:
		return m.Case.Assigner.Agent.ID
	case *iso20022.Query:
		return m.Case.Assigner.Agent.ID
	case *iso20022.Addition:
		return m.Case.Assigner.Agent.ID
	case *iso20022.PaymentRequest:
		return m.Creditor.Agent.ID
	case *iso20022.RequestAnswer:
		return m.Debtor.ID
	}
	return ""
}

func or(a, b payments.AgentID) payments.AgentID {
	if a != "" {
		return a
	}
	return b
}

func (b *builder) suffix(kind string) string { return rail.Suffix("parley iso new", b.seed, kind) }

// fill puts into a message what it needs and does not say: ids, times, and on a rail its fixed codes. It returns the message's id.
func (b *builder) fill(n *newMessage, given map[string]any, from payments.AgentID) string {
	model := reflect.ValueOf(n.message).Elem()
	set := func(name string, value any) {
		f := model.FieldByName(name)
		if v := reflect.ValueOf(value); f.IsValid() && f.IsZero() && given[fieldName(name)] == nil && v.Type().ConvertibleTo(f.Type()) {
			f.Set(v.Convert(f.Type()))
		}
	}
	now, p := b.now.UTC().Truncate(time.Millisecond), b.profile
	id := now.Format("20060102") + b.suffix("message")
	if p != nil {
		now = now.Truncate(p.TimeResolution)
		if made, err := p.MessageID(from, now, b.suffix("message")); err == nil {
			id = made
		}
	}
	set("MessageID", id)
	set("Created", now)
	if c := model.FieldByName("Case"); c.IsValid() {
		x := c.Addr().Interface().(*iso20022.Case)
		if x.AssignmentID == "" {
			x.AssignmentID = id
		}
		if x.Created.IsZero() {
			x.Created = now
		}
		id = x.AssignmentID
	} else if f := model.FieldByName("MessageID"); f.IsValid() {
		id = f.String()
	}
	intent, _ := payments.NewIntentID(b.now, strings.NewReader(b.suffix("intent")))
	uetr := payments.NewUETR(intent, "parley iso new")
	switch m := n.message.(type) {
	case *iso20022.CreditTransfer, *iso20022.InstitutionTransfer, *iso20022.PaymentRequest:
		set("EndToEndID", intent.EndToEndID())
		set("ChargeBearer", "SLEV")
		if p == nil || !p.NoUETR {
			set("UETR", uetr)
		}
	case *iso20022.StatusReport:
		if p != nil && p.OriginalByEndToEnd && m.OriginalInstruction == "" {
			m.OriginalInstruction = string(m.OriginalEndToEnd)
		}
	case *iso20022.Return:
		m.ReturnID = firstOf(m.ReturnID, b.suffix("return"))
		if p != nil && given["returnId"] == nil && p.OriginalByEndToEnd {
			m.ReturnID = payments.NewPixReturnID(from, b.now, b.seed)
		}
		set("ChargeBearer", "SLEV")
	case *iso20022.Recall:
		if m.CancellationID == "" && m.MsgDef == iso20022.RecallV8 {
			m.CancellationID = id
		}
	case *iso20022.Resolution:
	}
	if p == nil {
		return id
	}
	set("GroupLevel", p.GroupLevel && messageName(n.message.Definition()) != "pacs.004")
	set("ClrSysCode", p.ClrSysCode)
	set("ClrSysPrtr", p.ClrSysPrtr)
	set("ClrSysPrtry", p.ClrSysPrtr)
	if p.SettleDateRequired {
		if _, report := n.message.(*iso20022.StatusReport); !report {
			set("SettleDate", p.Zone.In(now).Format(time.DateOnly))
		}
	}
	if x := model.FieldByName("PaymentType"); x.IsValid() && given["paymentType"] == nil {
		t := x.Addr().Interface().(*iso20022.PaymentType)
		t.ServiceLevel, t.LocalCode = p.ServiceLevel, p.LocalCode
		if len(p.LocalPrtry) > 0 {
			t.LocalPrtry = p.LocalPrtry[0]
		}
		if len(p.Categories) > 0 {
			t.CategoryPrtry = p.Categories[0]
		}
	}
	set("Instructing", iso20022.Agent{ID: from})
	set("Instructed", iso20022.Agent{ID: p.Service})
	b.agents(model)
	return id
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// agents writes every agent of a message as the rail does.
func (b *builder) agents(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if a, ok := v.Addr().Interface().(*iso20022.Agent); ok {
			if a.System == "" {
				*a = b.profile.Agent(a.ID)
			}
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				b.agents(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			b.agents(v.Index(i))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			b.agents(v.Elem())
		}
	}
}
