package journaltest

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/lifecycle"
)

func ledger(t *testing.T, j journal.Journal) {
	k := Key(1)
	s := Begin(k)
	s.Postings = append(Move("reserve", "payer_hold:1", "rail_clearing:fednow", 700), Move("fee", "payer_hold:1", "fees", 3)...)
	s.Postings = append(s.Postings, journal.Posting{Entry: "reserve", Account: "a", Amount: payments.Amount{Minor: 5, Currency: "USD"}},
		journal.Posting{Entry: "reserve", Account: "b", Amount: payments.Amount{Minor: -5, Currency: "USD"}})
	apply(t, j, s)
	back := journal.Step{At: Start, Key: k, ExpectedSeq: 1, Events: []journal.Draft{Event(lifecycle.Created, lifecycle.Created)},
		Postings: Move("void", "rail_clearing:fednow", "payer_hold:1", 700)}
	apply(t, j, back)
	bs, err := j.Balances(t.Context())
	must(t, err)
	eur := func(n int64) payments.Amount { return payments.Amount{Minor: n, Currency: "EUR"} }
	same(t, "balances", bs, []journal.Balance{
		{Account: "a", Amount: payments.Amount{Minor: 5, Currency: "USD"}}, {Account: "b", Amount: payments.Amount{Minor: -5, Currency: "USD"}},
		{Account: "fees", Amount: eur(3)}, {Account: "payer_hold:1", Amount: eur(-3)}, {Account: "rail_clearing:fednow", Amount: eur(0)},
	})
	big := back
	big.ExpectedSeq, big.Postings = 2, Move("big", "c", "d", math.MaxInt64)
	apply(t, j, big)
	big.ExpectedSeq = 3
	refused(t, j, big, journal.ErrUnbalanced) // the balance would overflow
}

func cases(t *testing.T, j journal.Journal) {
	s := Begin(Key(1))
	s.Cases = []journal.CaseDraft{{ID: "c1", Kind: "unknown_too_long", Detail: "no answer after 3 enquiries"}}
	apply(t, j, s, journal.Step{At: Start, Cases: []journal.CaseDraft{{ID: "c2", Kind: "contradiction"}}})
	var ce *journal.ClaimError
	if err := j.Apply(t.Context(), journal.Step{At: Start, Cases: []journal.CaseDraft{{ID: "c1", Kind: "x"}}}); !errors.As(err, &ce) || ce.Owner != Key(1) {
		t.Errorf("case id taken: %v", err)
	}
	closing := journal.Step{At: Start.Add(time.Hour), CloseCases: []journal.CaseClose{{ID: "c1", Resolution: "settled by statement"}}}
	apply(t, j, closing)
	refused(t, j, closing, journal.ErrInvalid)
	open, err := j.Cases(t.Context(), false, 0)
	must(t, err)
	same(t, "open", open, []journal.Case{{CaseDraft: journal.CaseDraft{ID: "c2", Kind: "contradiction"}, Opened: Start}})
	all, err := j.Cases(t.Context(), true, 0)
	must(t, err)
	same(t, "all", all[0], journal.Case{CaseDraft: s.Cases[0], Key: Key(1), Opened: Start, Closed: Start.Add(time.Hour), Resolution: "settled by statement"})
	same(t, "all", len(all), 2)
}

