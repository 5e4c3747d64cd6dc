package intent

import (
	"crypto/ed25519"
	"time"
	"unicode/utf8"

	"github.com/parleypay/parley/payments"
)

// MatchResult is the answer of a payee check, in the words of the EPC's verification of payee scheme.
type MatchResult string

const (
	Match         MatchResult = "MTCH" // name and account belong together
	CloseMatch    MatchResult = "CMTC" // nearly: MatchedName is the account's name
	NoMatch       MatchResult = "NMTC" // they do not: payable only with an explicit override
	NotApplicable MatchResult = "NOAP" // no answer could be had
)

// PayeeCheck is the bank's answer to a check, payload "payeecheck.1". Its nonce allows one mandate for this request.
type PayeeCheck struct {
	Intent      payments.IntentID
	RequestHash Hash
	Result      MatchResult
	MatchedName payments.Name // the account's name, with CMTC only
	WrittenName payments.Name // the payee's name as the rail will carry it, where it has other characters than the request's; else none
	Ref         string        // the checker's reference, at most 64 characters
	At          time.Time     // when the check was made
	Nonce       string        // NewNonce
	Audience    string        // what the mandate must name as its audience: the connector's id
	Expires     time.Time     // the nonce and the check are of no use from then on
}

// EnrolledAccount is an account that a key may order payments from or ask payments to.
type EnrolledAccount struct {
	Account  payments.Account
	Name     payments.Name // the holder as the bank writes it
	Agent    payments.AgentID
	Currency payments.Currency
}

// Limits bound what a key may order without the bank asking again. A zero amount means that this bound is not set.
type Limits struct {
	PerPayment payments.Amount
	PerDay     payments.Amount // rolling or calendar: the bank's choice
}

// Enrolment is the bank's credential for an enrolled key, payload "enrolment.1".
type Enrolment struct {
	Key      PublicKey
	Profile  string // ProfileDeviceKey or ProfilePayee
	Accounts []EnrolledAccount
	Limits   Limits
	Audience string // the connector's id, which mandates name as their audience
	Issued   time.Time
	Expires  time.Time
}

// Status is the visible state of a payment, in the words of the lifecycle table.
type Status string

// The states that a receipt can speak of.
const (
	StatusCreated    Status = "created"
	StatusPresented  Status = "presented"
	StatusAuthorised Status = "authorised"
	StatusHeld       Status = "held"
	StatusSubmitting Status = "submitting"
	StatusSubmitted  Status = "submitted"
	StatusAccepted   Status = "accepted"
	StatusUnknown    Status = "unknown"
	StatusSettled    Status = "settled"
	StatusRejected   Status = "rejected"
	StatusDeclined   Status = "declined"
	StatusExpired    Status = "expired"
	StatusCancelled  Status = "cancelled"
)

// Final reports whether no other status can follow.
func (s Status) Final() bool {
	switch s {
	case StatusSettled, StatusRejected, StatusDeclined, StatusExpired, StatusCancelled:
		return true
	}
	return false
}

func (s Status) known() bool {
	switch s {
	case StatusCreated, StatusPresented, StatusAuthorised, StatusHeld, StatusSubmitting, StatusSubmitted, StatusAccepted, StatusUnknown:
		return true
	}
	return s.Final()
}

// ISOStatus is what the rail said, unchanged. Empty means that it said nothing.
type ISOStatus struct {
	Status string // TxSts, such as "ACSC"
	Reason string // StsRsnInf/Rsn/Cd or Prtry, such as "AC03"
}

// Receipt is the payer's bank's word on one visible change of status, payload "receipt.1". The one with a final status is the receipt.
type Receipt struct {
	Issuer      string // the connector's id
	Intent      payments.IntentID
	Status      Status
	Reason      string // why, as a word of at most 35 characters such as "funds" or "AC03"; optional
	ISO         ISOStatus
	Amount      payments.Amount
	EndToEndID  payments.EndToEndID // optional before submission
	UETR        payments.UETR       // optional before submission
	RequestHash Hash
	MandateHash Hash // zero without a mandate
	At          time.Time
	Seq         uint64    // of the payment's event; rises with every receipt of one intent
	CreditedAt  time.Time // zero until the payee's credit is confirmed
}

