package relay

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/relay/mailbox"
	"github.com/parleypay/parley/messaging/wire"
)

// directory knows the registered devices and keeps their key packages. What it says is stored, is durable.
type directory struct {
	s   *store
	max int // key packages of one device

	mu   sync.Mutex
	keys map[messaging.DeviceID][32]byte // found or made lately
}

const keysKnown = 200_000

func newDirectory(s *store, max int) *directory {
	return &directory{s: s, max: max, keys: map[messaging.DeviceID][32]byte{}}
}

var (
	errUnknown  = errors.New("relay: unknown device")
	errFull     = errors.New("relay: no room")
	errTooMany  = errors.New("relay: too many key packages")
	errNone     = errors.New("relay: no key package left")
	errNotKnown = errors.New("relay: not known to be stored")
)

// key returns the public key of a registered device, or errUnknown.
func (d *directory) key(id messaging.DeviceID) (ed25519.PublicKey, error) {
	d.mu.Lock()
	k, ok := d.keys[id]
	d.mu.Unlock()
	if ok {
		return k[:], nil
	}
	raw, err := d.s.last1(streamREG, "reg.key."+hex.EncodeToString(id[:]))
	if err != nil {
		return nil, err
	}
	if raw == nil {
		return nil, errUnknown
	}
	if len(raw.Data) != len(k) || messaging.DeviceIDOf(raw.Data) != id {
		return nil, errors.New("relay: malformed key in the register")
	}
	copy(k[:], raw.Data)
	d.remember(id, k)
	return k[:], nil
}

func (d *directory) remember(id messaging.DeviceID, k [32]byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.keys) >= keysKnown {
		clear(d.keys)
	}
	d.keys[id] = k
}

// register makes the device known for good. The id is the key's hash, so doing it twice changes nothing.
func (d *directory) register(key [32]byte) error {
	id := messaging.DeviceIDOf(key[:])
	if _, err := d.key(id); !errors.Is(err, errUnknown) {
		return err
	}
	if err := d.put(streamREG, "reg.key."+hex.EncodeToString(id[:]), key[:]); err != nil {
		return err
	}
	d.remember(id, key)
	return nil
}

// put stores messages on one subject durably, all or none.
func (d *directory) put(n stream, subject string, values ...[]byte) error {
	var msgs []*nats.Msg
	for _, v := range values {
		m := nats.NewMsg(subject)
		m.Data = v
		msgs = append(msgs, m)
	}
	seq, err := d.s.publish(msgs)
	switch d.s.judge(n, msgs, err) {
	case mailbox.OK:
		return d.s.confirmed(n, seq)
	case mailbox.Full:
		return errFull
	}
	return errNotKnown
}

// publish adds key packages of a device.
func (d *directory) publish(id messaging.DeviceID, f *wire.PublishKeyPackages) error {
	name := hex.EncodeToString(id[:])
	if len(f.Packages) > 0 {
		n, err := d.s.countSubject(streamKP, "kp."+name)
		if err != nil {
			return err
		}
		if n+len(f.Packages) > d.max {
			return errTooMany
		}
		if err := d.put(streamKP, "kp."+name, f.Packages...); err != nil {
			return err
		}
	}
	if len(f.LastResort) > 0 {
		return d.put(streamREG, "reg.last."+name, f.LastResort)
	}
	return nil
}

// count returns how many key packages a device has, and whether it has a last resort one.
func (d *directory) count(id messaging.DeviceID) (int, bool, error) {
	name := hex.EncodeToString(id[:])
	n, err := d.s.countSubject(streamKP, "kp."+name)
	if err != nil {
		return 0, false, err
	}
	raw, err := d.s.last1(streamREG, "reg.last."+name)
	return n, raw != nil, err
}

// claim takes the oldest key package of a device, or the last resort one if there is no other, or fails with errNone. It is handed out only
// after its deletion is durable, and only to the one whose deletion found it there: the server tells the second that it is gone.
func (d *directory) claim(id messaging.DeviceID) (pkg []byte, lastResort bool, err error) {
	name := hex.EncodeToString(id[:])
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	for tried := uint64(0); ; {
		raw, err := d.first(ctx, "kp."+name)
		if err != nil {
			return nil, false, err
		}
		if raw == nil {
			break
		}
		if raw.Sequence == tried { // still there: its deletion failed for another reason than somebody else's
			return nil, false, fmt.Errorf("relay: stream %v does not delete", streamKP)
		}
		tried = raw.Sequence
		err = d.s.streams[streamKP].DeleteMsg(ctx, raw.Sequence)
		if err == nil {
			return raw.Data, false, nil
		}
		if !errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil, false, fmt.Errorf("relay: stream %v: %w", streamKP, err)
		}
	}
	raw, err := d.s.last1(streamREG, "reg.last."+name)
	if err != nil {
		return nil, false, err
	}
	if raw == nil {
		return nil, false, errNone
	}
	return raw.Data, true, nil
}

func (d *directory) first(ctx context.Context, subject string) (*jetstream.RawStreamMsg, error) {
	page, err := jetstreamext.GetBatch(ctx, d.s.getJS, streamKP.String(), 1, jetstreamext.GetBatchSubject(subject))
	if err != nil {
		return nil, fmt.Errorf("relay: stream %v: %w", streamKP, err)
	}
	var first *jetstream.RawStreamMsg
	for raw, err := range page {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("relay: stream %v: %w", streamKP, err)
		}
		first = raw
	}
	return first, nil
}
