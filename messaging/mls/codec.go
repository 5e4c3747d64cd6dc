package mls

import (
	"encoding/binary"
	"slices"
)

// maxVector is the largest length a variable-size vector can have, in octets (RFC 9420 §2.1.2).
const maxVector = 1<<30 - 1

// encoder appends the TLS presentation language (RFC 9420 §2.1) to buf. The first error sticks.
type encoder struct {
	buf []byte
	err error
}

func (e *encoder) fail(err error) {
	if e.err == nil {
		e.err = err
	}
}

func (e *encoder) u8(v uint8)   { e.buf = append(e.buf, v) }
func (e *encoder) u16(v uint16) { e.buf = binary.BigEndian.AppendUint16(e.buf, v) }
func (e *encoder) u32(v uint32) { e.buf = binary.BigEndian.AppendUint32(e.buf, v) }
func (e *encoder) u64(v uint64) { e.buf = binary.BigEndian.AppendUint64(e.buf, v) }

// raw appends b without a length.
func (e *encoder) raw(b []byte) { e.buf = append(e.buf, b...) }

// opaque appends b as opaque<V>.
func (e *encoder) opaque(b []byte) {
	e.varint(len(b))
	e.buf = append(e.buf, b...)
}

// label appends "MLS 1.0 " + label as opaque<V>.
func (e *encoder) label(label string) { e.buf = appendLabel(e.buf, label) }

// varint appends a vector's length header, of the least size that holds n.
func (e *encoder) varint(n int) {
	if n > maxVector {
		e.fail(errTooLong)
		return
	}
	e.buf = appendVarint(e.buf, n)
}

// appendVarint is varint without an encoder, for n up to maxVector: what an encoder writes to is moved from the stack to the heap.
func appendVarint(b []byte, n int) []byte {
	switch {
	case n < 1<<6:
		return append(b, byte(n))
	case n < 1<<14:
		return append(b, byte(n>>8)|0x40, byte(n))
	}
	return append(b, byte(n>>24)|0x80, byte(n>>16), byte(n>>8), byte(n))
}

// appendOpaque appends v, of at most maxVector octets, as opaque<V>.
func appendOpaque(b, v []byte) []byte { return append(appendVarint(b, len(v)), v...) }

// appendLabel appends "MLS 1.0 " + label as opaque<V>.
func appendLabel(b []byte, label string) []byte {
	const prefix = "MLS 1.0 "
	b = append(appendVarint(b, len(prefix)+len(label)), prefix...)
	return append(b, label...)
}

// opaqueSize returns the size of opaque<V> with n octets.
func opaqueSize(n int) int {
	switch {
	case n < 1<<6:
		return n + 1
	case n < 1<<14:
		return n + 2
	}
	return n + 4
}

// begin starts a vector whose length is not known yet; what it returns is for end.
func (e *encoder) begin() int {
	e.buf = append(e.buf, 0)
	return len(e.buf)
}

// end finishes the vector that begin started at start: it puts the length header in front of the contents.
func (e *encoder) end(start int) {
	n := len(e.buf) - start
	var header encoder
	var space [4]byte
	header.buf = space[:0]
	header.varint(n)
	if header.err != nil {
		e.fail(header.err)
		return
	}
	if more := len(header.buf) - 1; more > 0 {
		e.buf = append(e.buf, space[:more]...) // grow; the octets are overwritten
		copy(e.buf[start+more:], e.buf[start:start+n])
	}
	copy(e.buf[start-1:], header.buf)
}

// present appends the presence octet of optional<T>.
func (e *encoder) present(is bool) {
	if is {
		e.u8(1)
	} else {
		e.u8(0)
	}
}

// decoder reads the TLS presentation language from b. The first error sticks: after it every read returns zero values, so callers
// check once. It allocates nothing by itself; what it returns shares memory with b.
type decoder struct {
	b        []byte
	pos, end int
	typ      string // the outermost structure, for errors
	err      error
}

func newDecoder(typ string, b []byte) *decoder { return &decoder{b: b, end: len(b), typ: typ} }

func (d *decoder) fail(text string) { d.failFor(nil, text) }

func (d *decoder) failFor(cause error, text string) {
	if d.err == nil {
		d.err = &DecodeError{Type: d.typ, Offset: d.pos, Text: text, Err: cause}
	}
	d.pos = d.end // so that loops over more end
}

// unsupported fails because value is not implemented, and the rest cannot be read without knowing its form.
func (d *decoder) unsupported(registry string, value uint16) {
	d.failFor(&UnsupportedTypeError{registry, value}, "unknown form")
}

// take returns the next n octets, sharing memory with the input, or nil.
func (d *decoder) take(n int) []byte {
	if d.err != nil || n > d.end-d.pos {
		d.fail("ends too early")
		return nil
	}
	p := d.b[d.pos : d.pos+n : d.pos+n]
	d.pos += n
	return p
}

