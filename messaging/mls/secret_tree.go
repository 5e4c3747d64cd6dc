package mls

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
)

// Ratchet names one of the two ratchets that each sender has in an epoch (RFC 9420 §9).
type Ratchet uint8

const (
	RatchetHandshake   Ratchet = 1 // proposals and commits
	RatchetApplication Ratchet = 2
)

// Errors of a generation that cannot be used. Neither changes any state.
var (
	// ErrConsumed: the generation's key was used, or is no longer kept. A replayed message ends here.
	ErrConsumed = errors.New("mls: the message's generation was used before or its key is no longer kept")
	// ErrTooFarAhead: the generation lies more than RatchetLimits.JumpMax ahead of the sender's last one.
	ErrTooFarAhead = errors.New("mls: the message's generation is too far ahead")
	// ErrEpochGone: no key of that epoch is kept, or never was.
	ErrEpochGone = errors.New("mls: no secrets are kept for that epoch")
)

// RatchetLimits bound what a sender can make a receiver compute and keep (RFC 9420 §15.3).
type RatchetLimits struct {
	// JumpMax is how many generations one message may jump over. Zero means 1,000.
	JumpMax uint32
	// SkippedMax is how many keys of jumped-over generations are kept per sender and ratchet, the newest first. Zero means 64, the
	// largest is 127, and a negative number keeps none.
	SkippedMax int
	// SkippedSeconds is how long such a key is kept after the jump. Zero means 14 days.
	SkippedSeconds int64
}

// windowGenerations is how far behind the head a skipped key can lie.
const windowGenerations = 128

func (l RatchetLimits) withDefaults() RatchetLimits {
	if l.JumpMax == 0 {
		l.JumpMax = 1000
	}
	if l.SkippedMax == 0 {
		l.SkippedMax = 64
	}
	l.SkippedMax = min(max(l.SkippedMax, 0), windowGenerations-1) // bit 0 is the generation just used
	if l.SkippedSeconds <= 0 {
		l.SkippedSeconds = 14 * 24 * 3600
	}
	return l
}

// secretTree derives message keys of one epoch out of rows (RFC 9420 §9). It holds no secret itself: what has been consumed is
// gone when the transaction is durable.
type secretTree struct {
	suite  *suite
	epoch  uint64
	depth  uint8 // the tree has 2^depth leaves
	limits RatchetLimits
}

// depthMax bounds the tree: leaf indexes are uint32 and node indexes must be, too.
const depthMax = 31

// newSecretTree writes the root of the epoch's secret tree and wipes encryptionSecret. leaves is the size of the ratchet tree, a
// power of two.
func (t *secretTree) create(tx Tx, encryptionSecret []byte) error {
	row := make([]byte, 1, 1+hashMax)
	row[0] = rowVersion
	row = append(row, encryptionSecret...)
	err := tx.Put(t.nodeKey(0, t.depth), row)
	wipe(row, encryptionSecret)
	return err
}

// rowVersion starts every row.
const rowVersion = 1

// nodeKey names the row of the node at a level (0 for leaves) that is above leaf.
func (t *secretTree) nodeKey(leaf uint32, level uint8) Key {
	return Key{Row: RowNode, Epoch: t.epoch, Index: leaf>>level<<level<<1 + (1<<level - 1)}
}

func (t *secretTree) headKey(leaf uint32, r Ratchet) Key {
	return Key{Row: RowHead, Epoch: t.epoch, Index: leaf, Ratchet: r}
}

func (t *secretTree) skippedKey(leaf uint32, r Ratchet, generation uint32) Key {
	return Key{Row: RowSkipped, Epoch: t.epoch, Index: leaf, Ratchet: r, Generation: generation}
}

// ratchetHead is a sender's ratchet: the next generation with its secret, and which of the generations before it have a
// RowSkipped: bit i of the window stands for generation next-1-i.
type ratchetHead struct {
	next   uint32
	window [2]uint64 // window[0] holds bits 0 to 63
	secret [hashMax]byte
}

