package isotool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/parleypay/parley/internal/shared"
)

const ping = `<Document xmlns="urn:iso:std:iso:20022:tech:xsd:admi.004.001.02"><SysEvtNtfctn><EvtInf><EvtCd>PING</EvtCd></EvtInf></SysEvtNtfctn></Document>`

var noPing = strings.Replace(ping, "EvtCd>PING", "Foo/><EvtCd>PING", 1)

// put writes files into a new folder.
func put(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// verdicts reads the lines of --json.
func verdicts(t *testing.T, out string) map[string]verdict {
	t.Helper()
	list := map[string]verdict{}
	for line := range strings.Lines(out) {
		var v verdict
		dec := json.NewDecoder(strings.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&v); err != nil || v.Errors == nil || v.Valid != (len(v.Errors) == 0) {
			t.Fatalf("%v: %s", err, line)
		}
		list[filepath.Base(v.File)] = v
	}
	return list
}

// Every published sample gets the verdict of its list of sources: valid when each ISO part of it is, and no ISO verdict at all for Pix.
func TestValidateSamples(t *testing.T) {
	dir := shared.Path(t, "iso20022/samples")
	status, out, _ := call(t, nil, "validate", "--json", dir)
	if status != exitNo {
		t.Fatalf("status %d", status)
	}
	got := verdicts(t, out)
	files := 0
	for line := range strings.Lines(string(shared.Read(t, "iso20022/samples/SOURCES.md"))) {
		cell := strings.Split(line, "|")
		if len(cell) != 7 || !strings.HasSuffix(strings.TrimSpace(cell[1]), ".xml") {
			continue
		}
		files++
		name := strings.TrimSpace(cell[1])
		v, ok := got[name]
		iso := !strings.Contains(cell[5], "well-formed")
		if want := iso && !strings.Contains(cell[5], "INVALID"); !ok || v.Valid != want {
			t.Errorf("%s: %+v, want valid %t", name, v, want)
		}
		if iso && !strings.Contains(cell[5], v.Message+":") {
			t.Errorf("%s: message %q, want one of %s", name, v.Message, cell[5])
		}
		for _, e := range v.Errors {
			if e.Path == "" || e.Line == 0 || e.Column == 0 || e.Text == "" || iso == (e.Rule == "schema.unknown") {
				t.Errorf("%s: %+v", name, e)
			}
		}
	}
	if files != 40 || len(got) != files {
		t.Errorf("%d samples in the list, %d verdicts", files, len(got))
	}
}

func TestValidateProfile(t *testing.T) {
	bad := shared.Path(t, "iso20022/samples/fednow-bad-pacs.008-aba-checksum.xml")
	status, out, _ := call(t, nil, "validate", "--profile", "fednow", "--json", bad)
	v := verdicts(t, out)[filepath.Base(bad)]
	if status != exitNo || v.Profile != "fednow" || v.Without != nil || len(v.Errors) != 1 || v.Errors[0].Rule != "fednow.aba.checksum" || v.Errors[0].Line == 0 {
		t.Errorf("status %d, %+v", status, v)
	}
	status, out, _ = call(t, nil, "validate", bad, "--profile", "fednow", "--without", "fednow.aba.checksum", "--json")
	v = verdicts(t, out)[filepath.Base(bad)]
	if status != exitOK || len(v.Without) != 1 || v.Without[0] != "fednow.aba.checksum" || v.Message != "pacs.008.001.08" {
		t.Errorf("status %d, %+v: the rule that was switched off is not shown", status, v)
	}
	status, out, _ = call(t, nil, "validate", bad, "--profile", "fednow", "--without", "fednow.aba.checksum")
	if status != exitOK || !strings.Contains(out, "without fednow.aba.checksum") {
		t.Errorf("status %d, %s", status, out)
	}
	if status, _, _ = call(t, nil, "validate", "--profile", "none", bad); status != exitOK {
		t.Errorf("status %d by the schema alone", status)
	}
	status, out, _ = call(t, strings.NewReader(strings.Repeat(" ", 1<<20)), "validate", "--profile", "sctinst", "--json", "-")
	if status != exitNo || !strings.Contains(out, "size") {
		t.Errorf("a message over the rail's limit: status %d, %s", status, out)
	}
}

func TestValidateExitStatus(t *testing.T) {
	dir := put(t, map[string]string{"good.xml": ping, "bad.xml": noPing, "none.xml": "", "text.xml": "%PDF-1.7\x00", "notes.txt": "x", "all/a.xml": ping, "all/b/c.XML": ping, "mixed/a.xml": ping, "mixed/b.xml": noPing, "empty/notes.txt": "x"})
	for _, c := range []struct {
		args   string
		status int
		out    string
		errs   string
	}{
		{"good.xml", exitOK, "valid", ""},
		{"bad.xml", exitNo, "schema.element", ""},
		{"none.xml", exitNo, "xml.", ""},
		{"text.xml", exitNo, "xml.", ""},
		{"good.xml bad.xml", exitNo, "2 files: 1 valid, 1 invalid", ""},
		{"all", exitOK, "2 files: 2 valid", ""},
		{"mixed", exitNo, "2 files: 1 valid, 1 invalid", ""},
		{"gone.xml", exitUnreadable, "", "gone.xml: no such file"},
		{"gone.xml bad.xml good.xml", exitUnreadable, "3 files: 1 valid, 1 invalid, 1 unreadable", "gone.xml"},
		{"empty", exitUnreadable, "", "no *.xml file in this folder"},
		{".", exitNo, "invalid", "2 files left out, no *.xml: empty/notes.txt, notes.txt"},
	} {
		var args []string
		for name := range strings.FieldsSeq(c.args) {
			args = append(args, filepath.Join(dir, name))
		}
		status, out, errs := call(t, nil, append([]string{"validate"}, args...)...)
		if status != c.status || !strings.Contains(out, c.out) || !strings.Contains(errs, c.errs) || c.errs == "" && errs != "" {
			t.Errorf("%s: status %d, want %d\n%s\n%s", c.args, status, c.status, out, errs)
		}
	}
	status, out, _ := call(t, nil, "validate", "--json", filepath.Join(dir, "gone.xml"))
	if v := verdicts(t, out)["gone.xml"]; status != exitUnreadable || v.Errors[0].Rule != unreadable || v.Errors[0].Text == "" {
		t.Errorf("status %d, %s", status, out)
	}
	if _, out, _ := call(t, nil, "validate", "--quiet", filepath.Join(dir, "mixed")); strings.Contains(out, "a.xml") {
		t.Errorf("--quiet prints valid files:\n%s", out)
	}
}

// Links in a folder are not followed, neither to files outside nor in circles; a folder's own name may be one.
func TestValidateLinks(t *testing.T) {
	outside := put(t, map[string]string{"secret.xml": noPing})
	dir := put(t, map[string]string{"a.xml": ping})
	for name, target := range map[string]string{"out.xml": filepath.Join(outside, "secret.xml"), "dir": outside, "round": dir} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Skip(err)
		}
	}
	link := filepath.Join(outside, "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{dir, link} {
		status, out, errs := call(t, nil, "validate", "--json", name)
		if status != exitOK || len(verdicts(t, out)) != 1 || !strings.Contains(errs, "3 symbolic links left out, not followed") {
			t.Errorf("status %d\n%s\n%s", status, out, errs)
		}
	}
}

