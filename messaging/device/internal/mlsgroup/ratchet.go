package mlsgroup

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/thomas-vilte/mls-go/ciphersuite"
	"github.com/thomas-vilte/mls-go/framing"
	"github.com/thomas-vilte/mls-go/secrettree"

	"github.com/parleypay/parley/messaging"
)

// ratchet is the head of one sender's application ratchet (§9.1): the secret of the next generation. All before it are gone.
type ratchet struct {
	Generation uint32 `cbor:"1,keyasint"`
	Secret     []byte `cbor:"2,keyasint"`
}

// messageKey opens exactly one message (§9.1).
type messageKey struct {
	Key   []byte `cbor:"1,keyasint"`
	Nonce []byte `cbor:"2,keyasint"`
}

// current returns the key of the ratchet's generation.
func (r *ratchet) current() (messageKey, error) {
	s := ciphersuite.NewSecret(r.Secret)
	defer s.SecureZero()
	generation := binary.BigEndian.AppendUint32(nil, r.Generation)
	key, err := s.KdfExpandLabel("key", generation, suite.AEADKeyLength())
	if err != nil {
		return messageKey{}, err
	}
	nonce, err := s.KdfExpandLabel("nonce", generation, suite.AEADNonceLength())
	if err != nil {
		return messageKey{}, err
	}
	return messageKey{key.AsSlice(), nonce.AsSlice()}, nil
}

// next moves the ratchet on by one generation and wipes the secret it leaves.
func (r *ratchet) next() error {
	if r.Generation == 1<<32-1 {
		return errors.New("mlsgroup: the ratchet is at its end")
	}
	s := ciphersuite.NewSecret(r.Secret)
	defer s.SecureZero()
	n, err := s.KdfExpandLabel("secret", binary.BigEndian.AppendUint32(nil, r.Generation), suite.HashLength())
	if err != nil {
		return err
	}
	clear(r.Secret)
	r.Generation, r.Secret = r.Generation+1, n.AsSlice()
	return nil
}

// buckets are the sizes that the content of a message is padded to, so that a relay does not learn more of its length (§6.3.1).
var buckets = []int{256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 56832}

// MaxPlaintext is how much one message can carry.
const MaxPlaintext = 56832 - 4 - 2 - ed25519.SignatureSize

// padTo returns the bucket for a plaintext: content is the plaintext with its length (at most 4 octets) and the signature with its own (2).
func padTo(plaintext int) (int, error) {
	size := 4 + plaintext + 2 + ed25519.SignatureSize
	i, _ := slices.BinarySearch(buckets, size)
	if i == len(buckets) {
		return 0, fmt.Errorf("mlsgroup: plaintext of %d octets, limit %d", plaintext, MaxPlaintext)
	}
	return buckets[i], nil
}

// Session is one chat in the caller's transaction. It implements messaging.Session. It remembers the epoch that it saw first: make
// another one after a handshake.
type Session struct {
	c    *Client
	rows Rows
	chat messaging.ChatID
	g    *groupRow
	e    *epoch // the current one
}

var _ messaging.Session = (*Session)(nil)

// Session returns the chat's session. It fails at its first use when there is no such group.
func (c *Client) Session(rows Rows, chat messaging.ChatID) *Session {
	return &Session{c: c, rows: rows, chat: chat}
}

func (s *Session) group() (*groupRow, error) {
	if s.g == nil {
		g, err := loadGroup(s.rows, s.chat)
		if err != nil {
			return nil, err
		}
		s.g = &g
	}
	return s.g, nil
}

// current loads the current epoch.
func (s *Session) current() (number uint64, e *epoch, err error) {
	g, err := s.group()
	if err != nil {
		return 0, nil, err
	}
	if s.e == nil {
		if s.e, err = loadEpoch(s.rows, s.chat, g.Epoch, ErrNoGroup); err != nil {
			s.e = nil
			return 0, nil, err
		}
	}
	return g.Epoch, s.e, nil
}

