package mls

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestVectorDeserialization(t *testing.T) {
	type vector struct {
		Header hexBytes `json:"vlbytes_header"`
		Length int      `json:"length"`
	}
	list := vectors[vector](t, "deserialization.json")
	for _, v := range list {
		d := newDecoder("header", v.Header)
		if n := d.varint(); n != v.Length || d.finish() != nil {
			t.Errorf("%x: length %d, %v; want %d", v.Header, n, d.err, v.Length)
		}
		var e encoder
		if e.varint(v.Length); !bytes.Equal(e.buf, v.Header) {
			t.Errorf("%d encodes to %x; want %x", v.Length, e.buf, v.Header)
		}
	}
	counted(t, len(list), 0)
}

func TestVectorHeadersRefused(t *testing.T) {
	for _, tt := range []struct{ header, want string }{
		{"c0", "bits 11"}, {"ff", "bits 11"},
		{"4000", "longer than necessary"}, {"403f", "longer than necessary"},
		{"80000000", "longer than necessary"}, {"80003fff", "longer than necessary"},
		{"", "too early"}, {"40", "too early"}, {"800000", "too early"}, {"80ffff", "too early"},
	} {
		header, _ := hex.DecodeString(tt.header)
		d := newDecoder("header", header)
		d.varint()
		var malformed *DecodeError
		if !errors.As(d.finish(), &malformed) || !strings.Contains(malformed.Text, tt.want) {
			t.Errorf("%s: %v; want %q", tt.header, d.err, tt.want)
		}
	}
}

// A length that promises more than there is must be noticed before anything is allocated for it.
func TestHostileLengthAllocatesNothing(t *testing.T) {
	input := []byte{0xbf, 0xff, 0xff, 0xff, 1, 2, 3}
	for name, read := range map[string]func(*decoder){
		"opaque":  func(d *decoder) { d.opaque() },
		"uint16s": func(d *decoder) { decodeU16s[ExtensionType](d) },
		"vector":  func(d *decoder) { decodeVector(d, maxLeaves, func(d *decoder, l *LeafNode) { l.decode(d) }) },
	} {
		t.Run(name, func(t *testing.T) {
			got := testing.AllocsPerRun(10, func() {
				d := decoder{b: input, end: len(input)}
				d.err = nil
				read(&d)
				if d.err == nil {
					t.Fatal("accepted")
				}
			})
			if got > 2 { // the error itself
				t.Errorf("%v allocations", got)
			}
		})
	}
}

func TestVectorElementLimit(t *testing.T) {
	var e encoder
	encodeVector(&e, make([]PreSharedKeyID, 0), nil)
	start := e.begin()
	for range 5 {
		e.u8(7)
	}
	e.end(start)
	d := newDecoder("list", e.buf[1:])
	decodeVector(d, 4, func(d *decoder, v *byte) { *v = d.u8() })
	if d.err == nil || !strings.Contains(d.err.Error(), "too many elements") {
		t.Errorf("five elements of at most four: %v", d.err)
	}
}

func TestEncodeVectorLengths(t *testing.T) {
	for _, n := range []int{0, 1, 63, 64, 65, 16383, 16384, 70000} {
		content := bytes.Repeat([]byte{0xa5}, n)
		var whole, pieces encoder
		whole.u8(9)
		whole.opaque(content)
		whole.u8(8)
		pieces.u8(9)
		start := pieces.begin()
		pieces.raw(content)
		pieces.end(start)
		pieces.u8(8)
		if !bytes.Equal(whole.buf, pieces.buf) {
			t.Errorf("%d octets: begin and end encode %x…, opaque %x…", n, pieces.buf[:5], whole.buf[:5])
		}
		d := newDecoder("both", pieces.buf)
		if d.u8() != 9 || !bytes.Equal(d.opaque(), content) || d.u8() != 8 || d.finish() != nil {
			t.Errorf("%d octets: %v", n, d.err)
		}
	}
}

func TestTrailingAndPresence(t *testing.T) {
	for name, tt := range map[string]struct {
		input string
		read  func(*decoder)
		want  string
	}{
		"trailing octet":        {"0000", func(d *decoder) { d.opaque() }, "left over"},
		"trailing in vector":    {"03000000", func(d *decoder) { o := d.enter(); d.u16(); d.leave(o) }, "left over"},
		"vector in vector ends": {"020500", func(d *decoder) { o := d.enter(); d.opaque(); d.leave(o) }, "too early"},
		"presence 2":            {"02", func(d *decoder) { d.present() }, "presence"},
		"odd uint16s":           {"03000100", func(d *decoder) { decodeU16s[CipherSuite](d) }, "odd"},
	} {
		input, _ := hex.DecodeString(tt.input)
		d := newDecoder("x", input)
		tt.read(d)
		if err := d.finish(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", name, err, tt.want)
		}
	}
}

func TestDuplicateExtensionRefused(t *testing.T) {
	b := mustMarshal(t, Extensions{{Type: 0x0A0A}, {Type: 7}, {Type: 0x0A0A, Data: []byte{1}}})
	var x Extensions
	if err := unmarshal("extensions", b, &x); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("one type twice: %v", err)
	}
	b = mustMarshal(t, Extensions{{Type: 0x0A0A, Data: []byte("grease")}, {Type: 7}})
	if err := unmarshal("extensions", b, &x); err != nil || len(x) != 2 {
		t.Errorf("unknown types: %v", err)
	}
}

