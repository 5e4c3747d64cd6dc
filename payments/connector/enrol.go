package connector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/parleypay/parley/internal/trace"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/journal"
)

// tableAccountChats maps an account's token and a chat to the chat: where credits to the account are told.
const tableAccountChats = "account-chats"

const chatsPerAccountMax = 8

// handleEnrol binds a customer's key to their accounts: a one-time code of the bank, and the proof that the customer has the key.
func (e *Engine) handleEnrol(ctx context.Context, in Inbound, inbox *journal.InboxEntry) error {
	err := e.enrol(ctx, in, inbox)
	if r := asRefusal(err); r != nil {
		e.tries.count(in.Chat, e.now())
	}
	return e.conclude(ctx, in, inbox, "", err)
}

func (e *Engine) enrol(ctx context.Context, in Inbound, inbox *journal.InboxEntry) error {
	now := e.now()
	if e.tries.exhausted(in.Chat, now, attemptsMax) {
		return refuse(0, ReasonTooMany, "too many one-time codes were wrong; try again in an hour")
	}
	ask, err := intent.ParseEnrol(in.Body)
	if err != nil {
		return form(err)
	}
	consent, err := ask.Verify(e.cfg.ID, now)
	if err != nil {
		return err
	}
	code, err := e.cfg.Journal.Code(ctx, consent.Code.String())
	if errors.Is(err, journal.ErrNotFound) {
		return &journal.CodeError{Reason: "unknown"}
	}
	if err != nil {
		return err
	}
	var data codeData
	if err := json.Unmarshal(code.Data, &data); err != nil {
		return fmt.Errorf("connector: stored code: %w", err)
	}
	if data.Profile != consent.Profile {
		return refuse(0, intent.ReasonCode, "the one-time code is for another kind of key")
	}
	kid := ask.Key.ID()
	if _, err := e.cfg.Journal.EnrolledKey(ctx, kid); err == nil {
		return refuse(intent.StepKey, intent.ReasonDuplicate, "the key is enrolled already")
	} else if !errors.Is(err, journal.ErrNotFound) {
		return err
	}
	record, err := e.newKey(ctx, ask.Key, data, now)
	if err != nil {
		return err
	}
	stored, err := record.Encode()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrEvent, err)
	}
	body, err := intent.Enrolment{Key: record.Public, Profile: record.Profile, Accounts: record.Accounts, Limits: record.Limits,
		Audience: e.cfg.ID, Issued: now, Expires: record.To}.Sign(e.cfg.Key)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrEvent, err)
	}
	step := journal.Step{At: now, Inbox: inbox, UseCode: code.ID,
		PutKeys: []journal.EnrolledKey{{KID: kid, Owner: in.Chat, Status: string(record.Status), From: record.From, To: record.To, Data: stored}},
		Outbox: []journal.OutboxDraft{{ID: "enrolment/" + inbox.ID, Kind: OutboxChat, Dest: in.Chat,
			Body: ChatMessage{MediaType: intent.MediaEnrolment, Fallback: "Your key is enrolled.", Body: body}.Encode()}}}
	for _, a := range record.Accounts {
		step.Puts = append(step.Puts, journal.Put{Table: tableAccountChats, Key: accountToken(a.Account) + "/" + in.Chat, Value: []byte(in.Chat)})
	}
	if err := e.write(ctx, step); err != nil {
		return err
	}
	e.emit(trace.Event{Event: "key enrolled", Detail: record.Profile})
	return nil
}

