package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"

	"github.com/parleypay/parley/messaging/mls"
	"github.com/parleypay/parley/messaging/mls/internal/bench"
	mlsgo "github.com/thomas-vilte/mls-go"
	"github.com/thomas-vilte/mls-go/ciphersuite"
	"github.com/thomas-vilte/mls-go/group"
)

// peer is a client of mls-go, kept at its fastest: groups are cached and not read again, nothing is padded, nothing is logged. It
// still writes the whole group into its store in memory after each operation; that cannot be switched off.
type peer struct {
	client *mlsgo.Client
	group  []byte
}

var ctx = context.Background()

func newPeer(name string, more ...mlsgo.ClientOption) (*peer, error) {
	c, err := mlsgo.NewClient([]byte(name), ciphersuite.MLS128DHKEMX25519,
		append(more, mlsgo.WithCacheStrategy(mlsgo.CacheAlways), mlsgo.WithLogger(slog.New(slog.DiscardHandler)))...)
	return &peer{client: c}, err
}

// keyPackage returns a key package as mls-go encodes it, and parsed by messaging/mls.
func (p *peer) keyPackage() ([]byte, *mls.KeyPackage, error) {
	raw, err := p.client.FreshKeyPackageBytes(ctx)
	if err != nil {
		return nil, nil, err
	}
	m, err := mls.ParseMLSMessage(append([]byte{0, byte(mls.MLS10), 0, byte(mls.WireFormatKeyPackage)}, raw...))
	if err != nil {
		return nil, nil, err
	}
	return raw, m.KeyPackage, nil
}

func (p *peer) join(welcome []byte) (err error) {
	p.group, err = p.client.JoinGroup(ctx, welcome)
	return err
}

func (p *peer) seal(data []byte) ([]byte, error) { return p.client.SendMessage(ctx, p.group, data) }

func (p *peer) open(message []byte) error {
	m, err := p.client.ReceiveMessage(ctx, p.group, message)
	if err == nil && len(m.Plaintext) == 0 {
		err = errors.New("mls-go opened nothing")
	}
	return err
}

func (p *peer) process(commit []byte) error { return p.client.ProcessCommit(ctx, p.group, commit) }

func (p *peer) invite(keyPackage []byte) (welcome []byte, err error) {
	_, welcome, err = p.client.InviteMember(ctx, p.group, keyPackage)
	return welcome, err
}

// peerInGroup returns a group of n members by messaging/mls in which the member next to the creator is mls-go.
func peerInGroup(crowd *bench.Crowd, id string, n int) (*bench.Client, *peer, error) {
	p, err := newPeer("peer")
	if err != nil {
		return nil, nil, err
	}
	_, k, err := p.keyPackage()
	if err != nil {
		return nil, nil, err
	}
	creator, welcome, err := crowd.Found([]byte(id), n, k)
	if err != nil {
		return nil, nil, err
	}
	return creator, p, p.join(welcome)
}

// peerSetUp makes a group of two from nothing, both sides.
func peerSetUp(a, b *peer) error {
	raw, err := b.client.FreshKeyPackageBytes(ctx)
	if err != nil {
		return err
	}
	if a.group, err = a.client.CreateGroup(ctx); err != nil {
		return err
	}
	welcome, err := a.invite(raw)
	if err != nil {
		return err
	}
	return b.join(welcome)
}

// forgetful is a store of mls-go that keeps nothing: what is left in memory are the live groups.
type forgetful struct{}

var errForgotten = errors.New("forgotten")

func (forgetful) SaveGroupState(context.Context, *group.ID, []byte) error   { return nil }
func (forgetful) LoadGroupState(context.Context, *group.ID) ([]byte, error) { return nil, errForgotten }
func (forgetful) DeleteGroupState(context.Context, *group.ID) error         { return nil }
func (forgetful) StoreSignatureKey(context.Context, *group.ID, *ciphersuite.SignaturePrivateKey) error {
	return nil
}
func (forgetful) LoadSignatureKey(context.Context, *group.ID) (*ciphersuite.SignaturePrivateKey, error) {
	return nil, errForgotten
}
func (forgetful) StoreLeafEncryptionKey(context.Context, *group.ID, group.LeafNodeIndex, []byte) error {
	return nil
}
func (forgetful) LoadLeafEncryptionKey(context.Context, *group.ID, group.LeafNodeIndex) ([]byte, error) {
	return nil, errForgotten
}

// peerMemory returns what a live group of two takes in mls-go, in octets, measured as bench.MeasureMemory does.
func peerMemory(groups int) (int, error) {
	a, err := newPeer("a", mlsgo.WithStorage(forgetful{}, forgetful{}))
	if err != nil {
		return 0, err
	}
	b, err := newPeer("b", mlsgo.WithStorage(forgetful{}, forgetful{}))
	if err != nil {
		return 0, err
	}
	before := bench.Heap()
	for range groups / 2 {
		if err := peerSetUp(a, b); err != nil {
			return 0, err
		}
		for _, turn := range [2][2]*peer{{a, b}, {b, a}} {
			commit, err := turn[0].client.SelfUpdate(ctx, turn[0].group)
			if err != nil {
				return 0, fmt.Errorf("update by mls-go: %w", err)
			}
			if err := turn[1].process(commit); err != nil {
				return 0, err
			}
			message, err := turn[0].seal([]byte("hello"))
			if err != nil {
				return 0, err
			}
			if err := turn[1].open(message); err != nil {
				return 0, err
			}
		}
	}
	after := bench.Heap()
	runtime.KeepAlive(a)
	runtime.KeepAlive(b)
	return int(after-before) / groups, nil
}
