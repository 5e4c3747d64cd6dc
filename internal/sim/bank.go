package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/connector"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/lifecycle"
	"github.com/parleypay/parley/payments/rail"
)

var ctx = context.Background()

const (
	payerAgent payments.AgentID = "PAYRDEFF"
	shopAgent  payments.AgentID = "SHOPDEFF"
)

// bank is connector.Step with a journal around it: what connector.Engine is in production, in one thread.
type bank struct {
	node
	agent   payments.AgentID
	core    *connector.Core
	device  *device
	money   *coreBank
	journal *journal.Memory
	chats   map[string]*device         // chat name to peer
	revoked map[payments.IntentID]bool // the payer's key was revoked right after the mandate for this payment
	jump    time.Duration              // how wrong the clock is

	// In memory.
	locked  map[journal.Key][]func()
	polling bool
	timing  time.Time
	nonces  int
	dropped map[string]bool // outbox rows that an earlier life may have sent
	ready   bool            // everything open has been recovered
}

func newBank(w *world, name string, agent payments.AgentID) *bank {
	b := &bank{agent: agent, money: newCoreBank(w), journal: journal.NewMemory(), chats: map[string]*device{}, revoked: map[payments.IntentID]bool{}}
	b.core = w.kind.core(agent, w.bug)
	b.node = node{w: w, name: name, up: true, crashed: b.forget, restart: b.boot}
	b.device = newDevice(w, name+" device", byte(len(name)))
	b.device.handler = b.handle
	b.device.crashed = func() { // device and connector are one process: they fall together
		b.device.forget()
		b.crash("with its device")
	}
	b.locked, b.dropped = map[journal.Key][]func(){}, map[string]bool{}
	return b
}

// open starts bank and device for the first time.
func (b *bank) open() {
	b.device.boot()
	b.boot()
	b.wander()
}

// wander lets the bank's clock jump, up to 8 s either way.
func (b *bank) wander() {
	b.w.after(b.w.between(5*time.Second, 60*time.Second), func() {
		if b.w.now.Sub(b.w.start) > faultsEnd {
			b.jump = 0
			return
		}
		b.jump = b.w.between(-8*time.Second, 8*time.Second)
		b.wander()
	})
}

func (b *bank) now() time.Time { return b.w.now.Add(b.jump) }

// forget ends the process.
func (b *bank) forget() {
	b.locked, b.polling, b.timing, b.dropped = map[journal.Key][]func(){}, false, time.Time{}, map[string]bool{}
	b.ready = false
	b.journal.Crash(b.journal.Applied())
	b.device.crash("with " + b.name)
}

// boot recovers what is open before anything is sent.
func (b *bank) boot() {
	recs, err := b.journal.List(ctx, journal.Filter{Open: true, Max: 10_000})
	if err != nil {
		b.w.violate("11 journal", "list: %v", err)
		return
	}
	left := 1
	ready := func() {
		if left--; left == 0 {
			b.settleRows()
			if b.ready = b.up; !b.ready {
				return // it has crashed again
			}
			b.pump()
			b.wake()
			b.arm()
		}
	}
	for _, rec := range recs {
		if b.w.bug == "resend-after-crash" {
			break
		}
		left++
		b.step(rec.Key, connector.Recovered{}, nil, func(error) { ready() })
	}
	ready()
}

// settleRows takes out of the outbox what must not be sent after a restart: it may have been sent.
func (b *bank) settleRows() {
	rows, err := b.journal.LeaseOutbox(ctx, journal.Lease{Kind: connector.OutboxRail, Now: b.w.now.Add(time.Hour), Until: b.w.now.Add(time.Millisecond), Max: 10_000})
	if err != nil {
		b.w.violate("11 journal", "lease: %v", err)
		return
	}
	for _, r := range rows {
		if b.w.bug == "restart-repeats-ladder" && !connector.IsTransfer(r.ID) {
			continue
		}
		if b.w.bug != "resend-after-crash" && connector.SentOnce(r.ID) {
			b.step(r.Key, nil, doneRow(r.ID), func(error) {})
			b.dropped[r.ID] = true
		}
	}
}

