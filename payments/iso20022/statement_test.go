package iso20022

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/parleypay/parley/internal/shared"
	"github.com/parleypay/parley/payments"
)

// A statement of two accounts, the second without entries.
const statement = `<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt>
<GrpHdr><MsgId>M-1</MsgId><CreDtTm>2026-11-23T20:00:00+01:00</CreDtTm><MsgPgntn><PgNb>1</PgNb><LastPgInd>true</LastPgInd></MsgPgntn></GrpHdr>
<Stmt><Id>S-1</Id><ElctrncSeqNb>7</ElctrncSeqNb><CreDtTm>2026-11-23T20:00:00</CreDtTm>
<FrToDt><FrDtTm>2026-11-23T00:00:00Z</FrDtTm><ToDtTm>2026-11-24T00:00:00Z</ToDtTm></FrToDt>
<Acct><Id><IBAN>DE89370400440532013000</IBAN></Id><Ccy>EUR</Ccy><Ownr><Nm>Example Coffee</Nm></Ownr><Svcr><FinInstnId><BICFI>AAAADEFF</BICFI></FinInstnId></Svcr></Acct>
<Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">0</Amt><CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-11-23</Dt></Dt></Bal>
<Bal><Tp><CdOrPrtry><Prtry>own</Prtry></CdOrPrtry></Tp><Amt Ccy="EUR">4.5</Amt><CdtDbtInd>CRDT</CdtDbtInd><Dt><DtTm>2026-11-23T20:00:00</DtTm></Dt></Bal>
<Ntry><NtryRef>1</NtryRef><Amt Ccy="EUR">4.50</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>2026-11-23</Dt></BookgDt><ValDt><DtTm>2026-11-23T10:00:00Z</DtTm></ValDt>
<AcctSvcrRef>REF</AcctSvcrRef><BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>RRCT</Cd><SubFmlyCd>ESCT</SubFmlyCd></Fmly></Domn></BkTxCd>
<NtryDtls><Btch><MsgId>B</MsgId><NbOfTxs>1</NbOfTxs></Btch><TxDtls><Refs><EndToEndId>E2E-1</EndToEndId><UETR>8a562c67-ca16-48ba-b074-65581be6f001</UETR></Refs><Amt Ccy="EUR">4.50</Amt>
<RltdPties><Dbtr><Pty><Nm>Zo&#235; &amp; Co</Nm></Pty></Dbtr><DbtrAcct><Id><IBAN>FR1420041010050500013M02606</IBAN></Id></DbtrAcct></RltdPties>
<RltdAgts><DbtrAgt><FinInstnId><BICFI>BBBBFRPPXXX</BICFI></FinInstnId></DbtrAgt></RltdAgts>
<RmtInf><Ustrd>flat <!-- c -->white</Ustrd><Ustrd>two</Ustrd><Strd><CdtrRefInf><Ref>RF18539007547034</Ref></CdtrRefInf></Strd></RmtInf></TxDtls></NtryDtls><AddtlNtryInf>info</AddtlNtryInf></Ntry>
<Ntry><Amt Ccy="DEM">1.00</Amt><CdtDbtInd>DBIT</CdtDbtInd><RvslInd>true</RvslInd><Sts><Cd>PDNG</Cd></Sts><BkTxCd><Prtry><Cd>X</Cd><Issr>Y</Issr></Prtry></BkTxCd></Ntry>
<AddtlStmtInf>end</AddtlStmtInf></Stmt>
<Stmt><Id>S-2</Id><Acct><Id><Othr><Id>12345</Id></Othr></Id></Acct><Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="JPY">5</Amt><CdtDbtInd>DBIT</CdtDbtInd><Dt><Dt>2026-11-23</Dt></Dt></Bal></Stmt>
</BkToCstmrStmt></Document>`

// readStatements reads all, in a form to compare.
func readStatements(r *StatementReader) (list []*Statement, entries [][]*Entry, err error) {
	for {
		st, err := r.Next()
		if err == io.EOF {
			return list, entries, nil
		}
		if err != nil {
			return list, entries, err
		}
		var of []*Entry
		for e, err := range st.Entries() {
			if err != nil {
				return append(list, st), append(entries, of), err
			}
			e.raw = bytes.Clone(e.raw)
			of = append(of, e)
		}
		list, entries = append(list, st), append(entries, of)
	}
}

