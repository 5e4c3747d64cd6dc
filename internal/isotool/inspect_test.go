package isotool

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/parleypay/parley/internal/shared"
)

func TestInspect(t *testing.T) {
	dir := shared.Path(t, "iso20022/samples")
	for file, parts := range map[string][]string{
		"fednow-pacs.008-participant-to-service.xml": {"FIToFICustomerCreditTransfer", "amount", "USD ", "end-to-end id", "through a clearing system"},
		"fednow-pacs.002-service-to-participant.xml": {"ACSC, Settlement completed", "of UETR", "from 021150706 to 111111111"},
		"fednow-admi.002-reject.xml":                 {"MessageReject", "of message", "reason"},
		"fednow-camt.029-refused.xml":                {"RJCR", "reason"},
		"fednow-pacs.004-return.xml":                 {"PaymentReturn", "reason", "return id"},
		"rtp-pacs.008.xml":                           {"USD 46154.49", "MRS. GREEN", "from nobody (blank)"},
		"rtp-pain.014-ACTC.xml":                      {"status", "ACTC"},
		"pix-pacs.002.spi.1.17-from-spi-ACCC.xml":    {"pacs.002.spi.1.17", "status", "ACCC"},
		"sepa-pain.001.001.03-two-pmtinf.xml":        {"1 of ", "2 of ", "from", "to", "EUR "},
		"ing-camt.053.001.02.xml":                    {"opening balance, booked", "+1000.00 EUR", "9 in all: 5 credits, 4 debits", "AC04 Account number specified has been closed"},
		"cbpr-camt.054.xml":                          {"in all", "camt.054.001.08"},
		"cbpr-bad-pacs.008-element-order.xml":        {"amount"},
	} {
		status, out, errs := call(t, nil, "inspect", filepath.Join(dir, file))
		if status != exitOK || errs != "" {
			t.Errorf("%s: status %d: %s", file, status, errs)
		}
		for _, part := range parts {
			if !strings.Contains(out, part) {
				t.Errorf("%s does not show %q:\n%s", file, part, out)
			}
		}
	}
}

// TestInspectSamples shows every sample, whole and short: each leaf's text stands in the output.
func TestInspectSamples(t *testing.T) {
	dir := shared.Path(t, "iso20022/samples")
	files, err := fs.Glob(os.DirFS(dir), "*.xml")
	if err != nil || len(files) < 30 {
		t.Fatal(len(files), err)
	}
	for _, file := range files {
		if file == "rtp-head.001-signed.xml" { // a header without a message
			continue
		}
		status, out, errs := call(t, nil, "inspect", filepath.Join(dir, file))
		if status != exitOK || errs != "" || len(out) < 200 {
			t.Errorf("%s: status %d, %d octets: %s", file, status, len(out), errs)
		}
		_, short, _ := call(t, nil, "inspect", "--short", filepath.Join(dir, file))
		if len(short) >= len(out) {
			t.Errorf("%s: --short is not shorter", file)
		}
		for line := range strings.Lines(out) {
			if strings.ContainsAny(line, "\x1b\r") {
				t.Errorf("%s: control character in %q", file, line)
			}
		}
	}
}

func TestInspectRefuses(t *testing.T) {
	for _, c := range []struct{ doc, errs string }{
		{"", "xml.root"},
		{"not XML", "xml.root"},
		{"<a/>", "no message"},
		{`<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08">`, "xml.end"},
		{`<a>urn:iso:std:iso:20022:tech:xsd:camt.053</a>`, "no camt.052"},
		{strings.Repeat("<a>", 10_000), "xml.depth"},
	} {
		status, _, errs := call(t, strings.NewReader(c.doc), "inspect", "-")
		if status != exitUnreadable || !strings.Contains(errs, c.errs) {
			t.Errorf("%.60q: status %d, want %q: %s", c.doc, status, c.errs, errs)
		}
	}
	hostile := "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pacs.008.001.08\"><FIToFICstmrCdtTrf><CdtTrfTxInf><Dbtr><Nm>&#x9b;31m\u202e" +
		strings.Repeat("x", 100_000) + "</Nm></Dbtr></CdtTrfTxInf></FIToFICstmrCdtTrf></Document>"
	status, out, errs := call(t, strings.NewReader(hostile), "inspect", "-")
	if status != exitOK || strings.ContainsAny(out, "\u009b\u202e") || len(out) > 10_000 || !strings.Contains(out, "⟨U+202E⟩") {
		t.Errorf("status %d, %d octets: %s\n%.300s", status, len(out), errs, out)
	}
}

// TestInspectBigStatement streams a statement of many entries: memory does not grow with it.
func TestInspectBigStatement(t *testing.T) {
	if testing.Short() {
		t.Skip("a long statement")
	}
	const entries = 60_000 // 20 MB
	r, w := io.Pipe()
	go func() {
		fmt.Fprint(w, `<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><GrpHdr><MsgId>M</MsgId><CreDtTm>2026-11-23T20:00:00Z</CreDtTm></GrpHdr><Stmt><Id>S</Id><Acct><Id><Othr><Id>1</Id></Othr></Id><Ccy>EUR</Ccy></Acct><Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">0.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-11-23</Dt></Dt></Bal>`)
		for i := range entries {
			fmt.Fprintf(w, `<Ntry><NtryRef>R-%d</NtryRef><Amt Ccy="EUR">1.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>2026-11-23</Dt></BookgDt><BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>RCDT</Cd><SubFmlyCd>ESCT</SubFmlyCd></Fmly></Domn></BkTxCd></Ntry>`, i)
		}
		fmt.Fprint(w, "</Stmt></BkToCstmrStmt></Document>")
		w.Close()
	}()
	counting := &counter{}
	status := Run([]string{"inspect", "-"}, r, counting, io.Discard)
	if status != exitOK || counting.lines < entries || counting.most > 64<<20 {
		t.Errorf("status %d, %d lines, %d octets of heap", status, counting.lines, counting.most)
	}
}

// counter counts lines and looks at the heap now and then.
type counter struct {
	lines int
	most  uint64
}

func (c *counter) Write(b []byte) (int, error) {
	if c.lines++; c.lines%10_000 == 0 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		c.most = max(c.most, m.HeapAlloc)
	}
	return len(b), nil
}
