package mailbox

import (
	"time"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/wire"
)

// Event is one of the structs below that say so.
type Event interface{ event() }

// Effect is one of the structs below that say so.
type Effect interface{ effect() }

// Connected is the event that a device has authenticated.
type Connected struct {
	Conn   ConnID
	Device messaging.DeviceID
}

// Gone is the event that a connection has ended, for whatever reason.
type Gone struct{ Conn ConnID }

// Submit is the event that a device sent a message. The caller has decoded the frame and knows all recipients.
type Submit struct {
	Conn   ConnID
	Sender messaging.DeviceID
	Frame  *wire.Send
}

// Commit is the event that a device sent a commit.
type Commit struct {
	Conn   ConnID
	Sender messaging.DeviceID
	Frame  *wire.Commit
}

// Verdict is what came of a Store or Append.
type Verdict uint8

const (
	Unavailable Verdict = iota // it may or may not be stored
	OK                         // stored as the class promises
	Conflict                   // another commit came first; nothing was stored
	Full                       // no room; nothing was stored
)

// Stored is the event that a Store or Append has ended.
type Stored struct {
	Token   uint64
	Verdict Verdict
	Head    uint64 // of an Append that is OK: the new head; that is a Conflict: the current one
}

// Remember is the event, at start, that a message was found in the store, so that a repetition of it is known.
type Remember struct {
	Key   Key
	Class wire.Class
	Head  uint64
}

// Sync is the event that a device asked for delivery.
type Sync struct {
	Conn  ConnID
	Frame *wire.Sync
	Run   uint64 // the highest that an earlier one carried
}

// Tail is the event that the store's live tail told of a new entry. It comes in order within a class, but any may be missing.
type Tail struct {
	Class  wire.Class
	Device messaging.DeviceID
	Prev   uint64 // sequence of the mailbox's entry before, 0 if there is none
	Entry  Entry
}

// TailLost is the event that the live tail may have lost entries of any mailbox.
type TailLost struct{ Class wire.Class }

// Fetched is the event that a Fetch has ended.
type Fetched struct {
	Conn    ConnID
	Class   wire.Class
	Entries []Entry // in order, all beyond Fetch.After
	More    bool    // the mailbox holds entries beyond these, or might
}

// Written is the event that entries handed over by Deliver went to the socket.
type Written struct {
	Conn           ConnID
	Frames, Octets int
}

// Ack is the event that a device has stored what it was given.
type Ack struct {
	Conn  ConnID
	Frame *wire.Ack
}

// Store is the effect to put the entry into the mailboxes of all of To, or of none, and to report Stored.
type Store struct {
	Token uint64
	Class wire.Class
	Entry Entry
	To    []messaging.DeviceID
	TTL   time.Duration
}

// Append is the effect to append a commit to the handshake log of its chat if Prev is still the head, to put it and the welcome into the
// mailboxes in the same step, and to report Stored.
type Append struct {
	Token uint64
	Entry Entry // Kind commit; Head is set by the store
	Frame *wire.Commit
	TTL   time.Duration
}

// Reply is the effect to send a frame.
type Reply struct {
	Conn  ConnID
	Frame wire.Frame
}

// Deliver is the effect to send an entry and to report Written when it went to the socket.
type Deliver struct {
	Conn        ConnID
	Class       wire.Class
	Incarnation uint64
	Entry       Entry
}

// Fetch is the effect to read the mailbox from the entry after After on, at most MaxEntries and about MaxOctets, and to report Fetched.
type Fetch struct {
	Conn       ConnID
	Class      wire.Class
	Device     messaging.DeviceID
	After      uint64
	MaxEntries int
	MaxOctets  int
}

// Purge is the effect to delete the entries of a mailbox up to and including UpTo. It may be put off, and done once for several.
type Purge struct {
	Class  wire.Class
	Device messaging.DeviceID
	UpTo   uint64
}

// Close is the effect to send the failure and to close the connection; Gone has happened.
type Close struct {
	Conn ConnID
	Code wire.Code
	Text string
}

func (Connected) event() {}
func (Gone) event()      {}
func (Submit) event()    {}
func (Commit) event()    {}
func (Stored) event()    {}
func (Remember) event()  {}
func (Sync) event()      {}
func (Tail) event()      {}
func (TailLost) event()  {}
func (Fetched) event()   {}
func (Written) event()   {}
func (Ack) event()       {}

func (Store) effect()   {}
func (Append) effect()  {}
func (Reply) effect()   {}
func (Deliver) effect() {}
func (Fetch) effect()   {}
func (Purge) effect()   {}
func (Close) effect()   {}
