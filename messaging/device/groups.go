package device

import (
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/mls"
)

// The profile of RFC 9420 and RFC 9750 §7 that docs/protocol.md tells.
const (
	maxForward = 4096 // generations that one message may skip (§15.3)
	maxSkipped = 127  // message keys kept for skipped generations, per sender and epoch
	keepEpochs = 2    // past epochs whose messages can still be opened
	keepEpoch  = time.Hour
	lifetime   = 90 * 24 * time.Hour
	clockSkew  = time.Hour
)

// MaxPlaintext is how much one message can carry: the largest step of padding, less length headers and signature.
const MaxPlaintext = 64<<10 - 4 - 2 - ed25519.SignatureSize

// envelope is what the delivery service can see of a sealed message, too.
type envelope struct {
	chat  messaging.ChatID
	epoch uint64
	kind  mls.ContentType
}

// parseEnvelope reads the outside of a PrivateMessage (§6.3). It refuses every other MLS message: chats have no public ones.
func parseEnvelope(b []byte) (e envelope, err error) {
	m, err := mls.ParseMLSMessage(b)
	if err != nil {
		return e, err
	}
	p := m.Private
	if p == nil {
		return e, errors.New("device: want a PrivateMessage")
	}
	if len(p.GroupID) != len(e.chat) {
		return e, errors.New("device: group id: want 16 octets")
	}
	return envelope{messaging.ChatID(p.GroupID), p.Epoch, p.Type}, nil
}

// errNoGroup means that there is no group of that chat here; errEarly that a message belongs to an epoch that has not begun here.
var (
	errNoGroup = mls.ErrNoGroup
	errEarly   = errors.New("device: message of an epoch that has not begun here")
)

// newClient makes the core's client. It holds no state: groups are rows, and handles in store.groups.
func (d *Device) newClient() (err error) {
	d.mls, err = mls.NewClient(mls.Config{
		Identity: authority{}, Signers: d.signers(), Now: d.now,
		Policy: mls.Policy{
			Ratchet:    mls.RatchetLimits{JumpMax: maxForward, SkippedMax: maxSkipped},
			PastEpochs: keepEpochs, PastAge: keepEpoch, Resumptions: -1,
			LeafLifetimeMax: lifetime + clockSkew,
			Allow:           allow,
		},
	})
	return err
}

// handle is a group as it is in the store, parsed, with what the device keeps beside it.
type handle struct {
	group *mls.Group
	info  chatInfo
}

// chatInfo is what the device shows of a chat, in its row, so that a look at it needs no group. It changes with each epoch.
type chatInfo struct {
	Epoch   uint64             `cbor:"1,keyasint"`
	Suite   mls.CipherSuite    `cbor:"2,keyasint"`
	Members []messaging.Member `cbor:"3,keyasint"`
	Code    string             `cbor:"4,keyasint"`
}

// handlesMost bounds the handles kept between transactions: about 8 KiB for a chat of two, more for larger ones.
const handlesMost = 8192

// rows is the mls.Tx of one chat in a transaction. Rows of the client itself lie under the chat id of all zeros, which is none.
type rows struct {
	t    *tx
	chat messaging.ChatID
}

var _ mls.Tx = rows{}

func (r rows) key(k mls.Key) []byte {
	chat := r.chat
	if k.Row == mls.RowKeyPackage || k.Row == mls.RowPSK {
		chat = messaging.ChatID{}
	}
	return k.Append(append(make([]byte, 0, 64), chat[:]...))
}

func (r rows) Get(k mls.Key) ([]byte, error) {
	key := r.key(k)
	var b []byte
	found, err := r.t.row(`SELECT v FROM mls WHERE k = ?`, []any{key}, &b)
	if !found || err != nil {
		return nil, err
	}
	v, err := r.t.s.open("mls", key, b)
	return v, r.t.fail(err)
}

func (r rows) Put(k mls.Key, v []byte) error {
	key := r.key(k)
	return r.t.exec(`INSERT INTO mls (k, v) VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v`, key, r.t.s.seal("mls", key, v))
}

func (r rows) Delete(k mls.Key) error {
	return r.t.exec(`DELETE FROM mls WHERE k = ?`, r.key(k))
}

// group returns the chat's handle. In a transaction that writes it is the one that all such transactions share, which run one after the
// other; should this one be undone, the handle is dropped (see store.writing). In a snapshot it is one for this snapshot.
func (t *tx) group(d *Device, chat messaging.ChatID) (*handle, error) {
	if t.writes {
		t.use(chat)
		if h := t.s.groups[chat]; h != nil {
			return h, nil
		}
	}
	g, err := d.mls.Load(rows{t, chat})
	if err != nil {
		return nil, err
	}
	h := &handle{group: g}
	if h.info, err = t.chatInfo(chat); err != nil {
		return nil, err
	}
	if t.writes {
		t.s.keep(chat, h)
	}
	return h, nil
}

// use notes that this transaction used the handle of a chat.
func (t *tx) use(chat messaging.ChatID) {
	if n := len(t.used); n == 0 || t.used[n-1] != chat {
		t.used = append(t.used, chat)
	}
}