func TestStatement(t *testing.T) {
	zone := time.FixedZone("", 3600)
	for name, r := range map[string]io.Reader{
		"whole": strings.NewReader(statement), "bytes": iotest.OneByteReader(strings.NewReader(statement)), "data with EOF": iotest.DataErrReader(strings.NewReader(statement)),
		"prefixes": strings.NewReader(strings.NewReplacer("</", "</p:", "<?", "<?", "<!", "<!", "<", "<p:", "xmlns=", "xmlns:p=").Replace(statement)),
		"wrapper":  strings.NewReader(`<w:E xmlns:w="urn:w"><w:B>` + strings.TrimPrefix(statement, `<?xml version="1.0" encoding="UTF-8"?>`) + `</w:B></w:E>`),
	} {
		t.Run(name, func(t *testing.T) {
			list, entries, err := readStatements(StatementOptions{Zone: zone, Strict: true}.NewReader(r))
			if name == "wrapper" && err != nil {
				t.Logf("strict: %v", err)
			}
			if err != nil || len(list) != 2 || len(entries[0]) != 2 || len(entries[1]) != 0 {
				t.Fatal(len(list), err)
			}
			noonUTC := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
			evening := time.Date(2026, 11, 23, 20, 0, 0, 0, zone)
			header := StatementHeader{MsgDef: "camt.053.001.08", MessageID: "M-1", Created: evening, Page: "1", LastPage: true}
			want := Statement{
				Header: header, ID: "S-1", Sequence: "7", Created: evening, From: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC),
				Account: must(payments.ParseAccount("DE89370400440532013000")), Currency: "EUR", Owner: must(payments.ParseName("Example Coffee")), Servicer: bankA,
				Balances: []Balance{{"OPBD", payments.Amount{Currency: "EUR"}, true, Moment{Date: "2026-11-23"}}, {"own", euros, true, Moment{Time: evening}}},
			}
			first := Entry{
				Reference: "1", Amount: euros, Credit: true, Status: "BOOK", Booked: Moment{Date: "2026-11-23"}, Value: Moment{Time: noonUTC}, ServicerRef: "REF",
				Code: TransactionCode{Domain: "PMNT", Family: "RRCT", SubFamily: "ESCT"}, Info: "info", Batch: EntryBatch{MessageID: "B", Number: "1"},
				Transactions: []EntryTransaction{{
					EndToEndID: "E2E-1", UETR: original.UETR, Amount: euros, Credit: true, Remittance: []string{"flat white", "two"}, References: []string{"RF18539007547034"},
					Debtor: Party{Name: must(payments.ParseName("Zoë & Co")), Account: must(payments.ParseAccount("FR1420041010050500013M02606")), Agent: bankB},
				}},
			}
			second := Entry{Amount: payments.Amount{Minor: 100, Currency: "DEM"}, Reversal: true, Status: "PDNG", Code: TransactionCode{Prtry: "X", Issuer: "Y"}}
			for i, e := range entries[0] {
				if !bytes.Contains(e.raw, []byte("Ntry>")) || i == 0 && !bytes.Contains(e.raw, []byte("E2E-1")) {
					t.Errorf("raw: %s", e.raw)
				}
				e.raw = nil
			}
			list[0].r = nil
			if !same(*list[0], want) {
				t.Errorf("%+v\nwant\n%+v", *list[0], want)
			}
			if !same(*entries[0][0], first) || !same(*entries[0][1], second) {
				t.Errorf("%+v\nwant\n%+v\n%+v\nwant\n%+v", *entries[0][0], first, *entries[0][1], second)
			}
			if list[1].ID != "S-2" || list[1].Balances[0].Amount != (payments.Amount{Minor: 5, Currency: "JPY"}) || list[1].Header != header {
				t.Errorf("%+v", *list[1])
			}
		})
	}
}