func codes(t *testing.T, j journal.Journal) {
	code := journal.Code{ID: "c1", Hash: journal.HashOf([]byte("secret")), Expires: Start.Add(time.Hour), Attempts: 2, Data: []byte("account 1")}
	unusable := func(id string, at time.Time, reason string) {
		t.Helper()
		var ce *journal.CodeError
		if err := j.Apply(t.Context(), journal.Step{At: at, UseCode: id}); !errors.As(err, &ce) || ce.Reason != reason {
			t.Errorf("use of %s: %v, want %q", id, err, reason)
		}
	}
	apply(t, j, journal.Step{At: Start, MissCode: "c1"}) // before it exists: counts for nothing
	apply(t, j, journal.Step{At: Start, NewCodes: []journal.Code{code}})
	var taken *journal.ClaimError
	if err := j.Apply(t.Context(), journal.Step{At: Start, NewCodes: []journal.Code{code}}); !errors.As(err, &taken) {
		t.Errorf("code id taken: %v", err)
	}
	got, err := j.Code(t.Context(), "c1")
	must(t, err)
	same(t, "code", got, code)
	apply(t, j, journal.Step{At: Start, MissCode: "c1"})
	got, err = j.Code(t.Context(), "c1")
	must(t, err)
	same(t, "attempts", got.Attempts, 1)
	unusable("none", Start, "unknown")
	apply(t, j, journal.Step{At: Start.Add(time.Minute), UseCode: "c1"})
	unusable("c1", Start.Add(time.Minute), "used")
	got, err = j.Code(t.Context(), "c1")
	must(t, err)
	same(t, "used", got.Used, Start.Add(time.Minute))

	code.ID = "c2"
	apply(t, j, journal.Step{At: Start, NewCodes: []journal.Code{code}})
	for range 3 {
		apply(t, j, journal.Step{At: Start, MissCode: "c2"})
	}
	unusable("c2", Start, "no attempts left")
	code.ID = "c3"
	apply(t, j, journal.Step{At: Start.Add(time.Hour), NewCodes: []journal.Code{code}})
	unusable("c3", Start.Add(time.Hour), "expired")
	unusable("c3", Start, "expired") // a clock set back does not help
}

func registry(t *testing.T, j journal.Journal) {
	key := journal.EnrolledKey{KID: "k1", Owner: "customer 1", Status: "active", From: Start, Data: []byte("{}")}
	second := journal.EnrolledKey{KID: "k2", Owner: "customer 1", Status: "active", From: Start, To: Start.Add(time.Hour)}
	apply(t, j, journal.Step{At: Start, PutKeys: []journal.EnrolledKey{key, second, {KID: "k3", Owner: "customer 2", Status: "active", From: Start}}})
	got, err := j.EnrolledKey(t.Context(), "k1")
	must(t, err)
	same(t, "key", got, key)
	key.Status, key.To = "revoked", Start.Add(time.Minute)
	apply(t, j, journal.Step{At: Start, PutKeys: []journal.EnrolledKey{key}})
	all, err := j.EnrolledKeys(t.Context(), "customer 1")
	must(t, err)
	same(t, "keys", all, []journal.EnrolledKey{key, second})

	nonce := journal.Nonce{Nonce: "n1", Expires: Start.Add(time.Minute), Data: []byte("payee check")}
	apply(t, j, journal.Step{At: Start, Nonces: []journal.Nonce{nonce}})
	n, err := j.Nonce(t.Context(), "n1")
	must(t, err)
	same(t, "nonce", n, nonce)
	var ce *journal.ClaimError
	if err := j.Apply(t.Context(), journal.Step{At: Start, Nonces: []journal.Nonce{nonce}}); !errors.As(err, &ce) || ce.Kind != journal.ClaimNonce {
		t.Errorf("nonce issued twice: %v", err)
	}
}

func values(t *testing.T, j journal.Journal) {
	put := func(table, key string, v []byte) {
		t.Helper()
		apply(t, j, journal.Step{At: Start, Puts: []journal.Put{{Table: table, Key: key, Value: v}}})
	}
	put("chats", "b/1", []byte("one"))
	put("chats", "a/2", []byte("two"))
	put("chats", "a/1", []byte{})
	put("chats", "a_x", []byte("no match"))
	put("other", "a/1", []byte("other"))
	put("chats", "b/1", []byte("changed"))
	v, err := j.Value(t.Context(), "chats", "b/1")
	must(t, err)
	same(t, "value", string(v), "changed")
	ps, err := j.Values(t.Context(), "chats", "a/", 0)
	must(t, err)
	same(t, "by prefix", ps, []journal.Put{{Table: "chats", Key: "a/1", Value: []byte{}}, {Table: "chats", Key: "a/2", Value: []byte("two")}})
	put("chats", "a/2", nil)
	_, err = j.Value(t.Context(), "chats", "a/2")
	same(t, "deleted", err, journal.ErrNotFound)
	ps, err = j.Values(t.Context(), "chats", "", 2)
	must(t, err)
	same(t, "at most two", len(ps), 2)
	same(t, "sorted", ps[1].Key, "a_x")
}

