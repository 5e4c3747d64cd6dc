package mls

import (
	"errors"
	"slices"
)

// epochLimits bound what is kept of the epochs before the current one.
type epochLimits struct {
	ratchet RatchetLimits
	// past is how many earlier epochs late messages are still opened of. Zero keeps none.
	past uint64
	// pastSeconds is how long each of them is kept after the commit that ended it. Zero keeps none.
	pastSeconds int64
	// resumptions is how many earlier epochs the resumption PSK is kept of (RFC 9420 §8.6). Zero keeps none.
	resumptions uint64
}

// begin stores g as the current epoch of a group, and puts the root of its secret tree into a row of its own: with that,
// g.secrets.encryption is gone. before is the epoch that ends, or nil: what of it outlives its end is kept within the limits,
// everything else is deleted in the same transaction (RFC 9420 §9.2). before is unusable afterwards. now is in seconds.
func (g *groupState) begin(tx Tx, before *groupState, limits epochLimits, now int64) error {
	if before != nil {
		if err := before.end(tx, limits, now); err != nil {
			return err
		}
	}
	epoch, err := g.encodeEpoch()
	if err != nil {
		return err
	}
	g.encodedTree = nil
	if err := tx.Put(Key{Row: RowEpoch}, epoch); err != nil {
		return err
	}
	secrets, err := g.encodeSecrets()
	if err != nil {
		return err
	}
	defer wipe(secrets)
	if err := tx.Put(Key{Row: RowSecrets}, secrets); err != nil {
		return err
	}
	m, err := g.messages(limits.ratchet)
	if err != nil {
		return err
	}
	err = m.tree.create(tx, g.secrets.encryption)
	g.secrets.encryption = nil
	return err
}

// end moves what late messages need into RowPast and deletes epochs that fall out of the limits.
func (g *groupState) end(tx Tx, limits epochLimits, now int64) error {
	epoch := g.context.Epoch
	m, err := g.messages(limits.ratchet)
	if err != nil {
		return err
	}
	kept, err := loadKept(tx)
	if err != nil {
		return err
	}
	if limits.past > 0 && limits.pastSeconds > 0 {
		expires := now + limits.pastSeconds
		row, err := g.encodePast(expires)
		if err != nil {
			return err
		}
		err = tx.Put(Key{Row: RowPast, Epoch: epoch}, row)
		wipe(row)
		if err != nil {
			return err
		}
		kept.past = append(kept.past, keptEpoch{epoch, expires})
	} else if err := m.tree.drop(tx); err != nil {
		return err
	}
	if limits.resumptions > 0 {
		if err := tx.Put(Key{Row: RowResumption, Epoch: epoch}, append([]byte{rowVersion}, g.secrets.resumption...)); err != nil {
			return err
		}
		kept.resumptions = append(kept.resumptions, epoch)
	}
	if err := kept.trim(tx, g.suite, limits, now); err != nil {
		return err
	}
	g.secrets.wipe()
	return kept.store(tx)
}

// kept is RowKept: of which earlier epochs there are rows, so that all can be found again, whatever the limits were when they were
// written.
type kept struct {
	past        []keptEpoch // increasing
	resumptions []uint64    // increasing
}

type keptEpoch struct {
	epoch   uint64
	expires int64 // seconds
}

// keptMax bounds RowKept when it is read.
const keptMax = 1 << 16

func loadKept(tx Tx) (*kept, error) {
	row, err := tx.Get(Key{Row: RowKept})
	if err != nil || row == nil {
		return new(kept), err
	}
	d := newDecoder("kept epochs row", row)
	if v := d.u8(); v != rowVersion {
		d.unsupported("row version", uint16(v))
	}
	k := new(kept)
	k.past = decodeVector(d, keptMax, func(d *decoder, p *keptEpoch) { p.epoch, p.expires = d.u64(), int64(d.u64()) })
	k.resumptions = decodeVector(d, keptMax, func(d *decoder, e *uint64) { *e = d.u64() })
	return k, d.finish()
}

func (k *kept) store(tx Tx) error {
	var e encoder
	e.u8(rowVersion)
	encodeVector(&e, k.past, func(e *encoder, p *keptEpoch) { e.u64(p.epoch); e.u64(uint64(p.expires)) })
	encodeVector(&e, k.resumptions, func(e *encoder, epoch *uint64) { e.u64(*epoch) })
	if e.err != nil {
		return e.err
	}
	return tx.Put(Key{Row: RowKept}, e.buf)
}