func TestValidateStdin(t *testing.T) {
	if status, out, _ := call(t, iotest.OneByteReader(strings.NewReader(ping)), "validate", "--json", "-"); status != exitOK || !strings.Contains(out, `"file":"-"`) {
		t.Errorf("status %d, %s", status, out)
	}
	broken := io.MultiReader(strings.NewReader(ping[:40]), iotest.ErrReader(errors.New("the line is \x1b[31mdead")))
	status, out, errs := call(t, broken, "validate", "--json", "-")
	if status != exitUnreadable || !strings.Contains(errs, "⟨ESC⟩[31mdead") || strings.Contains(out+errs, "\x1b") {
		t.Errorf("status %d\n%q\n%q", status, out, errs)
	}
}

// What a hostile file or its name holds reaches no terminal as a command, and costs no more than its length.
func TestValidateHostile(t *testing.T) {
	deep := strings.Repeat("<a>", 100_000)
	many := strings.Replace(ping, "<EvtCd>", strings.Repeat("<Foo/>", 20_000)+"<EvtCd>", 1)
	long := "<" + strings.Repeat("n", 100_000) + "/>"
	for name, text := range map[string]string{"deep": deep, "many": many, "long": long, "escapes": strings.Replace(ping, "PING", "\x1b]0;x\x07\u009b31m\u202e", 1), "entities": "<!DOCTYPE a [<!ENTITY b \"&b;&b;\">]><a>&b;</a>"} {
		for _, args := range [][]string{{"validate", "-"}, {"validate", "--json", "-"}, {"validate", "--profile", "fednow", "-"}} {
			status, out, errs := call(t, strings.NewReader(text), args...)
			if status != exitNo || strings.ContainsAny(out+errs, "\x1b\x07\u009b\u202e") || len(out) > 4000*mostErrors/10 {
				t.Errorf("%s %q: status %d, %d octets\n%.300q", name, args, status, len(out), out)
			}
		}
	}
	status, out, _ := call(t, strings.NewReader(many), "validate", "--json", "-")
	if v := verdicts(t, out)["-"]; status != exitNo || len(v.Errors) != mostErrors || !v.Stopped {
		t.Errorf("%d errors, stopped %t", len(v.Errors), v.Stopped)
	}
	dir := t.TempDir()
	name := filepath.Join(dir, "a\x1b[2J\u202eb.xml")
	if err := os.WriteFile(name, []byte(noPing), 0o600); err != nil {
		t.Skip(err)
	}
	for _, args := range [][]string{{"validate", dir}, {"validate", "--json", dir}, {"validate", name + "x"}} {
		if _, out, errs := call(t, nil, args...); strings.ContainsAny(out+errs, "\x1b\u202e") {
			t.Errorf("%q: %q %q", args, out, errs)
		}
	}
	_, out, _ = call(t, nil, "validate", "--json", name)
	var v verdict
	if err := json.Unmarshal([]byte(out), &v); err != nil || v.File != name {
		t.Errorf("%v: %q, want %q", err, v.File, name)
	}
}

