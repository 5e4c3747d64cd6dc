package mls

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"testing"
)

// decoders are all structures that a peer's octets are decoded into, and the rows.
func decoders() []wire {
	return []wire{
		new(MLSMessage), new(PublicMessage), new(PrivateMessage), new(Welcome), new(GroupInfo), new(KeyPackage), new(ratchetTree), new(groupSecrets),
		new(Commit), new(UpdatePath), new(LeafNode), new(Extensions), new(RequiredCapabilities), new(externalSenders), new(Credential),
		new(Capabilities), new(PreSharedKeyID), new(ProposalOrRef), new(GroupContext), new(AuthenticatedContent), new(ExternalSender),
		new(Add), new(Update), new(Remove), new(PreSharedKey), new(ReInit), new(ExternalInit), new(GroupContextExtensions), new(SelfRemove),
	}
}

// samples returns true encodings of the structures, as a group makes them.
func samples(t testing.TB) map[reflect.Type][]byte {
	t.Helper()
	g := newTestGroup(t, X25519AES128GCM)
	g.commit(g.members[0], false, 3, nil)
	a := g.members[0]
	k, err := g.s.newKeyPackage(rand.Reader, testOptions(g.s, g.client()))
	if err != nil {
		t.Fatal(err)
	}
	req := g.request(a, &Add{k.keyPackage}, g.psk())
	req.path, req.wireFormat = true, WireFormatPublicMessage
	p, err := a.state.makeCommit(rand.Reader, req)
	if err != nil {
		t.Fatal(err)
	}
	epoch, err := a.state.messages(RatchetLimits{})
	if err != nil {
		t.Fatal(err)
	}
	public, err := epoch.protectPublic(&p.content)
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := openGroupSecrets(g.s, p.welcome, joinInputs{keyPackage: &k.keyPackage, initKey: k.init})
	if err != nil {
		t.Fatal(err)
	}
	update := g.update(g.members[1]).proposal
	sender := ExternalSender{SignatureKey: make([]byte, 32), Credential: X509Credential([]byte("certificate"), []byte("authority"))}
	info := g.info(a, groupInfoOptions{externalPub: true})
	list := map[reflect.Type][]byte{}
	for _, v := range []wire{
		&MLSMessage{Public: public}, public, p.welcome, info, &k.keyPackage, a.state.tree, secrets, p.content.Content.Commit, p.content.Content.Commit.Path,
		&k.keyPackage.Leaf, &info.Extensions, &RequiredCapabilities{[]ExtensionType{1, 2}, []ProposalType{3}, []CredentialType{1}}, &externalSenders{sender, sender},
		&sender.Credential, &k.keyPackage.Leaf.Capabilities, &PreSharedKeyID{Type: PSKResumption, Usage: UsageBranch, GroupID: []byte("g"), Nonce: make([]byte, 32)},
		&ProposalOrRef{Proposal: &Remove{3}}, &a.state.context, &p.content, &sender, &Add{k.keyPackage}, update.(wire), &Remove{3},
		g.psk(), &ReInit{GroupID: []byte("next"), Version: MLS10, Suite: g.s.id, Extensions: info.Extensions}, &ExternalInit{make([]byte, 32)},
		&GroupContextExtensions{info.Extensions}, new(SelfRemove), &PrivateMessage{GroupID: []byte("g"), Type: ContentCommit, Ciphertext: make([]byte, 70)},
	} {
		list[reflect.TypeOf(v)] = mustMarshal(t, v)
	}
	return list
}

// Every decoder reads what its encoder writes; every prefix, octet added, and hostile length header anywhere is refused or is another
// true encoding; and however much a header promises, no more memory is taken than what is there is worth.
func TestEveryDecoder(t *testing.T) {
	encodings := samples(t)
	for i, fresh := range decoders() {
		typ := reflect.TypeOf(fresh)
		name := typ.Elem().Name()
		raw, ok := encodings[typ]
		if !ok {
			t.Errorf("no encoding of %s", name)
			continue
		}
		read := func(b []byte) (wire, error) {
			v := decoders()[i]
			if tree, is := v.(*ratchetTree); is {
				tree.suite, _ = lookupSuite(X25519AES128GCM)
			}
			return v, unmarshal(name, b, v)
		}
		if v, err := read(raw); err != nil || !bytes.Equal(mustMarshal(t, v), raw) {
			t.Errorf("%s: %v", name, err)
		}
		check := func(what string, at int, b []byte) {
			t.Helper()
			v, err := read(b)
			var malformed *DecodeError
			switch {
			case err == nil && !bytes.Equal(mustMarshal(t, v), b):
				t.Errorf("%s: %s at %d is read as something else", name, what, at)
			case err != nil && !errors.As(err, &malformed):
				t.Errorf("%s: %s at %d: %T", name, what, at, err)
			}
		}
		for at := range raw {
			check("cut", at, raw[:at])
			if _, err := read(raw[:at]); err == nil {
				t.Errorf("%s: the first %d of %d octets were taken", name, at, len(raw))
			}
			for _, header := range [][]byte{{0xbf, 0xff, 0xff, 0xff}, {0x7f, 0xff}, {0xff}, {0x40, raw[at]}} {
				check("hostile header", at, append(append(bytes.Clone(raw[:at]), header...), raw[min(at+1, len(raw)):]...))
			}
		}
		if _, err := read(append(bytes.Clone(raw), 0)); err == nil {
			t.Errorf("%s: an octet too many was taken", name)
		}
		if typ == reflect.TypeOf(new(SelfRemove)) || typ == reflect.TypeOf(new(Remove)) {
			continue // without lengths
		}
		hostile := bytes.Clone(raw) // 1 GiB promised at each octet of the beginning
		for at := range min(len(raw), 40) {
			copy(hostile, raw)
			copy(hostile[at:], []byte{0xbf, 0xff, 0xff, 0xff})
			if n := allocatedBy(func() { _, _ = read(hostile) }); n > uint64(64*len(raw)+16<<10) {
				t.Errorf("%s: %d octets allocated for a hostile length at %d of %d octets", name, n, at, len(raw))
			}
		}
	}
}

// allocatedBy returns how many octets f allocates, the least of a few times: others may allocate meanwhile.
func allocatedBy(f func()) uint64 {
	least := uint64(math.MaxUint64)
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

// FuzzDecoders: what a decoder takes encodes to the same octets.
func FuzzDecoders(f *testing.F) {
	encodings := samples(f)
	for i, v := range decoders() {
		f.Add(uint8(i), encodings[reflect.TypeOf(v)])
	}
	f.Fuzz(func(t *testing.T, kind uint8, b []byte) {
		all := decoders()
		v := all[int(kind)%len(all)]
		if tree, is := v.(*ratchetTree); is {
			tree.suite, _ = lookupSuite(X25519AES128GCM)
		}
		if unmarshal(fmt.Sprintf("%T", v), bytes.Clone(b), v) == nil && !bytes.Equal(mustMarshal(t, v), b) {
			t.Fatalf("%T: encodes to other octets than it was decoded from", v)
		}
	})
}
