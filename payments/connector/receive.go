package connector

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/parleypay/parley/internal/trace"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/lifecycle"
	"github.com/parleypay/parley/payments/rail"
)

const receiveMax = 128

// receive takes messages from the rail until ctx ends. The cursor moves on only when all of a batch are durable, and is written a
// moment later; a message that comes again after a crash is known by its place and hash.
func (e *Engine) receive(ctx context.Context) {
	name := "rail/" + e.cfg.Profile.Name
	cursor, err := e.cfg.Journal.Cursor(ctx, name)
	if err != nil {
		e.readFailed(ctx, err)
		return
	}
	for attempt := 0; ctx.Err() == nil; {
		e.link.ask(time.Now())
		batch, err := e.cfg.Transport.Receive(ctx, cursor, receiveMax)
		e.link.answered(err == nil)
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			if attempt == 0 {
				e.cfg.Log.Warn("cannot reach the rail, trying again", "rail", e.cfg.Profile.Name, "error", err)
			}
			e.cfg.Metrics.Count(MetricReceive, "error")
			select {
			case <-ctx.Done():
			case <-time.After(backoff(attempt, 5*time.Second)):
			}
			attempt++
			continue
		}
		if attempt > 0 {
			e.cfg.Log.Info("the rail can be reached again", "rail", e.cfg.Profile.Name, "attempts", attempt)
		}
		attempt = 0
		e.cfg.Metrics.Count(MetricReceive, "ok")
		if len(batch) == 0 {
			continue
		}
		if err := e.takeAll(ctx, batch); err != nil {
			e.readFailed(ctx, err) // nothing but the journal fails here; an engine that is deaf to the rail must not go on
			return
		}
		cursor = batch[len(batch)-1].Seq
		e.marks <- mark{cursor: journal.Cursor{Name: name, Value: cursor}}
	}
}