// statement gives a camt.053 of about size octets without ever holding it.
func statement(size int64, bad bool) io.Reader {
	const head = `<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><GrpHdr><MsgId>S-1</MsgId><CreDtTm>2026-11-23T10:00:00Z</CreDtTm></GrpHdr><Stmt><Id>1</Id>` +
		`<Acct><Id><IBAN>DE89370400440532013000</IBAN></Id></Acct><Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">1.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-11-23</Dt></Dt></Bal>`
	entry := strings.Repeat(`<Ntry><Amt Ccy="EUR">7.05</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><BkTxCd><Prtry><Cd>NTRF</Cd></Prtry></BkTxCd><NtryDtls><TxDtls><RmtInf><Ustrd>Invoice 4711, thank you</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>`+"\n", 1000)
	tail := "</Stmt></BkToCstmrStmt></Document>"
	if bad {
		tail = "<Foo/>" + tail
	}
	list := []io.Reader{strings.NewReader(head)}
	for n := int64(0); n < size; n += int64(len(entry)) {
		list = append(list, strings.NewReader(entry))
	}
	return io.MultiReader(append(list, strings.NewReader(tail))...)
}

// peak reads r and notes the most memory in use while it is read.
type peak struct {
	r    io.Reader
	n    int
	most uint64
}

func (p *peak) Read(b []byte) (int, error) {
	if p.n++; p.n%200 == 0 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		p.most = max(p.most, m.HeapInuse)
	}
	return p.r.Read(b)
}

func TestValidateBigStatement(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 100 MB twice")
	}
	for _, bad := range []bool{false, true} {
		runtime.GC()
		p := &peak{r: statement(100<<20, bad)}
		var before runtime.MemStats
		runtime.ReadMemStats(&before)
		status, out, _ := call(t, p, "validate", "--json", "-")
		v := verdicts(t, out)["-"]
		if want := map[bool]int{false: exitOK, true: exitNo}[bad]; status != want || v.Message != "camt.053.001.08" {
			t.Errorf("status %d, %+v", status, v)
		}
		if bad && (len(v.Errors) != 1 || v.Errors[0].Line < 100_000) {
			t.Errorf("%+v", v.Errors)
		}
		more := (int64(p.most) - int64(before.HeapInuse)) >> 20
		if t.Logf("%d MiB more memory than before", more); more > 48 {
			t.Errorf("%d MiB", more)
		}
	}
}

func TestProgressLine(t *testing.T) {
	var b bytes.Buffer
	p := &progress{s: &screen{w: &b, width: 100}, name: "a\x1bb.xml", size: 200_000_000, read: 50_000_000}
	if got := p.line(500_000_000); got != "a⟨ESC⟩b.xml: 50 of 200 MB, 25 %, 100.0 MB/s" {
		t.Error(got)
	}
	if p.size = -1; !strings.HasPrefix(p.line(1), "a⟨ESC⟩b.xml: 50 MB, ") {
		t.Error(p.line(1))
	}
}

func TestVisible(t *testing.T) {
	for in, want := range map[string]string{"plain é 漢": "plain é 漢", "\x1b[2J": "⟨ESC⟩[2J", "a\nb": "a⟨LF⟩b", "\u202e": "⟨U+202E⟩", "\u200b": "⟨U+200B⟩", "\u009b": "⟨U+009B⟩", "\xff": "⟨FF⟩", "\ufffd": "⟨U+FFFD⟩", "\u2028": "⟨U+2028⟩"} {
		if got := visible(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
		var back string
		if err := json.Unmarshal([]byte(escaped(fmt.Sprintf("\"%s\"", strings.NewReplacer("\x1b", `\u001b`, "\n", `\n`).Replace(in)))), &back); err != nil || back != strings.ToValidUTF8(in, "\ufffd") {
			t.Errorf("%q: %q, %v", in, back, err)
		}
	}
}
