package intent

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/parleypay/parley/payments"
)

// Step is one of the connector's verification steps, in order. Steps 7 and 8 are the journal's.
type Step int

const (
	StepForm       Step = 1 // exact bytes, canonical form, members
	StepKey        Step = 2 // key enrolled, active at iat and now, allowed for the account
	StepSignature  Step = 3
	StepContext    Step = 4 // audience, nonce issued and unused, time window
	StepTerms      Step = 5 // request verified and its terms the same
	StepPayeeCheck Step = 6 // as issued, fresh, no match only with an override
	StepLimits     Step = 7 // limits and budgets, in the journal's transaction
	StepSingleUse  Step = 8 // mandate and nonce used once, one mandate per intent, in the same transaction
)

// Reason is a word for what was wrong. Those with the name of a member mean that this member is not what it must be.
type Reason string

const (
	ReasonForm          Reason = "form"
	ReasonKeyUnknown    Reason = "key.unknown"
	ReasonKeyInactive   Reason = "key.inactive" // not yet, no longer, or not at the time of signing
	ReasonKeyRevoked    Reason = "key.revoked"
	ReasonKeyProfile    Reason = "key.profile"
	ReasonKeyAccount    Reason = "debtor.account" // not an account of the key, or not the one checked for
	ReasonKeyAgent      Reason = "debtor.agent"
	ReasonRegistryStale Reason = "registry.stale"
	ReasonAlg           Reason = "alg"
	ReasonMethods       Reason = "amr"
	ReasonSignature     Reason = "signature"
	ReasonAudience      Reason = "aud"
	ReasonIssued        Reason = "iat"
	ReasonExpired       Reason = "exp"
	ReasonWindow        Reason = "window"
	ReasonNonceUnknown  Reason = "nonce.unknown"
	ReasonNonceUsed     Reason = "nonce.used"
	ReasonNonceExpired  Reason = "nonce.expired"
	ReasonNonceOther    Reason = "nonce.intent" // issued for another intent or request
	ReasonReplay        Reason = "replay"       // this very mandate was accepted before
	ReasonRequest       Reason = "request"      // the request does not verify
	ReasonRequestHash   Reason = "request_hash"
	ReasonRequestExpiry Reason = "request.exp"
	ReasonIntent        Reason = "intent"
	ReasonAmount        Reason = "amount"
	ReasonPayeeName     Reason = "creditor.name"
	ReasonPayeeAccount  Reason = "creditor.account"
	ReasonPayeeAgent    Reason = "creditor.agent"
	ReasonPayeeLEI      Reason = "creditor.lei"
	ReasonReference     Reason = "reference"
	ReasonPurpose       Reason = "purpose"
	ReasonRails         Reason = "rails"
	ReasonPayeeCheck    Reason = "payee_check"
	ReasonCheckStale    Reason = "payee_check.at"
	ReasonNoMatch       Reason = "payee_check.no_match"
	ReasonCode          Reason = "code"      // one-time code
	ReasonLimit         Reason = "limit"     // step 7
	ReasonDuplicate     Reason = "duplicate" // step 8
)

// RefusedError says which step refused and why. Nothing was changed and no money moved. Text holds nobody's data.
type RefusedError struct {
	Step   Step
	Reason Reason
	Text   string
	Err    error // cause, or nil
}

// Error returns "intent: refused at step 5 (amount): …".
func (e *RefusedError) Error() string {
	return fmt.Sprintf("intent: refused at step %d (%s): %s", e.Step, e.Reason, e.Text)
}

// Unwrap returns the cause.
func (e *RefusedError) Unwrap() error { return e.Err }

func refuse(step Step, reason Reason, text string) *RefusedError {
	return &RefusedError{Step: step, Reason: reason, Text: text}
}

// Errors that a Registry and Nonces return for what they do not have. Every other error of theirs is handed through by Verify as
// it is: it is a fault of the bank's, not a refusal.
var (
	ErrKeyUnknown   = errors.New("intent: key is not enrolled")
	ErrNonceUnknown = errors.New("intent: nonce was not issued here")
)

// Registry is the local replica of the bank's enrolled keys.
type Registry interface {
	// Key returns the record of a key as it stands at that time, revoked or not, or ErrKeyUnknown.
	Key(kid string, at time.Time) (EnrolledKey, error)
}

// Nonces remembers what the connector issued. An implementation for one chat gives only the nonces given in that chat.
type Nonces interface {
	// Issued returns what was issued with the nonce, or ErrNonceUnknown.
	Issued(nonce string) (Issued, error)
}