// headRowMax is the size of the largest ratchet head, for KDF.Nh = 64: version, generation, window, secret.
const headRowMax = 1 + 4 + windowGenerations/8 + hashMax

func (h *ratchetHead) append(b []byte, nh int) []byte {
	b = append(b, rowVersion)
	b = binary.BigEndian.AppendUint32(b, h.next)
	b = binary.BigEndian.AppendUint64(b, h.window[1])
	b = binary.BigEndian.AppendUint64(b, h.window[0])
	return append(b, h.secret[:nh]...)
}

func (h *ratchetHead) decode(b []byte, nh int) error {
	if len(b) != headRowMax-hashMax+nh || b[0] != rowVersion {
		return errors.New("mls: malformed ratchet head row")
	}
	h.next = binary.BigEndian.Uint32(b[1:])
	h.window[1] = binary.BigEndian.Uint64(b[5:])
	h.window[0] = binary.BigEndian.Uint64(b[13:])
	for i := h.next; i < windowGenerations; i++ {
		if h.has(i) {
			return errors.New("mls: malformed ratchet head row: a generation before 0")
		}
	}
	copy(h.secret[:], b[21:])
	return nil
}

func (h *ratchetHead) has(i uint32) bool { return h.window[i/64]>>(i%64)&1 == 1 }
func (h *ratchetHead) set(i uint32)      { h.window[i/64] |= 1 << (i % 64) }
func (h *ratchetHead) unset(i uint32)    { h.window[i/64] &^= 1 << (i % 64) }

// shift moves the window on by n generations and drops what falls out.
func (h *ratchetHead) shift(n uint32) {
	switch {
	case n >= 128:
		h.window = [2]uint64{}
	case n >= 64:
		h.window = [2]uint64{0, h.window[0] << (n - 64)}
	default:
		h.window = [2]uint64{h.window[0] << n, h.window[1]<<n | h.window[0]>>(64-n)}
	}
}

// messageKey is the key and nonce of one generation. It is used for one message and wiped.
type messageKey struct {
	generation uint32
	key        [32]byte // AEAD.Nk bytes of it
	nonce      [12]byte // AEAD.Nn bytes of it
	guard      [4]byte  // reuse_guard, which changes the nonce (RFC 9420 §6.3.1); zero until it is known
}

// ratchetStep is the use of one generation, computed but not yet stored: a message that turns out wrong is discarded and moves
// nothing; otherwise commit writes the new head and deletes what was consumed.
type ratchetStep struct {
	messageKey
	tree    *secretTree
	leaf    uint32
	ratchet Ratchet
	head    ratchetHead
	fresh   *freshLeaf   // set at the first use of a leaf in the epoch
	late    bool         // the key comes from RowSkipped, which commit deletes
	skipped []messageKey // keys of generations jumped over
	evicted []uint32     // generations whose skipped keys are given up
	row     [headRowMax]byte
}

// freshLeaf is what the first message of a sender takes from the secret tree: a node that is split into its children down to the
// leaf, and the sender's other ratchet.
type freshLeaf struct {
	consumed Key
	siblings []Key
	secrets  []byte // of the siblings, Nh bytes each
	other    ratchetHead
}

// wipe forgets the step. It is called on every path, after commit too.
func (s *ratchetStep) wipe() {
	clear(s.key[:])
	clear(s.nonce[:])
	clear(s.row[:])
	clear(s.head.secret[:])
	clear(s.skipped[:cap(s.skipped)])
	if s.fresh != nil {
		wipe(s.fresh.secrets)
		clear(s.fresh.other.secret[:])
	}
}

// send stages the next generation of the own ratchet in s.
func (t *secretTree) send(tx Tx, s *ratchetStep, leaf uint32, r Ratchet) error {
	if err := t.load(tx, s, leaf, r); err != nil {
		return err
	}
	return t.advance(s, s.head.next)
}

