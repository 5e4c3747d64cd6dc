package relay

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/relay/mailbox"
	"github.com/parleypay/parley/messaging/wire"
)

// A stored mailbox entry is: format 1, kind, id (16), at (8), expires (8); for welcome and commit group (16), head (8); body. Numbers are
// big-endian. The sender is not in it.
const (
	entryFormat = 1
	entryFixed  = 2 + 16 + 8 + 8
	entryGroup  = 16 + 8
)

var errEntry = errors.New("relay: malformed entry in the store")

func encodeEntry(e *mailbox.Entry) []byte {
	b := make([]byte, 0, entryFixed+entryGroup+len(e.Body))
	b = append(b, entryFormat, byte(e.Kind))
	b = append(b, e.ID[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(e.At))
	b = binary.BigEndian.AppendUint64(b, uint64(e.Expires))
	if e.Kind != wire.KindMessage {
		b = append(b, e.Group[:]...)
		b = binary.BigEndian.AppendUint64(b, e.Head)
	}
	return append(b, e.Body...)
}

// decodeEntry keeps the body as a part of b.
func decodeEntry(seq uint64, b []byte) (mailbox.Entry, error) {
	e := mailbox.Entry{Seq: seq}
	if len(b) < entryFixed || b[0] != entryFormat {
		return e, errEntry
	}
	e.Kind = wire.Kind(b[1])
	copy(e.ID[:], b[2:])
	e.At = int64(binary.BigEndian.Uint64(b[18:]))
	e.Expires = int64(binary.BigEndian.Uint64(b[26:]))
	b = b[entryFixed:]
	if e.Kind != wire.KindMessage {
		if len(b) < entryGroup {
			return e, errEntry
		}
		copy(e.Group[:], b)
		e.Head = binary.BigEndian.Uint64(b[16:])
		b = b[entryGroup:]
	}
	e.Body = b
	return e, nil
}

func classStream(c wire.Class) stream {
	if c == wire.Memory {
		return streamEPH
	}
	return streamMBX
}

func mailboxSubject(c wire.Class, d messaging.DeviceID) string {
	if c == wire.Memory {
		return "eph." + hex.EncodeToString(d[:])
	}
	return "mbx." + hex.EncodeToString(d[:])
}

// tailEvent reads a message of the live tail.
func tailEvent(m *nats.Msg) (ev mailbox.Tail, err error) {
	class, device, ok := strings.Cut(strings.TrimPrefix(m.Subject, "live."), ".")
	switch {
	case !ok:
		return ev, errEntry
	case class == "mbx":
		ev.Class = wire.Durable
	case class == "eph":
		ev.Class = wire.Memory
	default:
		return ev, errEntry
	}
	if ev.Device, err = messaging.ParseDeviceID(device); err != nil {
		return ev, err
	}
	seq, err := strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64)
	if err != nil {
		return ev, errEntry
	}
	if ev.Prev, err = strconv.ParseUint(m.Header.Get("Nats-Last-Sequence"), 10, 64); err != nil {
		return ev, errEntry
	}
	ev.Entry, err = decodeEntry(seq, m.Data)
	return ev, err
}
