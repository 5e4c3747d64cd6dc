package sdk

import (
	"time"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/lifecycle"
)

// Role says which side of a payment this client is on.
type Role string

// The roles.
const (
	Payer Role = "payer"
	Payee Role = "payee"
)

// News says why a handler is told of a payment.
type News string

// The news.
const (
	NewsRequested News = "requested" // payer: a request arrived and its signature is right
	NewsStatus    News = "status"    // Status changed, on the signed word of the own bank or by the payer's own refusal
	NewsRefused   News = "refused"   // the own bank refused a check or a mandate; no money moved, see Refusal
	NewsCredited  News = "credited"  // payee: the own bank has credited exactly what was asked for
	NewsReceipt   News = "receipt"   // payee: the payer passed a receipt on; it is the payer's bank's word, see PayerSays
)

// Payment is one payment as this client knows it. It is a value: what happens later does not change it.
type Payment struct {
	Intent payments.IntentID
	Role   Role
	Chat   messaging.ChatID // where it was asked for
	News   News             // why a handler gets it

	// Terms are what the payee signed. The payer's client has verified the signature; whose account it is, Check says.
	intent.Terms
	RequestHash intent.Hash

	// Status is what is known on the word of the own bank. Presented means that the bank has not taken an approval; see Approved.
	// Unknown means that the money may have moved: never pay again, the bank is finding out. A payee's own bank speaks of money that
	// has come and of nothing else: that a payment failed, a payee knows only from the payer (PayerSays, or its refusal in the chat).
	Status lifecycle.State
	Reason string // why, as an ISO or own code such as "AC03"; optional

	Approved bool               // payer: a mandate was signed and sent, and the bank has not refused it
	Check    *intent.PayeeCheck // payer: the latest payee check
	Refusal  *intent.Refusal    // payer: why the own bank refused the latest check or mandate
	Receipt  *intent.Receipt    // payer: the latest receipt
	Credited bool               // payee: the own bank has credited this payment, in full
	Credit   *intent.Credited   // payee: what the own bank said

	// PayerSays is the status in the receipt that the payer passed on. It is shown, never relied upon: the payee does not know the
	// key of the payer's bank.
	PayerSays lifecycle.State
}

// Title is what the payment is for: its items, or its reference.
func (p *Payment) Title() string {
	title := ""
	for i, item := range p.Items {
		if i > 0 {
			title += ", "
		}
		title += item.Name
	}
	if title == "" {
		return p.Reference
	}
	return title
}

// Order is what a payee asks for.
type Order struct {
	Amount    payments.Amount
	Item      string        // what it is for, at most 70 characters; optional
	Reference string        // the payee's own reference, carried by the rail; optional
	Purpose   string        // ISO 20022 external purpose code such as "GDDS"; optional
	Expires   time.Duration // how long it can be paid; zero means 15 minutes
	Rails     []string      // rail profiles taken; none means any
	Key       string        // makes the request idempotent: the same key gives the same payment, and it is asked for once
}

// Text is a text message of a chat.
type Text struct {
	Chat   messaging.ChatID
	ID     messaging.MessageID
	Sender messaging.Member // the name in it is claimed, the device is authenticated
	Body   string           // safe to show: control and direction characters are replaced
	At     time.Time
}

// SendOptions changes how a text is sent. The zero value is fine.
type SendOptions struct {
	Key     string              // makes sending idempotent within the chat, also after a restart
	ReplyTo messaging.MessageID // the message it answers; zero: none
	Expires time.Duration       // how long until the message is forgotten everywhere; zero: never
}
