package rail_test

import (
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/payments/iso20022"
	. "github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/rails"
)

// Every rail's refusal of a message can be read, from the rail only, and is written by nobody but the rail.
func TestRejection(t *testing.T) {
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	for _, name := range rails.Names() {
		p, err := rails.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		r := &iso20022.Rejection{Reference: "M-1", Reason: "T505", Time: now, Description: "bad <header>"}
		doc, err := r.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		transfer := testMessages(t, p)["transfer"]
		id, err := p.MessageID(p.Service, now, "1")
		if err != nil {
			t.Fatal(err)
		}
		h := p.NewHeader(p.Service, transfer.Header.From, iso20022.RejectionV1, id, now)
		wire, err := p.Wrap(&h, doc)
		if err != nil {
			t.Fatal(name, err)
		}
		m, err := p.Decode(wire, FromService)
		if err != nil {
			t.Fatal(name, err)
		}
		if m.Rejection == nil || m.Rejection.Reference != "M-1" || m.Rejection.Reason != "T505" || m.Rejection.Description != r.Description || !m.Rejection.Time.Equal(now) ||
			m.MsgDef() != iso20022.RejectionV1 || m.MessageID() == "" || m.Transfer != nil || m.Status != nil || m.Request != nil {
			t.Errorf("%s: %+v", name, m)
		}
		if _, err := p.Decode(wire, ToService); err == nil {
			t.Errorf("%s: a participant refuses a message", name)
		}
		if v, err := p.Check(wire); err != nil || !v.Valid() {
			t.Errorf("%s: %v %v", name, err, v.Faults)
		}
		if _, err := p.Encode(m); err == nil {
			t.Errorf("%s: written", name)
		}
		for _, bad := range []string{strings.Replace(string(wire), "RjctgPtyRsn>T505", "RjctgPtyRsn>"+strings.Repeat("x", 36), 1), strings.Replace(string(wire), "RltdRef>", "RltdRaf>", 2)} {
			if _, err := p.Decode([]byte(bad), FromService); err == nil {
				t.Errorf("%s: taken: %.200s", name, bad)
			}
		}
	}
}