// Epoch returns the chat's current epoch.
func (s *Session) Epoch() (uint64, error) {
	g, err := s.group()
	if err != nil {
		return 0, err
	}
	return g.Epoch, nil
}

// Seal implements messaging.Session (§6.3.1).
func (s *Session) Seal(plaintext, aad []byte) (envelope []byte, err error) {
	number, e, err := s.current()
	if err != nil {
		return nil, err
	}
	bucket, err := padTo(len(plaintext))
	if err != nil {
		return nil, err
	}
	var r ratchet
	key := ratchetKey(s.chat, number, e.Own)
	if err := load(s.rows, KindRatchet, key, &r, ErrNoGroup); err != nil {
		return nil, err
	}
	zero := make([]byte, suite.HashLength())
	tree, err := secrettree.UnmarshalFull(&secrettree.TreeState{EncryptionSecret: zero, LeafCount: e.Leaves, LeafStates: map[uint32]secrettree.LeafState{
		e.Own: {Generation: uint64(r.Generation), SequenceNumber: uint64(r.Generation), LeafSecret: zero, ApplicationSecret: r.Secret, HandshakeSecret: zero},
	}}, suite)
	if err != nil {
		return nil, fmt.Errorf("mlsgroup: seal: %w", err)
	}
	pm, err := framing.Encrypt(framing.EncryptParams{
		Content: framing.FramedContent{
			GroupID: s.chat[:], Epoch: number, Sender: framing.Sender{Type: framing.SenderTypeMember, LeafIndex: e.Own},
			AuthenticatedData: aad, Body: framing.ApplicationData{Data: plaintext},
		},
		SenderLeafIndex:  e.Own,
		CipherSuite:      suite,
		PaddingSize:      bucket,
		SenderDataSecret: ciphersuite.NewSecret(e.SenderData),
		SecretTree:       tree,
		SigKey:           s.c.sign,
		GroupContext:     e.Context,
	})
	if err != nil {
		return nil, fmt.Errorf("mlsgroup: seal: %w", err)
	}
	// The ratchet moves on in the same transaction in which the envelope becomes durable: no generation is used twice (§9.2).
	if err := r.next(); err != nil {
		return nil, err
	}
	if err := save(s.rows, KindRatchet, key, r); err != nil {
		return nil, err
	}
	return framing.NewMLSMessagePrivate(pm).Marshal(), nil
}

// Open implements messaging.Session (§6.3.2). A message that fails in any way changes nothing.
func (s *Session) Open(envelope []byte) (o messaging.Opened, err error) {
	defer catch(&err)
	env, err := ParseEnvelope(envelope)
	if err != nil {
		return o, err
	}
	if env.Handshake || env.Chat != s.chat {
		return o, errors.New("mlsgroup: want an application message of this chat")
	}
	g, err := s.group()
	if err != nil {
		return o, err
	}
	if env.Epoch > g.Epoch {
		return o, ErrEarly
	}
	e, err := loadEpoch(s.rows, s.chat, env.Epoch, ErrOld)
	if err != nil {
		return o, err
	}
	sender, err := e.senderData(env.pm)
	if err != nil {
		return o, err
	}
	l, ok := e.leaf(sender.LeafIndex)
	if !ok || l.Index == e.Own {
		return o, errors.New("mlsgroup: the sender is no other member")
	}
	keys, head, err := s.find(env.Epoch, sender)
	if err != nil {
		return o, err
	}
	plaintext, err := e.open(env.pm, sender, l, keys.use)
	if err != nil {
		return o, err
	}
	if err := s.consume(env.Epoch, sender, keys, head); err != nil {
		return o, err
	}
	return messaging.Opened{Sender: messaging.Member{Device: l.Device, Name: l.Name}, Epoch: env.Epoch, Plaintext: plaintext, AAD: env.pm.AuthenticatedData}, nil
}

