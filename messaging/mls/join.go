package mls

import (
	"bytes"
	"crypto/hpke"
)

// joinInputs is what joining by a Welcome takes besides the Welcome.
type joinInputs struct {
	keyPackage *KeyPackage
	initKey    hpke.PrivateKey
	leafKey    keptKey
	tree       []byte // ratchet_tree from elsewhere; nil if the Welcome brings it
	psk        pskLookup
	policy     leafPolicy
	// known reports whether the client is in a group of that id already.
	known func(groupID []byte) bool
}

// joined is a group entered by a Welcome, not yet taken: the application looks at its members first.
type joined struct {
	state  *groupState
	psks   []PreSharedKeyID
	signer LeafIndex
}

// join processes a Welcome (RFC 9420 §12.4.3.1). It changes nothing; whoever takes the group deletes the key package's private
// keys in the same transaction (§10).
func join(w *Welcome, in joinInputs) (*joined, error) {
	s, err := lookupSuite(w.Suite)
	if err != nil {
		return nil, err
	}
	if in.keyPackage.Suite != w.Suite {
		return nil, refuse("12.4.3.1", "the key package is for suite %v, the Welcome for %v", in.keyPackage.Suite, w.Suite)
	}
	secrets, err := openGroupSecrets(s, w, in)
	if err != nil {
		return nil, err
	}
	defer wipe(secrets.JoinerSecret, secrets.PathSecret)
	if err := checkWelcomePSKs(s, secrets.PSKs); err != nil {
		return nil, err
	}
	psk, err := s.pskSecretOf(secrets.PSKs, in.psk)
	if err != nil {
		return nil, err
	}
	member := s.memberSecret(secrets.JoinerSecret, psk)
	defer wipe(member, psk)
	info, err := openGroupInfo(s, member, w.EncryptedGroupInfo)
	if err != nil {
		return nil, err
	}
	if info.Context.Suite != w.Suite {
		return nil, refuse("12.4.3.1", "the GroupInfo is for suite %v, the Welcome for %v", info.Context.Suite, w.Suite)
	}
	if in.known != nil && in.known(info.Context.GroupID) {
		return nil, refuse("12.4.3.1", "the client is in a group of that id already")
	}
	tree, err := verifyGroupInfo(s, info, in.tree, in.policy)
	if err != nil {
		return nil, err
	}
	own, ok := tree.findLeaf(&in.keyPackage.Leaf)
	if !ok {
		return nil, refuse("12.4.3.1", "the tree has no leaf of the key package")
	}
	g := &groupState{suite: s, tree: tree, keys: newTreeKeys(own, in.leafKey)}
	if !bytes.Equal(in.leafKey.public, in.keyPackage.Leaf.EncryptionKey) {
		return nil, refuse("12.4.3.1", "the private key does not fit the key package")
	}
	if secrets.PathSecret != nil {
		if err := g.keys.joinPath(tree, info.Signer, secrets.PathSecret); err != nil {
			return nil, err
		}
	}
	if err := g.setContext(info.Context); err != nil {
		return nil, err
	}
	if err := g.confirmEpoch(member, info.ConfirmationTag); err != nil {
		return nil, err
	}
	if hasBootstrapPSK(secrets.PSKs) && info.Context.Epoch != 1 {
		return nil, refuse("12.4.3.1", "a group that continues another begins in epoch %d, not 1", info.Context.Epoch)
	}
	return &joined{state: g, psks: secrets.PSKs, signer: info.Signer}, nil
}

// openGroupSecrets finds and decrypts the part of the Welcome for the key package.
func openGroupSecrets(s *suite, w *Welcome, in joinInputs) (*groupSecrets, error) {
	encoded, err := marshal(in.keyPackage)
	if err != nil {
		return nil, err
	}
	ref := s.keyPackageRef(encoded)
	for i := range w.Secrets {
		if !bytes.Equal(w.Secrets[i].NewMember, ref) {
			continue
		}
		plain, err := s.decryptWithLabel(in.initKey, "Welcome", w.EncryptedGroupInfo, w.Secrets[i].Secrets)
		if err != nil {
			return nil, refuseFor(err, "12.4.3.1", "the group secrets do not decrypt")
		}
		secrets := new(groupSecrets)
		if err := unmarshal("GroupSecrets", plain, secrets); err != nil {
			wipe(plain)
			return nil, err
		}
		if len(secrets.JoinerSecret) != s.nh {
			wipe(plain)
			return nil, refuse("12.4.3.1", "joiner secret of %d octets", len(secrets.JoinerSecret))
		}
		return secrets, nil
	}
	return nil, refuse("12.4.3.1", "the Welcome is not for this key package")
}

