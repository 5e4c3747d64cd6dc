package device

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/mls"
	"github.com/parleypay/parley/messaging/wire"
)

// defaultSuites is Config.Suites when it is empty.
var defaultSuites = []mls.CipherSuite{mls.XWingAES256GCM, mls.X25519AES128GCM}

// usableSuites are those whose signature key is a device's own, Ed25519.
var usableSuites = []mls.CipherSuite{mls.XWingAES256GCM, mls.XWingAES128GCM, mls.X25519AES128GCM, mls.X25519ChaCha20Poly1305}

// suites returns the suites that the device takes, the best first, or what is wrong with them.
func (c *Config) suites() ([]mls.CipherSuite, error) {
	all := c.Suites
	if len(all) == 0 {
		all = defaultSuites
	}
	var taken []mls.CipherSuite
	for i, s := range all {
		if !slices.Contains(usableSuites, s) {
			return nil, fmt.Errorf("device: config: Suites: %v is not in use here; there are %v", s, usableSuites)
		}
		if slices.Contains(all[:i], s) {
			return nil, fmt.Errorf("device: config: Suites: %v is there twice", s)
		}
		if s.PostQuantum() || !c.RequirePostQuantum {
			taken = append(taken, s)
		}
	}
	if len(taken) == 0 {
		return nil, errors.New("device: config: RequirePostQuantum leaves none of Suites")
	}
	return taken, nil
}

// keyPackageOptions is what all leaves of this device have in common. Its capabilities list the suites that the device takes, under its
// signature: by them a peer notices a relay that withholds the better ones.
func (d *Device) keyPackageOptions(suite mls.CipherSuite) mls.KeyPackageOptions {
	return mls.KeyPackageOptions{
		Suite: suite, Signer: d.key, Credential: credential(d.id, d.name), Capabilities: mls.Capabilities{CipherSuites: slices.Clone(d.suites)},
	}
}

// newKeyPackage makes a key package and keeps its private keys. It must be durable before it is published.
func (d *Device) newKeyPackage(t *tx, suite mls.CipherSuite, lastResort bool) ([]byte, error) {
	o, now := d.keyPackageOptions(suite), d.now()
	o.LastResort = lastResort
	o.Lifetime = mls.Lifetime{NotBefore: uint64(now.Add(-clockSkew).Unix()), NotAfter: uint64(now.Add(lifetime).Unix())}
	k, err := d.mls.NewKeyPackage(rows{t: t}, o)
	if err != nil {
		return nil, err
	}
	ref, err := k.Ref()
	if err != nil {
		return nil, err
	}
	if err := t.exec(`INSERT INTO keypackage (ref, suite, last, expires) VALUES (?, ?, ?, ?)`, ref, int(suite), lastResort, now.Add(lifetime).Unix()); err != nil {
		return nil, err
	}
	return (&mls.MLSMessage{KeyPackage: k}).Marshal()
}

// lastResorts is when the key package of last resort of each suite was published, in Unix seconds. A new one replaces it after a third
// of its life.
type lastResorts map[mls.CipherSuite]int64

// stock publishes key packages of the suites of which the relay has few left, the best suite first, so that no peer finds only a weaker
// one. Their private keys are durable before.
func (d *Device) stock(ctx context.Context, s *session, stock []wire.Stock) error {
	for _, suite := range d.suites {
		left := uint32(0)
		for _, k := range stock {
			if k.Suite == uint16(suite) {
				left = k.Count
			}
		}
		if err := d.stockSuite(ctx, s, suite, left); err != nil {
			return err
		}
	}
	return nil
}

func (d *Device) stockSuite(ctx context.Context, s *session, suite mls.CipherSuite, left uint32) error {
	want := uint32(d.c.KeyPackages)
	f := &wire.PublishKeyPackages{}
	now := d.now()
	err := d.s.update(ctx, func(t *tx) error {
		*f = wire.PublishKeyPackages{Suite: uint16(suite)}
		if left*2 < want {
			for range want - left {
				b, err := d.newKeyPackage(t, suite, false)
				if err != nil {
					return err
				}
				f.Packages = append(f.Packages, b)
			}
		}
		last := lastResorts{}
		if _, err := t.getMeta("last resort", &last); err != nil {
			return err
		}
		if now.Sub(time.Unix(last[suite], 0)) <= lifetime/3 {
			return nil
		}
		b, err := d.newKeyPackage(t, suite, true)
		f.LastResort = b
		return err
	})
	if err != nil {
		return storeFailed(err)
	}
	if f.LastResort == nil && len(f.Packages) == 0 {
		return nil
	}
	reply, err := s.request(ctx, func(req uint64) wire.Frame { f.Req = req; return f })
	if err != nil {
		return err
	}
	switch r := reply.(type) {
	case *wire.KeyPackageCount:
		if f.LastResort == nil {
			return nil
		}
		return storeFailed(d.s.update(ctx, func(t *tx) error {
			last := lastResorts{}
			if _, err := t.getMeta("last resort", &last); err != nil {
				return err
			}
			last[suite] = now.Unix()
			return t.putMeta("last resort", last)
		}))
	case *wire.Failure:
		if r.Code == wire.CodeTooManyPackage || again(r.Code) {
			return nil // the next connection tries again
		}
		return fmt.Errorf("device: publish key packages: %w", r)
	}
	return nil
}