// receive stages a generation of a sender's ratchet in s. now is in seconds; an expired key is refused.
func (t *secretTree) receive(tx Tx, s *ratchetStep, leaf uint32, r Ratchet, generation uint32, now int64) error {
	if err := t.load(tx, s, leaf, r); err != nil {
		return err
	}
	if generation >= s.head.next {
		if ahead := generation - s.head.next; ahead > t.limits.JumpMax {
			return fmt.Errorf("%w: %d generations, at most %d", ErrTooFarAhead, ahead, t.limits.JumpMax)
		}
		return t.advance(s, generation)
	}
	behind := s.head.next - 1 - generation
	if behind >= windowGenerations || !s.head.has(behind) {
		return ErrConsumed
	}
	row, err := tx.Get(t.skippedKey(leaf, r, generation))
	if err != nil {
		return err
	}
	if row == nil {
		return ErrConsumed
	}
	defer wipe(row)
	if len(row) != skippedRowHeader+t.suite.nk+t.suite.nn || row[0] != rowVersion {
		return errors.New("mls: malformed skipped key row")
	}
	if now > int64(binary.BigEndian.Uint64(row[1:])) {
		return ErrConsumed
	}
	s.generation, s.late = generation, true
	copy(s.key[:], row[skippedRowHeader:][:t.suite.nk])
	copy(s.nonce[:], row[skippedRowHeader+t.suite.nk:])
	s.head.unset(behind)
	return nil
}

// skippedRowHeader is version and expiry (seconds, 8 bytes), before key and nonce.
const skippedRowHeader = 1 + 8

// advance moves s.head to the generation after the wanted one and stages the keys in between.
func (t *secretTree) advance(s *ratchetStep, generation uint32) error {
	if generation == math.MaxUint32 {
		return errors.New("mls: the sender's ratchet is exhausted: the group needs a commit")
	}
	nh := t.suite.nh
	first := s.head.next
	jump := generation - first
	keep := min(jump, uint32(t.limits.SkippedMax)) // the newest ones
	if keep > 0 {
		s.skipped = make([]messageKey, 0, keep)
	}
	for g := first; g < generation; g++ {
		if generation-g <= keep {
			s.skipped = append(s.skipped, t.messageKey(s.head.secret[:nh], g))
		}
		t.suite.deriveTreeSecretInto(s.head.secret[:nh], s.head.secret[:nh], "secret", g)
	}
	s.messageKey = t.messageKey(s.head.secret[:nh], generation)
	t.suite.deriveTreeSecretInto(s.head.secret[:nh], s.head.secret[:nh], "secret", generation)
	s.head.next = generation + 1

	if s.head.window != [2]uint64{} { // give up the oldest keys
		room := t.limits.SkippedMax - int(keep)
		for i := range uint32(windowGenerations) {
			if !s.head.has(i) {
				continue
			}
			if room--; room < 0 || i+jump+1 >= windowGenerations || i+jump+1 < i {
				s.evicted = append(s.evicted, first-1-i)
				s.head.unset(i)
			}
		}
	}
	s.head.shift(jump + 1)
	for i := range keep {
		if i+1 < windowGenerations {
			s.head.set(i + 1)
		}
	}
	return nil
}

// messageKey derives key and nonce of a generation from its ratchet secret.
func (t *secretTree) messageKey(secret []byte, generation uint32) (k messageKey) {
	k.generation = generation
	t.suite.deriveTreeSecretInto(k.key[:t.suite.nk], secret, "key", generation)
	t.suite.deriveTreeSecretInto(k.nonce[:t.suite.nn], secret, "nonce", generation)
	return k
}