// step takes one event of one payment through the production core and makes what it decides durable. extra adds to the step what must
// become durable with it. Steps of one payment follow each other.
func (b *bank) step(key journal.Key, ev connector.Event, extra func(*journal.Step), done func(error)) {
	if ev == nil {
		s := journal.Step{At: b.now()}
		extra(&s)
		b.write(s, func(err error) { done(err) })
		return
	}
	if _, busy := b.locked[key]; busy {
		b.locked[key] = append(b.locked[key], func() { b.step(key, ev, extra, done) })
		return
	}
	b.locked[key] = nil
	finish := func(err error) {
		waiting := b.locked[key]
		delete(b.locked, key)
		done(err)
		for i, f := range waiting {
			if !b.up {
				return
			}
			if _, busy := b.locked[key]; busy {
				b.locked[key] = append(b.locked[key], waiting[i:]...)
				return
			}
			f()
		}
	}
	rec, err := b.journal.Payment(ctx, key)
	var before connector.Payment
	if err == nil {
		before, err = connector.DecodePayment(rec.State)
	} else if errors.Is(err, journal.ErrNotFound) {
		err = nil
	} else if errors.Is(err, journal.ErrBroken) {
		return // the process is about to end
	}
	if err != nil {
		b.w.violate("13 determinism", "%s: stored payment: %v", b.name, err)
		return
	}
	if id := connector.Stored(b.core, before, ev); id != "" {
		if row, err := b.journal.OutboxRow(ctx, id); err == nil {
			ev = connector.WithStored(ev, row.Body)
		}
	}
	ev = b.mutate(&before, ev)
	now, decided := b.stepClock(ev), b.now()
	after, effects, err := connector.Step(b.core, before, now, ev)
	if b.w.rng.IntN(8) == 0 {
		again, effectsAgain, errAgain := connector.Step(b.core, before, now, ev)
		if !reflect.DeepEqual(after, again) || !reflect.DeepEqual(effects, effectsAgain) || (err == nil) != (errAgain == nil) {
			b.w.violate("13 determinism", "the same step gave two results for %T", ev)
		}
	}
	if errors.Is(err, connector.ErrEvent) {
		b.w.violate("6 declared transitions", "%s: %v", b.name, err)
		return
	}
	if pl := b.w.check.plan(key.Intent); pl != nil && pl.behaviour == "stolen" && after.State == lifecycle.Authorised {
		b.revoked[key.Intent] = true // the thief was quick, the holder's call to the bank quicker than the core bank
	}
	refused := err
	var s journal.Step
	if err != nil || len(effects) == 0 {
		s = journal.Step{At: later(now, before.Clock)}
	} else if s, err = connector.JournalStep(after, rec.Seq, effects, plainStatements{}); err != nil {
		b.w.violate("13 determinism", "%s: %v", b.name, err)
		return
	}
	if extra != nil {
		extra(&s)
	}
	b.mutateStep(&s)
	if s.Key == (journal.Key{}) && s.Inbox == nil && len(s.DoneOutbox) == 0 && len(s.Cursors) == 0 {
		finish(refused)
		return
	}
	if b.w.bug == "send-before-journal" {
		for _, o := range s.Outbox {
			if connector.IsTransfer(o.ID) {
				b.w.rail.send(b, o.Body, func(connector.SendResult) {})
			}
		}
	}
	b.write(s, func(err error) {
		if err == nil {
			if len(s.Events) > 0 {
				b.w.note("%s %s: %T: %s -> %s", b.name, key.Intent[len(key.Intent)-6:], ev, before.State, after.State)
				b.w.check.stepped(b, before, after, s, decided)
			}
			err = refused
		}
		finish(err)
		if b.up {
			b.pump()
			b.arm()
		}
	})
}