func clock(t *testing.T, j journal.Journal) {
	at := func() time.Time {
		c, err := j.Clock(t.Context())
		must(t, err)
		return c
	}
	apply(t, j, journal.Step{At: Start.Add(time.Hour), Cursors: []journal.Cursor{{Name: "rail", Value: 7}}})
	same(t, "clock", at(), Start.Add(time.Hour))
	apply(t, j, journal.Step{At: Start, Cursors: []journal.Cursor{{Name: "rail", Value: 9}}})
	same(t, "clock after a step of the past", at(), Start.Add(time.Hour))
	zone := time.FixedZone("east", 3600)
	apply(t, j, journal.Step{At: Start.Add(2 * time.Hour).In(zone), Cursors: []journal.Cursor{{Name: "rail", Value: 8}}})
	same(t, "clock in UTC", at(), Start.Add(2*time.Hour))
	v, err := j.Cursor(t.Context(), "rail")
	must(t, err)
	same(t, "cursor", v, uint64(8))
	v, err = j.Cursor(t.Context(), "never set")
	must(t, err)
	same(t, "cursor", v, uint64(0))
}

func list(t *testing.T, j journal.Journal) {
	creditor := Key(4)
	creditor.Side = lifecycle.Creditor
	apply(t, j, Begin(Key(2)), Begin(Key(1)), Begin(Key(3)), Authorise(Key(1)))
	apply(t, j, journal.Step{At: Start, Key: creditor, Events: []journal.Draft{Event(lifecycle.None, lifecycle.Submitted)}})
	apply(t, j, journal.Step{At: Start, Key: Key(2), ExpectedSeq: 1, Events: []journal.Draft{Event(lifecycle.Created, lifecycle.Declined)}})
	for _, c := range []struct {
		name string
		f    journal.Filter
		want []journal.Key
	}{
		{"all", journal.Filter{}, []journal.Key{Key(2), Key(1), Key(3), creditor}},
		{"open", journal.Filter{Open: true}, []journal.Key{Key(1), Key(3), creditor}},
		{"side", journal.Filter{Side: lifecycle.Creditor}, []journal.Key{creditor}},
		{"status", journal.Filter{Status: []lifecycle.State{lifecycle.Declined, lifecycle.Authorised}}, []journal.Key{Key(2), Key(1)}},
		{"first two", journal.Filter{Max: 2}, []journal.Key{Key(2), Key(1)}},
		{"behind", journal.Filter{After: Key(1), Side: lifecycle.Debtor}, []journal.Key{Key(3)}},
	} {
		rs, err := j.List(t.Context(), c.f)
		must(t, err)
		var got []journal.Key
		for _, r := range rs {
			got = append(got, r.Key)
		}
		same(t, c.name, got, c.want)
	}
}

func index(t *testing.T, j journal.Journal) {
	for i := range 3 {
		apply(t, j, Begin(Key(i)), Authorise(Key(i)), Submit(Key(i)))
	}
	apply(t, j, journal.Step{At: Start, Key: Key(1), ExpectedSeq: 4, Keys: []journal.IndexKey{{Kind: journal.IndexEndToEnd, Value: "e2e"}}}) // again
	ks, err := j.Find(t.Context(), journal.IndexKey{Kind: journal.IndexEndToEnd, Value: "e2e"})
	must(t, err)
	same(t, "by end-to-end id", ks, []journal.Key{Key(0), Key(1), Key(2)})
	ks, err = j.Find(t.Context(), journal.IndexKey{Kind: journal.IndexUETR, Value: "uetr of " + string(Key(2).Intent)})
	must(t, err)
	same(t, "by UETR", ks, []journal.Key{Key(2)})
	ks, err = j.Find(t.Context(), journal.IndexKey{Kind: journal.IndexMessageID, Value: "e2e"})
	must(t, err)
	same(t, "by another kind", len(ks), 0)
}