// senderData decrypts who sent a message under which generation (§6.3.2).
func (e *epoch) senderData(pm *framing.PrivateMessage) (*framing.MLSSenderData, error) {
	sample := pm.Ciphertext[:min(len(pm.Ciphertext), suite.HashLength())]
	secret := ciphersuite.NewSecret(e.SenderData)
	defer secret.SecureZero()
	key, err := secret.KdfExpandLabel("key", sample, suite.AEADKeyLength())
	if err != nil {
		return nil, err
	}
	nonce, err := secret.KdfExpandLabel("nonce", sample, suite.AEADNonceLength())
	if err != nil {
		return nil, err
	}
	aad := append(binary.BigEndian.AppendUint64(appendVector(nil, pm.GroupID), pm.Epoch), byte(pm.ContentType))
	plain, err := ciphersuite.DecryptWithCipherSuite(key.AsSlice(), nonce.AsSlice(), pm.EncryptedSenderData, aad, suite)
	if err != nil {
		return nil, errors.New("mlsgroup: the sender data does not decrypt")
	}
	d, err := framing.UnmarshalSenderData(plain)
	if err != nil {
		return nil, errors.New("mlsgroup: malformed sender data")
	}
	return d, nil
}

// found is the key of one message, with the keys of the generations that it skipped.
type found struct {
	use     messageKey
	skipped []messageKey // of generations first, first+1, …
	first   uint32
	old     bool // use was a skipped key
}

// find looks for the key of a generation. head is the ratchet behind it; nothing is written yet.
func (s *Session) find(number uint64, d *framing.MLSSenderData) (f found, head ratchet, err error) {
	key := ratchetKey(s.chat, number, d.LeafIndex)
	if err := load(s.rows, KindRatchet, key, &head, ErrOld); err != nil {
		return f, head, err
	}
	if d.Generation < head.Generation {
		f.old = true
		err := load(s.rows, KindSkipped, binary.BigEndian.AppendUint32(key, d.Generation), &f.use, messaging.ErrReplay)
		return f, head, err
	}
	if d.Generation-head.Generation > maxForward {
		return f, head, fmt.Errorf("mlsgroup: the message skips %d generations, limit %d", d.Generation-head.Generation, maxForward)
	}
	f.first = head.Generation
	if d.Generation-head.Generation > maxSkipped { // keys of the oldest are not kept
		f.first = d.Generation - maxSkipped
	}
	for head.Generation < d.Generation {
		if head.Generation >= f.first {
			k, err := head.current()
			if err != nil {
				return f, head, err
			}
			f.skipped = append(f.skipped, k)
		}
		if err := head.next(); err != nil {
			return f, head, err
		}
	}
	if f.use, err = head.current(); err != nil {
		return f, head, err
	}
	return f, head, head.next()
}

// consume writes that the generation was used: from now on the message cannot be opened again.
func (s *Session) consume(number uint64, d *framing.MLSSenderData, f found, head ratchet) error {
	key := ratchetKey(s.chat, number, d.LeafIndex)
	if f.old {
		return s.rows.Delete(KindSkipped, binary.BigEndian.AppendUint32(key, d.Generation))
	}
	for i, k := range f.skipped {
		if err := save(s.rows, KindSkipped, binary.BigEndian.AppendUint32(slices.Clone(key), f.first+uint32(i)), k); err != nil {
			return err
		}
	}
	if len(f.skipped) > 0 {
		n, err := s.rows.Count(KindSkipped, key)
		for ; err == nil && n > maxSkipped; n-- {
			var oldest []byte
			if oldest, err = s.rows.First(KindSkipped, key); err == nil {
				err = s.rows.Delete(KindSkipped, oldest)
			}
		}
		if err != nil {
			return err
		}
	}
	return save(s.rows, KindRatchet, key, head)
}

