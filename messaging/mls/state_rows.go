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
	if limits.past > 0 && limits.pastSeconds > 0 {
		row, err := g.encodePast(now + limits.pastSeconds)
		if err != nil {
			return err
		}
		err = tx.Put(Key{Row: RowPast, Epoch: epoch}, row)
		wipe(row)
		if err != nil {
			return err
		}
		if epoch >= limits.past {
			if err := dropPast(tx, g.suite, epoch-limits.past); err != nil {
				return err
			}
		}
	} else if err := m.tree.drop(tx); err != nil {
		return err
	}
	if limits.resumptions > 0 {
		if err := tx.Put(Key{Row: RowResumption, Epoch: epoch}, append([]byte{rowVersion}, g.secrets.resumption...)); err != nil {
			return err
		}
		if epoch >= limits.resumptions {
			if err := tx.Delete(Key{Row: RowResumption, Epoch: epoch - limits.resumptions}); err != nil {
				return err
			}
		}
	}
	g.secrets.wipe()
	return nil
}

// dropPast deletes a past epoch, if it is there: its row and all of its secret tree.
func dropPast(tx Tx, s *suite, epoch uint64) error {
	key := Key{Row: RowPast, Epoch: epoch}
	row, err := tx.Get(key)
	if err != nil || row == nil {
		return err
	}
	past, _, err := decodePast(s, epoch, row, RatchetLimits{})
	if err != nil {
		return err
	}
	wipe(past.senderData)
	if err := past.tree.drop(tx); err != nil {
		return err
	}
	return tx.Delete(key)
}

// loadPast returns what opens messages of a past epoch, or ErrEpochGone if it is not kept or its time is over.
func loadPast(tx Tx, s *suite, epoch uint64, limits RatchetLimits, now int64) (*messageEpoch, error) {
	row, err := tx.Get(Key{Row: RowPast, Epoch: epoch})
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, ErrEpochGone
	}
	m, expires, err := decodePast(s, epoch, row, limits)
	if err != nil {
		return nil, err
	}
	if now > expires {
		wipe(m.senderData)
		return nil, ErrEpochGone
	}
	return m, nil
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
	e.u8(rowVersion)
	g.context.encode(&e)
	e.u32(uint32(g.keys.index))
	e.opaque(g.interim)
	e.opaque(g.confirmationTag)
	e.present(g.reInit != nil)
	if g.reInit != nil {
		g.reInit.encode(&e)
	}
	g.tree.encode(&e)
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
// keys. It cannot send, take commits or derive anything.
func (g *groupState) encodePast(expires int64) ([]byte, error) {
	var e encoder
	e.u8(rowVersion)
	e.u64(uint64(expires))
	e.raw(g.encodedContext)
	e.u32(uint32(g.keys.index))
	e.u8(uint8(g.tree.root().level()))
	e.opaque(g.secrets.senderData)
	start := e.begin()
	for _, l := range g.tree.leaves {
		var key []byte
		if l != nil {
			key = l.SignatureKey
		}
		e.opaque(key)
	}
	e.end(start)
	return e.buf, e.err
}

// decodePast reads RowPast and returns the epoch and its expiry. It keeps the row's memory.
func decodePast(s *suite, epoch uint64, row []byte, limits RatchetLimits) (*messageEpoch, int64, error) {
	d := newDecoder("past epoch row", row)
	if v := d.u8(); v != rowVersion {
		d.unsupported("row version", uint16(v))
	}
	expires := int64(d.u64())
	from := d.pos
	var c GroupContext
	c.decode(d)
	m := &messageEpoch{suite: s, groupID: c.GroupID, epoch: c.Epoch, context: row[from:d.pos]}
	m.own = LeafIndex(d.u32())
	m.tree = secretTree{suite: s, epoch: c.Epoch, depth: d.u8(), limits: limits.withDefaults()}
	m.senderData = d.opaque()
	keys := decodeVector(d, maxLeaves, func(d *decoder, k *SignaturePublicKey) { *k = d.opaque() })
	if err := d.finish(); err != nil {
		return nil, 0, err
	}
	if c.Epoch != epoch || c.Suite != s.id || len(m.senderData) != s.nh || m.tree.depth > 16 || len(keys) != 1<<m.tree.depth {
		return nil, 0, errors.New("mls: malformed past epoch row")
	}
	m.verifyKey = func(l LeafIndex) (verifyKey, error) {
		if int64(l) >= int64(len(keys)) || len(keys[l]) == 0 {
			return verifyKey{}, errBlankLeaf
		}
		return s.parseVerifyKey(keys[l])
	}
	return m, expires, nil
}
