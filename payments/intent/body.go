package intent

import (
	"bytes"

	"github.com/parleypay/parley/payments"
)

// Check is the body of MediaCheck: the payer asks their bank for the payee check of a request.
type Check struct {
	Request       []byte // JWS
	DebtorAccount payments.Account
}

// Encode returns the body as canonical JSON.
func (c Check) Encode() ([]byte, error) {
	return encodeBody(object(is("debtor_account", text(c.DebtorAccount.Reveal())), is("request", text(string(c.Request)))), readCheck)
}

// ParseCheck reads the body strictly. The request in it is not verified.
func ParseCheck(b []byte) (Check, error) { return parseBody(b, readCheck) }

func readCheck(r *reader) Check {
	return Check{Request: r.jws("request"), DebtorAccount: r.account("debtor_account")}
}

// Approval is the body of MediaMandate: the mandate together with the request that it approves.
type Approval struct {
	Request []byte // JWS
	Mandate []byte // JWS
}

// Encode returns the body as canonical JSON.
func (a Approval) Encode() ([]byte, error) {
	return encodeBody(object(is("mandate", text(string(a.Mandate))), is("request", text(string(a.Request)))), readApproval)
}

// ParseApproval reads the body strictly. Neither JWS is verified.
func ParseApproval(b []byte) (Approval, error) { return parseBody(b, readApproval) }

func readApproval(r *reader) Approval {
	return Approval{Request: r.jws("request"), Mandate: r.jws("mandate")}
}

// Notice is the body of MediaDecline and MediaCancel. It is not signed: the chat says who sent it.
type Notice struct {
	Intent payments.IntentID
	Reason string // a word of at most 35 characters, such as "changed-mind"; optional
}

// Encode returns the body as canonical JSON.
func (n Notice) Encode() ([]byte, error) {
	return encodeBody(object(is("intent", text(string(n.Intent)))).withText("reason", n.Reason), readNotice)
}

// ParseNotice reads the body strictly.
func ParseNotice(b []byte) (Notice, error) { return parseBody(b, readNotice) }

func readNotice(r *reader) Notice {
	return Notice{Intent: r.intent(), Reason: r.optionalWord("reason", 35)}
}

// jws returns a member that has the form of a compact JWS; what is in it is not looked at.
func (r *reader) jws(name string) []byte {
	s := []byte(r.text(name))
	if len(s) > MaxJWS || bytes.Count(s, []byte{'.'}) != 2 {
		r.fail(name, "is not a compact JWS of acceptable size")
		return nil
	}
	return s
}

func encodeBody[T any](v value, read func(*reader) T) ([]byte, error) {
	b := v.append(nil)
	_, err := parseBody(b, read)
	return b, err
}

func parseBody[T any](b []byte, read func(*reader) T) (T, error) {
	var none T
	v, err := parseCanonical(b, MaxBody)
	if err != nil {
		return none, err
	}
	r := newReader(v)
	x := read(r)
	if err := r.done(); err != nil {
		return none, err
	}
	return x, nil
}