// A tolerant reader reports every fault where it is and goes on; a strict one ends at the first.
func TestStatementFaults(t *testing.T) {
	for _, c := range []struct {
		name, old, new string
		rule           string // in tolerant mode
		where          string // statement 0 or 1, entry 0 or 1 of statement 0, or "end"
	}{
		{"amount as an exponent", `<Amt Ccy="DEM">1.00`, `<Amt Ccy="DEM">1e3`, "schema.decimal model.amount", "entry 1"},
		{"amount with a sign", `<Amt Ccy="DEM">1.00`, `<Amt Ccy="DEM">+1.00`, "model.amount", "entry 1"},
		{"too many decimals", `<Amt Ccy="DEM">1.00`, `<Amt Ccy="DEM">1.001`, "model.amount", "entry 1"},
		{"zeros behind the decimals", `<Amt Ccy="DEM">1.00`, `<Amt Ccy="DEM">1.00000`, "", ""},
		{"no decimals", `<Amt Ccy="DEM">1.00`, `<Amt Ccy="DEM">1`, "", ""},
		{"no currency", `<Amt Ccy="DEM">1.00`, `<Amt>1.00`, "schema.missing", "entry 1"},
		{"unknown currency", `<Amt Ccy="DEM">1.00`, `<Amt Ccy="QQQ">1.00`, "model.currency", "entry 1"},
		{"empty amount", `<Amt Ccy="DEM">1.00`, `<Amt Ccy="DEM">`, "schema.decimal model.amount", "entry 1"},
		{"elements in an amount", `<Amt Ccy="DEM">1.00`, `<Amt Ccy="DEM"><x/>1.00`, "schema.element model.amount", "entry 1"},
		{"unknown element", "<RvslInd>", "<Foo/><RvslInd>", "schema.element", "entry 1"},
		{"foreign amount", "<RvslInd>", `<e:Amt xmlns:e="urn:evil" Ccy="DEM">999</e:Amt><RvslInd>`, "schema.namespace", "entry 1"},
		{"no status", "<Sts><Cd>PDNG</Cd></Sts>", "", "schema.missing", "entry 1"},
		{"unknown status", "PDNG", "TOOLONG", "schema.maxLength", "entry 1"},
		{"IBAN", "FR1420041010050500013M02606", "FR1420041010050500013M02607", "model.account", "entry 0"},
		{"name", "Zo&#235; &amp; Co", "a&#9;b", "model.name", "entry 0"},
		{"time without zone", "2026-11-23T10:00:00Z", "2026-11-23T10:00:00", "model.time", "entry 0"},
		{"broken time", "2026-11-23T10:00:00Z", "2026", "schema.dateTime", "entry 0"},
		{"broken date", "<BookgDt><Dt>2026-11-23", "<BookgDt><Dt>2026-02-30", "schema.date", "entry 0"},
		{"entry before the account", "<Acct><Id><Othr>", `<Ntry><Amt Ccy="EUR">1.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><BkTxCd/></Ntry><Acct><Id><Othr>`, "schema.order schema.missing", "statement 1"},
		{"no account", "<Acct><Id><Othr><Id>12345</Id></Othr></Id></Acct>", "", "schema.missing", "statement 1"},
		{"statement id", "<Id>S-1</Id>", "<Id></Id>", "schema.minLength", "statement 0"},
		{"balance", "<Cd>CLBD</Cd>", "<Cd>TOOLONG</Cd>", "schema.maxLength", "statement 1"},
		{"header", "<MsgId>M-1</MsgId>", "", "schema.missing", "statement 0"},
		{"behind the entries", "<AddtlStmtInf>end", "<AddtlStmtInf>", "schema.minLength", "statement 0"},
		{"behind the statements", "</BkToCstmrStmt>", "<Foo/></BkToCstmrStmt>", "schema.element", "end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc := edit(t, []byte(strings.ReplaceAll(statement, "2026-11-23T20:00:00<", "2026-11-23T20:00:00Z<")), c.old, c.new)
			r := NewStatementReader(bytes.NewReader(doc))
			list, entries, err := readStatements(r)
			if err != nil || len(list) != 2 || len(entries[0]) != 2 {
				t.Fatal(len(list), err)
			}
			var got, where []string
			note := func(place string, faults []Fault) {
				for _, f := range faults {
					if !strings.Contains(strings.Join(got, " "), f.Rule) {
						got = append(got, f.Rule)
					}
					if f.Line < 1 || f.Path == "" || strings.Contains(f.Error(), "FR14") {
						t.Errorf("%+v", f)
					}
					where = append(where, place)
				}
			}
			for i, st := range list {
				note(fmt.Sprint("statement ", i), st.Faults)
			}
			for i, e := range entries[0] {
				note(fmt.Sprint("entry ", i), e.Faults)
			}
			for _, e := range entries[1] {
				note("statement 1", e.Faults)
			}
			note("end", r.Faults())
			if strings.Join(got, " ") != c.rule {
				t.Errorf("%v at %v, want %s", got, where, c.rule)
			}
			for _, w := range where {
				if w != c.where {
					t.Errorf("at %s, want %s", w, c.where)
				}
			}
			_, _, err = readStatements(StatementOptions{Strict: true}.NewReader(bytes.NewReader(doc)))
			if rule := ruleOf(err); c.rule == "" && rule != "" || c.rule != "" && !strings.Contains(c.rule, rule) || (rule == "") != (c.rule == "") {
				t.Errorf("strict: %v, want %s", err, c.rule)
			}
		})
	}
}

