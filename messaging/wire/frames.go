package wire

import (
	"github.com/parleypay/parley/messaging"
)

// Frame is one of the structs of this file, by pointer.
type Frame interface {
	Type() Type
	check() error
}

// Type is the number of a frame, its second element.
type Type uint8

// The frames. D → R is sent by the device, R → D by the relay.
const (
	TypeHello              Type = 1  // D → R, first
	TypeChallenge          Type = 2  // R → D, answers Hello
	TypeAuth               Type = 3  // D → R, answers Challenge
	TypeRegister           Type = 4  // D → R, answers Challenge instead of Auth
	TypeReady              Type = 5  // R → D, answers Auth and Register
	TypePublishKeyPackages Type = 6  // D → R
	TypeClaimKeyPackage    Type = 7  // D → R
	TypeKeyPackage         Type = 8  // R → D, answers ClaimKeyPackage
	TypeCountKeyPackages   Type = 9  // D → R
	TypeKeyPackageCount    Type = 10 // R → D, answers PublishKeyPackages and CountKeyPackages
	TypeSend               Type = 11 // D → R
	TypeCommit             Type = 12 // D → R
	TypeAccepted           Type = 13 // R → D, answers Send and Commit
	TypeConflict           Type = 14 // R → D, answers Commit
	TypeSync               Type = 15 // D → R, once
	TypeReset              Type = 16 // R → D, after Sync and before the first Deliver
	TypeDeliver            Type = 17 // R → D
	TypeSynced             Type = 18 // R → D
	TypeAck                Type = 19 // D → R, not answered
	TypePing               Type = 20 // either way
	TypePong               Type = 21 // answers Ping
	TypeError              Type = 22 // R → D
)

var typeNames = [...]string{"", "hello", "challenge", "auth", "register", "ready", "publish key packages", "claim key package", "key package",
	"count key packages", "key package count", "send", "commit", "accepted", "conflict", "sync", "reset", "deliver", "synced", "ack", "ping", "pong", "error"}

func (t Type) String() string {
	if t == 0 || int(t) >= len(typeNames) {
		return "unknown frame"
	}
	return typeNames[t]
}

func newFrame(t Type) Frame {
	switch t {
	case TypeHello:
		return new(Hello)
	case TypeChallenge:
		return new(Challenge)
	case TypeAuth:
		return new(Auth)
	case TypeRegister:
		return new(Register)
	case TypeReady:
		return new(Ready)
	case TypePublishKeyPackages:
		return new(PublishKeyPackages)
	case TypeClaimKeyPackage:
		return new(ClaimKeyPackage)
	case TypeKeyPackage:
		return new(KeyPackage)
	case TypeCountKeyPackages:
		return new(CountKeyPackages)
	case TypeKeyPackageCount:
		return new(KeyPackageCount)
	case TypeSend:
		return new(Send)
	case TypeCommit:
		return new(Commit)
	case TypeAccepted:
		return new(Accepted)
	case TypeConflict:
		return new(Conflict)
	case TypeSync:
		return new(Sync)
	case TypeReset:
		return new(Reset)
	case TypeDeliver:
		return new(Deliver)
	case TypeSynced:
		return new(Synced)
	case TypeAck:
		return new(Ack)
	case TypePing:
		return new(Ping)
	case TypePong:
		return new(Pong)
	case TypeError:
		return new(Failure)
	}
	return nil
}

// Hello opens the conversation with the versions of this protocol that the device speaks.
type Hello struct {
	Versions []uint `cbor:"1,keyasint,omitempty"`
}

// Challenge answers Hello with the version chosen and what the device must sign (see AuthTranscript).
type Challenge struct {
	Version      uint     `cbor:"1,keyasint,omitempty"`
	Relay        RelayID  `cbor:"2,keyasint"`
	Nonce        [32]byte `cbor:"3,keyasint"`
	Jurisdiction string   `cbor:"4,keyasint,omitempty"` // where this relay keeps what it stores, such as "eu"
}

// Auth proves that the sender holds the key of a registered device: Signature is Ed25519 over AuthTranscript.
type Auth struct {
	Device    messaging.DeviceID `cbor:"1,keyasint"`
	Signature [64]byte           `cbor:"2,keyasint"`
}