// open decrypts the content of an application message and verifies its signature (§6.3.1, §6.1).
func (e *epoch) open(pm *framing.PrivateMessage, d *framing.MLSSenderData, l leaf, k messageKey) ([]byte, error) {
	nonce := slices.Clone(k.Nonce)
	for i := range d.ReuseGuard {
		nonce[i] ^= d.ReuseGuard[i]
	}
	aad := append(binary.BigEndian.AppendUint64(appendVector(nil, pm.GroupID), pm.Epoch), byte(pm.ContentType))
	aad = appendVector(aad, pm.AuthenticatedData)
	plain, err := ciphersuite.DecryptWithCipherSuite(k.Key, nonce, pm.Ciphertext, aad, suite)
	if err != nil {
		return nil, errors.New("mlsgroup: the message does not decrypt")
	}
	data, rest, ok := cutVector(plain)
	if !ok {
		return nil, errors.New("mlsgroup: malformed content")
	}
	signature, padding, ok := cutVector(rest)
	if !ok {
		return nil, errors.New("mlsgroup: malformed content")
	}
	for _, c := range padding {
		if c != 0 {
			return nil, errors.New("mlsgroup: padding is not zero")
		}
	}
	signed := framing.AuthenticatedContent{
		WireFormat: framing.WireFormatPrivateMessage,
		Content: framing.FramedContent{
			GroupID: pm.GroupID, Epoch: pm.Epoch, Sender: framing.Sender{Type: framing.SenderTypeMember, LeafIndex: d.LeafIndex},
			AuthenticatedData: pm.AuthenticatedData, Body: framing.ApplicationData{Data: data},
		},
		GroupContext: e.Context,
	}
	public := ciphersuite.NewMLSSignaturePublicKey(l.Key, suite.SignatureScheme())
	if err := ciphersuite.VerifyWithLabel(public, "FramedContentTBS", signed.MarshalTBS(), ciphersuite.NewSignature(signature)); err != nil {
		return nil, errors.New("mlsgroup: wrong signature")
	}
	return data, nil
}

// Members implements messaging.Session.
func (s *Session) Members() ([]messaging.Member, error) {
	_, e, err := s.current()
	if err != nil {
		return nil, err
	}
	all := make([]messaging.Member, len(e.Members))
	for i, l := range e.Members {
		all[i] = messaging.Member{Device: l.Device, Name: l.Name}
	}
	return all, nil
}

// Binding implements messaging.Session (§8.5). The exporter's label is ours, so that no other use can get the same value; the
// caller's label is its context.
func (s *Session) Binding(label string) (messaging.Binding, error) {
	b := messaging.Binding{Chat: s.chat}
	number, e, err := s.current()
	if err != nil {
		return b, err
	}
	secret, err := e.exported("parley binding 1", []byte(label))
	if err != nil {
		return b, err
	}
	b.Epoch, b.Secret = number, [32]byte(secret)
	return b, nil
}

// appendVector writes opaque v<V> (§2.1.2).
func appendVector(b, v []byte) []byte {
	switch n := len(v); {
	case n < 1<<6:
		b = append(b, byte(n))
	case n < 1<<14:
		b = binary.BigEndian.AppendUint16(b, 1<<14|uint16(n))
	default:
		b = binary.BigEndian.AppendUint32(b, 2<<30|uint32(n))
	}
	return append(b, v...)
}

// cutVector reads opaque v<V>, with the shortest length only (§2.1.2).
func cutVector(b []byte) (v, rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, nil, false
	}
	size := 1 << (b[0] >> 6)
	if size > 4 || len(b) < size {
		return nil, nil, false
	}
	n := uint32(b[0] & 0x3f)
	for _, c := range b[1:size] {
		n = n<<8 | uint32(c)
	}
	if size == 2 && n < 1<<6 || size == 4 && n < 1<<14 || n > uint32(len(b)-size) {
		return nil, nil, false
	}
	return b[size : size+int(n)], b[size+int(n):], true
}
