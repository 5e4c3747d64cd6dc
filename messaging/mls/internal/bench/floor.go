package bench

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/bits"
	"time"
)

// Floor is two ends of one sender's messages in suite 1, reduced to what no implementation can leave out: the signature over
// FramedContentTBS, one step of the ratchet, two AEAD operations and the assembly of the PrivateMessage (RFC 9420 §6.3). It has no
// group, checks no rule and stores nothing.
type Floor struct {
	sender, receiver floorEnd
	private          ed25519.PrivateKey
	public           ed25519.PublicKey
	context          []byte // as long as an encoded GroupContext
}

type floorEnd struct {
	ratchet, senderData [32]byte
	generation          uint32
}

// NewFloor returns a floor with fresh keys.
func NewFloor() (*Floor, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	return &Floor{private: private, public: public, context: make([]byte, 150)}, err
}

var floorFrame = []byte("\x00\x01\x00\x02\x100123456789abcdef\x00\x00\x00\x00\x00\x00\x00\x07\x01") // up to the content type

// Seal protects data, of less than 16 KiB.
func (f *Floor) Seal(data []byte) ([]byte, error) {
	signature := ed25519.Sign(f.private, f.signed(data))
	e := &f.sender
	generation := e.generation
	key, nonce := e.step()
	var plain [12]byte // SenderData: leaf 0, generation, reuse guard
	binary.BigEndian.PutUint32(plain[4:], generation)
	rand.Read(plain[8:])
	for i, b := range plain[8:] {
		nonce[i] ^= b
	}
	size := vectorSize(len(data)) + vectorSize(len(signature))
	out := make([]byte, 0, len(floorFrame)+32+size+32)
	out = append(append(out, floorFrame...), 0) // no authenticated data
	senderAAD, contentAAD := out[4:len(floorFrame)], out[4:]
	out = append(out, 12+16)
	senderAt := len(out)
	out = appendHeader(out[:senderAt+12+16], size+16)
	at := len(out)
	out = appendHeader(out, len(data))
	out = append(out, data...)
	out = appendHeader(out, len(signature))
	out = append(out, signature...)
	aead, err := gcm(key[:16])
	if err != nil {
		return nil, err
	}
	out = append(out[:at], aead.Seal(out[at:at], nonce[:12], out[at:], contentAAD)...)
	key, nonce = e.hide(out[at:])
	if aead, err = gcm(key[:16]); err != nil {
		return nil, err
	}
	aead.Seal(out[senderAt:senderAt], nonce[:12], plain[:], senderAAD)
	return out, nil
}

// Open opens the next message and returns its data. message is overwritten.
func (f *Floor) Open(message []byte) ([]byte, error) {
	senderAAD, contentAAD := message[4:len(floorFrame)], message[4:len(floorFrame)+1]
	sender, rest := cut(message[len(floorFrame)+1:])
	ciphertext, _ := cut(rest)
	e := &f.receiver
	key, nonce := e.hide(ciphertext)
	aead, err := gcm(key[:16])
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(sender[:0], nonce[:12], sender, senderAAD)
	if err != nil {
		return nil, err
	}
	if binary.BigEndian.Uint32(plain[4:]) != e.generation {
		return nil, errors.New("bench: another generation")
	}
	key, nonce = e.step()
	for i, b := range plain[8:12] {
		nonce[i] ^= b
	}
	if aead, err = gcm(key[:16]); err != nil {
		return nil, err
	}
	content, err := aead.Open(ciphertext[:0], nonce[:12], ciphertext, contentAAD)
	if err != nil {
		return nil, err
	}
	data, rest := cut(content)
	signature, _ := cut(rest)
	if !ed25519.Verify(f.public, f.signed(data), signature) {
		return nil, errors.New("bench: signature")
	}
	return data, nil
}

// signed returns SignContent of FramedContentTBS.
func (f *Floor) signed(data []byte) []byte {
	const label = "MLS 1.0 FramedContentTBS"
	size := len(floorFrame) - 1 + 1 + 4 + 1 + 1 + vectorSize(len(data)) + len(f.context)
	b := appendHeader(append(append(make([]byte, 0, size+32), byte(len(label))), label...), size)
	b = append(b, floorFrame[:len(floorFrame)-1]...)
	b = append(b, 1, 0, 0, 0, 0, 0, 1) // member 0, no authenticated data, application
	b = append(appendHeader(b, len(data)), data...)
	return append(b, f.context...)
}

// step derives key and nonce of the generation and moves the ratchet on (RFC 9420 §9.1).
func (e *floorEnd) step() (key, nonce [32]byte) {
	var context [4]byte
	binary.BigEndian.PutUint32(context[:], e.generation)
	key = expand(&e.ratchet, "key", context[:], 16)
	nonce = expand(&e.ratchet, "nonce", context[:], 12)
	e.ratchet = expand(&e.ratchet, "secret", context[:], 32)
	e.generation++
	return key, nonce
}

// hide derives what hides the sender (RFC 9420 §6.3.2).
func (e *floorEnd) hide(ciphertext []byte) (key, nonce [32]byte) {
	return expand(&e.senderData, "key", ciphertext[:32], 16), expand(&e.senderData, "nonce", ciphertext[:32], 12)
}