// write makes a step durable. A broken journal ends the process; what the journal's rules refuse has not happened.
func (b *bank) write(s journal.Step, then func(error)) {
	if b.w.faulty(b.w.faults.diskError) {
		b.w.counts.DiskErrors++
		b.w.note("%s: disk error", b.name)
		b.journal.Break(b.w.rng.IntN(2) == 0)
	}
	var err error
	b.commit(func() { err = b.journal.Apply(ctx, s) }, func() {
		if errors.Is(err, journal.ErrBroken) {
			if b.w.bug == "disk-error-ignored" {
				for _, o := range s.Outbox {
					if connector.IsTransfer(o.ID) {
						b.w.rail.send(b, o.Body, func(connector.SendResult) {})
					}
				}
			}
			b.crash("because its journal is broken")
			return
		}
		var claim *journal.ClaimError
		var limit *journal.LimitError
		switch {
		case errors.Is(err, journal.ErrDuplicate):
			b.w.counts.Repeats++
		case err != nil && !errors.As(err, &claim) && !errors.As(err, &limit):
			b.w.violate("6 declared transitions", "%s: the journal refuses a step: %v", b.name, err)
			return
		}
		then(err)
	})
}

// stepClock is the bank's clock, as journaled: it never runs backwards.
func (b *bank) stepClock(ev connector.Event) time.Time {
	if b.w.bug == "expiry-not-judged" {
		switch ev.(type) {
		case connector.CoreAnswered, connector.MandateVerified:
			return b.w.start
		}
	}
	now := b.now()
	if high, err := b.journal.Clock(ctx); err == nil && high.After(now) {
		now = high
	}
	return now
}

// pump carries out what is in the outbox.
func (b *bank) pump() {
	if !b.ready {
		return
	}
	for _, kind := range []string{connector.OutboxCore, connector.OutboxRail, connector.OutboxChat} {
		rows, err := b.journal.LeaseOutbox(ctx, journal.Lease{Kind: kind, Now: b.w.now.Add(time.Hour), Until: b.w.now.Add(1000 * time.Hour), Max: 100})
		if err != nil {
			return // the journal is broken, and the process about to end
		}
		for _, r := range rows {
			switch kind {
			case connector.OutboxCore:
				b.call(r)
			case connector.OutboxRail:
				b.transmit(r)
			case connector.OutboxChat:
				b.tell(r)
			}
			if !b.up {
				return
			}
		}
	}
}

func doneRow(id string) func(*journal.Step) {
	return func(s *journal.Step) {
		for _, d := range s.DoneOutbox {
			if d == id {
				return
			}
		}
		s.DoneOutbox = append(s.DoneOutbox, id)
	}
}

// call asks the core bank until it answers.
func (b *bank) call(r journal.OutboxRow) {
	c, err := connector.DecodeCoreCall(r.Body)
	if err != nil {
		b.w.violate("13 determinism", "stored call: %v", err)
		return
	}
	b.later(b.w.between(time.Millisecond, 30*time.Millisecond), func() {
		if b.w.faulty(b.w.faults.noCore * 0.5) { // never arrived
			b.later(time.Second, func() { b.call(r) })
			return
		}
		ok, reason := b.money.do(b, c)
		if b.w.faulty(b.w.faults.noCore * 0.5) { // its answer got lost
			b.later(time.Second, func() { b.call(r) })
			return
		}
		revoked := b.revoked[r.Key.Intent] && b.w.bug != "revoked-key-pays"
		b.step(r.Key, connector.CoreAnswered{Op: c.Op, OK: ok, Reason: reason, KeyRevoked: revoked}, doneRow(r.ID), func(error) {})
	})
}

