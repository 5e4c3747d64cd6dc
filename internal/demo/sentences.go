package demo

import (
	"github.com/parleypay/parley/internal/trace"
	"github.com/parleypay/parley/payments/rail"
)

// sentences says trace events in words, by "actor event", "event detail", "event status" or "event", the first that is there. {next} is
// what recoveries says. Events of the connectors
// are documented in package connector, those of the rail in package railsim, those of clients in package sdk. An empty sentence leaves
// the event out of the transcript; --json has them all.
var sentences = map[string]string{
	// the demo
	"ready":     "{detail}",
	"killed":    "KILLED with SIGKILL {detail}",
	"restarted": "started again on the same journal",

	// chat
	"order sent": "» {detail}",
	"chat open":  "chat with {detail}",
	"text sent":  "» {detail}",
	"text shown": "« {detail}",

	// clients (package sdk)
	"key enrolled":              "key enrolled at its bank with a one-time code ({detail})",
	"request sent":              "signed request {intent}: {detail}",
	"request opened":            "request opened, the payee's signature is right",
	"check asked":               "asks its bank whose account it is",
	"check opened":              "is shown: {detail}",
	"check opened MTCH":         "is shown: the account is the payee's (MTCH)",
	"check opened CMTC":         "is shown: the account's holder has a similar name (CMTC)",
	"check opened NMTC":         "is shown: the account is NOT the payee's (NMTC)",
	"check opened NOAP":         "is shown: the payee's bank could not say whose account it is (NOAP)",
	"mandate sent":              "approves: mandate signed by the device key (ES256)",
	"decline sent":              "declines: {detail}",
	"receipt opened":            "bank's signed receipt: {status} {detail}",
	"receipt opened authorised": "",
	"receipt opened submitted":  "",
	"receipt opened accepted":   "",
	"receipt passed on":         "passes the receipt on in the chat",
	"receipt shown":             "sees the payer's receipt: {status}",
	"credit opened":             "own bank says CREDITED: {detail}",
	"refusal opened":            "is told by the bank: {detail}",

	// connectors
	"payer-bank key enrolled":   "",
	"shop-bank key enrolled":    "",
	"enrolment sent":            "",
	"request verified":          "request verified and stored",
	"payee check":               "payee check at the other bank: {detail}",
	"payee check sent":          "",
	"mandate verified":          "mandate verified: key, audience, nonce, terms, check, limits",
	"journaled":                 "funds held; ids and exact bytes durable, before any byte leaves",
	"pacs.008 sent":             "the rail has the pacs.008",
	"pacs.008 received":         "pacs.008 checked and journaled",
	"pacs.002 sent":             "answered with pacs.002 {detail}",
	"pacs.002 received":         "pacs.002 {detail}",
	"pacs.002 received settled": "pacs.002 {detail}, as is known: changes nothing",
	"pacs.008 sent again":       "sends the identical message again, marked as duplicate (DUPL)",
	"pacs.028 sent":             "asks the rail what became of it: pacs.028 {detail}",
	"unknown":                   "UNKNOWN ({detail}): {next}",
	"unknown no_answer":         "no answer in time: UNKNOWN; {next}",
	"unknown restart":           "whether it left is not known after a restart: UNKNOWN; {next}",
	"unknown transport":         "whether it arrived is not known: UNKNOWN; {next}",
	"payer restored":            "gives the payer's hold back; the outcome is still open",
	"settled":                   "SETTLED {detail}",
	"rejected":                  "REJECTED {detail}",
	"declined":                  "DECLINED {detail}",
	"expired":                   "EXPIRED {detail}",
	"cancelled":                 "CANCELLED {detail}",
	"credited":                  "credited the payee's account",
	"receipt sent":              "",
	"notice sent":               "",
	"refusal sent":              "",
	"case opened":               "opens a case for a person: {detail}",
	"message refused":           "ignores a message: {detail}",
	"withdrawal opened":         "sees that it is {status}: {detail}",

	// rail
	"rail pacs.008 received": "pacs.008 {detail}",
	"rail pacs.008 sent":     "pacs.008 {detail}",
	"rail pacs.002 received": "pacs.002 {detail}",
	"rail pacs.002 sent":     "pacs.002 {detail}",
	"rail pacs.028 received": "pacs.028 {detail}",
}

// recoveries says what the payer's bank does without an answer, by the rail's rule: before it happens, and in the transcript.
var recoveries = map[rail.Recovery]struct{ rule, next string }{
	rail.Wait:         {"waits: the rail's verdict comes by itself, nothing is asked and nothing sent again", "waits: the verdict comes by itself"},
	rail.Ask:          {"asks the rail what became of the payment (pacs.028) and sends nothing again", "asks the rail, sends nothing again"},
	rail.ResendMarked: {"sends the identical message again, marked as a duplicate", "sends it again, marked as duplicate"},
	rail.ResendSame:   {"sends the same bytes again: the rail knows their ids", "sends the same bytes again"},
}

// sentence returns how the transcript says the event.
func sentence(e trace.Event) (string, bool) {
	for _, key := range []string{e.Actor + " " + e.Event, e.Event + " " + e.Detail, e.Event + " " + e.Status, e.Event} {
		if s, ok := sentences[key]; ok {
			return s, true
		}
	}
	return "", false
}