// checkWelcomePSKs checks the ids of the keys a Welcome asks for (§12.4.3.1, §8.4).
func checkWelcomePSKs(s *suite, ids []PreSharedKeyID) error {
	bootstrap := 0
	for i := range ids {
		if len(ids[i].Nonce) != s.nh {
			return refuse("8.4", "PSK nonce of %d octets, want %d", len(ids[i].Nonce), s.nh)
		}
		if isBootstrap(&ids[i]) {
			bootstrap++
		}
	}
	if bootstrap > 1 {
		return refuse("12.4.3.1", "the Welcome has %d resumption PSKs of usage reinit or branch", bootstrap)
	}
	return nil
}

// isBootstrap reports whether the key ties a new group to an old one.
func isBootstrap(id *PreSharedKeyID) bool {
	return id.Type == PSKResumption && (id.Usage == UsageReInit || id.Usage == UsageBranch)
}

func hasBootstrapPSK(ids []PreSharedKeyID) bool {
	for i := range ids {
		if isBootstrap(&ids[i]) {
			return true
		}
	}
	return false
}

// openGroupInfo decrypts the GroupInfo of a Welcome.
func openGroupInfo(s *suite, member, encrypted []byte) (*GroupInfo, error) {
	key, nonce := s.welcomeKey(member, s.nk, s.nn)
	defer wipe(key, nonce)
	aead, err := s.newAEAD(key)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nonce, encrypted, nil)
	if err != nil {
		return nil, refuseFor(err, "12.4.3.1", "the GroupInfo does not decrypt")
	}
	info := new(GroupInfo)
	return info, unmarshal("GroupInfo", plain, info)
}

// verifyGroupInfo checks a GroupInfo's signature and the ratchet tree that belongs to it as a joiner must (§12.4.3.1). tree is the
// encoded tree if it does not stand in the GroupInfo.
func verifyGroupInfo(s *suite, info *GroupInfo, encodedTree []byte, policy leafPolicy) (*ratchetTree, error) {
	if data, ok := info.Extensions.Find(ExtensionRatchetTree); ok {
		encodedTree = data
	}
	if encodedTree == nil {
		return nil, refuse("12.4.3.1", "there is no ratchet tree, neither in the GroupInfo nor beside it")
	}
	t, err := parseTree(s, bytes.Clone(encodedTree))
	if err != nil {
		return nil, err
	}
	if err := verifyInfoSignature(s, info, t); err != nil {
		return nil, err
	}
	hash, err := t.hash()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(hash, info.Context.TreeHash) {
		return nil, refuse("12.4.3.1", "the tree hash is not that of the GroupInfo")
	}
	return t, t.verifyJoin(info, policy)
}

// verifyInfoSignature checks a GroupInfo's signature by the member that it names (§12.4.3).
func verifyInfoSignature(s *suite, info *GroupInfo, t *ratchetTree) error {
	signer := t.leaf(info.Signer)
	if signer == nil {
		return refuse("12.4.3.1", "the signer's leaf %d is blank", info.Signer)
	}
	var tbs encoder
	info.encodeTBS(&tbs)
	if tbs.err != nil {
		return tbs.err
	}
	if err := s.verifyWithLabel(signer.SignatureKey, "GroupInfoTBS", tbs.buf, info.Signature); err != nil {
		return refuseFor(err, "12.4.3.1", "signature of the GroupInfo")
	}
	return nil
}

// verifyJoin checks what holds for the tree as a whole, and each leaf.
func (t *ratchetTree) verifyJoin(info *GroupInfo, policy leafPolicy) error {
	if err := t.verifyUnmerged(); err != nil { // before the parent hashes, which rely on it
		return err
	}
	if err := t.verifyParentHashes(); err != nil {
		return err
	}
	if err := t.verifyKeysUnique(); err != nil {
		return err
	}
	rules, err := newLeafRules(t.suite, info.Context.GroupID, info.Context.Extensions, policy)
	if err != nil {
		return err
	}
	for i, l := range t.members {
		if err := rules.checkAny(l, i); err != nil {
			return err
		}
	}
	if err := rules.checkExternalSenders(nil); err != nil {
		return err
	}
	return rules.checkTree(t, nil)
}