// What nothing can follow ends reading, in both modes; what was read before has been handed over.
func TestStatementEnds(t *testing.T) {
	for _, c := range []struct{ name, doc, rule string }{
		{"cut off", statement[:strings.Index(statement, "<AddtlStmtInf>")], "xml.end"},
		{"not well-formed", strings.Replace(statement, "</AddtlStmtInf>", "", 1), "xml.nesting"},
		{"DOCTYPE", "<!DOCTYPE x>" + strings.TrimPrefix(statement, `<?xml version="1.0" encoding="UTF-8"?>`), "xml.doctype"},
		{"empty", "", "xml.root"},
		{"another message", string(encoded(t, &fednowTransfer)), "model.message"},
		{"unknown version", strings.Replace(statement, "camt.053.001.08", "camt.053.001.99", 1), "schema.unknown model.message"},
		{"unknown namespace", `<a xmlns="urn:x"/>`, "schema.unknown model.message"},
	} {
		for _, strict := range []bool{false, true} {
			_, _, err := readStatements(StatementOptions{Strict: strict, Zone: time.UTC}.NewReader(strings.NewReader(c.doc)))
			if got := ruleOf(err); got == "" || !strings.Contains(c.rule, got) {
				t.Errorf("%s (strict %t): %v, want %s", c.name, strict, err, c.rule)
			}
		}
	}
	broken := io.MultiReader(strings.NewReader(statement[:1500]), iotest.ErrReader(io.ErrClosedPipe))
	if _, _, err := readStatements(NewStatementReader(broken)); err != io.ErrClosedPipe {
		t.Errorf("%v", err)
	}
	// A statement that is left alone is skipped, and a second range goes on where the first ended.
	r := NewStatementReader(strings.NewReader(statement))
	first, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	for range first.Entries() {
		break
	}
	n := 0
	for range first.Entries() {
		n++
	}
	for range first.Entries() {
		n++
	}
	if second, err := r.Next(); err != nil || second.ID != "S-2" || n != 1 {
		t.Errorf("%v, %v, %d entries", second, err, n)
	}
	for range first.Entries() {
		t.Error("an entry of a statement that has ended")
	}
	if _, err := r.Next(); err != io.EOF {
		t.Error(err)
	}
	if _, err := r.Next(); err != io.EOF {
		t.Error(err)
	}
}

// The published statements, of four versions: every entry with an amount, and nothing but times without a zone to complain of.
func TestStatementSamples(t *testing.T) {
	for _, c := range []struct {
		file    string
		entries int
		sum     int64 // credits less debits, in minor units
	}{
		{"ing-camt.053.001.02.xml", 9, 60500},
		{"fi-camt.054.001.02.xml", 6, 36995},
		{"six-camt.054.001.04-credit.xml", 1, 150000},
		{"cbpr-camt.054.xml", 1, 184375000},
	} {
		t.Run(c.file, func(t *testing.T) {
			r := StatementOptions{Zone: time.UTC}.NewReader(bytes.NewReader(shared.Read(t, "iso20022/samples/"+c.file)))
			list, entries, err := readStatements(r)
			if err != nil || len(r.Faults()) > 0 {
				t.Fatal(err, r.Faults())
			}
			n, sum := 0, int64(0)
			for i, st := range list {
				if st.ID == "" || st.Account == (payments.Account{}) || len(st.Faults) > 0 {
					t.Errorf("%+v", st)
				}
				for _, e := range entries[i] {
					n++
					if e.Amount.Currency == "" || e.Status == "" || len(e.Faults) > 0 {
						t.Errorf("%+v", e)
					}
					if e.Credit {
						sum += e.Amount.Minor
					} else {
						sum -= e.Amount.Minor
					}
				}
			}
			if len(list) != 1 || n != c.entries || sum != c.sum {
				t.Errorf("%d statements, %d entries, sum %d", len(list), n, sum)
			}
		})
	}
}