// trim deletes the epochs that have expired or are too many, the oldest first. The caller stores k.
func (k *kept) trim(tx Tx, s *suite, limits epochLimits, now int64) error {
	var left []keptEpoch
	for i, p := range k.past {
		p.expires = min(p.expires, now+limits.pastSeconds) // the limit may have been lowered since
		if uint64(len(k.past)-i) > limits.past || limits.pastSeconds == 0 || now > p.expires {
			if err := dropPast(tx, s, p.epoch); err != nil {
				return err
			}
			continue
		}
		left = append(left, p)
	}
	k.past = left
	for uint64(len(k.resumptions)) > limits.resumptions {
		if err := tx.Delete(Key{Row: RowResumption, Epoch: k.resumptions[0]}); err != nil {
			return err
		}
		k.resumptions = k.resumptions[1:]
	}
	return nil
}

// dropPast deletes a past epoch, if it is there: its row and all of its secret tree.
func dropPast(tx Tx, s *suite, epoch uint64) error {
	key := Key{Row: RowPast, Epoch: epoch}
	row, err := tx.Get(key)
	if err != nil || row == nil {
		return err
	}
	past, err := decodePast(s, epoch, row, RatchetLimits{})
	if err != nil {
		return err
	}
	wipe(past.senderData)
	if err := past.tree.drop(tx); err != nil {
		return err
	}
	return tx.Delete(key)
}

// pastEpoch is what opens late messages of an epoch that has ended.
type pastEpoch struct {
	*messageEpoch
	expires int64
	leaves  []pastLeaf // by leaf index
}

// pastLeaf is who a late message can be from. A blank leaf has no key.
type pastLeaf struct {
	key        SignaturePublicKey
	credential Credential
}

// loadPast returns what opens messages of a past epoch, or ErrEpochGone if it is not kept or its time is over.
func loadPast(tx Tx, s *suite, epoch uint64, limits RatchetLimits, now int64) (*pastEpoch, error) {
	row, err := tx.Get(Key{Row: RowPast, Epoch: epoch})
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, ErrEpochGone
	}
	p, err := decodePast(s, epoch, row, limits)
	if err != nil {
		return nil, err
	}
	if now > p.expires {
		wipe(p.senderData)
		return nil, ErrEpochGone
	}
	return p, nil
}

// loadState reads the current epoch of the group, or returns nil if there is none.
func loadState(tx Tx) (*groupState, error) {
	epoch, err := tx.Get(Key{Row: RowEpoch})
	if err != nil || epoch == nil {
		return nil, err
	}
	secrets, err := tx.Get(Key{Row: RowSecrets})
	if err != nil {
		return nil, err
	}
	g, own, err := decodeEpoch(epoch)
	if err != nil {
		return nil, err
	}
	return g, g.decodeSecrets(secrets, own)
}

// encodeEpoch is RowEpoch: nothing in it is secret to a member.
func (g *groupState) encodeEpoch() ([]byte, error) {
	var e encoder
	if g.encodedTree != nil {
		e.room(len(g.encodedContext) + 256 + len(g.encodedTree))
	} else {
		e.room(len(g.encodedContext) + 256 + g.tree.sizeHint())
	}
	e.u8(rowVersion)
	g.context.encode(&e)
	e.u32(uint32(g.keys.index))
	e.opaque(g.interim)
	e.opaque(g.confirmationTag)
	e.present(g.reInit != nil)
	if g.reInit != nil {
		g.reInit.encode(&e)
	}
	if g.encodedTree != nil {
		e.raw(g.encodedTree)
	} else {
		g.tree.encode(&e)
	}
	return e.buf, e.err
}

func decodeEpoch(row []byte) (*groupState, LeafIndex, error) {
	d := newDecoder("epoch row", row)
	if v := d.u8(); v != rowVersion {
		d.unsupported("row version", uint16(v))
	}
	g := new(groupState)
	var c GroupContext
	c.decode(d)
	own := LeafIndex(d.u32())
	g.interim = d.opaque()
	g.confirmationTag = d.opaque()
	if d.present() {
		g.reInit = new(ReInit)
		g.reInit.decode(d)
	}
	if d.err != nil {
		return nil, 0, d.err
	}
	s, err := lookupSuite(c.Suite)
	if err != nil {
		return nil, 0, err
	}
	g.suite, g.tree = s, &ratchetTree{suite: s}
	g.tree.decode(d)
	if err := d.finish(); err != nil {
		return nil, 0, err
	}
	return g, own, g.setContext(c)
}

