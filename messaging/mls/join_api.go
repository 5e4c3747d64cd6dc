package mls

import (
	"bytes"
	"errors"
	"slices"
)

// JoinOptions is what joining may take besides the Welcome.
type JoinOptions struct {
	// Tree is the encoded ratchet tree if the Welcome omits it.
	Tree []byte
	// Old is the group that the new one continues or branches from (RFC 9420 §11.2, §11.3). Without it a Welcome that refers to an
	// old group is refused.
	Old *Group
}

// Joining is a group that a Welcome opens, verified and not entered yet: the application looks at who is in it.
type Joining struct {
	client *Client
	joined *joined
	group  *Group // the same, for its accessors
	ref    []byte
	last   bool // the key package is of last resort
}

// Join checks a Welcome (RFC 9420 §12.4.3.1) and writes nothing. It reads rows of the client, and of o.Old's group if there is one: then
// open tx for that. It fails with ErrNoKeyPackage if the Welcome is for somebody else, or its key package was used.
func (c *Client) Join(tx Tx, w *Welcome, o JoinOptions) (*Joining, error) {
	var keys *keyPackageKeys
	var ref []byte
	for i := range w.Secrets {
		if len(w.Secrets[i].NewMember) > hashMax {
			continue
		}
		var err error
		if keys, err = loadKeyPackage(tx, w.Secrets[i].NewMember); err != nil {
			return nil, err
		}
		if keys != nil {
			ref = slices.Clone(w.Secrets[i].NewMember)
			break
		}
	}
	if keys == nil {
		return nil, ErrNoKeyPackage
	}
	var old *groupState
	if o.Old != nil {
		if o.Old.spent {
			return nil, ErrSpent
		}
		old = o.Old.state
	}
	j, err := join(w, joinInputs{keyPackage: &keys.keyPackage, initKey: keys.init, leafKey: keys.leaf, tree: o.Tree, psk: lookupPSK(tx, old),
		policy: c.leafPolicy()})
	if err != nil {
		return nil, err
	}
	if err := j.checkOld(old, c.config.Identity); err != nil {
		return nil, err
	}
	m, err := j.state.messages(c.limits.ratchet)
	if err != nil {
		return nil, err
	}
	return &Joining{client: c, joined: j, group: &Group{client: c, state: j.state, messages: m}, ref: ref, last: keys.keyPackage.LastResort()}, nil
}

// GroupID returns the group's id; a transaction for Accept is opened for it.
func (j *Joining) GroupID() []byte { return j.group.ID() }

// Suite returns the group's cipher suite.
func (j *Joining) Suite() CipherSuite { return j.group.Suite() }

// Epoch returns the epoch that the client enters.
func (j *Joining) Epoch() uint64 { return j.group.Epoch() }

// Members returns the members, the client included.
func (j *Joining) Members() []Member { return j.group.Members() }

// Own returns the client's leaf.
func (j *Joining) Own() LeafIndex { return j.group.Own() }

// Extensions returns the extensions of the GroupContext.
func (j *Joining) Extensions() Extensions { return j.group.Extensions() }

// Signer returns who invited the client: the member that made the Welcome.
func (j *Joining) Signer() Member {
	m, _ := j.joined.state.tree.memberAt(j.joined.signer)
	return m
}

// SafetyCode is that of the group once it is entered.
func (j *Joining) SafetyCode() string { return j.group.SafetyCode() }

// KeyPackageRef returns the reference of the key package that the Welcome is for.
func (j *Joining) KeyPackageRef() []byte { return j.ref }

// Accept enters the group: it stores it, and deletes the private keys of the key package unless it is of last resort (RFC 9420 §10).
// tx is opened for GroupID. A group of that id must not be there.
func (j *Joining) Accept(tx Tx) (*Group, error) {
	if j.group.spent {
		return nil, ErrSpent
	}
	if err := noGroup(tx); err != nil {
		return nil, err
	}
	j.group.spent = true
	if err := j.forgetKeys(tx); err != nil {
		return nil, err
	}
	if err := tx.Delete(Key{Row: RowPending}); err != nil { // of an external commit that lost against the Welcome
		return nil, err
	}
	if err := j.joined.state.begin(tx, nil, j.client.limits, j.client.now()); err != nil {
		return nil, err
	}
	return j.client.group(j.joined.state)
}

// Reject deletes the private keys of the key package, unless it is of last resort: the group can never be entered by this Welcome.
func (j *Joining) Reject(tx Tx) error {
	if j.group.spent {
		return ErrSpent
	}
	j.group.spent = true
	j.joined.state.secrets.wipe()
	return j.forgetKeys(tx)
}

func (j *Joining) forgetKeys(tx Tx) error {
	if j.last {
		return nil
	}
	return j.client.DeleteKeyPackage(tx, j.ref)
}

// checkOld compares a group that refers to an old one with it (RFC 9420 §12.4.3.1). old is nil if it is not there.
func (j *joined) checkOld(old *groupState, identity IdentityProvider) error {
	at := slices.IndexFunc(j.psks, func(id PreSharedKeyID) bool { return isBootstrap(&id) })
	if at < 0 {
		return nil
	}
	id, c := &j.psks[at], &j.state.context
	if old == nil || !bytes.Equal(old.context.GroupID, id.GroupID) {
		return refuse("12.4.3.1", "the Welcome refers to an old group that is not there")
	}
	if id.Usage == UsageBranch {
		if c.Version != old.context.Version || c.Suite != old.context.Suite {
			return refuse("11.3", "a branch with suite %v, the old group has %v", c.Suite, old.context.Suite)
		}
		if i, ok := subset(j.state.tree, old.tree, identity); !ok {
			return refuse("11.3", "leaf %d of the branch is no member of the old group", i)
		}
		return nil
	}
	r := old.reInit
	if r == nil || id.Epoch != old.context.Epoch {
		return refuse("11.2", "the last commit of the old group is no ReInit")
	}
	if !bytes.Equal(r.GroupID, c.GroupID) || r.Version != c.Version || r.Suite != c.Suite || !sameExtensions(r.Extensions, c.Extensions) {
		return refuse("11.2", "the new group has not the id, version, suite and extensions of the ReInit")
	}
	if i, ok := subset(old.tree, j.state.tree, identity); !ok {
		return refuse("11.2", "leaf %d of the old group is no member of the new one", i)
	}
	return nil
}

// subset reports whether every member of a is one of b; if not, which is not. Members are the same by the application's word.
func subset(a, b *ratchetTree, identity IdentityProvider) (LeafIndex, bool) {
	for i, l := range a.members {
		found := false
		for _, m := range b.members {
			if found = identity.SameClient(l.Credential, m.Credential); found {
				break
			}
		}
		if !found {
			return i, false
		}
	}
	return 0, true
}

func sameExtensions(a, b Extensions) bool {
	x, errA := marshal(a)
	y, errB := marshal(b)
	return errA == nil && errB == nil && bytes.Equal(x, y)
}

var errNotClosed = errors.New("mls: the old group is not closed by a ReInit")
