package mls

import (
	"encoding/binary"
	"errors"
)

// Row is the kind of a stored row. One kind has one encoding, which starts with a version octet.
type Row uint8

// The rows of a group. Each is deleted when the secrets in it have been consumed.
const (
	RowEpoch      Row = 1 + iota // the current epoch without secrets: GroupContext, tree, transcript; written per commit
	RowSecrets                   // secrets of the current epoch that members still need; written per commit
	RowPast                      // what late messages of an earlier epoch need; bounded in number and age
	RowNode                      // one node of an epoch's secret tree, not yet consumed
	RowHead                      // ratchet head of one sender: the row written per message, at most 100 bytes
	RowSkipped                   // key and nonce of a generation that was jumped over
	RowProposal                  // a verified proposal of the current epoch, numbered by Index from 0
	RowPending                   // the own commit that waits for the delivery service, with the state it leads to
	RowUpdate                    // private key of an own Update proposal, numbered like the proposal, until a commit decides
	RowKeyPackage                // private keys of a key package, by reference; deleted by the join
	RowPSK                       // an external pre-shared key, by id
	RowResumption                // resumption secret of a past epoch
	RowKept                      // of which past epochs there are rows; written per commit
)

// Key names one row of one group. Rows of a client (RowKeyPackage, RowPSK) use ID only. The zero Key names nothing.
type Key struct {
	Row        Row
	Epoch      uint64
	Index      uint32  // leaf index of a sender, node index in the secret tree, or number of a proposal
	Ratchet    Ratchet // RowHead and RowSkipped
	Generation uint32  // RowSkipped
	ID         string  // raw octets: a reference, or an id; at most 255
}

// keyHeaderBytes is the size of a Key without an ID.
const keyHeaderBytes = 1 + 8 + 4 + 1 + 4

// Append appends the key's bytes to b. Keys of the same Row and Epoch have a common prefix of 9 bytes, and byte order is the order
// of Row, Epoch, Index, Ratchet, Generation, ID.
func (k Key) Append(b []byte) []byte {
	b = append(b, byte(k.Row))
	b = binary.BigEndian.AppendUint64(b, k.Epoch)
	b = binary.BigEndian.AppendUint32(b, k.Index)
	b = append(b, byte(k.Ratchet))
	b = binary.BigEndian.AppendUint32(b, k.Generation)
	return append(b, k.ID...)
}

// ParseKey reads the bytes that Append wrote.
func ParseKey(b []byte) (Key, error) {
	if len(b) < keyHeaderBytes || len(b) > keyHeaderBytes+255 || b[0] < byte(RowEpoch) || b[0] > byte(RowKept) {
		return Key{}, errors.New("mls: malformed row key")
	}
	return Key{
		Row: Row(b[0]), Epoch: binary.BigEndian.Uint64(b[1:]), Index: binary.BigEndian.Uint32(b[9:]), Ratchet: Ratchet(b[13]),
		Generation: binary.BigEndian.Uint32(b[14:]), ID: string(b[keyHeaderBytes:]),
	}, nil
}

// Tx is one transaction of the caller's store, opened for one group: all that an operation does through it becomes durable
// together, with the caller's own rows, or is forgotten. Values hold secrets: the store encrypts them, and Delete erases.
//
// Nothing made inside a transaction (a ciphertext, a plaintext) may be acted on before the transaction is durable, or a crash
// makes the group use a key twice (RFC 9420 §6.3.1). A Tx is used by one operation at a time.
type Tx interface {
	Get(Key) (value []byte, err error) // nil and no error when there is no such row; the value is the caller's to overwrite
	Put(Key, []byte) error             // the store copies the value before it returns
	Delete(Key) error                  // no error when there is no such row
}
