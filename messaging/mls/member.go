package mls

// Member is one leaf of a group in one epoch. What the credential says has been confirmed by the IdentityProvider.
type Member struct {
	Index         LeafIndex
	Credential    Credential
	SignatureKey  SignaturePublicKey
	EncryptionKey HPKEPublicKey
	Capabilities  Capabilities
	Extensions    Extensions // of the leaf
}

// memberAt returns the member at l; ok is false if the leaf is blank or outside the tree.
func (t *ratchetTree) memberAt(l LeafIndex) (m Member, ok bool) {
	leaf := t.leaf(l)
	if leaf == nil {
		return Member{}, false
	}
	return Member{l, leaf.Credential, leaf.SignatureKey, leaf.EncryptionKey, leaf.Capabilities, leaf.Extensions}, true
}

// membersAt returns those of list that are members.
func (t *ratchetTree) membersAt(list []LeafIndex) []Member {
	members := make([]Member, 0, len(list))
	for _, l := range list {
		if m, ok := t.memberAt(l); ok {
			members = append(members, m)
		}
	}
	return members
}

// allMembers returns the members, from the left.
func (t *ratchetTree) allMembers() []Member {
	var list []Member
	for i := range t.members {
		m, _ := t.memberAt(i)
		list = append(list, m)
	}
	return list
}
