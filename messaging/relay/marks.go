package relay

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"github.com/parleypay/parley/messaging/wire"
)

// marks is the high-water file: the relay's id and, per stream, the incarnation and the last sequence that was acknowledged. It is on
// disk before the ack is given, in a file of its own, so that a stream which comes back shorter than it was (a flipped bit is
// enough: facts on JetStream 2.15) is noticed at start and not believed.
//
// The file has two slots, written in turn and fsynced, each with a counter and a checksum: a write that is cut leaves the other.
type marks struct {
	f       *os.File
	counter uint64
	marksData
	fresh bool // there was no file
}

type marksData struct {
	relay       wire.RelayID
	incarnation [streamCount]uint64
	last        [streamCount]uint64
}

const (
	markMagic    = "parley relay marks 1"
	markSlot     = 4096
	markSlotSize = len(markMagic) + 8 + 16 + streamCount*16 + 4
)

var errMarks = errors.New("relay: the high-water file is damaged in both its slots")

// openMarks reads the file or makes a new one.
func openMarks(path string) (*marks, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("relay: high-water file: %w", err)
	}
	m := &marks{f: f}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("relay: high-water file: %w", err)
	}
	if info.Size() == 0 {
		m.fresh = true
		rand.Read(m.relay[:])
		for i := range m.incarnation {
			m.incarnation[i] = newIncarnation()
		}
		if err := errors.Join(m.write(), m.write(), f.Sync(), syncDir(filepath.Dir(path))); err != nil {
			f.Close()
			return nil, err
		}
		return m, nil
	}
	found := false
	for slot := range int64(2) {
		b := make([]byte, markSlotSize)
		if _, err := f.ReadAt(b, slot*markSlot); err != nil {
			continue
		}
		if counter, data, ok := decodeMarks(b); ok && (!found || counter > m.counter) {
			found, m.counter, m.marksData = true, counter, data
		}
	}
	if !found {
		f.Close()
		return nil, errMarks
	}
	return m, nil
}

// write makes the present marks durable.
func (m *marks) write() error {
	m.counter++
	if _, err := m.f.WriteAt(m.encode(), int64(m.counter%2)*markSlot); err != nil {
		return fmt.Errorf("relay: high-water file: %w", err)
	}
	if err := datasync(m.f); err != nil { // openMarks has written both slots, so the size stays
		return fmt.Errorf("relay: high-water file: %w", err)
	}
	return nil
}

func (m *marks) encode() []byte {
	b := make([]byte, 0, markSlotSize)
	b = append(b, markMagic...)
	b = binary.BigEndian.AppendUint64(b, m.counter)
	b = append(b, m.relay[:]...)
	for i := range streamCount {
		b = binary.BigEndian.AppendUint64(b, m.incarnation[i])
		b = binary.BigEndian.AppendUint64(b, m.last[i])
	}
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

func decodeMarks(b []byte) (counter uint64, d marksData, ok bool) {
	if len(b) != markSlotSize || string(b[:len(markMagic)]) != markMagic ||
		crc32.ChecksumIEEE(b[:len(b)-4]) != binary.BigEndian.Uint32(b[len(b)-4:]) {
		return 0, d, false
	}
	b = b[len(markMagic):]
	counter = binary.BigEndian.Uint64(b)
	copy(d.relay[:], b[8:])
	b = b[24:]
	for i := range streamCount {
		d.incarnation[i] = binary.BigEndian.Uint64(b[i*16:])
		d.last[i] = binary.BigEndian.Uint64(b[i*16+8:])
	}
	return counter, d, true
}

func newIncarnation() uint64 {
	var b [8]byte
	for {
		rand.Read(b[:])
		if n := binary.BigEndian.Uint64(b[:]); n != 0 {
			return n
		}
	}
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// marker writes marks for many streams in groups: one fsync for all that came while the one before ran.
type marker struct {
	m     *marks
	queue chan mark
	done  chan struct{}
	fail  func(error)
}

type mark struct {
	stream stream
	seq    uint64
	then   func(error)
}

func startMarker(m *marks, fail func(error)) *marker {
	k := &marker{m, make(chan mark, 64), make(chan struct{}), fail}
	go k.run()
	return k
}

// reach calls then once the mark of the stream is durably at seq or beyond, or cannot be.
func (k *marker) reach(s stream, seq uint64, then func(error)) { k.queue <- mark{s, seq, then} }

// stop ends the marker after what was asked for is done. No reach may follow.
func (k *marker) stop() {
	close(k.queue)
	<-k.done
	k.m.f.Close()
}

func (k *marker) run() {
	defer close(k.done)
	var broken error
	for first := range k.queue {
		group := []mark{first}
	more:
		for {
			select {
			case x, ok := <-k.queue:
				if !ok {
					break more
				}
				group = append(group, x)
			default:
				break more
			}
		}
		raised := false
		for _, x := range group {
			if x.seq > k.m.last[x.stream] {
				k.m.last[x.stream], raised = x.seq, true
			}
		}
		if raised && broken == nil {
			if broken = k.m.write(); broken != nil {
				k.fail(broken)
			}
		}
		for _, x := range group {
			x.then(broken)
		}
	}
}
