package main

// bugs are faults that MLS implementations have had, or that a tired change could bring: one for each thing that the package's
// safety hangs on.
var bugs = []bug{
	// Keys are used once and forgotten.
	{
		Name: "generation not deleted: the head is not written", Section: "9.2", File: "secret_tree.go", Test: "TestDamagedMessages|TestDeletionSchedule",
		Old: "	return tx.Put(t.headKey(s.leaf, s.ratchet), s.head.append(buf[:0], nh))",
		New: "	return nil",
	},
	{
		Name: "skipped key kept after use", Section: "9.2", File: "secret_tree.go", Test: "TestRatchet|TestDeletionSchedule",
		Old: "	s.generation, s.late = generation, true\n",
		New: "	s.generation = generation\n",
	},
	{
		Name: "skipped generation stays marked as available", Section: "9.1", File: "secret_tree.go", Test: "TestRatchet",
		Old: "	s.head.unset(behind)\n	return nil",
		New: "	return nil",
	},
	{
		Name: "secret tree node kept after it was split", Section: "9.2", File: "secret_tree.go", Test: "TestDeletionSchedule|TestForwardSecrecyByExtraction",
		Old: "		if err := tx.Delete(f.consumed); err != nil {\n			return err\n		}\n",
		New: "",
	},
	{
		Name: "ratchet secret kept instead of advanced", Section: "9.1", File: "secret_tree.go", Test: "TestVectorSecretTree|TestRatchet",
		Old: "	s.messageKey = t.messageKey(s.head.secret[:nh], generation)\n	t.suite.deriveTreeSecretInto(s.head.secret[:nh], s.head.secret[:nh], \"secret\", generation)\n",
		New: "	s.messageKey = t.messageKey(s.head.secret[:nh], generation)\n",
	},
	{
		Name: "the encryption secret stays in the epoch's secrets", Section: "9.2", File: "state_rows.go", Test: "TestForwardSecrecyByExtraction",
		Old: "	err = m.tree.create(tx, g.secrets.encryption)\n	g.secrets.encryption = nil\n",
		New: "	err = m.tree.create(tx, append([]byte{}, g.secrets.encryption...))\n",
	},
	{
		Name: "no limit on the jump ahead", Section: "15.3", File: "secret_tree.go", Test: "TestRatchetLimits",
		Old: "ahead > t.limits.JumpMax {",
		New: "ahead > math.MaxUint32-1 {",
	},
	{
		Name: "skipped keys never expire", Section: "15.3", File: "secret_tree.go", Test: "TestRatchetLimits",
		Old: "	if now > int64(binary.BigEndian.Uint64(row[1:])) {\n		return ErrConsumed\n	}\n",
		New: "",
	},
	{
		Name: "past epoch not deleted", Section: "9.2", File: "state_rows.go", Test: "TestStateRows",
		Old: "	if err := past.tree.drop(tx); err != nil {\n		return err\n	}\n	return tx.Delete(key)",
		New: "	return nil",
	},
	{
		Name: "past epoch never expires", Section: "9.2", File: "state_rows.go", Test: "TestStateRows|TestGroup",
		Old: "	if now > p.expires {",
		New: "	if now > p.expires && p.expires < 0 {",
	},

	// Messages.
	{
		Name: "confirmation tag compared by prefix", Section: "6.1", File: "kdf.go", Test: "TestMACNeedsItsLength",
		Old: "len(want) == s.nh && len(got) == s.nh && subtle.ConstantTimeCompare(want, got) == 1",
		New: "len(got) <= len(want) && subtle.ConstantTimeCompare(want[:len(got)], got) == 1",
	},
	{
		Name: "confirmation tag not checked", Section: "6.1", File: "commit_process.go", Test: "TestCommitRules|TestVectorWelcome|TestTamperedCommitRefused",
		Old: "	if !g.suite.verifyMAC(want, tag) {",
		New: "	if false && !g.suite.verifyMAC(want, tag) {",
	},
	{
		Name: "membership tag not checked", Section: "6.2", File: "unprotect.go", Test: "TestPublicMessageRules",
		Old: "		if err := m.checkMembershipTag(&a, p.MembershipTag); err != nil {",
		New: "		if err := m.checkMembershipTag(&a, p.MembershipTag); err != nil && len(p.MembershipTag) == 0 {",
	},
	{
		Name: "message signature not checked", Section: "6.1", File: "unprotect.go", Test: "TestPublicMessageRules|TestPrivateMessageRules",
		Old: "	if err := key.verify(tbs, a.Auth.Signature); err != nil {",
		New: "	if err := key.verify(tbs, a.Auth.Signature); err != nil && len(a.Auth.Signature) == 0 {",
	},
	{
		Name: "padding not checked", Section: "6.3.1", File: "unprotect.go", Test: "TestPrivateMessageRules",
		Old: "	if sum != 0 {",
		New: "	if sum != sum {",
	},
	{
		Name: "application data accepted in a PublicMessage", Section: "6.2", File: "unprotect.go", Test: "TestVectorMessageProtection|TestPublicMessageRules",
		Old: "	if c.Type == ContentApplication {\n		return refuse(\"6.2\", \"application data in a PublicMessage\")\n	}\n",
		New: "	if c.Type == ContentApplication {\n		return nil\n	}\n",
	},
	{
		Name: "reuse guard not applied", Section: "6.3.1", File: "protect.go", Test: "TestVectorMessageProtection|TestPrivateMessageRules",
		Old: "	for i, g := range k.guard {\n		k.nonce[i] ^= g\n	}\n	aead.Seal(",
		New: "	aead.Seal(",
	},
	{
		Name: "content type not bound into the ciphertext", Section: "6.3.1", File: "protect.go", Test: "TestVectorMessageProtection",
		Old: "	contentAAD := b[4:]",
		New: "	contentAAD := b[5:]",
	},

	// The tree.
	{
		Name: "parent hash not checked at join", Section: "7.9.2", File: "treehash.go", Test: "TestForgedTreeRefusedByJoiner|TestParentHashChangesDetected|TestVectorTreeValidation",
		Old: "		if valid != 1 {",
		New: "		if valid > 2 {",
	},
	{
		Name: "parent hash over the tree as it is, unmerged leaves and all", Section: "7.9", File: "treehash.go", Test: "TestVectorTree|TestRandomCommits",
		Old: "	if below := within(p.Unmerged, sibling); len(below) > 0 {\n		original, err = t.hashWithout(sibling, below)",
		New: "	if below := within(p.Unmerged, sibling); len(below) > len(t.leaves) {\n		original, err = t.hashWithout(sibling, below)",
	},
	{
		Name: "tree hash not compared with the GroupInfo", Section: "12.4.3.1", File: "join.go", Test: "TestForgedTreeRefusedByJoiner|TestWelcomeRules",
		Old: "	if !bytes.Equal(hash, info.Context.TreeHash) {",
		New: "	if len(hash) != len(info.Context.TreeHash) {",
	},
	{
		Name: "unmerged leaves not checked at join", Section: "12.4.3.1", File: "treehash.go", Test: "TestUnmergedLeavesRules",
		Old: "			if t.leaves[l] == nil {",
		New: "			if t.leaves[l] == nil && x == 0 {",
	},
	{
		Name: "signature of the GroupInfo not checked", Section: "12.4.3.1", File: "join.go", Test: "TestWelcomeRules|TestForgedTreeRefusedByJoiner",
		Old: "	if err := s.verifyWithLabel(signer.SignatureKey, \"GroupInfoTBS\", tbs.buf, info.Signature); err != nil {",
		New: "	if err := s.verifyWithLabel(signer.SignatureKey, \"GroupInfoTBS\", tbs.buf, info.Signature); err != nil && len(info.Signature) == 0 {",
	},

	// Leaves and key packages.
	{
		Name: "leaf signature not checked", Section: "7.3", File: "leaf_rules.go", Test: "TestAddedKeyPackageRules|TestForgedTreeRefusedByJoiner|TestKeyPackageRules",
		Old: "	if err := l.verifySignature(r.suite, r.groupID, index); err != nil {",
		New: "	if err := l.verifySignature(r.suite, r.groupID, index); err != nil && len(l.Signature) == 0 {",
	},
	{
		Name: "credential not shown to the identity provider", Section: "5.3.1", File: "leaf_rules.go", Test: "TestKeyPackageRules|TestAddedKeyPackageRules|TestLeafRulesDenyByDefault",
		Old: "	if err := r.identity.ValidateMember(l.Credential, l.SignatureKey); err != nil {",
		New: "	if err := error(nil); err != nil {",
	},
	{
		Name: "a replaced leaf may keep its encryption key", Section: "7.3", File: "proposal_list.go", Test: "TestReplacementRules|TestAddedKeyPackageRules",
		Old: "	if bytes.Equal(old.EncryptionKey, next.EncryptionKey) {\n		return refuse(\"7.3\", \"the new leaf node %d has",
		New: "	if len(next.EncryptionKey) == 0 {\n		return refuse(\"7.3\", \"the new leaf node %d has",
	},
	{
		Name: "a client may be added twice", Section: "12.2", File: "proposal_list.go", Test: "TestAddedKeyPackageRules",
		Old: "			if bytes.Equal(member.SignatureKey, k.Leaf.SignatureKey) || policy.identity.SameClient(member.Credential, k.Leaf.Credential) {",
		New: "			if member == nil || len(k.Leaf.SignatureKey) == 0 {",
	},
	{
		Name: "maximum lifetime of a leaf not enforced", Section: "7.2", File: "leaf_rules.go", Test: "TestKeyPackageRules|TestAddedKeyPackageRules",
		Old: "|| l.Lifetime.NotAfter-l.Lifetime.NotBefore > r.lifetimeMax)",
		New: ")",
	},
	{
		Name: "required capabilities not enforced", Section: "11.1", File: "leaf_rules.go", Test: "TestKeyPackageRules|TestAddedKeyPackageRules",
		Old: "	for _, t := range r.required.Extensions {",
		New: "	for _, t := range r.required.Extensions[:0] {",
	},

	// Proposals and commits.
	{
		Name: "the committer may remove itself", Section: "12.2", File: "proposal_list.go", Test: "TestProposalListRules",
		Old: "			if committer == (Sender{SenderMember, uint32(p.Removed)}) {",
		New: "			if committer == (Sender{SenderExternal, uint32(p.Removed)}) {",
	},
	{
		Name: "an external commit may remove anybody", Section: "12.2", File: "commit_process.go", Test: "TestExternal|TestRareRefusals",
		Old: "		if !identity.SameClient(old.Credential, leaf.Credential) {",
		New: "		if old == nil {",
	},
	{
		Name: "the path may be left out", Section: "12.4", File: "commit_process.go", Test: "TestCommitRules",
		Old: "	if commit.Path == nil && (len(list) == 0 || l.pathRequired) {",
		New: "	if commit.Path == nil && len(list) == 0 {",
	},
	{
		Name: "a pre-shared key may be proposed twice", Section: "12.2", File: "proposal_list.go", Test: "TestProposalListRules",
		Old: "			if slices.ContainsFunc(l.psks, func(q PreSharedKeyID) bool { return samePSK(&q, &p.PSK) }) {",
		New: "			if slices.ContainsFunc(l.psks, func(q PreSharedKeyID) bool { return false && samePSK(&q, &p.PSK) }) {",
	},
	{
		Name: "a ReInit may come with other proposals", Section: "12.2", File: "proposal_list.go", Test: "TestProposalListRules",
		Old: "			if len(list) != 1 {",
		New: "			if len(list) == 0 {",
	},
	{
		Name: "the tree is not truncated after removes", Section: "12.3", File: "proposal_list.go", Test: "TestVectorPassiveClients|TestRandomCommits|TestCommitsOfAllKinds",
		Old: "	if len(removed) > 0 {\n		a.tree.truncate()\n	}\n",
		New: "",
	},
	{
		Name: "a reference may be named twice", Section: "12.4", File: "proposal_list.go", Test: "TestResolveRules",
		Old: "		if seen[string(p.Reference)] {",
		New: "		if seen[string(p.Reference)] && len(p.Reference) == 0 {",
	},

	// The codec.
	{
		Name: "length header longer than necessary accepted", Section: "2.1.2", File: "codec.go", Test: "TestVectorHeadersRefused|TestVectorDeserialization",
		Old: "	if prefix > 0 && v < 1<<(8*(size/2)-2) {",
		New: "	if prefix > 2 {",
	},
	{
		Name: "memory allocated before the length is compared", Section: "2.1.2", File: "codec.go", Test: "TestHostileLengthAllocatesNothing",
		Old: "func (d *decoder) opaque() []byte { return d.take(d.varint()) }",
		New: "func (d *decoder) opaque() []byte { n := d.varint(); b := make([]byte, n); copy(b, d.take(n)); return b[:n] }",
	},
	{
		Name: "octets after the end accepted", Section: "2.1", File: "codec.go", Test: "TestTrailingAndPresence|TestMessageCutOrExtended",
		Old: "	if d.err == nil && d.pos != d.end {\n		d.fail(\"octets left over after the end\")\n	}\n",
		New: "",
	},
}