// Register makes the device with this Ed25519 public key known to the relay, for good, and opens the conversation like Auth. It
// may be repeated. Signature is Ed25519 over RegisterTranscript.
type Register struct {
	Key          [32]byte `cbor:"1,keyasint"`
	Token        string   `cbor:"2,keyasint,omitempty"` // what the operator gave out, if the relay asks for one
	Jurisdiction string   `cbor:"3,keyasint,omitempty"` // as in Challenge; any other is refused
	Signature    [64]byte `cbor:"4,keyasint"`
}

// Ready says that the device is authenticated, and what the relay allows.
type Ready struct {
	MaxTTL      uint32  `cbor:"1,keyasint,omitempty"` // seconds; the longest life of a durable message, and what TTL 0 means
	MaxMemTTL   uint32  `cbor:"2,keyasint,omitempty"` // seconds; the same for the memory class
	PingEvery   uint32  `cbor:"3,keyasint,omitempty"` // seconds; the relay pings this often and expects an answer before the next but one
	KeyPackages []Stock `cbor:"4,keyasint,omitempty"` // of this device
}

// Stock tells how many key packages of one cipher suite a device has at the relay.
type Stock struct {
	Suite      uint16 `cbor:"1,keyasint,omitempty"` // MLS cipher suite (RFC 9420 §17.1), never 0
	Count      uint32 `cbor:"2,keyasint,omitempty"` // without the last resort one
	LastResort bool   `cbor:"3,keyasint,omitempty"` // there is one
}

// PublishKeyPackages adds key packages of one cipher suite, each to be given out once. LastResort replaces the one that is given out,
// again and again, while no other of the suite is left. The relay does not look into them: the suite is as the device says. The answer
// is KeyPackageCount.
type PublishKeyPackages struct {
	Req        uint64   `cbor:"1,keyasint,omitempty"` // not 0; the answer carries it as Re. So in all requests
	Packages   [][]byte `cbor:"2,keyasint,omitempty"`
	LastResort []byte   `cbor:"3,keyasint,omitempty"`
	Suite      uint16   `cbor:"4,keyasint,omitempty"` // never 0
}

// ClaimKeyPackage asks for one key package of a device, of the first of the suites that it has any of, the last resort one included. The
// answer is KeyPackage, or Failure with CodeNoKeyPackage or CodeNoSuite.
type ClaimKeyPackage struct {
	Req    uint64             `cbor:"1,keyasint,omitempty"`
	Device messaging.DeviceID `cbor:"2,keyasint"`
	Suites []uint16           `cbor:"3,keyasint,omitempty"` // MLS cipher suites in the order of preference, at least one, none twice
}

// KeyPackage hands out a key package, which no other claim has got or will get unless it is the last resort one.
type KeyPackage struct {
	Re         uint64             `cbor:"1,keyasint,omitempty"`
	Device     messaging.DeviceID `cbor:"2,keyasint"`
	Package    []byte             `cbor:"3,keyasint,omitempty"`
	LastResort bool               `cbor:"4,keyasint,omitempty"`
	Suite      uint16             `cbor:"5,keyasint,omitempty"` // one of those asked for
}

// CountKeyPackages asks how many key packages of this device are left.
type CountKeyPackages struct {
	Req uint64 `cbor:"1,keyasint,omitempty"`
}

// KeyPackageCount tells how many key packages are left, by suite in ascending order.
type KeyPackageCount struct {
	Re    uint64  `cbor:"1,keyasint,omitempty"`
	Stock []Stock `cbor:"2,keyasint,omitempty"`
}

// Class says what an ack of the relay means for a message.
type Class uint8

const (
	Durable Class = 1 // accepted means: on disk, fsynced
	Memory  Class = 2 // accepted means: in memory. A restart of the relay loses it. Never for anything about a payment
)

func (c Class) String() string {
	switch c {
	case Durable:
		return "durable"
	case Memory:
		return "memory"
	}
	return "unknown class"
}