// keep puts a handle into memory, in place of any other when there are too many.
func (s *store) keep(chat messaging.ChatID, h *handle) {
	if len(s.groups) >= handlesMost {
		for other := range s.groups {
			delete(s.groups, other)
			break
		}
	}
	s.groups[chat] = h
}

// began makes g, nil for none, the chat's group from here on, and writes what is shown of it.
func (t *tx) began(chat messaging.ChatID, g *mls.Group) error {
	t.use(chat)
	delete(t.s.groups, chat)
	if g == nil {
		return t.exec(`UPDATE chat SET info = NULL WHERE id = ?`, chat[:])
	}
	members, err := membersOf(g.Members())
	if err != nil {
		return err
	}
	h := &handle{group: g, info: chatInfo{Epoch: g.Epoch(), Suite: g.Suite(), Members: members, Code: g.SafetyCode()}}
	v, err := t.sealed("chat", chat[:], h.info)
	if err != nil {
		return err
	}
	t.s.keep(chat, h)
	return t.exec(`UPDATE chat SET info = ? WHERE id = ?`, v, chat[:])
}

// chatInfo reads what is shown of a chat; errNoGroup when this device is in no group of it.
func (t *tx) chatInfo(chat messaging.ChatID) (info chatInfo, err error) {
	var v []byte
	found, err := t.row(`SELECT info FROM chat WHERE id = ?`, []any{chat[:]}, &v)
	if err != nil {
		return info, err
	}
	if !found || v == nil {
		return info, errNoGroup
	}
	return info, t.unsealed("chat", chat[:], v, &info)
}

// membersOf names the members of a group, and refuses groups that are too large.
func membersOf(all []mls.Member) ([]messaging.Member, error) {
	if len(all) > MaxMembers {
		return nil, fmt.Errorf("device: a chat has at most %d devices", MaxMembers)
	}
	members := make([]messaging.Member, 0, len(all))
	for _, m := range all {
		member, err := memberOf(m.Credential, m.SignatureKey)
		if err != nil {
			return nil, err
		}
		members = append(members, member)
	}
	return members, nil
}

// session is one chat in one transaction.
type chatSession struct {
	d    *Device
	t    *tx
	chat messaging.ChatID
}

var _ messaging.Session = chatSession{}

func (d *Device) session(t *tx, chat messaging.ChatID) chatSession { return chatSession{d, t, chat} }

// Epoch returns the chat's current epoch.
func (s chatSession) Epoch() (uint64, error) {
	h, err := s.t.group(s.d, s.chat)
	if err != nil {
		return 0, err
	}
	return h.info.Epoch, nil
}

// Seal implements messaging.Session.
func (s chatSession) Seal(plaintext, aad []byte) ([]byte, error) {
	h, err := s.t.group(s.d, s.chat)
	if err != nil {
		return nil, err
	}
	if len(plaintext) > MaxPlaintext {
		return nil, fmt.Errorf("device: plaintext of %d octets, limit %d", len(plaintext), MaxPlaintext)
	}
	return h.group.Seal(rows{s.t, s.chat}, plaintext, aad)
}

// Open implements messaging.Session. A message that fails in any way changes nothing.
func (s chatSession) Open(envelope []byte) (o messaging.Opened, err error) {
	h, err := s.t.group(s.d, s.chat)
	if err != nil {
		return o, err
	}
	ev, err := h.group.Process(rows{s.t, s.chat}, envelope)
	if err != nil {
		return o, seen(err)
	}
	a, ok := ev.(*mls.Application)
	if !ok {
		return o, errors.New("device: want an application message")
	}
	if o.Sender, err = memberOf(a.Member.Credential, a.Member.SignatureKey); err != nil {
		return o, err
	}
	o.Epoch, o.Plaintext, o.AAD = a.Epoch, a.Data, a.AuthenticatedData
	return o, nil
}

// seen turns an error of the core into one that the device acts upon.
func seen(err error) error {
	var early *mls.EarlyError
	switch {
	case errors.As(err, &early):
		return errEarly
	case errors.Is(err, mls.ErrConsumed):
		return fmt.Errorf("%w: %w", messaging.ErrReplay, err)
	}
	return err
}

// Members implements messaging.Session.
func (s chatSession) Members() ([]messaging.Member, error) {
	h, err := s.t.group(s.d, s.chat)
	if err != nil {
		return nil, err
	}
	return h.info.Members, nil
}

// Binding implements messaging.Session (RFC 9420 §8.5). The exporter's label is ours, so that no other use can get the same value; the
// caller's label is its context.
func (s chatSession) Binding(label string) (messaging.Binding, error) {
	b := messaging.Binding{Chat: s.chat}
	h, err := s.t.group(s.d, s.chat)
	if err != nil {
		return b, err
	}
	secret, err := h.group.Export("parley binding 1", []byte(label), len(b.Secret))
	if err != nil {
		return b, err
	}
	b.Epoch, b.Secret = h.group.Epoch(), [32]byte(secret)
	return b, nil
}

// SafetyCode implements messaging.Session (§8.7).
func (s chatSession) SafetyCode() (string, error) {
	h, err := s.t.group(s.d, s.chat)
	if err != nil {
		return "", err
	}
	return h.info.Code, nil
}

// signers are the device's signature keys: one, for all suites and for the relay.
func (d *Device) signers() []crypto.Signer { return []crypto.Signer{d.key} }
