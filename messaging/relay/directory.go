package relay

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
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
	errNoSuite  = errors.New("relay: no key package of those suites")
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

// suffix is the part of a subject that names the cipher suite.
func suffix(suite uint16) string { return fmt.Sprintf(".%04x", suite) }

// publish adds key packages of a device.
func (d *directory) publish(id messaging.DeviceID, f *wire.PublishKeyPackages) error {
	name := hex.EncodeToString(id[:])
	stock, err := d.stock(id)
	if err != nil {
		return err
	}
	n, known := 0, false
	for _, s := range stock {
		n += int(s.Count)
		known = known || s.Suite == f.Suite
	}
	if n+len(f.Packages) > d.max || !known && len(stock) >= wire.MaxSuites {
		return errTooMany
	}
	if len(f.Packages) > 0 {
		if err := d.put(streamKP, "kp."+name+suffix(f.Suite), f.Packages...); err != nil {
			return err
		}
	}
	if len(f.LastResort) > 0 {
		return d.put(streamREG, "reg.last."+name+suffix(f.Suite), f.LastResort)
	}
	return nil
}

// stock returns what key packages a device has, by suite in ascending order.
func (d *directory) stock(id messaging.DeviceID) ([]wire.Stock, error) {
	name := hex.EncodeToString(id[:])
	single, err := d.s.countSubjects(streamKP, "kp."+name+".*")
	if err != nil {
		return nil, err
	}
	last, err := d.s.countSubjects(streamREG, "reg.last."+name+".*")
	if err != nil {
		return nil, err
	}
	suites := map[uint16]wire.Stock{}
	for n, counts := range []map[string]uint64{single, last} {
		for subject, count := range counts {
			suite, err := strconv.ParseUint(subject[strings.LastIndexByte(subject, '.')+1:], 16, 16)
			if err != nil {
				return nil, errors.New("relay: malformed subject of a key package")
			}
			s := suites[uint16(suite)]
			s.Suite = uint16(suite)
			if n == 0 {
				s.Count = uint32(count)
			} else {
				s.LastResort = true
			}
			suites[s.Suite] = s
		}
	}
	all := slices.SortedFunc(maps.Values(suites), func(a, b wire.Stock) int { return int(a.Suite) - int(b.Suite) })
	return all[:min(len(all), wire.MaxSuites)], nil
}

// claim takes the oldest key package of a device of the first of the suites that it has any of, or the last resort one if there is no
// other of that suite. It fails with errNone or errNoSuite.
func (d *directory) claim(id messaging.DeviceID, suites []uint16) (k wire.KeyPackage, err error) {
	name := hex.EncodeToString(id[:])
	k.Device = id
	for _, k.Suite = range suites {
		if k.Package, err = d.take("kp." + name + suffix(k.Suite)); err != nil || k.Package != nil {
			return k, err
		}
		raw, err := d.s.last1(streamREG, "reg.last."+name+suffix(k.Suite))
		if err != nil {
			return k, err
		}
		if raw != nil {
			k.Package, k.LastResort = raw.Data, true
			return k, nil
		}
	}
	stock, err := d.stock(id)
	switch {
	case err != nil:
		return k, err
	case len(stock) > 0:
		return k, errNoSuite
	}
	return k, errNone
}

// take takes the oldest key package of a subject, nil if there is none. It is handed out only after its deletion is durable, and only to
// the one whose deletion found it there: the server tells the second that it is gone.
func (d *directory) take(subject string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	for tried := uint64(0); ; {
		raw, err := d.first(ctx, subject)
		if err != nil || raw == nil {
			return nil, err
		}
		if raw.Sequence == tried { // still there: its deletion failed for another reason than somebody else's
			return nil, fmt.Errorf("relay: stream %v does not delete", streamKP)
		}
		tried = raw.Sequence
		err = d.s.streams[streamKP].DeleteMsg(ctx, raw.Sequence)
		if err == nil {
			return raw.Data, nil
		}
		if !errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil, fmt.Errorf("relay: stream %v: %w", streamKP, err)
		}
	}
}

// run returns the highest run that the device told of before, and remembers this one if it is higher.
func (d *directory) run(id messaging.DeviceID, run uint64) (before uint64, err error) {
	subject := "reg.run." + hex.EncodeToString(id[:])
	raw, err := d.s.last1(streamREG, subject)
	if err != nil {
		return 0, err
	}
	if raw != nil {
		if len(raw.Data) != 8 {
			return 0, errors.New("relay: malformed run in the register")
		}
		before = binary.BigEndian.Uint64(raw.Data)
	}
	if run <= before {
		return before, nil
	}
	return before, d.put(streamREG, subject, binary.BigEndian.AppendUint64(nil, run))
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