// Send puts Body into the mailboxes of all of To, or of none. The answer is Accepted or Failure; without an answer the device
// sends the same frame again, after a reconnect too: the relay stores one (sender, ID) once.
type Send struct {
	Req   uint64               `cbor:"1,keyasint,omitempty"`
	ID    [16]byte             `cbor:"2,keyasint"` // random, of the sender's choice, one per message
	To    []messaging.DeviceID `cbor:"3,keyasint,omitempty"`
	TTL   uint32               `cbor:"4,keyasint,omitempty"` // seconds; 0 is the longest of the class
	Class Class                `cbor:"5,keyasint,omitempty"`
	Body  []byte               `cbor:"6,keyasint,omitempty"`
}

// Commit appends an MLS commit to the chat's handshake log, if Prev is still its head, and in the same step puts it into the
// mailboxes of To and the welcome into those of WelcomeTo. The answer is Accepted with the new head, Conflict or Failure. Like Send it
// may be repeated with the same ID until it is answered.
type Commit struct {
	Req       uint64               `cbor:"1,keyasint,omitempty"`
	ID        [16]byte             `cbor:"2,keyasint"`
	Group     messaging.ChatID     `cbor:"3,keyasint"`
	Prev      uint64               `cbor:"4,keyasint,omitempty"` // head that the commit builds on; 0 for the first one of a chat
	Body      []byte               `cbor:"5,keyasint,omitempty"` // the commit
	To        []messaging.DeviceID `cbor:"6,keyasint,omitempty"`
	WelcomeTo []messaging.DeviceID `cbor:"7,keyasint,omitempty"`
	Welcome   []byte               `cbor:"8,keyasint,omitempty"`
}

// Accepted says that the message or commit is stored as its class promises.
type Accepted struct {
	Re    uint64   `cbor:"1,keyasint,omitempty"`
	ID    [16]byte `cbor:"2,keyasint"`
	Class Class    `cbor:"3,keyasint,omitempty"`
	Head  uint64   `cbor:"4,keyasint,omitempty"` // of a commit: its number in the chat's handshake log, counted from 1
}

// Conflict says that another commit came first: nothing was stored or delivered. Head is the current head.
type Conflict struct {
	Re   uint64   `cbor:"1,keyasint,omitempty"`
	ID   [16]byte `cbor:"2,keyasint"`
	Head uint64   `cbor:"3,keyasint,omitempty"`
}

// Cursor is a place in a mailbox. Sequences grow within one incarnation of the relay's store and mean nothing across two.
type Cursor struct {
	Incarnation uint64 `cbor:"1,keyasint,omitempty"`
	Seq         uint64 `cbor:"2,keyasint,omitempty"`
}

// Sync starts delivery after the cursors: the device has everything up to and including them. A zero cursor means from the start. Run
// counts the device's connections: it grows from one Sync to the next, and is on the device's disk before it is sent.
type Sync struct {
	Req     uint64 `cbor:"1,keyasint,omitempty"`
	Durable Cursor `cbor:"2,keyasint"`
	Memory  Cursor `cbor:"3,keyasint"`
	Run     uint64 `cbor:"4,keyasint,omitempty"` // 0: not counted
}

// Reset says that the cursor given for the class is of another incarnation, and that delivery starts anew: the store was replaced. For
// the durable class the device then sends again whatever it has no end-to-end receipt for. The memory class has a new
// incarnation at each start of the relay.
type Reset struct {
	Class       Class  `cbor:"1,keyasint,omitempty"`
	Incarnation uint64 `cbor:"2,keyasint,omitempty"`
}

// Kind says what a delivered body is.
type Kind uint8

const (
	KindMessage Kind = 1 // the Body of a Send
	KindWelcome Kind = 2 // the Welcome of a Commit
	KindCommit  Kind = 3 // the Body of a Commit
)

func (k Kind) String() string {
	switch k {
	case KindMessage:
		return "message"
	case KindWelcome:
		return "welcome"
	case KindCommit:
		return "commit"
	}
	return "unknown kind"
}