// restock asks how many key packages are left, after one was used.
func (d *Device) restock(ctx context.Context, s *session) error {
	reply, err := s.request(ctx, func(req uint64) wire.Frame { return &wire.CountKeyPackages{Req: req} })
	if err != nil {
		return err
	}
	if n, ok := reply.(*wire.KeyPackageCount); ok {
		return d.stock(ctx, s, n.Stock)
	}
	return nil
}

// sweepKeyPackages deletes private keys of key packages that nobody can use any more. A Welcome may be on its way for a while.
func (d *Device) sweepKeyPackages(t *tx, now time.Time) error {
	var old [][]byte
	err := t.rows(`SELECT ref FROM keypackage WHERE expires < ?`, []any{now.Add(-clockSkew).Unix()}, func(scan func(...any) error) error {
		var ref []byte
		err := scan(&ref)
		old = append(old, ref)
		return err
	})
	for _, ref := range old {
		if err == nil {
			err = errors.Join(d.mls.DeleteKeyPackage(rows{t: t}, ref), t.exec(`DELETE FROM keypackage WHERE ref = ?`, ref))
		}
	}
	return err
}

// claim gets a key package of each peer, all of one cipher suite: the first of suites of which all have one. It refuses what a relay
// could have weakened: every better suite must be missing from what some peer says, under its signature, that it has. Signatures and
// lifetimes are checked when the packages are used.
func (d *Device) claim(ctx context.Context, peers []messaging.DeviceID, suites []mls.CipherSuite) ([]*mls.KeyPackage, error) {
	packages := make([]*mls.KeyPackage, len(peers))
	at := 0
	for i := 0; i < len(peers); i++ {
		k, err := d.claimOne(ctx, peers[i], suites[at:])
		if err != nil {
			return nil, err
		}
		packages[i] = k
		if got := slices.Index(suites, k.Suite); got != at && i > 0 {
			at, i = got, -1 // what the others gave is of a suite that this one lacks: all anew
		} else {
			at = got
		}
	}
	for _, better := range suites[:at] {
		if !slices.ContainsFunc(packages, func(k *mls.KeyPackage) bool { return !slices.Contains(k.Leaf.Capabilities.CipherSuites, better) }) {
			return nil, fmt.Errorf("%w (%v)", ErrDowngrade, better)
		}
	}
	return packages, nil
}

// claimOne gets a key package of one peer, of one of the suites, and checks that it is theirs.
func (d *Device) claimOne(ctx context.Context, peer messaging.DeviceID, suites []mls.CipherSuite) (*mls.KeyPackage, error) {
	var numbers []uint16
	for _, s := range suites {
		numbers = append(numbers, uint16(s))
	}
	for pause := retryFirst; ; pause = min(2*pause, retryMost) {
		reply, err := d.line.request(ctx, func(req uint64) wire.Frame {
			return &wire.ClaimKeyPackage{Req: req, Device: peer, Suites: numbers}
		})
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err == nil {
			switch r := reply.(type) {
			case *wire.KeyPackage:
				return checkClaimed(r.Package, peer, suites)
			case *wire.Failure:
				switch {
				case r.Code == wire.CodeNoKeyPackage, r.Code == wire.CodeUnknownDevice:
					return nil, fmt.Errorf("%w (%s)", ErrNoPackage, peer)
				case r.Code == wire.CodeNoSuite:
					return nil, fmt.Errorf("%w: wanted %v (%s)", ErrNoSuite, suites, peer)
				case !again(r.Code):
					return nil, fmt.Errorf("device: key package: %w", r)
				}
			default:
				return nil, fmt.Errorf("device: key package: unexpected answer %s", reply.Type())
			}
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
}

func checkClaimed(b []byte, peer messaging.DeviceID, suites []mls.CipherSuite) (*mls.KeyPackage, error) {
	m, err := mls.ParseMLSMessage(b)
	if err != nil {
		return nil, err
	}
	k := m.KeyPackage
	if k == nil {
		return nil, errors.New("device: want a key package")
	}
	if !slices.Contains(suites, k.Suite) {
		return nil, fmt.Errorf("device: the relay gave out a key package of suite %v, which was not asked for", k.Suite)
	}
	member, err := memberOf(k.Leaf.Credential, k.Leaf.SignatureKey)
	if err != nil {
		return nil, err
	}
	if member.Device != peer {
		return nil, errors.New("device: the relay gave out a key package of another device")
	}
	return k, nil
}
