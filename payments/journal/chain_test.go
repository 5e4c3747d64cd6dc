package journal

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/lifecycle"
)

// TestEventHashIsAsDocumented computes a hash by the words of docs/payments.md, so that others can check an exported chain.
func TestEventHashIsAsDocumented(t *testing.T) {
	k := Key{Intent: "pi_0190a5a0-0000-7000-8000-000000000001", Side: lifecycle.Debtor}
	text := func(s string) string { return string(binary.BigEndian.AppendUint32(nil, uint32(len(s)))) + s }
	number := func(n int64) string { return string(binary.BigEndian.AppendUint64(nil, uint64(n))) }
	before := sha256.Sum256([]byte("parley journal event 1\x00" + text(string(k.Intent)) + text("debtor")))
	if firstPrev(k) != before {
		t.Error("the hash before the first event differs")
	}
	at := time.Date(2026, 11, 23, 8, 0, 0, 5, time.UTC)
	evidence := HashOf([]byte("<Document/>"))
	e := Event{Seq: 7, PrevHash: before, Draft: Draft{At: at, Type: "intent.settled", From: lifecycle.Submitted, To: lifecycle.Settled, EvidenceKind: "pacs.002", EvidenceHash: evidence, Data: []byte("data")}}
	want := sha256.Sum256([]byte("parley journal event 1\x00" + string(before[:]) + text(string(k.Intent)) + text("debtor") + number(7) + number(at.UnixNano()) +
		text("intent.settled") + text("submitted") + text("settled") + text("pacs.002") + string(evidence[:]) + text("data")))
	if eventHash(k, &e) != want {
		t.Error("the hash of an event differs")
	}
}

// TestChainCoversEveryField changes each thing that a step records: no two hashes may be equal.
func TestChainCoversEveryField(t *testing.T) {
	base := func() *entry {
		at := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
		return &entry{Pos: 3, At: at, Key: Key{"pi_1", lifecycle.Debtor}, Seq: 2, State: &[32]byte{1},
			Events: []Event{{Hash: [32]byte{2}}}, Keys: []IndexKey{{"k", "v"}}, Postings: []Posting{{"e", "a", payments.Amount{Minor: 1, Currency: "EUR"}}},
			Claims: []Claim{{"k", "v"}}, Limits: []LimitUse{{"n", 1, 2}}, Inbox: []InboxEntry{{"s", "i", [32]byte{3}}}, Outbox: []sentRow{{"i", "k", "d", [32]byte{4}}},
			Cases: []CaseDraft{{"i", "k", "d"}}, Closes: []CaseClose{{"i", "r"}}, Codes: []Code{{ID: "i", Hash: [32]byte{5}, Expires: at, Attempts: 3, Data: []byte("d")}},
			Marks: []codeMark{{"use", "i"}}, PutKeys: []EnrolledKey{{"k", "o", "s", at, at, []byte("d")}}, Nonces: []Nonce{{"n", at, []byte("d")}}, Puts: []Put{{"t", "k", []byte("v")}}}
	}
	later := base().At.Add(1)
	seen := map[[32]byte]int{stepHash([32]byte{}, base(), base().parts()): -1, stepHash([32]byte{9}, base(), base().parts()): -2}
	if len(seen) != 2 {
		t.Error("the hash before is not covered")
	}
	for i, change := range []func(*entry){
		func(e *entry) { e.Pos++ }, func(e *entry) { e.At = later }, func(e *entry) { e.Key.Intent = "pi_2" }, func(e *entry) { e.Key.Side = lifecycle.Creditor },
		func(e *entry) { e.Seq++ }, func(e *entry) { e.State = nil }, func(e *entry) { e.State[0]++ }, func(e *entry) { e.Events[0].Hash[0]++ }, func(e *entry) { e.Events = nil },
		func(e *entry) { e.Keys[0].Kind = "kv" }, func(e *entry) { e.Keys[0] = IndexKey{"kv", ""} }, func(e *entry) { e.Keys, e.Claims = nil, append(e.Claims, Claim{"k", "v"}) },
		func(e *entry) { e.Postings[0].Entry = "f" }, func(e *entry) { e.Postings[0].Account = "b" }, func(e *entry) { e.Postings[0].Amount.Minor = 2 }, func(e *entry) { e.Postings[0].Amount.Currency = "USD" },
		func(e *entry) { e.Claims[0].Value = "w" }, func(e *entry) { e.Limits[0].Name = "m" }, func(e *entry) { e.Limits[0].Amount++ }, func(e *entry) { e.Limits[0].Max++ },
		func(e *entry) { e.Inbox[0].Sender = "t" }, func(e *entry) { e.Inbox[0].ID = "j" }, func(e *entry) { e.Inbox[0].Hash[0]++ },
		func(e *entry) { e.Outbox[0].ID = "j" }, func(e *entry) { e.Outbox[0].Kind = "l" }, func(e *entry) { e.Outbox[0].Dest = "e" }, func(e *entry) { e.Outbox[0].Body[0]++ },
		func(e *entry) { e.Cases[0].Detail = "e" }, func(e *entry) { e.Closes[0].Resolution = "s" }, func(e *entry) { e.Codes[0].Expires = later }, func(e *entry) { e.Codes[0].Attempts++ },
		func(e *entry) { e.Codes[0].Hash[0]++ }, func(e *entry) { e.Codes[0].Data = nil }, func(e *entry) { e.Marks[0].Mark = "miss" }, func(e *entry) { e.Marks[0].ID = "j" },
		func(e *entry) { e.PutKeys[0].Owner = "p" }, func(e *entry) { e.PutKeys[0].Status = "t" }, func(e *entry) { e.PutKeys[0].From = later }, func(e *entry) { e.PutKeys[0].To = later }, func(e *entry) { e.PutKeys[0].Data = nil },
		func(e *entry) { e.Nonces[0].Expires = later }, func(e *entry) { e.Nonces[0].Data = nil }, func(e *entry) { e.Puts[0].Value = []byte{} }, func(e *entry) { e.Puts[0].Value = nil }, func(e *entry) { e.Puts[0].Table = "u" },
	} {
		e := base()
		change(e)
		h := stepHash([32]byte{}, e, e.parts())
		if other, known := seen[h]; known {
			t.Errorf("change %d gives the hash of change %d", i, other)
		}
		seen[h] = i
	}
	if len(base().parts()) != len(partNames)-1 {
		t.Error("a table is not tried here")
	}
}