// transmit hands a message to the rail. A transfer goes out once; it is tried again only while it is certain that it has not left.
func (b *bank) transmit(r journal.OutboxRow) {
	if b.dropped[r.ID] {
		return
	}
	if connector.IsTransfer(r.ID) {
		rec, err := b.journal.Payment(ctx, r.Key)
		if err != nil || (rec.Status != lifecycle.Submitting && b.w.bug != "resend-after-crash") {
			return // Drop is on its way
		}
	}
	if connector.IsEnquiry(r.ID) || connector.IsResend(r.ID) {
		if p, ok := b.payment(r.Key); !ok || !p.StepWanted(r.ID) {
			return // likewise
		}
	}
	b.w.rail.send(b, r.Body, func(result connector.SendResult) {
		if result == connector.SentNot {
			p, ok := b.payment(r.Key)
			if !ok {
				return
			}
			retry := !connector.SentOnce(r.ID) || p.StepWanted(r.ID)
			retry = retry || connector.IsTransfer(r.ID) && p.State == lifecycle.Submitting && b.now().Before(p.Deadline)
			if retry {
				b.later(time.Second, func() { b.transmit(r) })
				return
			}
		}
		b.step(r.Key, connector.Sent{Row: r.ID, Result: result, Reason: "transport"}, doneRow(r.ID), func(error) {})
	})
}

func (b *bank) payment(key journal.Key) (connector.Payment, bool) {
	rec, err := b.journal.Payment(ctx, key)
	if err != nil {
		return connector.Payment{}, false
	}
	p, err := connector.DecodePayment(rec.State)
	return p, err == nil
}

// tell puts a statement into the chat.
func (b *bank) tell(r journal.OutboxRow) {
	if !b.device.up {
		b.later(500*time.Millisecond, func() { b.tell(r) })
		return
	}
	cm, err := connector.DecodeChatMessage(r.Body)
	if err != nil {
		b.w.violate("13 determinism", "stored message: %v", err)
		return
	}
	m := b.w.newMessage(b.device, b.chats[r.Dest], "")
	var n notice
	if err := json.Unmarshal(cm.Body, &n); err != nil {
		b.w.violate("13 determinism", "stored message: %v", err)
		return
	}
	m.kind, m.intent, m.status, m.reason, m.seq, m.nonce = n.Kind, n.Intent, n.Status, n.Reason, n.Seq, n.Nonce
	m.check.Result = intent.MatchResult(n.Check)
	m.expires = b.w.now.Add(24 * time.Hour)
	b.device.send(r.ID, m, func() {
		b.step(journal.Key{}, nil, doneRow(r.ID), func(error) {})
	})
}

// wake reads the rail's queue, one message at a time: recorded, then acknowledged.
func (b *bank) wake() {
	if b.polling || !b.ready {
		return
	}
	cursor, err := b.journal.Cursor(ctx, "rail")
	if err != nil {
		return // the journal is broken, and the process about to end
	}
	d, ok := b.w.rail.next(b, cursor)
	if !ok {
		return
	}
	b.polling = true
	b.later(b.w.between(time.Millisecond, 20*time.Millisecond), func() { b.fromRail(d) })
}

func (b *bank) fromRail(d delivery) {
	var m railWire
	if err := json.Unmarshal(d.wire, &m); err != nil {
		panic(err)
	}
	if b.w.bug == "cursor-before-journal" {
		b.journal.Apply(ctx, journal.Step{At: b.now(), Cursors: []journal.Cursor{{Name: "rail", Value: d.seq}}})
	}
	ev := connector.Evidence{Kind: m.Kind, Hash: journal.HashOf(d.wire), Bytes: d.wire}
	record := func(s *journal.Step) {
		s.Inbox = &journal.InboxEntry{Sender: "rail", ID: d.id, Hash: ev.Hash}
		s.Cursors = append(s.Cursors, journal.Cursor{Name: "rail", Value: d.seq})
	}
	done := func(err error) {
		if errors.Is(err, journal.ErrDuplicate) { // recorded before: acknowledge only
			acknowledge := func(s *journal.Step) { s.Cursors = []journal.Cursor{{Name: "rail", Value: d.seq}} }
			b.step(journal.Key{}, nil, acknowledge, func(error) { b.polling = false; b.wake() })
			return
		}
		b.polling = false
		b.wake()
	}
	if m.Kind == "pacs.008" {
		debtor, _ := payments.ParseAccount(m.Debtor)
		creditor, _ := payments.ParseAccount(m.Creditor)
		e := connector.TransferReceived{Record: connector.RecordID(m.X), Execution: m.X, Amount: payments.Amount{Minor: m.Minor, Currency: m.Currency},
			Debtor: connector.Party{Account: debtor, Agent: m.DebtorAgent}, Creditor: connector.Party{Account: creditor, Agent: m.CreditorAgent},
			Reference: m.Reference, Chats: []string{"shop"}, Marked: m.Again, Transfer: ev}
		if !b.money.has(m.Creditor) {
			e.Refuse = "AC03"
		}
		b.step(journal.Key{Intent: e.Record, Side: lifecycle.Creditor}, e, record, done)
		return
	}
	side := lifecycle.Debtor
	if m.X.From != b.agent {
		side = lifecycle.Creditor
	}
	original := m.X.MessageID
	if b.w.kind.ownIDs {
		original = ""
	}
	b.step(journal.Key{Intent: connector.RecordID(m.X), Side: side}, connector.StatusReceived{Meaning: m.Meaning, By: rail.Service, Status: m.Status, Reason: m.Reason,
		Original: original, EndToEnd: m.X.EndToEnd, UETR: m.X.UETR, Amount: payments.Amount{Minor: m.Minor, Currency: m.Currency}, MessageID: d.id, Report: ev}, record, done)
}

