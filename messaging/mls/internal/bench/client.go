// Package bench builds groups of any size for measurements of messaging/mls, and measures the time that the cryptography of RFC 9420
// cannot go below in Go.
//
// It compares nothing: the benchmarks of messaging/mls and the command messaging/mls/interop/bench do. Groups are whole, with rows and
// transactions; only their further members, who never say anything, are nothing but key packages.
package bench

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/parleypay/parley/messaging/mls"
)

// Rows is the store of one client with at most one group, in memory. It is the transaction, too: what is written is there.
type Rows map[mls.Key][]byte

var _ mls.Tx = Rows{}

// Get returns a copy of the row.
func (r Rows) Get(k mls.Key) ([]byte, error) { return bytes.Clone(r[k]), nil }

// Put writes a row, over the octets of the one before if it fits.
func (r Rows) Put(k mls.Key, v []byte) error {
	r[k] = append(r[k][:0], v...)
	return nil
}

// Delete deletes a row.
func (r Rows) Delete(k mls.Key) error {
	delete(r, k)
	return nil
}

// Clone returns a copy that does not change with r.
func (r Rows) Clone() Rows {
	c := maps.Clone(r)
	for k, v := range c {
		c[k] = bytes.Clone(v)
	}
	return c
}

// Bytes returns the size of all values.
func (r Rows) Bytes() (n int) {
	for _, v := range r {
		n += len(v)
	}
	return n
}

// Client is a client with its rows and, once it has one, its group.
type Client struct {
	Suite mls.CipherSuite
	Name  string
	MLS   *mls.Client
	Rows  Rows
	Group *mls.Group
}

// NewClient returns a client with a fresh signature key and a basic credential of that name. Its policy is the default but for the
// padding: none, as the floor and other implementations have none.
func NewClient(suite mls.CipherSuite, name string) (*Client, error) {
	signer, err := suite.GenerateSignatureKey()
	if err != nil {
		return nil, err
	}
	anybody := func([]byte, mls.SignaturePublicKey) error { return nil }
	c, err := mls.NewClient(mls.Config{
		Identity: mls.BasicIdentity{Member: anybody}, Signers: []crypto.Signer{signer}, Now: time.Now,
		Policy: mls.Policy{Padding: mls.PadNone},
	})
	return &Client{Suite: suite, Name: name, MLS: c, Rows: Rows{}}, err
}

func (c *Client) options() mls.KeyPackageOptions {
	return mls.KeyPackageOptions{Suite: c.Suite, Credential: mls.BasicCredential([]byte(c.Name))}
}

// KeyPackage makes a key package.
func (c *Client) KeyPackage() (*mls.KeyPackage, error) {
	return c.MLS.NewKeyPackage(c.Rows, c.options())
}

// Create makes a group of the client alone.
func (c *Client) Create(groupID []byte) (err error) {
	c.Group, err = c.MLS.Create(c.Rows, groupID, c.options(), nil)
	return err
}

// Commit makes a commit and confirms it.
func (c *Client) Commit(o mls.CommitOptions) (*mls.PendingCommit, error) {
	p, err := c.Group.Commit(c.Rows, o)
	if err != nil {
		return nil, err
	}
	c.Group, err = c.Group.Confirm(c.Rows, p)
	return p, err
}

// Join enters the group of a Welcome.
func (c *Client) Join(welcome []byte) error {
	m, err := mls.ParseMLSMessage(welcome)
	if err != nil {
		return err
	}
	if m.Welcome == nil {
		return errors.New("bench: no Welcome")
	}
	j, err := c.MLS.Join(c.Rows, m.Welcome, mls.JoinOptions{})
	if err != nil {
		return err
	}
	c.Group, err = j.Accept(c.Rows)
	return err
}

// Process takes a commit of another member.
func (c *Client) Process(message []byte) error {
	e, err := c.Group.Process(c.Rows, message)
	if err != nil {
		return err
	}
	staged, ok := e.(*mls.StagedCommit)
	if !ok {
		return fmt.Errorf("bench: %T instead of a commit", e)
	}
	c.Group, err = c.Group.Merge(c.Rows, staged)
	return err
}

