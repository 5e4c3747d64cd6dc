package connector

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/journal"
)

// Kinds of outbox rows.
const (
	OutboxRail = "rail" // Dest is the kind of message, Body the exact bytes
	OutboxCore = "core" // Dest is the CoreOp, Body a CoreCall
	OutboxChat = "chat" // Dest is the chat, Body a ChatMessage
)

// Statements makes what the customer is told: bank-signed bytes. It is pure for a given key.
type Statements interface {
	Statement(p Payment, n Notify) (ChatMessage, error)
}

// JournalStep returns the one durable write of a step: after is the payment that Step returned, seq the Seq of the record that it
// was decided on (0 for a new payment), effects what Step returned. What is left for the caller are the Trace effects.
func JournalStep(after Payment, seq uint64, effects []Effect, st Statements) (journal.Step, error) {
	d := journal.Step{At: after.Clock, Key: after.KeyOf(), ExpectedSeq: seq}
	timers := map[TimerName]bool{}
	var names []TimerName // in the order of first mention: a step is deterministic
	for _, effect := range effects {
		switch e := effect.(type) {
		case Record:
			d.Events = append(d.Events, journal.Draft{At: e.At, Type: e.Type, From: e.From, To: e.To,
				EvidenceKind: e.Evidence.Kind, EvidenceHash: e.Evidence.Hash, Data: e.Evidence.Bytes})
		case SendRail:
			d.Outbox = append(d.Outbox, journal.OutboxDraft{ID: e.Row, Kind: OutboxRail, Dest: e.Kind, Body: e.Wire})
		case CallCore:
			body, err := CoreCall{e.Op, e.Key, e.Account, e.Amount}.Encode()
			if err != nil {
				return d, err
			}
			d.Outbox = append(d.Outbox, journal.OutboxDraft{ID: e.Row, Kind: OutboxCore, Dest: string(e.Op), Body: body})
		case Notify:
			m, err := st.Statement(after, e)
			if err != nil {
				return d, fmt.Errorf("connector: %s: %w", e.Kind, err)
			}
			d.Outbox = append(d.Outbox, journal.OutboxDraft{ID: e.Row, Kind: OutboxChat, Dest: e.Chat, Body: m.Encode()})
		case Drop:
			if !slices.Contains(d.DoneOutbox, e.Row) {
				d.DoneOutbox = append(d.DoneOutbox, e.Row)
			}
		case SetTimer:
			if !timers[e.Name] {
				timers[e.Name], names = true, append(names, e.Name)
			}
		case ClearTimer:
			if !timers[e.Name] {
				timers[e.Name], names = true, append(names, e.Name)
			}
		case Post:
			entry := fmt.Sprintf("%d.%d", seq+1, len(d.Postings))
			for _, l := range e.Lines {
				d.Postings = append(d.Postings, journal.Posting{Entry: entry, Account: l.Account, Amount: payments.Amount{Minor: l.Minor, Currency: l.Currency}})
			}
		case OpenCase:
			d.Cases = append(d.Cases, journal.CaseDraft{ID: string(after.Side) + "/" + string(after.Intent) + "/" + string(e.Kind), Kind: string(e.Kind), Detail: e.Text})
		case Claim:
			d.Claims = append(d.Claims, journal.Claim{Kind: e.Kind, Value: e.Value})
		case Take:
			limit := e.Max
			if limit == 0 {
				limit = math.MaxInt64
			}
			d.Limits = append(d.Limits, journal.LimitUse{Name: e.Counter, Amount: e.Add, Max: limit})
		case Index:
			d.Keys = append(d.Keys, journal.IndexKey{Kind: e.Kind, Value: e.Value})
		case Trace:
		default:
			return d, fmt.Errorf("%w: effect %T", ErrEvent, effect)
		}
	}
	for _, name := range names { // what counts is how the timer stands after the step
		if at, armed := after.timer(name); armed {
			d.SetTimers = append(d.SetTimers, journal.Timer{Name: string(name), At: at})
		} else {
			d.ClearTimers = append(d.ClearTimers, string(name))
		}
	}
	state, err := after.Encode()
	if err != nil {
		return d, err
	}
	d.State = state
	return d, nil
}

// IsTransfer reports whether an outbox row is the one message of its payment that moves money: never to be sent after a restart,
// nor again after an open outcome.
func IsTransfer(row string) bool { return strings.HasSuffix(row, "/"+rowTransfer) }

// IsEnquiry reports whether an outbox row asks the rail for a status.
func IsEnquiry(row string) bool { return strings.Contains(row, "/"+rowEnquiry+"-") }

// IsResend reports whether an outbox row is a repetition of its payment's transfer.
func IsResend(row string) bool { return strings.Contains(row, "/"+rowAgain+"-") }

// SentOnce reports whether an outbox row is carried out by one process only: the transfer, and the steps of the ladder, which have a
// budget. A restart does not repeat them, since they may have been sent; what follows is the payment's next timer.
func SentOnce(row string) bool { return IsTransfer(row) || IsEnquiry(row) || IsResend(row) }

// CoreCall is a call to the core bank, as it stands in the outbox. Its key makes it idempotent.
type CoreCall struct {
	Op      CoreOp
	Key     string
	Account payments.Account
	Amount  payments.Amount
}

type coreCallJSON struct {
	Op      CoreOp            `json:"op"`
	Key     string            `json:"key"`
	Account string            `json:"account"`
	Minor   int64             `json:"minor"`
	Curr    payments.Currency `json:"currency"`
}

// Encode returns the body of an outbox row, with the account in the clear.
func (c CoreCall) Encode() ([]byte, error) {
	return json.Marshal(coreCallJSON{c.Op, c.Key, c.Account.Reveal(), c.Amount.Minor, c.Amount.Currency})
}

// DecodeCoreCall reads what Encode wrote.
func DecodeCoreCall(b []byte) (CoreCall, error) {
	var j coreCallJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return CoreCall{}, fmt.Errorf("connector: stored call: %w", err)
	}
	account, err := payments.ParseAccount(j.Account)
	if err != nil {
		return CoreCall{}, fmt.Errorf("connector: stored call: %w", err)
	}
	return CoreCall{j.Op, j.Key, account, payments.Amount{Minor: j.Minor, Currency: j.Curr}}, nil
}

// ChatMessage is one part for a chat: signed bytes under their media type, and a text for clients that do not know it.
type ChatMessage struct {
	MediaType string `json:"media_type"`
	Fallback  string `json:"fallback"`
	Status    string `json:"status,omitempty"` // of the payment that it speaks of, for followers
	Body      []byte `json:"body"`
}

// Encode returns the body of an outbox row.
func (m ChatMessage) Encode() []byte {
	b, err := json.Marshal(m)
	if err != nil {
		panic("connector: strings and bytes do not encode: " + err.Error())
	}
	return b
}

// DecodeChatMessage reads what Encode wrote.
func DecodeChatMessage(b []byte) (m ChatMessage, err error) {
	if err = json.Unmarshal(b, &m); err != nil {
		err = fmt.Errorf("connector: stored message: %w", err)
	}
	return m, err
}

// FiredEvent returns the event of an armed timer that is due.
func FiredEvent(t journal.Timer) TimerFired { return TimerFired{Name: TimerName(t.Name), At: t.At} }