// arm fires the timers that are due, and comes back for the next.
func (b *bank) arm() {
	if !b.ready {
		return
	}
	at, ok, err := b.journal.NextTimer(ctx)
	if err != nil || !ok {
		return
	}
	due := at.Add(-b.jump)
	if due.Before(b.w.now.Add(50 * time.Millisecond)) {
		due = b.w.now.Add(50 * time.Millisecond)
	}
	if !b.timing.IsZero() && !due.Before(b.timing) && b.timing.After(b.w.now) {
		return
	}
	b.timing = due
	b.later(due.Sub(b.w.now), func() {
		if !b.timing.Equal(due) {
			return
		}
		b.timing = time.Time{}
		rows, err := b.journal.Timers(ctx, b.now(), 100)
		if err != nil {
			return
		}
		for _, r := range rows {
			b.step(r.Key, connector.FiredEvent(r.Timer), nil, func(error) {})
			if !b.up {
				return
			}
		}
		b.arm()
	})
}

// handle takes a chat message of a customer: recorded in the journal before the device forgets it.
func (b *bank) handle(m *message, done func(bool)) {
	if !b.ready {
		done(false)
		return
	}
	chat := m.from.name
	b.chats[chat] = m.from
	body := fmt.Sprintf("%d", m.index)
	record := func(s *journal.Step) {
		s.Inbox = &journal.InboxEntry{Sender: chat, ID: m.id.String(), Hash: journal.HashOf([]byte(body))}
	}
	epoch := b.epoch
	finished := func(error) {
		if b.up && b.epoch == epoch {
			done(true)
		}
	}
	answered := func(err error) { // refused or repeated, it is done with
		var claim *journal.ClaimError
		var limit *journal.LimitError
		if errors.As(err, &claim) || errors.As(err, &limit) { // the step did not happen, its inbox entry neither
			b.step(journal.Key{}, nil, record, finished)
			return
		}
		finished(err)
	}
	key := journal.Key{Intent: m.intent, Side: lifecycle.Debtor}
	evidence := connector.Evidence{Kind: m.kind, Hash: journal.HashOf([]byte(body))}
	if b.w.bug == "connector-acks-before-journal" {
		done(true)
		answered = func(error) {}
	}
	switch m.kind {
	case "check":
		t := m.terms
		b.nonces++
		b.step(key, connector.CheckAnswered{Intent: t.intent, Chat: chat, Amount: t.amount, Creditor: t.creditor,
			Debtor: connector.Party{Account: m.mandate.debtor.Account, Agent: b.agent}, Reference: t.reference, Expires: t.expires, RequestHash: t.hash,
			Request: evidence, Nonce: fmt.Sprintf("n%d-%x", b.nonces, b.w.rng.Uint64()),
			Check: connector.Check{Result: t.match, Ref: "ref", At: b.now(), Expires: b.now().Add(10 * time.Minute)}}, record, answered)
	case "mandate":
		if m.mandate.forged { // verification is payments/intent's; here it has refused
			b.step(journal.Key{}, nil, record, answered)
			return
		}
		d := m.mandate
		b.step(key, connector.MandateVerified{Chat: chat, KeyID: chat, Amount: d.amount, Debtor: d.debtor, Creditor: d.creditor,
			RequestHash: d.requestHash, MandateHash: d.hash, Nonce: d.nonce, Expires: d.expires, PerDay: dailyLimit, Mandate: evidence}, record, answered)
	case "decline":
		b.step(key, connector.Declined{Chat: chat, Reason: "payer"}, record, answered)
	case "cancel":
		b.step(key, connector.Cancelled{Chat: chat, Reason: "payer"}, record, func(err error) {
			if b.w.bug == "cancel-confirmed-too-late" && err != nil {
				lie := b.w.newMessage(b.device, m.from, "receipt")
				lie.intent, lie.status, lie.seq = m.intent, lifecycle.Cancelled, 1000
				b.device.send("lie "+m.id.String(), lie, func() {})
			}
			answered(err)
		})
	default:
		b.step(journal.Key{}, nil, record, answered)
	}
}