// Credited is the payee's bank's word that money arrived, payload "credited.1".
type Credited struct {
	Issuer     string
	Intent     payments.IntentID // empty when the end-to-end id is not one of ours
	EndToEndID payments.EndToEndID
	UETR       payments.UETR // optional
	Amount     payments.Amount
	Account    payments.Account // the payee's
	Reference  string
	At         time.Time
}

// Refusal is the bank's word that it did not act on an enrolment, a check or a mandate, payload "refusal.1". No money moved.
type Refusal struct {
	Issuer string
	About  string            // media type of the part refused
	Intent payments.IntentID // empty when there is none or it cannot be read
	Step   Step              // 0 when the refusal is not one of the verification steps
	Reason Reason
	Text   string // for people, without anybody's data, at most 200 characters
	At     time.Time
}

var (
	payeeCheckPayload = payload[PayeeCheck]{typPayeeCheck, writePayeeCheck, readPayeeCheck}
	enrolmentPayload  = payload[Enrolment]{typEnrolment, writeEnrolment, readEnrolment}
	receiptPayload    = payload[Receipt]{typReceipt, writeReceipt, readReceipt}
	creditedPayload   = payload[Credited]{typCredited, writeCredited, readCredited}
	refusalPayload    = payload[Refusal]{typRefusal, writeRefusal, readRefusal}
)

// Sign returns the JWS of the statement under the bank's key. It fails, and signs nothing, when VerifyPayeeCheck would refuse it.
func (p PayeeCheck) Sign(key ed25519.PrivateKey) ([]byte, error) {
	return payeeCheckPayload.sign(p, key, nil)
}

// Sign returns the JWS of the credential under the bank's key. It fails, and signs nothing, when VerifyEnrolment would refuse it.
func (e Enrolment) Sign(key ed25519.PrivateKey) ([]byte, error) {
	return enrolmentPayload.sign(e, key, nil)
}

// Sign returns the JWS of the receipt under the bank's key. It fails, and signs nothing, when VerifyReceipt would refuse it.
func (r Receipt) Sign(key ed25519.PrivateKey) ([]byte, error) {
	return receiptPayload.sign(r, key, nil)
}

// Sign returns the JWS of the statement under the bank's key. It fails, and signs nothing, when VerifyCredited would refuse it.
func (c Credited) Sign(key ed25519.PrivateKey) ([]byte, error) {
	return creditedPayload.sign(c, key, nil)
}

// Sign returns the JWS of the refusal under the bank's key. It fails, and signs nothing, when VerifyRefusal would refuse it.
func (r Refusal) Sign(key ed25519.PrivateKey) ([]byte, error) {
	return refusalPayload.sign(r, key, nil)
}

// VerifyPayeeCheck checks bytes, signature of the bank's key and members, in this order.
func VerifyPayeeCheck(jws []byte, bank ed25519.PublicKey) (PayeeCheck, error) {
	return verifyStatement(payeeCheckPayload, jws, bank)
}

// VerifyEnrolment checks bytes, signature of the bank's key and members, in this order. It does not look at the expiry.
func VerifyEnrolment(jws []byte, bank ed25519.PublicKey) (Enrolment, error) {
	return verifyStatement(enrolmentPayload, jws, bank)
}

// VerifyReceipt checks bytes, signature of the bank's key and members, in this order. Whoever relies on it compares intent,
// request hash and amount with the payment in question.
func VerifyReceipt(jws []byte, bank ed25519.PublicKey) (Receipt, error) {
	return verifyStatement(receiptPayload, jws, bank)
}

// VerifyCredited checks bytes, signature of the bank's key and members, in this order.
func VerifyCredited(jws []byte, bank ed25519.PublicKey) (Credited, error) {
	return verifyStatement(creditedPayload, jws, bank)
}

// VerifyRefusal checks bytes, signature of the bank's key and members, in this order.
func VerifyRefusal(jws []byte, bank ed25519.PublicKey) (Refusal, error) {
	return verifyStatement(refusalPayload, jws, bank)
}

func verifyStatement[T any](p payload[T], jws []byte, bank ed25519.PublicKey) (T, error) {
	var none T
	key, err := NewPublicKey(bank)
	if err != nil {
		return none, err
	}
	x, _, err := p.verify(jws, key)
	return x, err
}

func writePayeeCheck(x PayeeCheck) value {
	return object(is("at", timeText(x.At)), is("aud", text(x.Audience)), is("exp", timeText(x.Expires)), is("intent", text(string(x.Intent))),
		is("nonce", text(x.Nonce)), is("ref", text(x.Ref)), is("request_hash", text(x.RequestHash.String())), is("result", text(string(x.Result)))).
		withText("matched_name", x.MatchedName.Reveal()).withText("written_name", x.WrittenName.Reveal())
}

