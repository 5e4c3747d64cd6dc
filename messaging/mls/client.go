package mls

import (
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Config is what a Client is made of. Identity and Now are required.
type Config struct {
	// Identity is the application's authentication service.
	Identity IdentityProvider
	// Signers are the client's signature keys. For a leaf the one whose public key it carries is used, so a key that is replaced
	// stays in the list until no group has it any more. A new key package or group takes the first one that fits its suite.
	Signers []crypto.Signer
	// Now is the time. Lifetimes and expiry are in whole seconds.
	Now func() time.Time
	// Rand gives keys, nonces and reuse guards. Nil means crypto/rand.Reader. Encapsulations draw from the system always.
	Rand io.Reader
	// Policy holds the limits and the application's own rules. Its zero value means the stated defaults.
	Policy Policy
}

// Policy is what RFC 9750 §7 leaves to the application. Of a number, zero means the default and, where it says so, a negative
// one means none. Limits that were lowered take effect on rows already stored at the next commit or Expire.
type Policy struct {
	// Ratchet bounds how far a message may jump ahead and what is kept of messages that are late within an epoch.
	Ratchet RatchetLimits
	// PastEpochs is how many epochs before the current one late application messages are opened of. Zero: 3. Negative: none.
	PastEpochs int
	// PastAge is how long each of them is kept after the commit that ended it. Zero: 7 days.
	PastAge time.Duration
	// Resumptions is how many earlier epochs the resumption PSK is kept of (§8.6). Zero: 3. Negative: none.
	Resumptions int
	// LeafLifetimeMax is the longest lifetime of a key package, and so of a leaf, that is accepted and made (§7.2). Zero: 90 days
	// and 1 hour, the hour being for clocks that differ.
	LeafLifetimeMax time.Duration
	// ProposalsMax is how many proposals of one epoch are stored. Zero: 1,024. More are refused, and so is a commit that
	// refers to them.
	ProposalsMax int
	// PublicHandshakes sends own proposals and commits as PublicMessage, readable and checkable by the delivery service. The default
	// is PrivateMessage (§6).
	PublicHandshakes bool
	// Padding is how far private messages are padded (§6.3.1).
	Padding Padding
	// Allow is the application's own rule on who may change what. It is asked about every commit, own and others', when the commit
	// is valid otherwise and before any secret is derived, and about a choice of stored proposals for an own commit, so maybe more
	// than once. It has no effects. An error refuses the commit. Nil allows all that RFC 9420 does.
	Allow func(*Change) error
}

const (
	defaultPastEpochs   = 3
	defaultPastAge      = 7 * 24 * time.Hour
	defaultResumptions  = 3
	defaultLifetime     = 90*24*time.Hour + clockSkew
	defaultProposalsMax = 1024
	clockSkew           = time.Hour // a lifetime begins that long before now
)

// Client makes key packages and enters groups. It does not change, holds no group, and may be used by any number of goroutines
// if its Config's parts can.
type Client struct {
	config  Config
	signers map[string]crypto.Signer // by signature public key
	limits  epochLimits
}

// Errors of operations that the client's state does not allow.
var (
	// ErrNoGroup: there is no group in the transaction.
	ErrNoGroup = errors.New("mls: there is no such group")
	// ErrNoKeyPackage: the client has the private keys of none of the key packages that the Welcome is for.
	ErrNoKeyPackage = errors.New("mls: the Welcome is for no key package that the client has keys of")
	// ErrSpent: the Group's epoch has ended, or the operation that should end it failed. Use the Group that was returned, or Load it.
	ErrSpent = errors.New("mls: the group handle is spent: its epoch has ended")
	// ErrNoSigner: none of Config.Signers has the signature key of the member's leaf.
	ErrNoSigner  = errors.New("mls: the client has no signer for the signature key of its leaf")
	errGroupHere = errors.New("mls: the client is in a group of that id already (RFC 9420 §12.4.3.1)")
)

// NewClient returns a client. It keeps c's contents, which are not to be changed.
func NewClient(c Config) (*Client, error) {
	if c.Identity == nil || c.Now == nil {
		return nil, errors.New("mls: Config.Identity and Config.Now are required")
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	p := &c.Policy
	orDefault(&p.PastEpochs, defaultPastEpochs)
	orDefault(&p.PastAge, defaultPastAge)
	orDefault(&p.Resumptions, defaultResumptions)
	orDefault(&p.LeafLifetimeMax, defaultLifetime)
	orDefault(&p.ProposalsMax, defaultProposalsMax)
	if p.PastAge < 0 || p.LeafLifetimeMax < 0 || p.ProposalsMax < 0 {
		return nil, errors.New("mls: a negative PastAge, LeafLifetimeMax or ProposalsMax")
	}
	client := &Client{config: c, signers: map[string]crypto.Signer{}, limits: epochLimits{
		ratchet: p.Ratchet, past: uint64(max(p.PastEpochs, 0)), pastSeconds: int64(p.PastAge / time.Second),
		resumptions: uint64(max(p.Resumptions, 0)),
	}}
	for i, signer := range c.Signers {
		public, err := SignaturePublicKeyOf(signer)
		if err != nil {
			return nil, fmt.Errorf("mls: signer %d of the client: %w", i, err)
		}
		client.signers[string(public)] = signer
	}
	return client, nil
}

func orDefault[T int | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// now returns the time in seconds since 1970.
func (c *Client) now() int64 { return c.config.Now().Unix() }

func (c *Client) leafPolicy() leafPolicy {
	return leafPolicy{identity: c.config.Identity, now: c.now(), lifetimeMax: uint64(c.config.Policy.LeafLifetimeMax / time.Second)}
}

// complete fills in what o leaves open: signer and lifetime.
func (c *Client) complete(o KeyPackageOptions) (KeyPackageOptions, error) {
	s, err := lookupSuite(o.Suite)
	if err != nil {
		return o, err
	}
	if o.Signer == nil {
		at := slices.IndexFunc(c.config.Signers, func(signer crypto.Signer) bool {
			_, err := s.signaturePublicKey(signer)
			return err == nil
		})
		if at < 0 {
			return o, fmt.Errorf("mls: none of the client's signers is for suite %v", o.Suite)
		}
		o.Signer = c.config.Signers[at]
	}
	public, err := s.signaturePublicKey(o.Signer)
	if err != nil {
		return o, err
	}
	if c.signers[string(public)] == nil {
		return o, errors.New("mls: the signer is not among the client's: a group with it could not be used after a restart")
	}
	if o.Lifetime == (Lifetime{}) {
		from := c.config.Now().Add(-clockSkew)
		o.Lifetime = Lifetime{NotBefore: uint64(max(from.Unix(), 0)), NotAfter: uint64(max(from.Add(c.config.Policy.LeafLifetimeMax).Unix(), 0))}
	}
	return o, nil
}

// NewKeyPackage makes a key package and stores its private keys, for the one join it is made for or, if it is of last resort, until
// it is deleted. Publish it when the transaction is durable. A zero Lifetime in o begins an hour ago and is as long as the policy
// allows; a nil Signer is the first of the client's that fits.
func (c *Client) NewKeyPackage(tx Tx, o KeyPackageOptions) (*KeyPackage, error) {
	o, err := c.complete(o)
	if err != nil {
		return nil, err
	}
	return NewKeyPackage(tx, c.config.Rand, o)
}

// DeleteKeyPackage deletes the private keys of the key package with that reference: expired, or of last resort and replaced.
func (c *Client) DeleteKeyPackage(tx Tx, ref []byte) error {
	return tx.Delete(Key{Row: RowKeyPackage, ID: string(ref)})
}

// pskIDMax and pskMax bound an external PSK and its id, in octets.
const (
	pskIDMax = 255
	pskMax   = 1 << 10
)

// StorePSK keeps an external pre-shared key for all of the client's groups (RFC 9420 §8.4). id has 1 to 255 octets.
func (c *Client) StorePSK(tx Tx, id, psk []byte) error {
	if len(id) == 0 || len(id) > pskIDMax || len(psk) == 0 || len(psk) > pskMax {
		return fmt.Errorf("mls: external PSK of %d octets with an id of %d: want 1 to %d and 1 to %d", len(psk), len(id), pskMax, pskIDMax)
	}
	return tx.Put(Key{Row: RowPSK, ID: string(id)}, append([]byte{rowVersion}, psk...))
}

// DeletePSK forgets an external pre-shared key.
func (c *Client) DeletePSK(tx Tx, id []byte) error {
	return tx.Delete(Key{Row: RowPSK, ID: string(id)})
}

var errUnknownPSK = errors.New("mls: the pre-shared key is not known")

// lookupPSK returns how the keys of a commit or Welcome in tx are found: external ones, and resumption PSKs of the group whose
// state is given. g is nil if there is none.
func lookupPSK(tx Tx, g *groupState) pskLookup {
	return func(id *PreSharedKeyID) ([]byte, error) {
		key := Key{Row: RowPSK, ID: string(id.ID)}
		if id.Type != PSKExternal {
			if g == nil || string(g.context.GroupID) != string(id.GroupID) {
				return nil, errUnknownPSK
			}
			if id.Epoch == g.context.Epoch {
				return slices.Clone(g.secrets.resumption), nil
			}
			key = Key{Row: RowResumption, Epoch: id.Epoch}
		} else if len(id.ID) == 0 || len(id.ID) > pskIDMax {
			return nil, errUnknownPSK
		}
		row, err := tx.Get(key)
		switch {
		case err != nil:
			return nil, err
		case row == nil:
			return nil, errUnknownPSK
		case len(row) < 2 || row[0] != rowVersion:
			return nil, errors.New("mls: malformed PSK row")
		}
		return row[1:], nil
	}
}

// withNonce returns p, with a fresh nonce if it is a PreSharedKey proposal without one (RFC 9420 §8.4).
func (c *Client) withNonce(s *suite, p Proposal) (Proposal, error) {
	psk, ok := p.(*PreSharedKey)
	if !ok || len(psk.PSK.Nonce) > 0 {
		return p, nil
	}
	fresh := *psk
	fresh.PSK.Nonce = make([]byte, s.nh)
	_, err := io.ReadFull(c.config.Rand, fresh.PSK.Nonce)
	return &fresh, err
}

// Create makes a group whose only member is this client, in epoch 0, and stores it. groupID must be unique among the client's
// groups and, so that the delivery service learns nothing from it, random. extensions are those of the GroupContext.
func (c *Client) Create(tx Tx, groupID []byte, o KeyPackageOptions, extensions Extensions) (*Group, error) {
	o, err := c.complete(o)
	if err != nil {
		return nil, err
	}
	if len(groupID) == 0 || len(groupID) > groupIDMax {
		return nil, fmt.Errorf("mls: group id of %d octets: want 1 to %d", len(groupID), groupIDMax)
	}
	if err := noGroup(tx); err != nil {
		return nil, err
	}
	state, err := createGroup(c.config.Rand, groupID, o, extensions, c.leafPolicy())
	if err != nil {
		return nil, err
	}
	if err := state.begin(tx, nil, c.limits, c.now()); err != nil {
		return nil, err
	}
	return c.group(state)
}

// groupIDMax bounds the ids of groups that are created here, in octets.
const groupIDMax = 255

// noGroup refuses if the transaction's group is there already.
func noGroup(tx Tx) error {
	row, err := tx.Get(Key{Row: RowEpoch})
	if err == nil && row != nil {
		err = errGroupHere
	}
	return err
}

// Load reads the group that tx is opened for, in its current epoch, or fails with ErrNoGroup. Its cost grows with the group; what
// follows with the Group does not.
func (c *Client) Load(tx Tx) (*Group, error) {
	state, err := loadState(tx)
	if err != nil {
		return nil, err
	}
	if state == nil {
		return nil, ErrNoGroup
	}
	g, err := c.group(state)
	if err != nil {
		return nil, err
	}
	if g.proposals, err = loadProposals(tx, state.context.Epoch); err != nil {
		return nil, err
	}
	g.pending, err = loadWaiting(tx)
	return g, err
}