// notice is a bank's statement in the simulation: what production signs.
type notice struct {
	Kind   string
	Intent payments.IntentID
	Status lifecycle.State
	Reason string
	Seq    uint64
	Nonce  string
	Check  string
}

type plainStatements struct{}

func (plainStatements) Statement(p connector.Payment, n connector.Notify) (connector.ChatMessage, error) {
	body, err := json.Marshal(notice{Kind: string(n.Kind), Intent: p.Intent, Status: n.Status, Reason: p.Reason, Seq: n.Seq, Nonce: p.Nonce, Check: string(p.Check.Result)})
	return connector.ChatMessage{MediaType: string(n.Kind), Body: body}, err
}

// coreBank is the bank's books, behind the connector. It never forgets and answers every key once.
type coreBank struct {
	w        *world
	balance  map[string]int64
	holds    map[string]int64
	posted   map[string]int64
	released map[string]bool
	credited map[string]int64
}

func newCoreBank(w *world) *coreBank {
	return &coreBank{w: w, balance: map[string]int64{}, holds: map[string]int64{}, posted: map[string]int64{}, released: map[string]bool{}, credited: map[string]int64{}}
}

func (c *coreBank) has(account string) bool { _, ok := c.balance[account]; return ok }

func (c *coreBank) do(b *bank, call connector.CoreCall) (ok bool, reason string) {
	account, minor := call.Account.Reveal(), call.Amount.Minor
	switch call.Op {
	case connector.CoreReserve:
		switch {
		case c.released[call.Key]:
			return false, "NARR"
		case c.holds[call.Key] > 0 || c.posted[call.Key] > 0:
			return true, ""
		case c.balance[account] < minor:
			return false, "AM04"
		}
		c.balance[account] -= minor
		c.holds[call.Key] = minor
	case connector.CorePost:
		if c.posted[call.Key] > 0 {
			return true, ""
		}
		if c.holds[call.Key] != minor {
			return false, "no hold"
		}
		c.posted[call.Key] = minor
		delete(c.holds, call.Key)
	case connector.CoreRelease:
		if c.released[call.Key] {
			return true, ""
		}
		c.released[call.Key] = true
		c.balance[account] += c.holds[call.Key]
		delete(c.holds, call.Key)
	case connector.CoreCredit:
		if c.credited[call.Key] > 0 && b.w.bug != "credit-not-idempotent" {
			return true, ""
		}
		if c.credited[call.Key] > 0 {
			c.w.violate("1 no double payment", "%s was credited twice", call.Key)
		}
		c.credited[call.Key] += minor
		c.balance[account] += minor
	}
	return true, ""
}