func readPayeeCheck(r *reader) PayeeCheck {
	x := PayeeCheck{Intent: r.intent(), RequestHash: r.hash("request_hash"), Nonce: r.nonce(), Audience: r.word("aud", 64), Expires: r.time("exp"),
		WrittenName: r.name("written_name", false)}
	x.Result, x.MatchedName, x.Ref, x.At = readMatch(r)
	if !x.Expires.After(x.At) {
		r.fail("exp", "is not after at")
	}
	return x
}

// readMatch reads what a payee check found. A matched name comes with a close match and with nothing else.
func readMatch(r *reader) (result MatchResult, name payments.Name, ref string, at time.Time) {
	result, name = MatchResult(r.text("result")), r.name("matched_name", false)
	switch result {
	case CloseMatch:
		if name == (payments.Name{}) {
			r.fail("matched_name", "is missing with CMTC")
		}
	case Match, NoMatch, NotApplicable:
		if name != (payments.Name{}) {
			r.fail("matched_name", "is only for CMTC")
		}
	default:
		r.fail("result", "is none of MTCH, CMTC, NMTC, NOAP")
	}
	return result, name, r.word("ref", 64), r.time("at")
}

func writeEnrolment(x Enrolment) value {
	return object(is("accounts", writeAccounts(x.Accounts)), is("alg", text(string(x.Key.alg))), is("aud", text(x.Audience)), is("exp", timeText(x.Expires)),
		is("iat", timeText(x.Issued)), is("key", x.Key.value()), is("kid", text(x.Key.ID())), is("limits", writeLimits(x.Limits)), is("profile", text(x.Profile)))
}

func readEnrolment(r *reader) (x Enrolment) {
	x.Key, x.Profile, x.Accounts, x.Limits = readEnrolledKey(r)
	x.Audience, x.Issued, x.Expires = r.word("aud", 64), r.time("iat"), r.time("exp")
	if !x.Expires.After(x.Issued) {
		r.fail("exp", "is not after iat")
	}
	return x
}

// readEnrolledKey reads what an enrolment and a registry's record have in common.
func readEnrolledKey(r *reader) (key PublicKey, profile string, accounts []EnrolledAccount, limits Limits) {
	r.nested("key", true, func(r *reader) { key = readKey(r) })
	if r.text("alg") != string(key.alg) {
		r.fail("alg", "is not the key's")
	}
	if r.text("kid") != key.ID() {
		r.fail("kid", "is not the key's")
	}
	profile = r.text("profile")
	if want, ok := profileAlg[profile]; !ok || want != key.alg {
		r.fail("profile", "is unknown or not for this kind of key")
	}
	r.each("accounts", 16, func(r *reader) {
		a := EnrolledAccount{Account: r.account("account"), Name: r.name("name", true), Agent: r.agent("agent")}
		c, err := payments.ParseCurrency(r.text("currency"))
		if err != nil {
			r.fail("currency", "is not an ISO 4217 code")
		}
		a.Currency = c
		accounts = append(accounts, a)
	})
	if len(accounts) == 0 {
		r.fail("accounts", "is missing")
	}
	r.nested("limits", true, func(r *reader) {
		limits = Limits{PerPayment: r.amount("per_payment", false), PerDay: r.amount("per_day", false)}
	})
	return key, profile, accounts, limits
}

func writeAccounts(accounts []EnrolledAccount) value {
	v := array()
	for _, a := range accounts {
		v.array = append(v.array, object(is("account", text(a.Account.Reveal())), is("agent", text(string(a.Agent))),
			is("currency", text(string(a.Currency))), is("name", text(a.Name.Reveal()))))
	}
	return v
}

func writeLimits(l Limits) value {
	return object().withAmount("per_payment", l.PerPayment).withAmount("per_day", l.PerDay)
}