// Issued is what the connector keeps of a payee check that it answered.
type Issued struct {
	Check   PayeeCheck
	Account payments.Account // the payer's, for which the check was asked
	UsedBy  Hash             // of the mandate that used the nonce; zero while unused
}

// Verifier is what a mandate is verified against. Registry and Nonces are required.
type Verifier struct {
	Audience string   // the connector's own id
	Registry Registry // enrolled keys
	Nonces   Nonces   // payee checks given
	Now      time.Time

	MaxWindow     time.Duration // between iat and exp; zero means 15 minutes
	MaxCheckAge   time.Duration // of the payee check; zero means 15 minutes
	MaxReplicaAge time.Duration // of the registry's replica; zero means 5 minutes
	Skew          time.Duration // how far the payer's clock may be ahead or behind; zero means 30 seconds
}

// UnverifiedMandate is a mandate whose form is right and of which nothing else is known: it gives no amount and no party.
type UnverifiedMandate struct {
	c compact
	m Mandate
	h Hash
	b []byte
}

// ParseMandate is step 1: size, exact bytes, canonical form, members. Its error is a *RefusedError.
func ParseMandate(jws []byte) (UnverifiedMandate, error) {
	c, err := parseCompact(jws)
	if err == nil && c.header.typ != typMandate {
		err = &FormatError{Path: "header.typ", Text: "is not " + typMandate}
	}
	var m Mandate
	if err == nil {
		m, err = mandatePayload.parse(c.payload)
	}
	if err != nil {
		return UnverifiedMandate{}, &RefusedError{StepForm, ReasonForm, err.Error(), err}
	}
	return UnverifiedMandate{c, m, hashOf(typMandate, c.payload), slices.Clone(jws)}, nil
}

// KeyID returns the id of the key that the mandate says it is signed with.
func (u UnverifiedMandate) KeyID() string { return u.c.header.kid }

// Intent returns the intent that the mandate says it is for.
func (u UnverifiedMandate) Intent() payments.IntentID { return u.m.Intent }

// Hash returns the hash of the mandate's payload, which single use is counted by.
func (u UnverifiedMandate) Hash() Hash { return u.h }

// VerifiedMandate is a mandate that passed steps 1 to 6. Only Verify makes one.
type VerifiedMandate struct {
	mandate     Mandate
	request     Request
	key         EnrolledKey
	hash        Hash
	amr         []string
	jws         []byte
	requestJWS  []byte
	requestHash Hash
}

// Mandate returns what the payer signed.
func (v *VerifiedMandate) Mandate() Mandate { return v.mandate }

// Request returns the payee's request that the mandate approves.
func (v *VerifiedMandate) Request() Request { return v.request }

// Key returns the payer's key as it was enrolled when the mandate was verified.
func (v *VerifiedMandate) Key() EnrolledKey { return v.key }

// Hash returns the mandate's hash: unique per mandate, whatever the signature.
func (v *VerifiedMandate) Hash() Hash { return v.hash }

// RequestHash returns the request's hash.
func (v *VerifiedMandate) RequestHash() Hash { return v.requestHash }

// Nonce returns the nonce that the mandate uses up.
func (v *VerifiedMandate) Nonce() string { return v.mandate.Nonce }

// Methods returns how the payer says to have unlocked the key (RFC 8176).
func (v *VerifiedMandate) Methods() []string { return slices.Clone(v.amr) }

// Evidence returns the exact bytes to keep: the request's JWS and the mandate's.
func (v *VerifiedMandate) Evidence() (requestJWS, mandateJWS []byte) {
	return slices.Clone(v.requestJWS), slices.Clone(v.jws)
}

// ValidUntil returns the first instant at which the mandate is no longer good for a submission: the earliest of its own expiry,
// the request's and the key's.
func (v *VerifiedMandate) ValidUntil() time.Time {
	until := v.mandate.Expires
	for _, t := range []time.Time{v.request.Expires, v.key.To} {
		if !t.IsZero() && t.Before(until) {
			until = t
		}
	}
	return until
}

