package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/connector"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/lifecycle"
)

const dailyLimit = 9_000 // of a payer's key, minor units: some worlds run into it

// terms are what the payee has signed.
type terms struct {
	intent    payments.IntentID
	amount    payments.Amount
	creditor  connector.Party
	reference string
	expires   time.Time
	hash      [32]byte
	match     intent.MatchResult // what a payee check would say
}

// mandate is what the payer has signed.
type mandate struct {
	debtor, creditor  connector.Party
	amount            payments.Amount
	requestHash, hash [32]byte
	nonce             string
	expires           time.Time
	forged            bool
}

// plan is one payment and how its payer behaves.
type plan struct {
	n         int
	payer     *payer
	behaviour string
	terms     terms
	bought    bool // the request exists
	mandates  int  // good ones that were sent
	told      map[uint64]lifecycle.State
	last      uint64
	effects   int      // on the rail
	shipped   *message // the notice on which the shop shipped
}

var behaviours = []string{"approve", "approve", "approve", "approve", "approve", "approve twice", "two mandates", "forged", "other amount", "decline",
	"cancel", "cancel late", "approve late", "never", "no match", "old nonce", "replay by shop", "stolen"}

// payer is a person with a device.
type payer struct {
	w       *world
	device  *device
	account payments.Account
	plans   map[payments.IntentID]*plan
	pending map[int]*plan // by number, before the intent exists
}

func newPayer(w *world, i int) *payer {
	p := &payer{w: w, device: newDevice(w, fmt.Sprintf("payer%d", i), byte(100+i)), plans: map[payments.IntentID]*plan{}, pending: map[int]*plan{}}
	var err error
	if p.account, err = payments.ParseAccount(fmt.Sprintf("10000%d", i)); err != nil {
		panic(err)
	}
	w.payerBank.money.balance[p.account.Reveal()] = openingBalance(i)
	p.device.handler = p.handle
	p.device.boot()
	return p
}

// openingBalance leaves the last payer short of money in some worlds.
func openingBalance(i int) int64 { return []int64{25_000, 12_000, 4_000}[i] }

// begin plans a payment.
func (p *payer) begin(n int) {
	pl := &plan{n: n, payer: p, behaviour: behaviours[p.w.rng.IntN(len(behaviours))], told: map[uint64]lifecycle.State{}}
	p.w.check.plans = append(p.w.check.plans, pl)
	p.pending[n] = pl
	p.w.after(p.w.between(0, 100*time.Second), func() { p.buy(pl) })
}

// buy says "/buy" to the shop.
func (p *payer) buy(pl *plan) {
	if !p.device.up {
		p.w.after(2*time.Second, func() { p.buy(pl) })
		return
	}
	m := p.w.newMessage(p.device, p.w.shop.device, "buy")
	m.seq = uint64(pl.n)
	p.device.send(fmt.Sprintf("buy %d", pl.n), m, func() {})
	hello := p.w.newMessage(p.device, p.w.shop.device, "text") // short-lived talk beside the payment
	hello.expires = p.w.now.Add(20 * time.Second)
	p.device.send(fmt.Sprintf("hello %d", pl.n), hello, func() {})
}

func (p *payer) toBank(kind, key string, pl *plan, fill func(*message), then func()) {
	m := p.w.newMessage(p.device, p.w.payerBank.device, kind)
	m.intent, m.terms = pl.terms.intent, pl.terms
	m.mandate.debtor = connector.Party{Account: p.account, Agent: payerAgent}
	if fill != nil {
		fill(m)
	}
	p.device.send(fmt.Sprintf("%s %s %s", kind, pl.terms.intent, key), m, then)
}

func (p *payer) handle(m *message, done func(bool)) {
	ok := func() { done(true) }
	pl := p.plans[m.intent]
	switch m.kind {
	case "request":
		pl = p.pending[int(m.seq)]
		if pl == nil {
			p.w.violate("7 terms immutable", "a request for nothing that was asked for")
			return
		}
		p.plans[m.intent], pl.terms, pl.bought = pl, m.terms, true
		if pl.behaviour == "never" {
			ok()
			return
		}
		p.toBank("check", "1", pl, nil, ok)
	case "payeecheck":
		if pl == nil {
			ok()
			return
		}
		p.checked(pl, m, ok)
	case "receipt":
		if pl != nil {
			if old, told := pl.told[m.seq]; told && old != m.status {
				p.w.violate("12 idempotency", "two receipts number %d: %s and %s", m.seq, old, m.status)
			}
			pl.told[m.seq] = m.status
			pl.last = max(pl.last, m.seq)
			p.w.check.told(pl, m)
		}
		ok()
	default:
		ok()
	}
}