// newKey makes the registry's record, with the holder's name as the core bank has it.
func (e *Engine) newKey(ctx context.Context, key intent.PublicKey, data codeData, now time.Time) (intent.EnrolledKey, error) {
	k := intent.EnrolledKey{Public: key, Profile: data.Profile, Status: intent.KeyActive, From: now.UTC().Truncate(time.Second),
		To: now.Add(e.cfg.KeyValid).UTC().Truncate(time.Second)}
	var err error
	if k.Limits.PerPayment, err = parseLimit(data.PerPayment); err != nil {
		return k, err
	}
	if k.Limits.PerDay, err = parseLimit(data.PerDay); err != nil {
		return k, err
	}
	ctx, cancel := context.WithTimeout(ctx, e.cfg.CoreTimeout)
	defer cancel()
	for _, text := range data.Accounts {
		account, err := payments.ParseAccount(text)
		if err != nil {
			return k, fmt.Errorf("connector: stored code: %w", err)
		}
		info, err := e.cfg.Core.LookUp(ctx, account)
		var refused *CoreError
		if errors.As(err, &refused) || info.Refuse != "" {
			return k, refuse(0, intent.ReasonKeyAccount, "an account of the one-time code is not usable")
		}
		if err != nil {
			return k, fmt.Errorf("connector: core bank: %w", err)
		}
		name, ok := signable(info.Name)
		if !ok {
			return k, refuse(0, intent.ReasonKeyAccount, "an account of the one-time code has a holder whose name cannot be shown")
		}
		k.Accounts = append(k.Accounts, intent.EnrolledAccount{Account: account, Name: name, Agent: e.cfg.Agent, Currency: info.Currency})
	}
	return k, nil
}

func parseLimit(s string) (payments.Amount, error) {
	if s == "" {
		return payments.Amount{}, nil
	}
	code, value, _ := strings.Cut(s, " ")
	return payments.ParseAmount(value, payments.Currency(code))
}

// chatsOf returns the chats in which credits to an account are told.
func (e *Engine) chatsOf(ctx context.Context, account payments.Account) ([]string, error) {
	puts, err := e.cfg.Journal.Values(ctx, tableAccountChats, accountToken(account)+"/", 8*chatsPerAccountMax) // revoked ones stand in the way
	if err != nil {
		return nil, err
	}
	chats := make([]string, 0, len(puts))
	for _, p := range puts {
		keys, err := e.keysOf(ctx, string(p.Value))
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(keys, func(k intent.EnrolledKey) bool {
			return e.usable(k) && slices.ContainsFunc(k.Accounts, func(a intent.EnrolledAccount) bool { return a.Account == account })
		}) && len(chats) < chatsPerAccountMax {
			chats = append(chats, string(p.Value))
		}
	}
	return chats, nil
}

// usable reports whether a key is neither revoked nor run out.
func (e *Engine) usable(k intent.EnrolledKey) bool {
	return k.Status == intent.KeyActive && !e.now().After(k.To)
}

// keyRevoked reports whether the key that authorised a payment may not be used any more.
func (e *Engine) keyRevoked(ctx context.Context, payment journal.Key) (bool, error) {
	p, err := e.Payment(ctx, payment)
	if err != nil {
		return false, err
	}
	k, _, err := e.key(ctx, p.KeyID)
	if errors.Is(err, intent.ErrKeyUnknown) {
		return true, nil
	}
	return k.Status != intent.KeyActive, err
}

// Revoke makes a key unusable from now on.
func (e *Engine) Revoke(ctx context.Context, kid string) error {
	row, err := e.cfg.Journal.EnrolledKey(ctx, kid)
	if err != nil {
		return err
	}
	k, err := intent.ParseEnrolledKey(row.Data)
	if err != nil {
		return err
	}
	k.Status = intent.KeyRevoked
	if row.Data, err = k.Encode(); err != nil {
		return err
	}
	row.Status = string(k.Status)
	if err := e.write(ctx, journal.Step{At: e.now(), PutKeys: []journal.EnrolledKey{row}}); err != nil {
		return err
	}
	e.keys.forget(kid)
	return nil
}

// registry is the journal's registry of keys as a mandate from one chat sees it: a key enrolled in another chat is unknown here.
type registry struct {
	ctx  context.Context
	e    *Engine
	chat string
}

