package journal

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// Two chains protect the record. Each payment has its own, over its events: it can be shown to others as proof of one payment. The
// journal has one over its steps, each of which covers everything the step recorded that is not to change any more. Encodings are
// injective: every text and byte string is preceded by its length, every list by its count. SHA-256 throughout.
const (
	eventDomain = "parley journal event 1\x00"
	stepDomain  = "parley journal step 1\x00"
)

// entry is what one step recorded for ever, as the journal-wide chain covers it.
type entry struct {
	Pos   uint64
	At    time.Time
	Key   Key       // zero if the step belongs to no payment
	Seq   uint64    // of the payment after the step
	State *[32]byte // hash of Step.State, nil if the step set none

	Events   []Event
	Keys     []IndexKey
	Postings []Posting
	Claims   []Claim
	Limits   []LimitUse
	Inbox    []InboxEntry // at most one
	Outbox   []sentRow
	Cases    []CaseDraft
	Closes   []CaseClose
	Codes    []Code
	Marks    []codeMark
	PutKeys  []EnrolledKey
	Nonces   []Nonce
	Puts     []Put
}

// sentRow is the part of an outbox row that never changes.
type sentRow struct {
	ID, Kind, Dest string
	Body           [32]byte // hash
}

// codeMark records what happened to a one-time code: "use" or "miss".
type codeMark struct{ Mark, ID string }

// empty reports whether the step leaves nothing that a chain must cover.
func (e *entry) empty() bool { return len(e.parts()) == 0 && e.State == nil }

// part is the digest of all rows that a step wrote to one table.
type part struct {
	tag  byte // index into partNames
	hash [32]byte
}

// partNames name tables in a DamageError. The position is the tag in the chain and must not change.
var partNames = [...]string{"", "event", "index key", "posting", "claim", "limit use", "inbox entry", "outbox row", "case", "closed case", "enrolment code", "code use", "enrolled key", "nonce", "value"}

// parts returns the digests of the tables that the step wrote to, in the order of their tags.
func (e *entry) parts() []part {
	var ps []part
	ps = addPart(ps, 1, e.Events, func(b []byte, x Event) []byte { return append(b, x.Hash[:]...) })
	ps = addPart(ps, 2, e.Keys, func(b []byte, x IndexKey) []byte { return appendTexts(b, x.Kind, x.Value) })
	ps = addPart(ps, 3, e.Postings, func(b []byte, x Posting) []byte {
		b = appendTexts(b, x.Entry, x.Account, string(x.Amount.Currency))
		return appendInt(b, x.Amount.Minor)
	})
	ps = addPart(ps, 4, e.Claims, func(b []byte, x Claim) []byte { return appendTexts(b, x.Kind, x.Value) })
	ps = addPart(ps, 5, e.Limits, func(b []byte, x LimitUse) []byte {
		return appendInt(appendInt(appendTexts(b, x.Name), x.Amount), x.Max)
	})
	ps = addPart(ps, 6, e.Inbox, func(b []byte, x InboxEntry) []byte { return append(appendTexts(b, x.Sender, x.ID), x.Hash[:]...) })
	ps = addPart(ps, 7, e.Outbox, func(b []byte, x sentRow) []byte {
		return append(appendTexts(b, x.ID, x.Kind, x.Dest), x.Body[:]...)
	})
	ps = addPart(ps, 8, e.Cases, func(b []byte, x CaseDraft) []byte { return appendTexts(b, x.ID, x.Kind, x.Detail) })
	ps = addPart(ps, 9, e.Closes, func(b []byte, x CaseClose) []byte { return appendTexts(b, x.ID, x.Resolution) })
	ps = addPart(ps, 10, e.Codes, func(b []byte, x Code) []byte {
		b = append(appendTexts(b, x.ID, string(x.Data)), x.Hash[:]...)
		return appendInt(appendInt(b, nanos(x.Expires)), int64(x.Attempts))
	})
	ps = addPart(ps, 11, e.Marks, func(b []byte, x codeMark) []byte { return appendTexts(b, x.Mark, x.ID) })
	ps = addPart(ps, 12, e.PutKeys, func(b []byte, x EnrolledKey) []byte {
		b = appendTexts(b, x.KID, x.Owner, x.Status, string(x.Data))
		return appendInt(appendInt(b, nanos(x.From)), nanos(x.To))
	})
	ps = addPart(ps, 13, e.Nonces, func(b []byte, x Nonce) []byte {
		return appendInt(appendTexts(b, x.Nonce, string(x.Data)), nanos(x.Expires))
	})
	ps = addPart(ps, 14, e.Puts, func(b []byte, x Put) []byte {
		if x.Value == nil {
			return appendTexts(append(b, 0), x.Table, x.Key)
		}
		return appendTexts(append(b, 1), x.Table, x.Key, string(x.Value))
	})
	return ps
}

