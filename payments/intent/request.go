package intent

import (
	"crypto/ed25519"
	"strings"
	"time"

	"github.com/parleypay/parley/payments"
)

// Creditor is the payee as the payer is shown it and as the rail is told.
type Creditor struct {
	Name    payments.Name
	Account payments.Account
	Agent   payments.AgentID // the payee's bank
	LEI     string           // ISO 17442, optional
}

// Item is one line of a request. Amount is the line's total, not the price of one piece; either every item has one, and they add
// up to the request's amount, or none has.
type Item struct {
	Name     string          // at most 70 characters
	Quantity int             // 1 to 9999
	Amount   payments.Amount // zero: not given
}

// Terms are what the payer approves. They never change once signed.
type Terms struct {
	Intent    payments.IntentID
	Amount    payments.Amount
	Creditor  Creditor
	Reference string    // the payee's reference (CdtrRefInf/Ref), at most 35 characters of the set all rails carry; optional
	Purpose   string    // ISO 20022 ExternalPurpose1Code such as "GDDS"; optional
	Items     []Item    // at most 32
	Rails     []string  // profile names the payee takes, at most 8; empty means any
	Expires   time.Time // whole seconds; later parts are cut off
}

// ChatEvidence says in which chat and epoch a request was made. It is evidence for a dispute and not needed to verify.
type ChatEvidence struct {
	Group string // 32 lower-case hexadecimal digits
	Epoch uint64 // at most 2^53-1
}

// Request is the payee's signed demand, payload "paymentrequest.1".
type Request struct {
	Terms
	Issued time.Time // whole seconds; later parts are cut off
	Chat   *ChatEvidence
	Key    PublicKey // the payee's Ed25519 key, inside the signed bytes; SignRequest fills it in
}

var requestPayload = payload[Request]{typRequest, writeRequest, readRequest}

// SignRequest returns the JWS of r, signed with the payee's key. It fails, and signs nothing, when a member is one that
// VerifyRequest would refuse: for example an amount that is not above zero or items that do not add up.
func SignRequest(r Request, key ed25519.PrivateKey) ([]byte, error) {
	public, err := NewPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	r.Key = public
	return requestPayload.sign(r, key, nil)
}

// VerifyRequest checks a request: exact bytes, canonical form, members, and the signature by the key inside it. It proves that the
// holder of that key made these terms; that the account is the named payee's is for the payee check. It does not look at the expiry.
func VerifyRequest(jws []byte) (Request, Hash, error) {
	c, err := parseCompact(jws)
	if err != nil {
		return Request{}, Hash{}, err
	}
	// The key is inside the payload, so that this is read first; nothing of it leaves here unless the signature fits.
	x, err := requestPayload.parse(c.payload)
	if err != nil {
		return Request{}, Hash{}, err
	}
	if err := c.check(typRequest, x.Key); err != nil {
		return Request{}, Hash{}, err
	}
	return x, hashOf(typRequest, c.payload), nil
}

func writeRequest(x Request) value {
	v := writeTerms(x.Terms).with("key", x.Key.value()).with("iat", timeText(x.Issued))
	if x.Chat != nil {
		epoch := int64(min(x.Chat.Epoch, maxInteger+1)) // one too many is refused on reading back
		v = v.with("chat", object(is("epoch", integer(epoch)), is("group", text(x.Chat.Group))))
	}
	return v
}

func readRequest(r *reader) (x Request) {
	x.Terms = readTerms(r)
	x.Issued = r.time("iat")
	r.nested("key", true, func(r *reader) { x.Key = readKey(r) })
	if x.Key.alg != EdDSA {
		r.fail("key", "is not an Ed25519 key")
	}
	r.nested("chat", false, func(r *reader) {
		x.Chat = &ChatEvidence{Group: r.text("group"), Epoch: uint64(r.integer("epoch", 0, maxInteger))}
		if len(x.Chat.Group) != 32 || strings.Trim(x.Chat.Group, "0123456789abcdef") != "" {
			r.fail("group", "is not 32 lower-case hexadecimal digits")
		}
	})
	if !x.Expires.After(x.Issued) {
		r.fail("exp", "is not after iat")
	}
	return x
}

func writeTerms(x Terms) value {
	v := object(is("amount", amountValue(x.Amount)), is("creditor", writeCreditor(x.Creditor)), is("exp", timeText(x.Expires)),
		is("intent", text(string(x.Intent)))).withText("reference", x.Reference).withText("purpose", x.Purpose).withWords("rails", x.Rails)
	if len(x.Items) > 0 {
		items := array()
		for _, i := range x.Items {
			items.array = append(items.array, object(is("name", text(i.Name)), is("quantity", integer(int64(i.Quantity)))).withAmount("amount", i.Amount))
		}
		v = v.with("items", items)
	}
	return v
}

func readTerms(r *reader) Terms {
	x := Terms{Intent: r.intent(), Amount: r.amount("amount", true), Creditor: readCreditor(r), Expires: r.time("exp"),
		Reference: r.reference(), Purpose: r.purpose(), Rails: r.words("rails", 8)}
	var sum payments.Amount
	with := 0
	r.each("items", 32, func(r *reader) {
		i := Item{Name: r.prose("name", 70), Quantity: int(r.integer("quantity", 1, 9999)), Amount: r.amount("amount", false)}
		if i.Name == "" {
			r.fail("name", "is missing")
		}
		if i.Amount != (payments.Amount{}) {
			if with++; with == 1 {
				sum = i.Amount
			} else if s, err := sum.Add(i.Amount); err != nil {
				r.fail("amount", "cannot be added to the others")
			} else {
				sum = s
			}
		}
		x.Items = append(x.Items, i)
	})
	if with > 0 && (with != len(x.Items) || sum != x.Amount) {
		r.fail("items", "do not add up to the amount")
	}
	return x
}

func writeCreditor(c Creditor) value {
	return object(is("account", text(c.Account.Reveal())), is("agent", text(string(c.Agent))), is("name", text(c.Name.Reveal()))).withText("lei", c.LEI)
}

func readCreditor(r *reader) (c Creditor) {
	r.nested("creditor", true, func(r *reader) {
		c = Creditor{Name: r.name("name", true), Account: r.account("account"), Agent: r.agent("agent"), LEI: r.optional("lei")}
		if c.LEI != "" && payments.CheckLEI(c.LEI) != nil {
			r.fail("lei", "is not a legal entity identifier with right check digits")
		}
	})
	return c
}

// reference returns the payee's reference: an ISO 11649 reference, whose check digits must be right, or any text that every rail
// carries unchanged (the character set of EPC217-08, no slash at an end and none doubled).
func (r *reader) reference() string {
	s := r.optional("reference")
	if s == "" {
		return ""
	}
	if err := payments.CheckReference(s); err != nil {
		r.fail("reference", "is not a reference of 1 to 35 characters that a rail can carry, or its check digits are wrong")
	}
	return s
}

func (r *reader) purpose() string {
	s := r.optional("purpose")
	if s != "" && (len(s) > 4 || strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "") {
		r.fail("purpose", "is not a code of 1 to 4 capitals or digits")
	}
	return s
}