// load reads the sender's head into s, or derives it from the secret tree when the sender has not been heard in this epoch.
func (t *secretTree) load(tx Tx, s *ratchetStep, leaf uint32, r Ratchet) error {
	s.tree, s.leaf, s.ratchet = t, leaf, r
	if t.depth > depthMax || leaf>>t.depth != 0 {
		return fmt.Errorf("mls: leaf %d is outside the tree of %d leaves", leaf, uint64(1)<<t.depth)
	}
	row, err := tx.Get(t.headKey(leaf, r))
	if err != nil {
		return err
	}
	if row != nil {
		err = s.head.decode(row, t.suite.nh)
		clear(row)
		return err
	}
	for level := range t.depth + 1 {
		key := t.nodeKey(leaf, level)
		row, err := tx.Get(key)
		if err != nil {
			return err
		}
		if row != nil {
			defer wipe(row)
			if len(row) != 1+t.suite.nh || row[0] != rowVersion {
				return errors.New("mls: malformed secret tree row")
			}
			t.split(s, key, row[1:], level)
			return nil
		}
	}
	return ErrEpochGone
}

// split derives the leaf of s from a node above it (or the leaf itself) and stages the siblings on the way down.
func (t *secretTree) split(s *ratchetStep, consumed Key, secret []byte, level uint8) {
	nh := t.suite.nh
	f := &freshLeaf{consumed: consumed, secrets: make([]byte, nh*int(level))}
	if level > 0 {
		f.siblings = make([]Key, level)
	}
	var node [hashMax]byte
	copy(node[:nh], secret)
	for l := level; l > 0; l-- {
		own, sibling := "left", "right"
		if s.leaf>>(l-1)&1 == 1 {
			own, sibling = sibling, own
		}
		t.suite.expandInto(f.secrets[nh*int(l-1):][:nh], node[:nh], "tree", []byte(sibling))
		f.siblings[l-1] = t.nodeKey(s.leaf^1<<(l-1), l-1)
		t.suite.expandInto(node[:nh], node[:nh], "tree", []byte(own))
	}
	mine, other := "application", "handshake"
	if s.ratchet == RatchetHandshake {
		mine, other = other, mine
	}
	t.suite.expandInto(s.head.secret[:nh], node[:nh], mine, nil)
	t.suite.expandInto(f.other.secret[:nh], node[:nh], other, nil)
	clear(node[:])
	s.fresh = f
}

// commit writes what the step changed. The message counts as received, or the key as used, when the transaction is durable.
func (s *ratchetStep) commit(tx Tx, now int64) error {
	t, nh := s.tree, s.tree.suite.nh
	buf := &s.row
	if f := s.fresh; f != nil {
		if err := tx.Delete(f.consumed); err != nil {
			return err
		}
		for i, key := range f.siblings {
			row := append(append(buf[:0], rowVersion), f.secrets[nh*i:][:nh]...)
			if err := tx.Put(key, row); err != nil {
				return err
			}
		}
		other := RatchetHandshake + RatchetApplication - s.ratchet
		if err := tx.Put(t.headKey(s.leaf, other), f.other.append(buf[:0], nh)); err != nil {
			return err
		}
	}
	if s.late {
		if err := tx.Delete(t.skippedKey(s.leaf, s.ratchet, s.generation)); err != nil {
			return err
		}
	}
	for _, g := range s.evicted {
		if err := tx.Delete(t.skippedKey(s.leaf, s.ratchet, g)); err != nil {
			return err
		}
	}
	for i := range s.skipped {
		k := &s.skipped[i]
		row := binary.BigEndian.AppendUint64(append(buf[:0], rowVersion), uint64(now+t.limits.SkippedSeconds))
		row = append(append(row, k.key[:t.suite.nk]...), k.nonce[:t.suite.nn]...)
		if err := tx.Put(t.skippedKey(s.leaf, s.ratchet, k.generation), row); err != nil {
			return err
		}
	}
	return tx.Put(t.headKey(s.leaf, s.ratchet), s.head.append(buf[:0], nh))
}

// drop deletes every row of the epoch's secret tree: nodes, heads and skipped keys. It reads about 4 rows per sender that was
// heard in the epoch.
func (t *secretTree) drop(tx Tx) error {
	_, err := t.walk(tx, math.MaxInt64, true)
	return err
}