func (r registry) Key(kid string, at time.Time) (intent.EnrolledKey, error) {
	k, owner, err := r.e.key(r.ctx, kid)
	if err == nil && owner != r.chat {
		err = intent.ErrKeyUnknown
	}
	k.AsOf = at // the journal is the registry itself
	return k, err
}

// keyCache keeps parsed rows of the registry; the engine is the only writer.
type keyCache struct {
	mu   sync.RWMutex // guards rows
	rows map[string]keyRow
}

type keyRow struct {
	key   intent.EnrolledKey
	owner string
}

const keyCacheMax = 10_000

func (c *keyCache) forget(kid string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.rows, kid)
}

func (e *Engine) key(ctx context.Context, kid string) (intent.EnrolledKey, string, error) {
	e.keys.mu.RLock()
	row, ok := e.keys.rows[kid]
	e.keys.mu.RUnlock()
	if ok {
		return row.key, row.owner, nil
	}
	stored, err := e.cfg.Journal.EnrolledKey(ctx, kid)
	if errors.Is(err, journal.ErrNotFound) {
		return intent.EnrolledKey{}, "", intent.ErrKeyUnknown
	}
	if err != nil {
		return intent.EnrolledKey{}, "", err
	}
	k, err := intent.ParseEnrolledKey(stored.Data)
	if err != nil {
		return intent.EnrolledKey{}, "", fmt.Errorf("connector: stored key: %w", err)
	}
	e.keys.mu.Lock()
	defer e.keys.mu.Unlock()
	if e.keys.rows == nil || len(e.keys.rows) >= keyCacheMax {
		e.keys.rows = map[string]keyRow{}
	}
	e.keys.rows[kid] = keyRow{k, stored.Owner}
	return k, stored.Owner, nil
}

// keysOf returns the keys enrolled in a chat.
func (e *Engine) keysOf(ctx context.Context, chat string) ([]intent.EnrolledKey, error) {
	rows, err := e.cfg.Journal.EnrolledKeys(ctx, chat)
	if err != nil {
		return nil, err
	}
	var keys []intent.EnrolledKey
	for _, r := range rows {
		k, _, err := e.key(ctx, r.KID)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// attempts counts per chat and hour, in memory: wrong one-time codes and payee checks.
type attempts struct {
	mu   sync.Mutex // guards what follows
	from time.Time
	n    map[string]int
}

const attemptsMax = 10 // wrong one-time codes

func (a *attempts) count(chat string, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.n == nil || now.Sub(a.from) > time.Hour {
		a.from, a.n = now, map[string]int{}
	}
	if len(a.n) < 100_000 {
		a.n[chat]++
	}
}

func (a *attempts) exhausted(chat string, now time.Time, most int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return now.Sub(a.from) <= time.Hour && a.n[chat] >= most
}

// codeData is what a one-time code enrols for, as the journal keeps it.
type codeData struct {
	Profile            string
	Accounts           []string
	PerPayment, PerDay string // "EUR 10.50"; empty for none
}

// AddCode notes a one-time code in the journal. It refuses one that could enrol nothing, and limits of zero.
func (e *Engine) AddCode(ctx context.Context, c Code) error {
	if err := c.check(); err != nil {
		return err
	}
	data := codeData{Profile: c.Profile}
	for _, a := range c.Accounts {
		data.Accounts = append(data.Accounts, a.Reveal())
	}
	for _, l := range []struct {
		to *string
		a  payments.Amount
	}{{&data.PerPayment, c.Limits.PerPayment}, {&data.PerDay, c.Limits.PerDay}} {
		if l.a != (payments.Amount{}) {
			*l.to = l.a.String()
		}
	}
	b, err := json.Marshal(data)
	if err != nil {
		return err
	}
	err = e.write(ctx, journal.Step{At: e.now(), NewCodes: []journal.Code{{ID: c.Hash.String(), Hash: c.Hash, Expires: c.Expires, Attempts: 1, Data: b}}})
	if err != nil {
		return fmt.Errorf("connector: one-time code: %w", err)
	}
	return nil
}
