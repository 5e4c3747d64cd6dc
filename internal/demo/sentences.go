package demo

// eventBuy is the moment the demo counts from: the payer's order in the chat.
const eventBuy = "order sent"

// sentences says each trace event in words. Events of the connectors are documented in package connector, those of the rail in
// package railsim, those of clients in package sdk. An empty sentence leaves the event out of the transcript; --json has them all.
var sentences = map[string]string{
	// the demo
	"ready":       "{detail}",
	"killed":      "killed with SIGKILL: {detail}",
	"restarted":   "started again on the same journal",
	"bot ready":   "{detail}",
	"payer ready": "{detail}",

	// chat
	"order sent":  "» {detail}",
	"text sent":   "» {detail}",
	"text shown":  "« {detail}",
	"text opened": "",

	// clients (package sdk)
	"key enrolled":      "key enrolled with a one-time code, credential signed by the bank ({detail})",
	"request sent":      "signed request {intent}: {detail}",
	"request opened":    "request {intent} opened, the payee's signature is right",
	"check asked":       "asks its bank who owns the account",
	"check opened":      "shows {detail}",
	"mandate sent":      "approved; mandate signed with the device key (ES256) and sent to the bank",
	"decline sent":      "declined: {detail}",
	"receipt opened":    "bank's signed receipt: {status} {detail}",
	"receipt passed on": "passes the receipt on in the chat",
	"receipt shown":     "sees the payer's receipt in the chat: {status}",
	"credit opened":     "own bank says CREDITED: {detail}",
	"refusal opened":    "bank refuses: {detail}",

	// connectors
	"request verified":  "request verified and stored",
	"payee check":       "payee check: {detail}",
	"mandate verified":  "mandate verified: signature, key, audience, nonce, terms, check, limits",
	"journaled":         "execution, reservation and exact bytes are durable; only now may a byte leave",
	"pacs.008 sent":     "pacs.008 sent {detail}",
	"pacs.008 received": "pacs.008 received and journaled {detail}",
	"pacs.002 sent":     "pacs.002 sent {detail}",
	"pacs.002 received": "pacs.002 received {detail}",
	"pacs.028 sent":     "asks the rail what became of it: pacs.028 {detail}",
	"unknown":           "no answer: UNKNOWN, the money may have moved; nothing is sent again {detail}",
	"payer restored":    "gives the payer's hold back; the outcome is still open",
	"settled":           "SETTLED {detail}",
	"rejected":          "REJECTED {detail}",
	"declined":          "DECLINED {detail}",
	"expired":           "EXPIRED {detail}",
	"cancelled":         "CANCELLED {detail}",
	"credited":          "credited the payee's account",
	"receipt sent":      "",
	"notice sent":       "",
	"refusal sent":      "refuses: {detail}",
	"case opened":       "opens a case for a person: {detail}",
	"message refused":   "refused a message: {detail}",
}