// never is later than every expiry.
const never = math.MaxInt64

// sweep deletes the skipped keys that have expired or are beyond the limits, and returns when the first of the others does, or never. It reads the same rows
// as drop.
func (t *secretTree) sweep(tx Tx, now int64) (first int64, err error) { return t.walk(tx, now, false) }

func (t *secretTree) walk(tx Tx, now int64, all bool) (first int64, err error) {
	if t.depth > depthMax {
		return never, errors.New("mls: secret tree too deep")
	}
	return t.walkNode(tx, 0, t.depth, now, all)
}

// walkNode visits the subtree of leaves that start at leaf. A node that still has its row has no used leaf below.
func (t *secretTree) walkNode(tx Tx, leaf uint32, level uint8, now int64, all bool) (first int64, err error) {
	key := t.nodeKey(leaf, level)
	row, err := tx.Get(key)
	if err != nil {
		return never, err
	}
	if row != nil {
		wipe(row)
		if all {
			return never, tx.Delete(key)
		}
		return never, nil
	}
	if level > 0 {
		left, err := t.walkNode(tx, leaf, level-1, now, all)
		if err != nil {
			return never, err
		}
		right, err := t.walkNode(tx, leaf+1<<(level-1), level-1, now, all)
		return min(left, right), err
	}
	first = never
	for r := RatchetHandshake; r <= RatchetApplication; r++ {
		at, err := t.walkHead(tx, leaf, r, now, all)
		if err != nil {
			return never, err
		}
		first = min(first, at)
	}
	return first, nil
}

func (t *secretTree) walkHead(tx Tx, leaf uint32, r Ratchet, now int64, all bool) (first int64, err error) {
	first = never
	key := t.headKey(leaf, r)
	row, err := tx.Get(key)
	if err != nil || row == nil {
		return first, err
	}
	var h ratchetHead
	err = h.decode(row, t.suite.nh)
	wipe(row)
	defer clear(h.secret[:])
	if err != nil {
		return first, err
	}
	before := h.window
	count := 0 // kept, the newest first
	for i := range uint32(windowGenerations) {
		if !h.has(i) {
			continue
		}
		skipped := t.skippedKey(leaf, r, h.next-1-i)
		if !all {
			row, err := tx.Get(skipped)
			if err != nil {
				return first, err
			}
			if len(row) >= skippedRowHeader && count < t.limits.SkippedMax {
				expires := int64(binary.BigEndian.Uint64(row[1:]))
				if latest := now + t.limits.SkippedSeconds; expires > latest { // the limit was lowered since
					expires = latest
					binary.BigEndian.PutUint64(row[1:], uint64(expires))
					if err := tx.Put(skipped, row); err != nil {
						return first, err
					}
				}
				wipe(row)
				if now <= expires {
					first = min(first, expires)
					count++
					continue
				}
			}
		}
		if err := tx.Delete(skipped); err != nil {
			return first, err
		}
		h.unset(i)
	}
	switch {
	case all:
		return first, tx.Delete(key)
	case h.window != before:
		var buf [headRowMax]byte
		defer clear(buf[:])
		return first, tx.Put(key, h.append(buf[:0], t.suite.nh))
	}
	return first, nil
}

// used reports whether a generation of the ratchet was used before.
func (t *secretTree) used(tx Tx, leaf uint32, r Ratchet, generation uint32) (bool, error) {
	row, err := tx.Get(t.headKey(leaf, r))
	if err != nil || row == nil {
		return false, err
	}
	var h ratchetHead
	err = h.decode(row, t.suite.nh)
	wipe(row)
	clear(h.secret[:])
	return generation < h.next, err
}

// kept returns how many skipped keys the head knows.
func (h *ratchetHead) kept() int {
	return bits.OnesCount64(h.window[0]) + bits.OnesCount64(h.window[1])
}