// messageVector is an entry of messages.json.
type messageVector struct {
	Welcome                hexBytes `json:"mls_welcome"`
	GroupInfo              hexBytes `json:"mls_group_info"`
	KeyPackage             hexBytes `json:"mls_key_package"`
	RatchetTree            hexBytes `json:"ratchet_tree"`
	GroupSecrets           hexBytes `json:"group_secrets"`
	Add                    hexBytes `json:"add_proposal"`
	Update                 hexBytes `json:"update_proposal"`
	Remove                 hexBytes `json:"remove_proposal"`
	PSK                    hexBytes `json:"pre_shared_key_proposal"`
	ReInit                 hexBytes `json:"re_init_proposal"`
	ExternalInit           hexBytes `json:"external_init_proposal"`
	GroupContextExtensions hexBytes `json:"group_context_extensions_proposal"`
	Commit                 hexBytes `json:"commit"`
	PublicApplication      hexBytes `json:"public_message_application"`
	PublicProposal         hexBytes `json:"public_message_proposal"`
	PublicCommit           hexBytes `json:"public_message_commit"`
	PrivateMessage         hexBytes `json:"private_message"`
}

func (v *messageVector) fields() map[string]struct {
	raw []byte
	to  func() wire
} {
	type field = struct {
		raw []byte
		to  func() wire
	}
	message := func() wire { return new(MLSMessage) }
	return map[string]field{
		"welcome":                  {v.Welcome, message},
		"group info":               {v.GroupInfo, message},
		"key package":              {v.KeyPackage, message},
		"ratchet tree":             {v.RatchetTree, func() wire { return new(ratchetTree) }},
		"group secrets":            {v.GroupSecrets, func() wire { return new(groupSecrets) }},
		"add":                      {v.Add, func() wire { return new(Add) }},
		"update":                   {v.Update, func() wire { return new(Update) }},
		"remove":                   {v.Remove, func() wire { return new(Remove) }},
		"psk":                      {v.PSK, func() wire { return new(PreSharedKey) }},
		"reinit":                   {v.ReInit, func() wire { return new(ReInit) }},
		"external init":            {v.ExternalInit, func() wire { return new(ExternalInit) }},
		"group context extensions": {v.GroupContextExtensions, func() wire { return new(GroupContextExtensions) }},
		"commit":                   {v.Commit, func() wire { return new(Commit) }},
		"public application":       {v.PublicApplication, message},
		"public proposal":          {v.PublicProposal, message},
		"public commit":            {v.PublicCommit, message},
		"private message":          {v.PrivateMessage, message},
	}
}

func TestVectorMessages(t *testing.T) {
	list := vectors[messageVector](t, "messages.json")
	for i := range list {
		for name, f := range list[i].fields() {
			v := f.to()
			if err := unmarshal(name, f.raw, v); err != nil {
				t.Errorf("entry %d, %s: %v", i, name, err)
				continue
			}
			if got := mustMarshal(t, v); !bytes.Equal(got, f.raw) {
				t.Errorf("entry %d, %s: encodes to other octets", i, name)
			}
		}
	}
	counted(t, len(list), 0)
}

// Every prefix and every extension of a message is refused: nothing is optional at the end.
func TestMessageCutOrExtended(t *testing.T) {
	list := vectors[messageVector](t, "messages.json")
	for name, f := range list[0].fields() {
		for n := range f.raw {
			if err := unmarshal(name, f.raw[:n], f.to()); err == nil {
				t.Errorf("%s: the first %d of %d octets are accepted", name, n, len(f.raw))
			}
		}
		if err := unmarshal(name, append(bytes.Clone(f.raw), 0), f.to()); err == nil {
			t.Errorf("%s: accepted with an octet after the end", name)
		}
	}
}

func TestUnknownTypesAreTypedErrors(t *testing.T) {
	for input, registry := range map[string]string{
		"00020001":                             "protocol version",
		"00010006":                             "wire format",
		"0001000200000000000000000004":         "content type",
		"000100010000000000000000000500":       "sender type",
		"0001000100000000000000000003000209ff": "proposal type",
	} {
		b, _ := hex.DecodeString(input)
		_, err := ParseMLSMessage(b)
		var unsupported *UnsupportedTypeError
		if !errors.As(err, &unsupported) || unsupported.Registry != registry {
			t.Errorf("%s: %v; want unsupported %s", input, err, registry)
		}
	}
}

func TestKeyPackageVersionMatchesMessage(t *testing.T) {
	k := KeyPackage{Version: 2, Suite: 1, Leaf: LeafNode{Credential: BasicCredential([]byte("a")), Source: SourceUpdate}}
	b := mustMarshal(t, &MLSMessage{KeyPackage: &k})
	if _, err := ParseMLSMessage(b); err == nil || !strings.Contains(err.Error(), "another version") {
		t.Errorf("version 2 in a message of version 1: %v", err)
	}
}

func FuzzParseMLSMessage(f *testing.F) {
	for _, s := range []string{
		"000100020a00112233445566778899000000000000000102000401020304", "00010005000100010000", "0001000300010000", "0001000400010001",
		"0001000100000000000000000001000000000001040102030400",
	} {
		b, _ := hex.DecodeString(s)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseMLSMessage(b)
		if p, is, errPrivate := parsePrivateMessage(b); is && (errPrivate == nil) != (err == nil) || err == nil && is != (m.Private != nil) {
			t.Fatalf("ParseMLSMessage: %v; parsePrivateMessage: %v, %v", err, is, errPrivate)
		} else if is && err == nil && !reflect.DeepEqual(p, *m.Private) {
			t.Fatalf("%v, %v", p, *m.Private)
		}
		if err != nil {
			return
		}
		again, err := m.Marshal()
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("encodes to %x, %v; decoded from %x", again, err, b)
		}
	})
}
