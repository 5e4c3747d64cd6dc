package intent

import (
	"crypto"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"time"

	"github.com/parleypay/parley/payments"
)

// Profiles of enrolled keys: what the evidence of an approval looks like.
const (
	ProfileDeviceKey = "dk1" // payer: JWS ES256 by a key of the device, unlocked by its holder; the methods are in "amr"
	ProfilePayee     = "pe1" // payee: JWS EdDSA over requests; it authorises no payment
)

var profileAlg = map[string]Alg{ProfileDeviceKey: ES256, ProfilePayee: EdDSA}

// Debtor is whom the money comes from.
type Debtor struct {
	Account payments.Account
	Agent   payments.AgentID
}

// ShownCheck is the payee check as the payer saw it when approving. It repeats what the bank issued.
type ShownCheck struct {
	Result      MatchResult
	MatchedName payments.Name
	Ref         string
	At          time.Time
}

// Mandate is the payer's approval, payload "paymandate.1": one payment, these terms, this connector, once.
type Mandate struct {
	Intent          payments.IntentID
	RequestHash     Hash
	Amount          payments.Amount
	Debtor          Debtor
	Creditor        Creditor
	PayeeCheck      ShownCheck
	Rails           []string // a subset of the request's; empty only when the request's are
	Reference       string
	Purpose         string
	Nonce           string // from the payee check
	Audience        string // from the payee check: the connector's id
	Issued, Expires time.Time
	NoMatchOverride bool // the payer was told "no match" and insisted
}

// NewMandate returns the mandate that approves the request as it was checked: its terms, the check's result, nonce and audience,
// valid from issued for the time valid (cut at the request's expiry). It sets no override.
func NewMandate(request Request, requestHash Hash, check PayeeCheck, debtor Debtor, issued time.Time, valid time.Duration) Mandate {
	expires := issued.Add(valid)
	if expires.After(request.Expires) {
		expires = request.Expires
	}
	return Mandate{Intent: request.Intent, RequestHash: requestHash, Amount: request.Amount, Debtor: debtor, Creditor: request.Creditor,
		PayeeCheck: check.Shown(), Rails: request.Rails, Reference: request.Reference, Purpose: request.Purpose,
		Nonce: check.Nonce, Audience: check.Audience, Issued: issued, Expires: expires}
}

// Shown returns the part of the check that the payer is shown and signs.
func (p PayeeCheck) Shown() ShownCheck { return ShownCheck{p.Result, p.MatchedName, p.Ref, p.At} }

var mandatePayload = payload[Mandate]{typMandate, writeMandate, readMandate}

// SignMandate returns the JWS of m (profile dk1) under the payer's P-256 key; kid is the key's id, PublicKey.ID. amr names how
// the holder unlocked the key (RFC 8176): at least one method of possession (hwk, swk, sc) and one of knowledge or inherence
// (pin, pwd, fpt, face, iris, vbm). It fails, and signs nothing, when ParseMandate would refuse the result.
func SignMandate(m Mandate, key crypto.Signer, kid string, amr []string) ([]byte, error) {
	public, err := NewPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	if public.alg != ES256 || public.ID() != kid {
		return nil, errors.New("intent: the signer is not the P-256 key with that id")
	}
	if err := checkMethods(amr); err != nil {
		return nil, err
	}
	return mandatePayload.sign(m, key, amr)
}

// NewNonce returns a nonce for one payee check: 128 random bits in base64url, 22 characters.
func NewNonce() string {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (r *reader) nonce() string {
	s := r.text("nonce")
	if b, err := decodeBase64(s); err != nil || len(b) < 16 || len(b) > 32 {
		r.fail("nonce", "is not 16 to 32 octets in base64url")
	}
	return s
}

// methodFactor says which factor an authentication method of RFC 8176 is.
var methodFactor = map[string]string{
	"hwk": "possession", "swk": "possession", "sc": "possession",
	"pin": "knowledge", "pwd": "knowledge",
	"fpt": "inherence", "face": "inherence", "iris": "inherence", "vbm": "inherence",
}

// checkMethods demands possession and one other factor (RTS (EU) 2018/389 Art. 4), and no method it does not know.
func checkMethods(amr []string) error {
	factors := map[string]bool{}
	for _, m := range amr {
		f, ok := methodFactor[m]
		if !ok {
			return &FormatError{Path: "header.amr", Text: "has a method that is not known"}
		}
		factors[f] = true
	}
	if !factors["possession"] || len(factors) < 2 {
		return &FormatError{Path: "header.amr", Text: "does not show possession and a second factor"}
	}
	return nil
}

func writeMandate(x Mandate) value {
	check := object(is("at", timeText(x.PayeeCheck.At)), is("ref", text(x.PayeeCheck.Ref)), is("result", text(string(x.PayeeCheck.Result)))).
		withText("matched_name", x.PayeeCheck.MatchedName.Reveal())
	v := object(is("amount", amountValue(x.Amount)), is("aud", text(x.Audience)), is("creditor", writeCreditor(x.Creditor)),
		is("debtor", object(is("account", text(x.Debtor.Account.Reveal())), is("agent", text(string(x.Debtor.Agent))))),
		is("exp", timeText(x.Expires)), is("iat", timeText(x.Issued)), is("intent", text(string(x.Intent))), is("nonce", text(x.Nonce)),
		is("payee_check", check), is("request_hash", text(x.RequestHash.String()))).
		withText("reference", x.Reference).withText("purpose", x.Purpose).withWords("rails", x.Rails)
	if x.NoMatchOverride {
		v = v.with("no_match_override", boolean(true))
	}
	return v
}

func readMandate(r *reader) Mandate {
	x := Mandate{Intent: r.intent(), RequestHash: r.hash("request_hash"), Amount: r.amount("amount", true), Creditor: readCreditor(r),
		Rails: r.words("rails", 8), Reference: r.reference(), Purpose: r.purpose(), Nonce: r.nonce(), Audience: r.word("aud", 64),
		Issued: r.time("iat"), Expires: r.time("exp"), NoMatchOverride: r.flag("no_match_override")}
	r.nested("debtor", true, func(r *reader) { x.Debtor = Debtor{Account: r.account("account"), Agent: r.agent("agent")} })
	r.nested("payee_check", true, func(r *reader) {
		c := &x.PayeeCheck
		c.Result, c.MatchedName, c.Ref, c.At = readMatch(r)
	})
	if !x.Expires.After(x.Issued) {
		r.fail("exp", "is not after iat")
	}
	return x
}