func writeReceipt(x Receipt) value {
	v := object(is("amount", amountValue(x.Amount)), is("at", timeText(x.At)), is("intent", text(string(x.Intent))), is("iss", text(x.Issuer)),
		is("request_hash", text(x.RequestHash.String())), is("seq", integer(int64(min(x.Seq, maxInteger+1)))), is("status", text(string(x.Status)))).
		withText("reason", x.Reason).withText("end_to_end_id", string(x.EndToEndID)).withText("uetr", string(x.UETR)).
		withHash("mandate_hash", x.MandateHash).withTime("credited_at", x.CreditedAt)
	if x.ISO != (ISOStatus{}) {
		v = v.with("iso", object().withText("status", x.ISO.Status).withText("reason", x.ISO.Reason))
	}
	return v
}

func readReceipt(r *reader) Receipt {
	x := Receipt{Issuer: r.word("iss", 64), Intent: r.intent(), Status: Status(r.text("status")), Reason: r.optionalWord("reason", 35),
		Amount: r.amount("amount", true), EndToEndID: r.endToEnd(false), UETR: r.uetr(), RequestHash: r.hash("request_hash"),
		MandateHash: r.optionalHash("mandate_hash"), At: r.time("at"), Seq: uint64(r.integer("seq", 0, maxInteger)), CreditedAt: r.optionalTime("credited_at")}
	if !x.Status.known() {
		r.fail("status", "is not a status of the lifecycle table")
	}
	if r.nested("iso", false, func(r *reader) {
		x.ISO = ISOStatus{Status: r.optionalWord("status", 35), Reason: r.optionalWord("reason", 35)}
	}) && x.ISO == (ISOStatus{}) {
		r.fail("iso", "is empty")
	}
	if !x.CreditedAt.IsZero() && x.Status != StatusSettled {
		r.fail("credited_at", "is only for settled")
	}
	return x
}

func writeCredited(x Credited) value {
	return object(is("account", text(x.Account.Reveal())), is("amount", amountValue(x.Amount)), is("at", timeText(x.At)),
		is("end_to_end_id", text(string(x.EndToEndID))), is("iss", text(x.Issuer))).
		withText("intent", string(x.Intent)).withText("uetr", string(x.UETR)).withText("reference", x.Reference)
}

func readCredited(r *reader) Credited {
	x := Credited{Issuer: r.word("iss", 64), EndToEndID: r.endToEnd(true), UETR: r.uetr(), Amount: r.amount("amount", true),
		Account: r.account("account"), Reference: r.prose("reference", 140), At: r.time("at")}
	if _, ok := r.lookup("intent", kindString, false); ok {
		x.Intent = r.intent()
	}
	// An end-to-end id of Pix holds no intent: there it is the bank that read the intent from the transfer.
	derived, ok := payments.IntentFromEndToEnd(x.EndToEndID)
	if x.Intent != "" && derived != x.Intent && (ok || payments.CheckPixEndToEndID(string(x.EndToEndID)) != nil) {
		r.fail("intent", "is not the end-to-end id's")
	}
	return x
}

func writeRefusal(x Refusal) value {
	return object(is("about", text(x.About)), is("at", timeText(x.At)), is("iss", text(x.Issuer)), is("reason", text(string(x.Reason))),
		is("step", integer(int64(x.Step)))).withText("intent", string(x.Intent)).withText("text", x.Text)
}

func readRefusal(r *reader) Refusal {
	x := Refusal{Issuer: r.word("iss", 64), About: r.text("about"), Step: Step(r.integer("step", 0, 8)), Reason: Reason(r.word("reason", 35)),
		Text: r.prose("text", 200), At: r.time("at")}
	switch x.About {
	case MediaEnrol, MediaCheck, MediaMandate, MediaCancel, MediaDecline:
	default:
		r.fail("about", "is not a media type that a bank takes")
	}
	if _, ok := r.lookup("intent", kindString, false); ok {
		x.Intent = r.intent()
	}
	return x
}

// endToEnd returns an end-to-end id: Max35Text of the characters that rails carry. Incoming ones are not always ours.
func (r *reader) endToEnd(required bool) payments.EndToEndID {
	v, ok := r.lookup("end_to_end_id", kindString, required)
	if ok && (utf8.RuneCountInString(v.text) > 35 || v.text == "" || !visible(v.text)) {
		r.fail("end_to_end_id", "is not 1 to 35 visible characters")
	}
	return payments.EndToEndID(v.text)
}

func (r *reader) uetr() payments.UETR {
	s := r.optional("uetr")
	if s == "" {
		return ""
	}
	u, err := payments.ParseUETR(s)
	if err != nil {
		r.fail("uetr", "is not a lower-case UUID of version 4")
	}
	return u
}