// Restore loads the group anew from rows, which are the client's from then on.
func (c *Client) Restore(rows Rows) (err error) {
	c.Rows = rows
	c.Group, err = c.MLS.Load(rows)
	return err
}

// Seal protects an application message.
func (c *Client) Seal(data []byte) ([]byte, error) { return c.Group.Seal(c.Rows, data, nil) }

// Open opens an application message of another member.
func (c *Client) Open(message []byte) ([]byte, error) {
	e, err := c.Group.Process(c.Rows, message)
	if err != nil {
		return nil, err
	}
	if a, ok := e.(*mls.Application); ok {
		return a.Data, nil
	}
	return nil, fmt.Errorf("bench: %T instead of a message", e)
}

// Crowd is a stock of key packages of clients that fill groups up and never join them.
type Crowd struct {
	Suite    mls.CipherSuite
	packages []mls.Proposal
}

// NewCrowd returns an empty crowd, which makes clients as they are asked for.
func NewCrowd(suite mls.CipherSuite) *Crowd { return &Crowd{Suite: suite} }

// adds returns Add proposals for the first n of the crowd.
func (c *Crowd) adds(n int) ([]mls.Proposal, error) {
	for len(c.packages) < n {
		client, err := NewClient(c.Suite, fmt.Sprint("one of the crowd ", len(c.packages)))
		if err != nil {
			return nil, err
		}
		k, err := client.KeyPackage()
		if err != nil {
			return nil, err
		}
		c.packages = append(c.packages, &mls.Add{KeyPackage: *k})
	}
	return c.packages[:n], nil
}

// Found makes a group of n members by one commit: its creator, those whose key packages are given at the leaves after it, and the
// crowd. Nobody but the creator has committed, so an update of its keys is encrypted to each of the others, TreeKEM's worst case;
// and who sits next to it derives all keys of the path.
func (c *Crowd) Found(groupID []byte, n int, joiners ...*mls.KeyPackage) (creator *Client, welcome []byte, err error) {
	if creator, err = NewClient(c.Suite, "creator"); err != nil {
		return nil, nil, err
	}
	if err := creator.Create(groupID); err != nil {
		return nil, nil, err
	}
	crowd, err := c.adds(n - 1 - len(joiners))
	if err != nil {
		return nil, nil, err
	}
	var adds []mls.Proposal
	for _, k := range joiners {
		adds = append(adds, &mls.Add{KeyPackage: *k})
	}
	p, err := creator.Commit(mls.CommitOptions{Proposals: append(adds, crowd...), Path: true})
	if err != nil {
		return nil, nil, err
	}
	return creator, p.Welcome(), nil
}

// Pair makes a group of n members of which two are there: the creator and one that has joined.
func (c *Crowd) Pair(groupID []byte, n int) (creator, other *Client, err error) {
	if other, err = NewClient(c.Suite, "other"); err != nil {
		return nil, nil, err
	}
	k, err := other.KeyPackage()
	if err != nil {
		return nil, nil, err
	}
	creator, welcome, err := c.Found(groupID, n, k)
	if err != nil {
		return nil, nil, err
	}
	return creator, other, other.Join(welcome)
}

// SetUp makes a group of two from nothing: other's key package, the creator's group, an Add without a path, the Welcome, the Join. Both
// clients lose what they had.
func SetUp(creator, other *Client) error {
	creator.Rows, other.Rows = Rows{}, Rows{}
	k, err := other.KeyPackage()
	if err != nil {
		return err
	}
	if err := creator.Create([]byte("0123456789abcdef")); err != nil {
		return err
	}
	p, err := creator.Commit(mls.CommitOptions{Proposals: []mls.Proposal{&mls.Add{KeyPackage: *k}}})
	if err != nil {
		return err
	}
	return other.Join(p.Welcome())
}