// Verify performs steps 2 to 6 offline, against the request's exact bytes. A refusal is a *RefusedError that names the step and
// the reason; every other error comes from the Registry or Nonces and says nothing about the mandate.
func (u UnverifiedMandate) Verify(v Verifier, requestJWS []byte) (*VerifiedMandate, error) {
	if u.m.Intent == "" {
		return nil, refuse(StepForm, ReasonForm, "there is no mandate")
	}
	key, err := v.key(u)
	if err != nil {
		return nil, err
	}
	request, requestHash, requestErr := VerifyRequest(requestJWS)
	if !key.Public.verify(u.c.input, u.c.signature) {
		return nil, refuse(StepSignature, ReasonSignature, "signature does not fit the bytes"+u.suspect(v, request, requestErr))
	}
	if err := v.signer(u.m, key); err != nil {
		return nil, err
	}
	issued, err := v.context(u)
	if err != nil {
		return nil, err
	}
	if requestErr != nil {
		return nil, &RefusedError{StepTerms, ReasonRequest, "the request does not verify: " + requestErr.Error(), requestErr}
	}
	if requestHash != u.m.RequestHash || requestHash != issued.Check.RequestHash {
		return nil, refuse(StepTerms, ReasonRequestHash, "the mandate is for another request")
	}
	if err := sameTerms(u.m, request); err != nil {
		return nil, err
	}
	if !v.Now.Before(request.Expires) {
		return nil, refuse(StepTerms, ReasonRequestExpiry, "the request has expired")
	}
	if err := v.payeeCheck(u.m, issued.Check); err != nil {
		return nil, err
	}
	return &VerifiedMandate{mandate: u.m, request: request, key: key, hash: u.h, amr: u.c.header.amr, jws: u.b,
		requestJWS: slices.Clone(requestJWS), requestHash: requestHash}, nil
}

// key is step 2 as far as it needs nothing that is signed.
func (v Verifier) key(u UnverifiedMandate) (EnrolledKey, error) {
	key, err := v.Registry.Key(u.c.header.kid, v.Now)
	switch {
	case errors.Is(err, ErrKeyUnknown):
		return key, &RefusedError{StepKey, ReasonKeyUnknown, "the key is not enrolled here", err}
	case err != nil:
		return key, fmt.Errorf("intent: registry: %w", err)
	case key.Public.IsZero() || key.Public.ID() != u.c.header.kid:
		return key, errors.New("intent: registry gave another key than it was asked for")
	case v.Now.Sub(key.AsOf) > or(v.MaxReplicaAge, 5*time.Minute):
		return key, refuse(StepKey, ReasonRegistryStale, "the registry's replica is too old to show a revocation")
	case key.Status != KeyActive:
		return key, refuse(StepKey, ReasonKeyRevoked, "the key is not active")
	case !key.validAt(v.Now):
		return key, refuse(StepKey, ReasonKeyInactive, "the key is not valid now")
	case key.Profile != ProfileDeviceKey:
		return key, refuse(StepKey, ReasonKeyProfile, "the key was enrolled for another purpose")
	case key.Public.Alg() != ES256 || u.c.header.alg != key.Public.Alg():
		return key, refuse(StepKey, ReasonAlg, "the algorithm is not the enrolled key's")
	}
	if err := checkMethods(u.c.header.amr); err != nil {
		return key, &RefusedError{StepKey, ReasonMethods, err.Error(), err}
	}
	return key, nil
}

// signer is the rest of step 2, on bytes that are known to be signed.
func (v Verifier) signer(m Mandate, key EnrolledKey) error {
	if !key.validAt(m.Issued) {
		return refuse(StepKey, ReasonKeyInactive, "the key was not valid when the mandate was issued")
	}
	for _, a := range key.Accounts {
		if a.Account == m.Debtor.Account {
			if a.Agent != m.Debtor.Agent {
				return refuse(StepKey, ReasonKeyAgent, "the account is at another bank")
			}
			return nil
		}
	}
	return refuse(StepKey, ReasonKeyAccount, "the key may not order from this account")
}