// checked acts on the payee check.
func (p *payer) checked(pl *plan, m *message, ok func()) {
	good := func(variant byte, m *message, nonce string) {
		d := &m.mandate
		d.creditor, d.amount, d.requestHash, d.nonce = pl.terms.creditor, pl.terms.amount, pl.terms.hash, nonce
		d.hash = sha256.Sum256(append([]byte(string(pl.terms.intent)+nonce), variant))
		d.expires = p.w.now.Add(2 * time.Minute)
		pl.mandates++
	}
	// The key makes a repeated handler send nothing new: one check, one answer.
	approve := func(variant byte, then func()) {
		p.toBank("mandate", fmt.Sprintf("%c %s", variant, m.nonce), pl, func(x *message) { good(variant, x, m.nonce) }, then)
	}
	withdraw := func(kind string, after time.Duration) {
		p.w.after(after, func() {
			if p.device.up {
				p.toBank(kind, "1", pl, nil, func() {})
			}
		})
	}
	switch pl.behaviour {
	case "approve", "replay by shop", "stolen":
		approve('a', ok)
	case "approve twice": // the same signed mandate in two messages: an insider's replay
		approve('a', func() {
			p.toBank("mandate", "again "+m.nonce, pl, func(x *message) { good('a', x, m.nonce) }, ok)
		})
	case "two mandates":
		approve('a', func() { approve('b', ok) })
	case "forged":
		p.toBank("mandate", "f", pl, func(x *message) { good('f', x, m.nonce); x.mandate.forged = true; pl.mandates-- }, ok)
	case "other amount":
		p.toBank("mandate", "o", pl, func(x *message) { good('o', x, m.nonce); x.mandate.amount.Minor *= 10; pl.mandates-- }, ok)
	case "old nonce":
		p.toBank("mandate", "n", pl, func(x *message) { good('n', x, "never issued"); pl.mandates-- }, ok)
	case "no match", "decline":
		p.toBank("decline", "1", pl, nil, ok)
	case "cancel":
		approve('a', ok)
		withdraw("cancel", p.w.between(0, 400*time.Millisecond))
	case "cancel late":
		approve('a', ok)
		withdraw("cancel", p.w.between(time.Second, 30*time.Second))
	case "approve late":
		late := p.w.between(0, 6*time.Minute)
		p.w.after(late, func() {
			if p.device.up {
				approve('a', func() {})
			}
		})
		ok()
	default:
		ok()
	}
}

// shop is a bot with a device; its bank tells it when it is paid.
type shop struct {
	w       *world
	device  *device
	account payments.Account
}

func newShop(w *world) *shop {
	s := &shop{w: w, device: newDevice(w, "shop", 50)}
	var err error
	if s.account, err = payments.ParseAccount("900001"); err != nil {
		panic(err)
	}
	w.shopBank.money.balance[s.account.Reveal()] = 0
	w.shopBank.chats["shop"] = s.device
	s.device.handler = s.handle
	s.device.boot()
	return s
}

func (s *shop) handle(m *message, done func(bool)) {
	ok := func() { done(true) }
	switch m.kind {
	case "buy":
		s.request(m, ok)
	case "credited":
		if pl := s.w.check.plan(m.intent); pl != nil {
			if pl.shipped != nil && pl.shipped != m { // a handler may run again after a crash, but for the same message
				s.w.violate("B22 effect exactly once", "the shop was told twice to ship")
			}
			pl.shipped = m
		}
		ok()
	default:
		ok()
	}
}

// request makes the signed request, once per "/buy": the order number is the key.
func (s *shop) request(m *message, ok func()) {
	pl := s.w.check.plans[m.seq]
	amount := payments.Amount{Minor: int64(100 + pl.n*37 + int(s.w.opt.Seed%5)*1000), Currency: s.w.kind.currency}
	t := terms{amount: amount, reference: fmt.Sprintf("ORDER%d", pl.n), match: intent.Match,
		creditor: connector.Party{Account: s.account, Agent: shopAgent}, expires: s.w.now.Add(s.w.between(30*time.Second, 5*time.Minute))}
	if s.w.opt.Seed%16 == 3 && pl.n%4 == 1 { // an account that is not there
		t.creditor.Account, _ = payments.ParseAccount("900404")
	}
	id, err := payments.NewIntentID(s.w.now, constant(s.w.opt.Seed<<16|uint64(pl.n)))
	if err != nil {
		panic(err)
	}
	t.intent = id
	t.hash = sha256.Sum256([]byte(string(id) + amount.String()))
	out := s.w.newMessage(s.device, m.from, "request")
	out.intent, out.terms, out.seq = id, t, m.seq
	s.device.send(fmt.Sprintf("request %d", m.seq), out, func() {
		if pl.behaviour == "replay by shop" {
			s.replayLater(pl)
		}
		ok()
	})
}

// replayLater is a hostile shop that got hold of the payer's mandate and sends it to the bank in a chat of its own.
func (s *shop) replayLater(pl *plan) {
	s.w.after(s.w.between(time.Second, 30*time.Second), func() {
		for _, m := range s.w.messages {
			if m.kind == "mandate" && m.intent == pl.terms.intent && m.from == pl.payer.device && s.device.up {
				stolen := s.w.newMessage(s.device, s.w.payerBank.device, "mandate")
				stolen.intent, stolen.terms, stolen.mandate = m.intent, m.terms, m.mandate
				s.device.send("replay "+m.id.String(), stolen, func() {})
				return
			}
		}
	})
}

// constant is a random source that repeats a number.
type constant uint64

func (c constant) Read(p []byte) (int, error) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(c)*0x9e3779b97f4a7c15)
	for i := range p {
		p[i] = b[i%8]
	}
	return len(p), nil
}