func addPart[T any](ps []part, tag byte, rows []T, encode func([]byte, T) []byte) []part {
	if len(rows) == 0 {
		return ps
	}
	b := appendInt(make([]byte, 0, 256), int64(len(rows)))
	for _, r := range rows {
		b = encode(b, r)
	}
	return append(ps, part{tag, sha256.Sum256(b)})
}

// stepHash continues the journal-wide chain.
func stepHash(prev [32]byte, e *entry, ps []part) [32]byte {
	b := append(make([]byte, 0, 512), stepDomain...)
	b = append(b, prev[:]...)
	b = appendInt(b, int64(e.Pos))
	b = appendInt(b, nanos(e.At))
	b = appendTexts(b, string(e.Key.Intent), string(e.Key.Side))
	b = appendInt(b, int64(e.Seq))
	if e.State != nil {
		b = appendTexts(b, string(e.State[:]))
	} else {
		b = appendTexts(b, "")
	}
	b = appendInt(b, int64(len(ps)))
	for _, p := range ps {
		b = append(append(b, p.tag), p.hash[:]...)
	}
	return sha256.Sum256(b)
}

// firstPrev is the PrevHash of the first event of a payment. It binds the chain to its key.
func firstPrev(k Key) [32]byte {
	return sha256.Sum256(appendTexts([]byte(eventDomain), string(k.Intent), string(k.Side)))
}

// eventHash computes the Hash of an event from all its other fields.
func eventHash(k Key, e *Event) [32]byte {
	b := append(make([]byte, 0, 512+len(e.Data)), eventDomain...)
	b = append(b, e.PrevHash[:]...)
	b = appendTexts(b, string(k.Intent), string(k.Side))
	b = appendInt(b, int64(e.Seq))
	b = appendInt(b, nanos(e.At))
	b = appendTexts(b, e.Type, string(e.From), string(e.To), e.EvidenceKind)
	b = append(b, e.EvidenceHash[:]...)
	b = appendTexts(b, string(e.Data))
	return sha256.Sum256(b)
}

func appendTexts(b []byte, texts ...string) []byte {
	for _, s := range texts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	return b
}

func appendInt(b []byte, n int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(n)) }

// nanos and moment carry times as nanoseconds since 1970 in UTC; 0 is the zero time.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func moment(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// entry returns what the step records for ever, given the events it appends. It copies what the caller may change later.
func (s *Step) entry(pos uint64, seq uint64, events []Event) *entry {
	e := &entry{
		Pos: pos, At: moment(nanos(s.At)), Key: s.Key, Seq: seq, Events: events,
		Keys: clone(s.Keys), Postings: clone(s.Postings), Claims: clone(s.Claims), Limits: clone(s.Limits),
		Cases: clone(s.Cases), Closes: clone(s.CloseCases),
	}
	if s.State != nil {
		h := HashOf(s.State)
		e.State = &h
	}
	if s.Inbox != nil {
		e.Inbox = []InboxEntry{*s.Inbox}
	}
	for _, o := range s.Outbox {
		e.Outbox = append(e.Outbox, sentRow{o.ID, o.Kind, o.Dest, HashOf(o.Body)})
	}
	for _, c := range s.NewCodes {
		c.Data, c.Used, c.Expires = clone(c.Data), time.Time{}, moment(nanos(c.Expires))
		e.Codes = append(e.Codes, c)
	}
	if s.UseCode != "" {
		e.Marks = append(e.Marks, codeMark{"use", s.UseCode})
	}
	if s.MissCode != "" {
		e.Marks = append(e.Marks, codeMark{"miss", s.MissCode})
	}
	for _, k := range s.PutKeys {
		k.Data, k.From, k.To = clone(k.Data), moment(nanos(k.From)), moment(nanos(k.To))
		e.PutKeys = append(e.PutKeys, k)
	}
	for _, n := range s.Nonces {
		n.Data, n.Expires = clone(n.Data), moment(nanos(n.Expires))
		e.Nonces = append(e.Nonces, n)
	}
	for _, p := range s.Puts {
		e.Puts = append(e.Puts, p.copy())
	}
	return e
}

// copy returns the put with bytes of its own; an empty value stays one, nil stays nil.
func (p Put) copy() Put {
	if p.Value != nil {
		p.Value = append([]byte{}, p.Value...)
	}
	return p
}

func clone[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return append([]T(nil), s...)
}

// addMinor adds two amounts and reports whether the sum fits.
func addMinor(a, b int64) (int64, bool) {
	c := a + b
	return c, (c > a) == (b > 0)
}