// takeAll takes a batch: messages about one payment in order, different payments at once.
func (e *Engine) takeAll(ctx context.Context, batch []rail.Delivery) error {
	type decoded struct {
		rail.Delivery
		m    *rail.Message
		err  error
		hash [32]byte
	}
	groups := map[string][]decoded{}
	var order []string
	for _, d := range batch {
		x := decoded{Delivery: d, hash: journal.HashOf(d.Wire)}
		x.m, x.err = e.cfg.Profile.Decode(d.Wire, rail.FromService)
		about := e.about(x.m)
		if x.m != nil && x.m.Rejection != nil {
			about = refusedID(d, x.m)
		}
		if _, ok := groups[about]; !ok {
			order = append(order, about)
		}
		groups[about] = append(groups[about], x)
	}
	slots := make(chan struct{}, e.cfg.Workers)
	errs := make([]error, len(order))
	var wait sync.WaitGroup
	for i, about := range order {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			for _, x := range groups[about] {
				if err := e.take(ctx, x.Delivery, x.m, x.err, x.hash); err != nil {
					errs[i] = err
					return
				}
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// about names what a message is about, to keep the order among messages about the same.
func (e *Engine) about(m *rail.Message) string {
	if m == nil || m.Rejection != nil {
		return ""
	}
	switch original := e.cfg.Profile.Original; {
	case m.Transfer != nil:
		return original(m.Transfer.MessageID, m.Transfer.EndToEndID)
	case m.Status != nil:
		return original(m.Status.OriginalMessageID, m.Status.OriginalEndToEnd)
	default:
		return original(m.Request.OriginalMessageID, m.Request.OriginalEndToEnd)
	}
}

// take makes one message durable. Its error is of the journal; what is wrong with the message is recorded and ends there.
func (e *Engine) take(ctx context.Context, d rail.Delivery, m *rail.Message, decodeErr error, hash [32]byte) error {
	inbox := func(suffix string) *journal.InboxEntry {
		return &journal.InboxEntry{Sender: "rail/" + e.cfg.Profile.Name, ID: strconv.FormatUint(d.Seq, 10) + "/" + hex.EncodeToString(hash[:8]) + suffix, Hash: hash}
	}
	var err error
	switch {
	case decodeErr != nil:
		rule := "unreadable"
		if faults := rail.Faults(decodeErr); len(faults) > 0 {
			rule = faults[0].Rule + " at " + faults[0].Path
		}
		err = e.bury(ctx, d, inbox(""), "bad-message", rule, hash)
	case m.Transfer != nil:
		err = e.takeTransfer(ctx, m, Evidence{"pacs.008", hash, d.Wire}, inbox(""))
	case m.Rejection != nil:
		err = e.takeRejection(ctx, d, m, Evidence{"admi.002", hash, d.Wire}, inbox(""))
	case m.Status != nil:
		err = e.takeStatus(ctx, d, m, Evidence{"pacs.002", hash, d.Wire}, inbox)
	default:
		err = e.takeRequest(ctx, d, m, Evidence{"pacs.028", hash, d.Wire}, inbox)
	}
	switch {
	case errors.Is(err, journal.ErrDuplicate):
		e.cfg.Metrics.Count(MetricDropped, "rail")
		return nil
	case errors.Is(err, ErrEvent) || refusedByJournal(err) || asRefusal(err) != nil:
		// The message was read and cannot be: nothing of it was recorded yet, and it must not come for ever.
		e.cfg.Log.Error("message from the rail", "error", err)
		if err = e.bury(ctx, d, inbox("/failed"), "failed-message", "not applicable", hash); errors.Is(err, journal.ErrDuplicate) {
			return nil
		}
	}
	return err
}

// bury records a message that cannot be taken, with its bytes, and asks a person to look.
func (e *Engine) bury(ctx context.Context, d rail.Delivery, inbox *journal.InboxEntry, kind, reason string, hash [32]byte) error {
	id := kind + "/" + inbox.ID
	step := journal.Step{At: e.now(), Inbox: inbox,
		Cases: []journal.CaseDraft{{ID: id, Kind: kind, Detail: fmt.Sprintf("delivery %d: %s", d.Seq, reason)}},
		Puts:  []journal.Put{deadLetter{At: e.now(), From: inbox.Sender, Reason: reason, Bytes: d.Wire}.put("dead-letter", id)}}
	if err := e.write(ctx, step); err != nil {
		return err
	}
	e.cfg.Metrics.Count(MetricRail, "bad")
	e.cfg.Metrics.Count(MetricCase, kind)
	e.cfg.Log.Warn("message from the rail refused", "kind", kind, "reason", reason, "delivery", d.Seq)
	e.emit(trace.Event{Event: "message refused", Detail: reason})
	return nil
}

func (e *Engine) takeTransfer(ctx context.Context, m *rail.Message, ev Evidence, inbox *journal.InboxEntry) error {
	e.cfg.Metrics.Count(MetricRail, "pacs.008.received")
	event := railMessages{e.cfg.Profile, e.cfg.Agent}.transferEvent(m, ev)
	event.Marked = m.Header.CpyDplct == "DUPL"
	info, err := e.lookUp(ctx, event.Creditor.Account)
	var refused *CoreError
	switch {
	case errors.As(err, &refused):
		event.Refuse = refused.Reason
	case err != nil:
		event.Refuse = "AB08" // our systems do not answer: no promise, no money moved (creditor agent is not online)
	case info.Refuse != "":
		event.Refuse = info.Refuse
	case info.Currency != event.Amount.Currency:
		event.Refuse = reasonCurrency
	default:
		if event.Chats, err = e.chatsOf(ctx, event.Creditor.Account); err != nil {
			e.readFailed(ctx, err)
			return err
		}
	}
	key := journal.Key{Intent: event.Record, Side: lifecycle.Creditor}
	err = e.apply(ctx, key, event, extra{inbox: inbox})
	var other *OtherRecordError
	if errors.As(err, &other) {
		event.Record, key.Intent = other.Record, other.Record
		err = e.apply(ctx, key, event, extra{inbox: inbox})
	}
	return err
}

// lookUp asks the core bank for an account, a few times within the time that an answer to the rail allows.
func (e *Engine) lookUp(ctx context.Context, account payments.Account) (info AccountInfo, err error) {
	ctx, cancel := context.WithTimeout(ctx, min(e.cfg.CoreTimeout, e.cfg.Profile.ServiceTimeout/3))
	defer cancel()
	for attempt := 0; ; attempt++ {
		info, err = e.cfg.Core.LookUp(ctx, account)
		var refused *CoreError
		if err == nil || errors.As(err, &refused) {
			return info, err
		}
		select {
		case <-ctx.Done():
			return info, err
		case <-time.After(backoff(attempt, time.Second)):
		}
	}
}

func (e *Engine) takeStatus(ctx context.Context, d rail.Delivery, m *rail.Message, ev Evidence, inbox func(string) *journal.InboxEntry) error {
	e.cfg.Metrics.Count(MetricRail, "pacs.002.received")
	s := m.Status
	by := e.cfg.Profile.Sender(m)
	meaning := e.cfg.Profile.Meaning(by, s)
	return e.toPayments(ctx, d, m, "orphan-status", inbox, StatusReceived{Meaning: meaning.Kind, By: by, Status: meaning.Status,
		Reason: word(meaning.Reason), Original: s.OriginalMessageID, EndToEnd: s.OriginalEndToEnd, UETR: s.OriginalUETR, Amount: s.OriginalAmount, MessageID: s.MessageID, Report: ev})
}

// refusedID is the id of the message that an admi.002 refuses: as the transport says it, since a message that could not be read cannot be
// named otherwise (FedNow), else as the document does.
func refusedID(d rail.Delivery, m *rail.Message) string { return or(d.Answers, m.Rejection.Reference) }

// takeRejection gives an admi.002 to the payment whose transfer it refuses, by message id or, where the rail names transfers so, end-to-end
// id. One that refuses anything else changes nothing: a person is asked to look.
func (e *Engine) takeRejection(ctx context.Context, d rail.Delivery, m *rail.Message, ev Evidence, inbox *journal.InboxEntry) error {
	e.cfg.Metrics.Count(MetricRail, "admi.002.received")
	names := []string{journal.IndexMessageID}
	if e.cfg.Profile.OriginalByEndToEnd {
		names = append(names, journal.IndexEndToEnd)
	}
	for _, kind := range names {
		keys, err := e.cfg.Journal.Find(ctx, journal.IndexKey{Kind: kind, Value: refusedID(d, m)})
		if err != nil {
			e.readFailed(ctx, err)
			return err
		}
		for _, key := range keys {
			if key.Side == lifecycle.Debtor {
				return e.apply(ctx, key, MessageRefused{Reason: word(m.Rejection.Reason), Report: ev}, extra{inbox: inbox})
			}
		}
	}
	return e.bury(ctx, d, inbox, "orphan-reject", "no such transfer of ours", ev.Hash)
}

func (e *Engine) takeRequest(ctx context.Context, d rail.Delivery, m *rail.Message, ev Evidence, inbox func(string) *journal.InboxEntry) error {
	e.cfg.Metrics.Count(MetricRail, "pacs.028.received")
	return e.toPayments(ctx, d, m, "orphan-enquiry", inbox, AnswerAsked{ev})
}

// toPayments gives an event to the payments that a message names: one, or both sides of it when both banks are this one.
func (e *Engine) toPayments(ctx context.Context, d rail.Delivery, m *rail.Message, orphan string, inbox func(string) *journal.InboxEntry, ev Event) error {
	original := journal.IndexKey{Kind: journal.IndexMessageID, Value: e.about(m)}
	if e.cfg.Profile.OriginalByEndToEnd {
		original.Kind = journal.IndexEndToEnd
	}
	keys, err := e.cfg.Journal.Find(ctx, original)
	if err != nil {
		e.readFailed(ctx, err)
		return err
	}
	taken := false
	for _, key := range keys {
		if _, asked := ev.(AnswerAsked); asked && key.Side != lifecycle.Creditor {
			continue
		}
		taken = true
		err := e.apply(ctx, key, ev, extra{inbox: inbox("/" + string(key.Side))})
		if err != nil && !errors.Is(err, journal.ErrDuplicate) {
			return err
		}
	}
	if !taken {
		return e.bury(ctx, d, inbox(""), orphan, "no such original message", journal.HashOf(d.Wire))
	}
	return nil
}

// link is how the connection to the rail stands. A question that the rail holds open for a second is as good as an answer.
type link struct {
	mu     sync.Mutex // guards what follows
	failed bool       // the last question failed
	asking time.Time  // when the open question was asked; zero if none is
}

func (l *link) ask(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asking = now
}

func (l *link) answered(ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asking, l.failed = time.Time{}, !ok
}

func (l *link) down(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed && (l.asking.IsZero() || now.Sub(l.asking) < time.Second)
}

// deadLetter is what is kept of a message that could not be taken.
type deadLetter struct {
	At     time.Time `json:"at"`
	From   string    `json:"from"`
	Reason string    `json:"reason"`
	Bytes  []byte    `json:"bytes"`
}

const deadLetterMax = 40 << 10

func (d deadLetter) put(table, key string) journal.Put {
	d.Bytes = d.Bytes[:min(len(d.Bytes), deadLetterMax)]
	b, err := json.Marshal(d)
	if err != nil {
		panic("connector: strings and bytes do not encode: " + err.Error())
	}
	return journal.Put{Table: table, Key: key, Value: b}
}