// bigStatement writes a camt.053 of about so many bytes.
func bigStatement(size int) io.Reader {
	start := strings.Index(statement, "<Ntry><NtryRef>")
	end := strings.Index(statement, "<Ntry><Amt Ccy=\"DEM\">")
	entry := strings.NewReader(statement[start:end])
	n := size/(end-start) + 1
	parts := []io.Reader{strings.NewReader(statement[:start])}
	parts = append(parts, &repeat{entry, n}, strings.NewReader(statement[end:]))
	return io.MultiReader(parts...)
}

// repeat reads a text n times.
type repeat struct {
	r *strings.Reader
	n int
}

func (r *repeat) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	if err == io.EOF && r.n > 1 {
		r.n--
		r.r.Seek(0, io.SeekStart)
		return n, nil
	}
	if err == io.EOF && r.n <= 1 {
		return n, io.EOF
	}
	return n, err
}

// A statement of any length is read in bounded memory. PARLEY_STATEMENT_MB sets the length.
func TestBigStatement(t *testing.T) {
	size := 8 << 20
	if v := os.Getenv("PARLEY_STATEMENT_MB"); v != "" {
		fmt.Sscan(v, &size)
		size <<= 20
	}
	runtime.GC()
	var before, during runtime.MemStats
	runtime.ReadMemStats(&before)
	r := StatementOptions{Zone: time.UTC, Strict: true}.NewReader(bigStatement(size))
	begin, peak, n := time.Now(), uint64(0), 0
	var sum int64
	for {
		st, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for e, err := range st.Entries() {
			if err != nil {
				t.Fatal(err)
			}
			sum += e.Amount.Minor
			if n++; n%2000 == 0 {
				runtime.ReadMemStats(&during)
				peak = max(peak, during.HeapInuse-min(before.HeapInuse, during.HeapInuse))
			}
		}
	}
	t.Logf("%d entries, %d MiB at %.0f MB/s, heap at most %d KiB more", n, size>>20, float64(size)/1e6/time.Since(begin).Seconds(), peak>>10)
	if want := int64(n-1)*450 + 100; sum != want || n < size/2000 {
		t.Errorf("sum %d of %d entries, want %d", sum, n, want)
	}
	if peak > 32<<20 {
		t.Errorf("%d MiB of memory", peak>>20)
	}
}

// Whatever is read: no fault without a place, the tolerant reader finds a fault where Check does, and a strict reader accepts nothing
// that Check refuses.
func FuzzStatement(f *testing.F) {
	f.Add([]byte(statement))
	f.Add([]byte(strings.ReplaceAll(statement, "camt.053.001.08", "camt.053.001.02")))
	f.Add([]byte(`<w xmlns="urn:w">` + strings.TrimPrefix(statement, `<?xml version="1.0" encoding="UTF-8"?>`) + `</w>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		report, err := FileLimits.Check(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := readStatements(StatementOptions{Strict: true}.NewReader(bytes.NewReader(b))); err == nil && len(report.Faults) > 0 {
			t.Fatalf("read strictly: %v", report.Faults)
		}
		r := NewStatementReader(bytes.NewReader(b))
		list, entries, err := readStatements(r)
		if err != nil {
			return
		}
		n := len(r.Faults())
		for i, st := range list {
			n += len(st.Faults)
			for _, e := range entries[i] {
				n += len(e.Faults)
				for _, fault := range e.Faults {
					if fault.Line < 1 || fault.Rule == "" {
						t.Fatalf("%+v", fault)
					}
				}
			}
		}
		if n == 0 && len(report.Faults) > 0 {
			t.Fatalf("nothing found, but Check says %v", report.Faults)
		}
	})
}