// context is step 4.
func (v Verifier) context(u UnverifiedMandate) (Issued, error) {
	m, skew := u.m, or(v.Skew, 30*time.Second)
	switch {
	case v.Audience == "" || m.Audience != v.Audience:
		return Issued{}, refuse(StepContext, ReasonAudience, "the mandate is for another connector")
	case m.Issued.After(v.Now.Add(skew)):
		return Issued{}, refuse(StepContext, ReasonIssued, "the mandate is from the future")
	case m.Expires.Sub(m.Issued) > or(v.MaxWindow, 15*time.Minute):
		return Issued{}, refuse(StepContext, ReasonWindow, "the mandate is valid for too long")
	case !v.Now.Before(m.Expires):
		return Issued{}, refuse(StepContext, ReasonExpired, "the mandate has expired")
	}
	issued, err := v.Nonces.Issued(m.Nonce)
	switch {
	case errors.Is(err, ErrNonceUnknown):
		return issued, &RefusedError{StepContext, ReasonNonceUnknown, "the nonce was not issued here", err}
	case err != nil:
		return issued, fmt.Errorf("intent: nonces: %w", err)
	case issued.Check.Nonce != m.Nonce:
		return issued, errors.New("intent: nonces gave another nonce than it was asked for")
	case issued.UsedBy == u.h:
		return issued, refuse(StepContext, ReasonReplay, "this mandate was accepted before")
	case !issued.UsedBy.IsZero():
		return issued, refuse(StepContext, ReasonNonceUsed, "the nonce was used by another mandate")
	case issued.Check.Audience != v.Audience:
		return issued, refuse(StepContext, ReasonAudience, "the nonce is another connector's")
	case issued.Check.Intent != m.Intent:
		return issued, refuse(StepContext, ReasonNonceOther, "the nonce was issued for another intent")
	case issued.Account != m.Debtor.Account:
		return issued, refuse(StepContext, ReasonKeyAccount, "the nonce was issued for another account")
	case !v.Now.Before(issued.Check.Expires):
		return issued, refuse(StepContext, ReasonNonceExpired, "the nonce has expired")
	}
	return issued, nil
}

// sameTerms is the comparison of step 5. What it compares is what the payer was shown.
func sameTerms(m Mandate, r Request) error {
	for _, t := range []struct {
		same   bool
		reason Reason
	}{
		{m.Intent == r.Intent, ReasonIntent},
		{m.Amount == r.Amount, ReasonAmount},
		{m.Creditor.Account == r.Creditor.Account, ReasonPayeeAccount},
		{m.Creditor.Name == r.Creditor.Name, ReasonPayeeName},
		{m.Creditor.Agent == r.Creditor.Agent, ReasonPayeeAgent},
		{m.Creditor.LEI == r.Creditor.LEI, ReasonPayeeLEI},
		{m.Reference == r.Reference, ReasonReference},
		{m.Purpose == r.Purpose, ReasonPurpose},
		{railsWithin(m.Rails, r.Rails), ReasonRails},
	} {
		if !t.same {
			return refuse(StepTerms, t.reason, string(t.reason)+" is not the request's")
		}
	}
	return nil
}

// railsWithin reports whether the payer chose among the payee's rails. No rails from the payee means any.
func railsWithin(chosen, offered []string) bool {
	if len(offered) == 0 {
		return true
	}
	for _, rail := range chosen {
		if !slices.Contains(offered, rail) {
			return false
		}
	}
	return len(chosen) > 0
}

// payeeCheck is step 6.
func (v Verifier) payeeCheck(m Mandate, issued PayeeCheck) error {
	age, skew := v.Now.Sub(issued.At), or(v.Skew, 30*time.Second)
	switch {
	case m.PayeeCheck != sameSecond(issued.Shown()):
		return refuse(StepPayeeCheck, ReasonPayeeCheck, "the payee check is not the one that was given")
	case age > or(v.MaxCheckAge, 15*time.Minute) || m.Issued.Before(issued.At.Add(-skew)):
		return refuse(StepPayeeCheck, ReasonCheckStale, "the payee check is too old, or younger than the mandate")
	case issued.Result == NoMatch && !m.NoMatchOverride:
		return refuse(StepPayeeCheck, ReasonNoMatch, "name and account do not match, and the payer did not insist")
	case issued.Result != NoMatch && m.NoMatchOverride:
		return refuse(StepPayeeCheck, ReasonNoMatch, "the mandate overrides a warning that was not given")
	}
	return nil
}

// sameSecond brings the time of a check into the form that payloads carry, so that checks compare with ==.
func sameSecond(c ShownCheck) ShownCheck {
	c.At = c.At.UTC().Truncate(time.Second)
	return c
}

// suspect says which member of a mandate with a wrong signature is not as it should be. It helps to find a fault and decides
// nothing; it looks only at what the sender sent, so that it tells a forger nothing about nonces or accounts.
func (u UnverifiedMandate) suspect(v Verifier, request Request, requestErr error) string {
	m := u.m
	var refused *RefusedError
	if requestErr == nil && errors.As(sameTerms(m, request), &refused) {
		return ": " + refused.Text
	}
	switch {
	case m.Audience != v.Audience:
		return ": aud is not this connector"
	case m.Expires.Sub(m.Issued) > or(v.MaxWindow, 15*time.Minute) || !v.Now.Before(m.Expires):
		return ": exp is not within the window"
	}
	return ""
}

func or(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}
