package connector

import (
	"crypto/ed25519"
	"fmt"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/intent"
)

// bankStatements signs what the bank tells its customers.
type bankStatements struct {
	id  string // issuer: the connector's id
	key ed25519.PrivateKey
}

// NewStatements returns the Statements of a bank: id is the connector's id, key its Ed25519 key.
func NewStatements(id string, key ed25519.PrivateKey) Statements { return bankStatements{id, key} }

func (b bankStatements) Statement(p Payment, n Notify) (m ChatMessage, err error) {
	m.Status = string(n.Status)
	switch n.Kind {
	case NoticeCheck:
		m.MediaType = intent.MediaPayeeCheck
		m.Fallback = "Payee check: " + string(p.Check.Result)
		if p.Check.Written != (payments.Name{}) {
			m.Fallback += "; the rail writes the payee's name as " + p.Check.Written.Reveal()
		}
		m.Body, err = checkOf(b.id, p).Sign(b.key)
	case NoticeReceipt:
		m.MediaType = intent.MediaReceipt
		m.Fallback = "Payment of " + p.Amount.String() + ": " + receiptText(p)
		r := intent.Receipt{Issuer: b.id, Intent: p.Intent, Status: intent.Status(n.Status), Reason: p.Reason,
			ISO: intent.ISOStatus{Status: p.Status}, Amount: p.Amount, EndToEndID: p.Execution.EndToEnd, UETR: p.Execution.UETR,
			RequestHash: intent.Hash(p.RequestHash), MandateHash: intent.Hash(p.MandateHash), At: n.At, Seq: n.Seq, CreditedAt: p.Credited}
		if p.Status == "RJCT" {
			r.ISO.Reason = p.Reason
		}
		if !p.Restored.IsZero() && p.UnknownMoney() {
			r.Reason = "payer_restored"
		}
		m.Body, err = r.Sign(b.key)
	case NoticeCredited:
		m.MediaType = intent.MediaCredited
		m.Fallback = "Credited: " + p.Amount.String()
		// Reference and end-to-end id are the payer's and may be anything that XML can say; the credit is told all the same.
		endToEnd := payments.EndToEndID(printable(string(p.Execution.EndToEnd), 35))
		c := intent.Credited{Issuer: b.id, EndToEndID: or(endToEnd, "NOTPROVIDED"), UETR: p.Execution.UETR, Amount: p.Amount,
			Account: p.Creditor.Account, Reference: printable(p.Reference, 140), At: n.At}
		if id, ok := p.Execution.intent(); ok {
			c.Intent = id
		}
		m.Body, err = c.Sign(b.key)
	default:
		err = fmt.Errorf("%w: notice %q", ErrEvent, n.Kind)
	}
	return m, err
}

// checkOf returns the payee check as it was given with the payment's latest nonce.
func checkOf(audience string, p Payment) intent.PayeeCheck {
	return intent.PayeeCheck{Intent: p.Intent, RequestHash: intent.Hash(p.RequestHash), Result: p.Check.Result, MatchedName: p.Check.Matched, WrittenName: p.Check.Written,
		Ref: p.Check.Ref, At: p.Check.At, Nonce: p.Nonce, Audience: audience, Expires: p.Check.Expires}
}

// receiptText says in a few words how the payment stands. What is open is never called failed.
func receiptText(p Payment) string {
	switch {
	case p.UnknownMoney() && !p.Restored.IsZero():
		return "not confirmed; the money is back on the account, the payment is being checked. Do not pay again"
	case p.State == "unknown":
		return "not confirmed yet, being checked. Do not pay again"
	case p.Reason != "":
		return string(p.State) + " (" + p.Reason + ")"
	}
	return string(p.State)
}

// refusal is a bank-signed statement that nothing was done.
func (b bankStatements) refusal(about string, id payments.IntentID, r *Refusal, at time.Time) (ChatMessage, error) {
	body, err := intent.Refusal{Issuer: b.id, About: about, Intent: id, Step: r.Step, Reason: r.Reason, Text: printable(r.Text, 200), At: at}.Sign(b.key)
	return ChatMessage{MediaType: intent.MediaRefusal, Fallback: "Refused: " + string(r.Reason), Body: body}, err
}

// printable returns s as a statement can carry it: in normalisation form C, cut at so many characters, and with a full stop for each
// control and each character that hides or reorders text.
func printable(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r == ' ' || unicode.IsGraphic(r) && !unicode.Is(unicode.Cf, r) && !unicode.Is(unicode.Zs, r) && r != unicode.ReplacementChar {
			return r
		}
		return '.'
	}, norm.NFC.String(s))
	if r := []rune(s); len(r) > most {
		s = string(r[:most])
	}
	return strings.TrimSpace(s)
}

// signable returns a name in the form that signed bytes can carry, and false when it has a character that hides or reorders text.
func signable(n payments.Name) (payments.Name, bool) {
	text := norm.NFC.String(n.Reveal())
	if printable(text, 140) != text {
		return payments.Name{}, false
	}
	same, err := payments.ParseName(text)
	return same, err == nil
}
