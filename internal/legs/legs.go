// Package legs measures how long each part of a payment's way took, from trace events.
//
// It knows the names of the events of packages sdk and connector, and of the actors of package platform; it takes no time itself.
package legs

import (
	"time"

	"github.com/parleypay/parley/internal/platform"
	"github.com/parleypay/parley/internal/trace"
)

// Actors of the two clients, beside those of package platform.
const (
	Payer = "payer"
	Shop  = "shop"
)

// Ordered is the event of a payer's order in the chat, which has no intent yet.
const Ordered = "order sent"

// Leg is how long one part of the way took.
type Leg struct {
	Name string
	Took time.Duration
}

// spec is from where to where a leg goes: the first event of that name of that actor.
type spec struct{ name, fromActor, from, toActor, to string }

var specs = []spec{
	{"order in the chat to the shop's signed request", Payer, Ordered, Shop, "request sent"},
	{"request through the chat, verified by the payer's device", Shop, "request sent", Payer, "request opened"},
	{"payee check: device, own bank, payee's bank and back", Payer, "check asked", Payer, "check opened"},
	{"approval: mandate signed", Payer, "check opened", Payer, "mandate sent"},
	{"mandate through the chat, verified by the bank", Payer, "mandate sent", platform.PayerBank, "mandate verified"},
	{"funds reserved, execution journaled", platform.PayerBank, "mandate verified", platform.PayerBank, "journaled"},
	{"pacs.008 handed to the rail", platform.PayerBank, "journaled", platform.PayerBank, "pacs.008 sent"},
	{"payee's bank: pacs.008 in to pacs.002 out", platform.ShopBank, "pacs.008 received", platform.ShopBank, "pacs.002 sent"},
	{"rail and both banks: pacs.008 sent to settled", platform.PayerBank, "pacs.008 sent", platform.PayerBank, "settled"},
	{"rail and both banks: pacs.008 sent to rejected", platform.PayerBank, "pacs.008 sent", platform.PayerBank, "rejected"},
	{"credit: settled at the payee's bank to the shop knowing", platform.ShopBank, "settled", Shop, "credit opened"},
	{"receipt: settled at the payer's bank to the payer's device", platform.PayerBank, "settled", Payer, "receipt passed on"},
	{"receipt in the chat to the shop", Payer, "receipt passed on", Shop, "receipt shown"},
	{"all together: order to receipt", Payer, Ordered, Payer, "receipt passed on"},
	{"all together: request to receipt", Shop, "request sent", Payer, "receipt passed on"},
}

// Of returns the legs of one payment, those that its events tell of.
func Of(events []trace.Event, intent string) []Leg {
	type key struct{ actor, event string }
	first := map[key]time.Time{}
	for _, e := range events {
		if k := (key{e.Actor, e.Event}); e.Intent == intent || e.Event == Ordered {
			if at, ok := first[k]; !ok || e.T.Before(at) {
				first[k] = e.T
			}
		}
	}
	var out []Leg
	for _, s := range specs {
		from, ok := first[key{s.fromActor, s.from}]
		to, ok2 := first[key{s.toActor, s.to}]
		if ok && ok2 && !to.Before(from) {
			out = append(out, Leg{s.name, to.Sub(from)})
		}
	}
	return out
}