func (d *decoder) u8() uint8 {
	if p := d.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (d *decoder) u16() uint16 {
	if p := d.take(2); p != nil {
		return binary.BigEndian.Uint16(p)
	}
	return 0
}

func (d *decoder) u32() uint32 {
	if p := d.take(4); p != nil {
		return binary.BigEndian.Uint32(p)
	}
	return 0
}

func (d *decoder) u64() uint64 {
	if p := d.take(8); p != nil {
		return binary.BigEndian.Uint64(p)
	}
	return 0
}

// varint reads a vector's length header. A header longer than necessary is malformed (RFC 9420 §2.1.2).
func (d *decoder) varint() int {
	first := d.u8()
	prefix := first >> 6
	if prefix == 3 {
		d.fail("length header begins with the bits 11")
		return 0
	}
	size := 1 << prefix
	v := int(first & 0x3f)
	for _, b := range d.take(size - 1) {
		v = v<<8 | int(b)
	}
	if d.err != nil {
		return 0
	}
	if prefix > 0 && v < 1<<(8*(size/2)-2) {
		d.fail("length header is longer than necessary")
		return 0
	}
	return v
}

// opaque reads opaque<V>. The length is compared with what is left before anything else happens.
func (d *decoder) opaque() []byte { return d.take(d.varint()) }

// enter reads the header of a vector and narrows the decoder to its contents; what it returns is for leave.
func (d *decoder) enter() (outer int) {
	n := d.varint()
	outer = d.end
	if d.err != nil || n > d.end-d.pos {
		d.fail("vector ends too early")
		return outer
	}
	d.end = d.pos + n
	return outer
}

// more reports whether the vector that was entered has octets left.
func (d *decoder) more() bool { return d.err == nil && d.pos < d.end }

// leave ends the vector that was entered, which must have been read to its end.
func (d *decoder) leave(outer int) {
	if d.err == nil && d.pos != d.end {
		d.fail("vector has octets left over")
	}
	d.end = outer
	if d.err != nil {
		d.pos = d.end
	}
}

// present reads the presence octet of optional<T>.
func (d *decoder) present() bool {
	switch d.u8() {
	case 0:
		return false
	case 1:
		return true
	}
	d.fail("presence octet is neither 0 nor 1")
	return false
}

// rest returns everything that is left.
func (d *decoder) rest() []byte { return d.take(d.end - d.pos) }

// finish returns the first error, or an error if octets are left over.
func (d *decoder) finish() error {
	if d.err == nil && d.pos != d.end {
		d.fail("octets left over after the end")
	}
	return d.err
}

// wire is a structure of the RFC that can be encoded and decoded.
type wire interface {
	encode(*encoder)
	decode(*decoder)
}

// room makes room for about n octets more, so that what is long is not copied while it grows.
func (e *encoder) room(n int) { e.buf = slices.Grow(e.buf, n) }

// marshal returns the encoding of v.
func marshal(v interface{ encode(*encoder) }) ([]byte, error) {
	var e encoder
	if long, ok := v.(interface{ sizeHint() int }); ok {
		e.room(long.sizeHint())
	}
	v.encode(&e)
	if e.err != nil {
		return nil, e.err
	}
	return e.buf, nil
}

// unmarshal decodes b, which v shares memory with from then on, into v. Nothing may follow it.
func unmarshal(typ string, b []byte, v interface{ decode(*decoder) }) error {
	d := newDecoder(typ, b)
	v.decode(d)
	return d.finish()
}

// parse is unmarshal of a private copy of b: what came from outside the package.
func parse(typ string, b []byte, v interface{ decode(*decoder) }) error {
	return unmarshal(typ, slices.Clone(b), v)
}

// encodeVector appends list as T<V>.
func encodeVector[T any](e *encoder, list []T, one func(*encoder, *T)) {
	start := e.begin()
	for i := range list {
		one(e, &list[i])
	}
	e.end(start)
}

// decodeVector reads T<V>. At most max elements are accepted, because an element takes more memory than its encoding.
func decodeVector[T any](d *decoder, max int, one func(*decoder, *T)) []T {
	outer := d.enter()
	var list []T
	for d.more() {
		if len(list) == max {
			d.fail("vector has too many elements")
			break
		}
		var v T
		from := d.pos
		one(d, &v)
		if list == nil && d.err == nil && d.pos > from { // a long list of such elements is not copied while it grows
			if n := (d.end - from) / (d.pos - from); n >= 16 {
				list = make([]T, 0, min(n, max))
			}
		}
		list = append(list, v)
	}
	d.leave(outer)
	return list
}

// encodeU16s appends list as uint16<V>.
func encodeU16s[T ~uint16](e *encoder, list []T) {
	e.varint(2 * len(list))
	for _, v := range list {
		e.u16(uint16(v))
	}
}

// decodeU16s reads uint16<V>.
func decodeU16s[T ~uint16](d *decoder) []T {
	b := d.opaque()
	if len(b)%2 != 0 {
		d.fail("vector of 16-bit values has an odd length")
		return nil
	}
	list := make([]T, len(b)/2)
	for i := range list {
		list[i] = T(binary.BigEndian.Uint16(b[2*i:]))
	}
	return list
}
