package content

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// The subset of CBOR (RFC 8949) that MIMI content uses, in its deterministic encoding (§4.2.1) only: shortest heads, no indefinite
// lengths, map keys in bytewise order and unique, no tags or floats outside extensions. What decodes therefore re-encodes to the same bytes.

const (
	majorUint  = 0
	majorNint  = 1
	majorBytes = 2
	majorText  = 3
	majorArray = 4
	majorMap   = 5
	majorTag   = 6
	majorOther = 7

	simpleFalse = 0xf4
	simpleTrue  = 0xf5
	simpleNull  = 0xf6
)

func appendHead(b []byte, major byte, n uint64) []byte {
	m := major << 5
	switch {
	case n < 24:
		return append(b, m|byte(n))
	case n < 1<<8:
		return append(b, m|24, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, m|25), uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(b, m|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, m|27), n)
}

func appendInt(b []byte, n int64) []byte {
	if n < 0 {
		return appendHead(b, majorNint, uint64(-(n + 1)))
	}
	return appendHead(b, majorUint, uint64(n))
}

func appendBytes(b, v []byte) []byte { return append(appendHead(b, majorBytes, uint64(len(v))), v...) }
func appendText(b []byte, v string) []byte {
	return append(appendHead(b, majorText, uint64(len(v))), v...)
}
func appendArray(b []byte, items int) []byte { return appendHead(b, majorArray, uint64(items)) }

// reader walks over one encoded item. Its methods name what they wanted in their error, and the offset where it was not.
type reader struct {
	b   []byte
	off int
}

func (r *reader) fail(want string) error {
	return fmt.Errorf("content: at octet %d: want %s", r.off, want)
}

// head reads one item head and refuses one that is not the shortest.
func (r *reader) head() (major byte, n uint64, err error) {
	if r.off >= len(r.b) {
		return 0, 0, r.fail("more octets")
	}
	first := r.b[r.off]
	major, n = first>>5, uint64(first&31)
	size := 0
	switch {
	case n < 24:
	case n <= 27:
		size = 1 << (n - 24)
	default:
		return 0, 0, r.fail("a definite length")
	}
	if len(r.b)-r.off-1 < size {
		return 0, 0, r.fail("more octets")
	}
	if size > 0 {
		n = 0
		for _, c := range r.b[r.off+1 : r.off+1+size] {
			n = n<<8 | uint64(c)
		}
		least := []uint64{1: 24, 2: 1 << 8, 4: 1 << 16, 8: 1 << 32}[size]
		if n < least && major != majorOther {
			return 0, 0, r.fail("the shortest head")
		}
	}
	r.off += 1 + size
	return major, n, nil
}

func (r *reader) want(major byte, what string) (uint64, error) {
	at := r.off
	m, n, err := r.head()
	if err != nil {
		return 0, err
	}
	if m != major {
		r.off = at
		return 0, r.fail(what)
	}
	return n, nil
}

func (r *reader) uint(limit uint64, what string) (uint64, error) {
	n, err := r.want(majorUint, what)
	if err == nil && n > limit {
		return 0, r.fail(fmt.Sprintf("%s of at most %d", what, limit))
	}
	return n, err
}

// bytes returns a slice of the input, not a copy.
func (r *reader) bytes(what string) ([]byte, error) { return r.string(majorBytes, what) }

func (r *reader) text(what string) (string, error) {
	v, err := r.string(majorText, what)
	if err != nil {
		return "", err
	}
	if !utf8.Valid(v) {
		return "", r.fail(what + " in UTF-8")
	}
	return string(v), nil
}

func (r *reader) string(major byte, what string) ([]byte, error) {
	n, err := r.want(major, what)
	if err != nil {
		return nil, err
	}
	if n > uint64(len(r.b)-r.off) {
		return nil, r.fail(what + " within the message")
	}
	v := r.b[r.off : r.off+int(n)]
	r.off += int(n)
	return v, nil
}

// array reads the head of an array and refuses a count that the remaining octets cannot hold.
func (r *reader) array(what string) (int, error) { return r.count(majorArray, 1, what) }

func (r *reader) count(major byte, perItem int, what string) (int, error) {
	n, err := r.want(major, what)
	if err != nil {
		return 0, err
	}
	if n > uint64((len(r.b)-r.off)/perItem) {
		return 0, r.fail(what + " within the message")
	}
	return int(n), nil
}

// null consumes a null, if that is next.
func (r *reader) null() bool {
	if r.off < len(r.b) && r.b[r.off] == simpleNull {
		r.off++
		return true
	}
	return false
}

func (r *reader) bool(what string) (bool, error) {
	if r.off < len(r.b) {
		switch r.b[r.off] {
		case simpleFalse, simpleTrue:
			r.off++
			return r.b[r.off-1] == simpleTrue, nil
		}
	}
	return false, r.fail(what)
}

// skip walks over one item of any kind, at most depth levels deep, and returns its octets. It accepts only deterministic encoding.
func (r *reader) skip(depth int) ([]byte, error) {
	start := r.off
	if depth <= 0 {
		return nil, errors.New("content: extension nested too deep")
	}
	major, n, err := r.head()
	if err != nil {
		return nil, err
	}
	switch major {
	case majorUint, majorNint:
	case majorBytes, majorText:
		r.off = start
		if major == majorText {
			_, err = r.text("text")
		} else {
			_, err = r.bytes("octets")
		}
		if err != nil {
			return nil, err
		}
	case majorArray:
		for ; n > 0; n-- {
			if _, err := r.skip(depth - 1); err != nil {
				return nil, err
			}
		}
	case majorMap:
		var last []byte
		for ; n > 0; n-- {
			key, err := r.skip(depth - 1)
			if err != nil {
				return nil, err
			}
			if last != nil && string(last) >= string(key) {
				return nil, r.fail("map keys in order and unique")
			}
			last = key
			if _, err := r.skip(depth - 1); err != nil {
				return nil, err
			}
		}
	default: // tags and floats have no use here and several encodings; null, true and false have one
		if major != majorOther || r.off != start+1 || n < 20 || n > 22 {
			r.off = start
			return nil, r.fail("no tag, float or undefined value")
		}
	}
	return r.b[start:r.off], nil
}