// Deliver hands over one entry of the mailbox, in the order of Cursor.Seq within a class. Times are the relay's, in Unix milliseconds.
type Deliver struct {
	Class   Class            `cbor:"1,keyasint,omitempty"`
	Cursor  Cursor           `cbor:"2,keyasint"`
	Kind    Kind             `cbor:"3,keyasint,omitempty"`
	ID      [16]byte         `cbor:"4,keyasint"` // DeliveryID of sender and ID; the same for each copy of one message, so that it can be told twice
	At      int64            `cbor:"5,keyasint,omitempty"`
	Expires int64            `cbor:"6,keyasint,omitempty"`
	Body    []byte           `cbor:"7,keyasint,omitempty"`
	Group   messaging.ChatID `cbor:"8,keyasint"`           // zero for KindMessage
	Head    uint64           `cbor:"9,keyasint,omitempty"` // of welcome and commit: the head that the commit made
}

// Synced says that everything that was in the mailbox when Sync came has been delivered. What follows is live. Run is the highest that
// an earlier Sync of the device carried. When it is not below the one just given, the device's store is an older copy of itself.
type Synced struct {
	Re      uint64 `cbor:"1,keyasint,omitempty"`
	Durable Cursor `cbor:"2,keyasint"`
	Memory  Cursor `cbor:"3,keyasint"`
	Run     uint64 `cbor:"4,keyasint,omitempty"` // 0: there was none, or the relay has forgotten
}

// Ack says that the device has stored everything of the class up to the cursor; the relay deletes it. It is not answered.
type Ack struct {
	Class  Class  `cbor:"1,keyasint,omitempty"`
	Cursor Cursor `cbor:"2,keyasint"`
}

// Ping asks for a Pong with the same nonce. It is for peers that cannot send the pings of WebSocket, such as browsers.
type Ping struct {
	Nonce uint64 `cbor:"1,keyasint,omitempty"`
}

// Pong answers Ping.
type Pong struct {
	Nonce uint64 `cbor:"1,keyasint,omitempty"`
}

// Failure is the error frame: the request Re was refused and changed nothing, except under CodeUnavailable, after which it may have. With
// Re 0 it is about the connection. Fatal says that the relay closes the connection after it.
type Failure struct {
	Re    uint64 `cbor:"1,keyasint,omitempty"`
	Code  Code   `cbor:"2,keyasint,omitempty"`
	Text  string `cbor:"3,keyasint,omitempty"` // for people, in English; never to be matched on
	Fatal bool   `cbor:"4,keyasint,omitempty"`
}

func (f *Failure) Error() string { return "relay: " + f.Code.String() + ": " + f.Text }

// Code says what was wrong.
type Code uint8

const (
	CodeBadFrame       Code = 1  // not a frame of this protocol
	CodeVersion        Code = 2  // no common version
	CodeOrder          Code = 3  // the frame is not allowed now, such as Send before Auth
	CodeAuth           Code = 4  // wrong signature or unknown device, which are not told apart; register first
	CodeToken          Code = 5  // registration needs a token that the relay knows
	CodeJurisdiction   Code = 6  // the relay does not serve that jurisdiction
	CodeRate           Code = 7  // too many requests: wait and repeat
	CodeUnknownDevice  Code = 8  // a recipient is not registered here; nothing was stored for any
	CodeTTL            Code = 9  // the life asked for is longer than the class allows
	CodeFull           Code = 10 // the store or the mailbox is full: nothing was dropped to make room
	CodeNoKeyPackage   Code = 11 // the device has none left
	CodeUnavailable    Code = 12 // the relay could not finish and does not know whether it stored: repeat with the same ID
	CodeDraining       Code = 13 // the relay is stopping: reconnect
	CodeReplaced       Code = 14 // the device connected again; this connection ends
	CodeStaleCursor    Code = 15 // an Ack for another incarnation, or beyond what was delivered
	CodeTooManyPackage Code = 16 // the device has as many key packages in store, or of as many suites, as the relay keeps
	CodeNoSuite        Code = 17 // the device has key packages, but none of a suite that was asked for
)

var codeNames = [...]string{"", "bad frame", "version", "order", "auth", "token", "jurisdiction", "rate", "unknown device", "ttl", "full",
	"no key package", "unavailable", "draining", "replaced", "stale cursor", "too many key packages", "no suite"}

func (c Code) String() string {
	if c == 0 || int(c) >= len(codeNames) {
		return "unknown code"
	}
	return codeNames[c]
}