// encodeSecrets is RowSecrets: the secrets that members still need, and this member's keys in the tree. The secret tree, the
// confirmation key and everything consumed on the way to the epoch are not in it.
func (g *groupState) encodeSecrets() ([]byte, error) {
	var e encoder
	e.u8(rowVersion)
	for _, s := range g.secrets.stored() {
		e.opaque(*s)
	}
	start := e.begin()
	for _, n := range g.keys.keys {
		raw, err := n.bytes()
		if err != nil {
			return nil, err
		}
		e.u32(uint32(n.node))
		e.opaque(raw) // not wiped: it may be the key's own memory
	}
	e.end(start)
	return e.buf, e.err
}

// stored returns the secrets of RowSecrets in their order.
func (e *epochSecrets) stored() []*[]byte {
	return []*[]byte{&e.init, &e.senderData, &e.exporter, &e.external, &e.membership, &e.resumption, &e.authenticator}
}

func (g *groupState) decodeSecrets(row []byte, own LeafIndex) error {
	d := newDecoder("secrets row", row)
	if v := d.u8(); v != rowVersion {
		d.unsupported("row version", uint16(v))
	}
	g.secrets = new(epochSecrets)
	for _, s := range g.secrets.stored() {
		*s = slices.Clone(d.opaque())
	}
	g.keys = &treeKeys{index: own}
	outer := d.enter()
	for d.more() {
		x, raw := nodeIndex(d.u32()), d.opaque()
		if d.err != nil {
			break
		}
		if int(x) >= g.tree.width() || g.tree.blank(x) {
			return errors.New("mls: malformed secrets row: private key of a node that is blank")
		}
		key, err := g.suite.parseKept(raw, g.tree.encryptionKey(x))
		if err != nil {
			return errors.New("mls: malformed secrets row: private key")
		}
		g.keys.set(x, key)
	}
	d.leave(outer)
	err := d.finish()
	wipe(row)
	if err == nil && (g.tree.leaf(own) == nil || !slices.ContainsFunc(g.keys.keys, func(n nodeKey) bool { return n.node == own.node() })) {
		err = errors.New("mls: malformed secrets row: the own leaf has no key")
	}
	return err
}

// encodePast is RowPast: expiry, encoded GroupContext, own leaf, depth of the tree, sender data secret and the members' signature
// keys and credentials. It cannot send, take commits or derive anything.
func (g *groupState) encodePast(expires int64) ([]byte, error) {
	var e encoder
	e.room(256 + len(g.encodedContext) + 96*len(g.tree.leaves))
	e.u8(rowVersion)
	e.u64(uint64(expires))
	e.raw(g.encodedContext)
	e.u32(uint32(g.keys.index))
	e.u8(uint8(g.tree.root().level()))
	e.opaque(g.secrets.senderData)
	encodeVector(&e, g.tree.leaves, func(e *encoder, l **LeafNode) {
		if *l == nil {
			e.opaque(nil)
			return
		}
		e.opaque((*l).SignatureKey)
		(*l).Credential.encode(e)
	})
	return e.buf, e.err
}

// decodePast reads RowPast. It keeps the row's memory.
func decodePast(s *suite, epoch uint64, row []byte, limits RatchetLimits) (*pastEpoch, error) {
	d := newDecoder("past epoch row", row)
	if v := d.u8(); v != rowVersion {
		d.unsupported("row version", uint16(v))
	}
	p := &pastEpoch{expires: int64(d.u64())}
	from := d.pos
	var c GroupContext
	c.decode(d)
	m := &messageEpoch{suite: s, groupID: c.GroupID, epoch: c.Epoch, context: row[from:d.pos]}
	p.messageEpoch = m
	m.own = LeafIndex(d.u32())
	m.tree = secretTree{suite: s, epoch: c.Epoch, depth: d.u8(), limits: limits.withDefaults()}
	m.senderData = d.opaque()
	p.leaves = decodeVector(d, maxLeaves, func(d *decoder, l *pastLeaf) {
		if l.key = d.opaque(); len(l.key) > 0 {
			l.credential.decode(d)
		}
	})
	if err := d.finish(); err != nil {
		return nil, err
	}
	if c.Epoch != epoch || c.Suite != s.id || len(m.senderData) != s.nh || m.tree.depth > 16 || len(p.leaves) != 1<<m.tree.depth {
		return nil, errors.New("mls: malformed past epoch row")
	}
	m.verifyKey = func(l LeafIndex) (verifyKey, error) {
		if int64(l) >= int64(len(p.leaves)) || len(p.leaves[l].key) == 0 {
			return verifyKey{}, errBlankLeaf
		}
		return s.parseVerifyKey(p.leaves[l].key)
	}
	return p, nil
}
