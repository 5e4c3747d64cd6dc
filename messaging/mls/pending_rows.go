package mls

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
)

// PendingCommit is an own commit that waits for the delivery service's decision (RFC 9420 §14). It has changed nothing: it is
// confirmed when the service says that it begins the epoch, and discarded, by itself, when another one is merged. It is in the
// store, with the Welcome and the state it leads to, and outlives a restart.
type PendingCommit struct {
	message   []byte
	welcome   []byte // nil if nobody is added
	groupInfo []byte // nil if not asked for
	added     []LeafIndex
	removed   []LeafIndex
	external  bool
	digest    digest
	next      *groupState // with the encryption secret
}

// Message returns the commit as MLSMessage, to be sent when the transaction is durable.
func (p *PendingCommit) Message() []byte { return p.message }

// Welcome returns the Welcome for all added members as MLSMessage, or nil. It is to be released only when the commit has been
// accepted (RFC 9420 §12.4.3).
func (p *PendingCommit) Welcome() []byte { return p.welcome }

// GroupInfo returns the GroupInfo of the epoch that the commit begins as MLSMessage, or nil if it was not asked for.
func (p *PendingCommit) GroupInfo() []byte { return p.groupInfo }

// Epoch returns the epoch that the commit begins.
func (p *PendingCommit) Epoch() uint64 { return p.next.context.Epoch }

// GroupID returns the group's id.
func (p *PendingCommit) GroupID() []byte { return p.next.context.GroupID }

// Added returns the members that the commit adds by Add proposals, as they will be.
func (p *PendingCommit) Added() []Member { return p.next.tree.membersAt(p.added) }

// Removed returns the leaves that the commit removes.
func (p *PendingCommit) Removed() []LeafIndex { return p.removed }

// Members returns the members of the group after the commit.
func (p *PendingCommit) Members() []Member { return p.next.tree.allMembers() }

// External reports whether the commit is one by which the client joins.
func (p *PendingCommit) External() bool { return p.external }

// Matches reports whether message is this commit: the delivery service has accepted it, and it may be confirmed.
func (p *PendingCommit) Matches(message []byte) bool { return p.digest == sha256.Sum256(message) }

func (p *PendingCommit) wipe() {
	p.next.secrets.wipe()
}

// pendingVersion is that of RowPending.
const pendingVersion = 1

// store writes RowPending: digest, flag, epoch, message, Welcome, GroupInfo, leaves, and the next epoch: its public part, secrets and the secret
// its secret tree will begin with.
func (p *PendingCommit) store(tx Tx) error {
	p.digest = sha256.Sum256(p.message)
	epoch, err := p.next.encodeEpoch()
	if err != nil {
		return err
	}
	secrets, err := p.next.encodeSecrets()
	if err != nil {
		return err
	}
	defer wipe(secrets)
	e := encoder{buf: make([]byte, 0, len(epoch)+len(secrets)+len(p.message)+len(p.welcome)+len(p.groupInfo)+256)}
	e.u8(pendingVersion)
	e.raw(p.digest[:])
	e.present(p.external)
	e.u64(p.Epoch())
	e.opaque(p.message)
	e.opaque(p.welcome)
	e.opaque(p.groupInfo)
	for _, list := range [][]LeafIndex{p.added, p.removed} {
		encodeVector(&e, list, func(e *encoder, l *LeafIndex) { e.u32(uint32(*l)) })
	}
	e.opaque(epoch)
	e.opaque(secrets)
	e.opaque(p.next.secrets.encryption)
	defer wipe(e.buf)
	if e.err != nil {
		return e.err
	}
	return tx.Put(Key{Row: RowPending}, e.buf)
}

// pendingHeader is version, digest, flag and epoch.
const pendingHeader = 1 + sha256.Size + 1 + 8

// loadWaiting returns which own commit waits, without reading the state it leads to.
func loadWaiting(tx Tx) (w waiting, err error) {
	row, err := tx.Get(Key{Row: RowPending})
	if err != nil || row == nil {
		return w, err
	}
	defer wipe(row)
	if len(row) < pendingHeader || row[0] != pendingVersion {
		return w, errors.New("mls: malformed pending commit row")
	}
	w.digest = digest(row[1 : 1+sha256.Size])
	w.external = row[1+sha256.Size] == 1
	w.epoch = binary.BigEndian.Uint64(row[pendingHeader-8:])
	return w, nil
}

func (p *PendingCommit) waiting() waiting { return waiting{p.digest, p.Epoch(), p.external} }

// loadPending reads RowPending, or returns nil if nothing waits.
func loadPending(tx Tx) (*PendingCommit, error) {
	row, err := tx.Get(Key{Row: RowPending})
	if err != nil || row == nil {
		return nil, err
	}
	return decodePending(row)
}

func decodePending(row []byte) (*PendingCommit, error) {
	d := newDecoder("pending commit row", row)
	if v := d.u8(); v != pendingVersion {
		d.unsupported("row version", uint16(v))
	}
	p := new(PendingCommit)
	copy(p.digest[:], d.take(len(p.digest)))
	p.external = d.present()
	begins := d.u64()
	p.message, p.welcome, p.groupInfo = d.opaque(), orNil(d.opaque()), orNil(d.opaque())
	for _, list := range []*[]LeafIndex{&p.added, &p.removed} {
		*list = decodeVector(d, maxLeaves, func(d *decoder, l *LeafIndex) { *l = LeafIndex(d.u32()) })
	}
	epoch, secrets, encryption := d.opaque(), d.opaque(), d.opaque()
	if err := d.finish(); err != nil {
		return nil, err
	}
	next, own, err := decodeEpoch(epoch)
	if err != nil {
		return nil, err
	}
	if err := next.decodeSecrets(secrets, own); err != nil {
		return nil, err
	}
	if len(encryption) != next.suite.nh || next.context.Epoch != begins {
		return nil, errors.New("mls: malformed pending commit row: epoch or encryption secret")
	}
	next.secrets.encryption = slices.Clone(encryption)
	clear(encryption)
	p.next = next
	return p, nil
}

func orNil(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}