// expand is ExpandWithLabel with SHA-256 for up to 32 octets: one HMAC.
func expand(secret *[32]byte, label string, context []byte, n int) [32]byte {
	var inner [160]byte
	var outer [96]byte
	for i := range 64 {
		inner[i], outer[i] = 0x36, 0x5c
	}
	for i, b := range secret {
		inner[i] ^= b
		outer[i] ^= b
	}
	b := append(inner[:64], 0, byte(n), byte(8+len(label)))
	b = append(append(b, "MLS 1.0 "...), label...)
	b = append(append(append(b, byte(len(context))), context...), 1)
	sum := sha256.Sum256(b)
	copy(outer[64:], sum[:])
	return sha256.Sum256(outer[:])
}

func gcm(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func vectorSize(n int) int {
	if n < 64 {
		return 1 + n
	}
	return 2 + n
}

func appendHeader(b []byte, n int) []byte {
	if n < 64 {
		return append(b, byte(n))
	}
	return append(b, 0x40|byte(n>>8), byte(n))
}

func cut(b []byte) (v, rest []byte) {
	n, header := int(b[0]), 1
	if b[0] >= 0x40 {
		n, header = int(b[0]&0x3f)<<8|int(b[1]), 2
	}
	return b[header : header+n], b[header+n:]
}

// Primitives is the least time of each primitive that group operations of one suite are made of.
type Primitives struct {
	Sign, Verify         time.Duration
	Encrypt, Decrypt     time.Duration // HPKE with a parsed key, 32 octets
	ParsePublic          time.Duration
	ParsePrivate, Derive time.Duration // a private key from its encoding; a key pair from a secret
}

// KEM is the part of a suite that Primitives measures.
type KEM struct {
	KEM  hpke.KEM
	KDF  hpke.KDF
	AEAD hpke.AEAD
}

// The parts of suite 1 and of the default post-quantum suite, TBD2.
var (
	Classical = KEM{hpke.DHKEM(ecdh.X25519()), hpke.HKDFSHA256(), hpke.AES128GCM()}
	XWing     = KEM{hpke.MLKEM768X25519(), hpke.HKDFSHA384(), hpke.AES256GCM()}
)

// Measure takes the least of several rounds of each primitive; p keeps the least of what it has and what is measured now.
func (p *Primitives) Measure(k KEM, rounds int) error {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	message := make([]byte, 1200)
	signature := ed25519.Sign(private, message)
	key, err := k.KEM.GenerateKey()
	if err != nil {
		return err
	}
	raw, err := key.Bytes()
	if err != nil {
		return err
	}
	rawPublic := key.PublicKey().Bytes()
	parsedPublic := key.PublicKey()
	info, secret := make([]byte, 180), make([]byte, 32)
	sealed, err := hpke.Seal(parsedPublic, k.KDF, k.AEAD, info, secret)
	if err != nil {
		return err
	}
	if opened, err := hpke.Open(key, k.KDF, k.AEAD, info, sealed); err != nil || !bytes.Equal(opened, secret) || !ed25519.Verify(public, message, signature) {
		return errors.New("bench: the primitives do not work")
	}
	for _, m := range []struct {
		least *time.Duration
		f     func()
	}{
		{&p.Sign, func() { ed25519.Sign(private, message) }},
		{&p.Verify, func() { ed25519.Verify(public, message, signature) }},
		{&p.Encrypt, func() { hpke.Seal(parsedPublic, k.KDF, k.AEAD, info, secret) }},
		{&p.Decrypt, func() { hpke.Open(key, k.KDF, k.AEAD, info, sealed) }},
		{&p.ParsePublic, func() { k.KEM.NewPublicKey(rawPublic) }},
		{&p.ParsePrivate, func() { k.KEM.NewPrivateKey(raw) }},
		{&p.Derive, func() { k.KEM.DeriveKeyPair(secret) }},
	} {
		for range rounds {
			const batch = 8
			start := time.Now()
			for range batch {
				m.f()
			}
			if d := time.Since(start) / batch; *m.least == 0 || d < *m.least {
				*m.least = d
			}
		}
	}
	return nil
}

// perNode is an allowance for reading and hashing one node of a tree.
const perNode = 3 * time.Microsecond

// The floors of group operations for n members are sums of the primitives that RFC 9420 demands. Copies of the tree, rows and checks
// that need no cryptography are not counted.

// Join is a Welcome opened and every leaf's signature verified. The init key has come from the store.
func (p *Primitives) Join(n int) time.Duration {
	return time.Duration(n+1)*p.Verify + p.ParsePrivate + p.Decrypt + 2*time.Duration(n)*perNode
}

// Process is a commit with a path, processed by who sits next to the committer: message and leaf verified, one path secret decrypted,
// the keys of all nodes above derived.
func (p *Primitives) Process(n int) time.Duration { return 2*p.Verify + p.Decrypt + depth(n)*p.Derive }

// Add is a commit without a path that adds one, and its Welcome: two signatures of the key package verified, commit and GroupInfo
// signed, the secrets encrypted.
func (p *Primitives) Add() time.Duration { return 2*p.Verify + 2*p.Sign + p.ParsePublic + p.Encrypt }

// Update is a commit with a path in a tree whose parents are all blank.
func (p *Primitives) Update(n int) time.Duration {
	return time.Duration(n-1)*(p.ParsePublic+p.Encrypt) + (depth(n)+1)*p.Derive + 2*p.Sign
}

// depth is the number of nodes above a leaf.
func depth(n int) time.Duration { return time.Duration(bits.Len(uint(n - 1))) }

// SetUp is a group of two from nothing: key package, creation, Add, Join.
func (p *Primitives) SetUp() time.Duration {
	return 2*p.Derive + 2*p.Sign + p.Derive + p.Sign + p.Add() + p.Join(2)
}
