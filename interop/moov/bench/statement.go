package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync/atomic"
	"time"

	"github.com/parleypay/parley/payments/iso20022"
)

// A camt.053 as a bank with many small payments sends it.
const (
	statementHead = `<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt>
<GrpHdr><MsgId>M-1</MsgId><CreDtTm>2026-11-23T20:00:00+01:00</CreDtTm></GrpHdr>
<Stmt><Id>S-1</Id><CreDtTm>2026-11-23T20:00:00+01:00</CreDtTm><Acct><Id><IBAN>DE89370400440532013000</IBAN></Id><Ccy>EUR</Ccy></Acct>
<Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">0.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-11-23</Dt></Dt></Bal>
`
	statementEntry = `<Ntry>
	<NtryRef>1</NtryRef>
	<Amt Ccy="EUR">4.50</Amt>
	<CdtDbtInd>CRDT</CdtDbtInd>
	<Sts><Cd>BOOK</Cd></Sts>
	<BookgDt><Dt>2026-11-23</Dt></BookgDt>
	<ValDt><Dt>2026-11-23</Dt></ValDt>
	<AcctSvcrRef>0193577A5C1E7ABC8DEF0123456789AB</AcctSvcrRef>
	<BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>RRCT</Cd><SubFmlyCd>ESCT</SubFmlyCd></Fmly></Domn></BkTxCd>
	<NtryDtls><TxDtls>
		<Refs><EndToEndId>0193577a5c1e7abc8def0123456789ab</EndToEndId><UETR>8a562c67-ca16-48ba-b074-65581be6f001</UETR></Refs>
		<Amt Ccy="EUR">4.50</Amt><CdtDbtInd>CRDT</CdtDbtInd>
		<RltdPties>
			<Dbtr><Pty><Nm>Example Payer &amp; Sons</Nm><PstlAdr><TwnNm>Exampletown</TwnNm><Ctry>DE</Ctry></PstlAdr></Pty></Dbtr>
			<DbtrAcct><Id><IBAN>FR1420041010050500013M02606</IBAN></Id></DbtrAcct>
		</RltdPties>
		<RltdAgts><DbtrAgt><FinInstnId><BICFI>BBBBFRPPXXX</BICFI></FinInstnId></DbtrAgt></RltdAgts>
		<RmtInf><Ustrd>flat white and a slice of cake, table 7</Ustrd></RmtInf>
	</TxDtls></NtryDtls>
</Ntry>
`
	statementTail = "</Stmt></BkToCstmrStmt></Document>\n"
)

// statement reads a head, the entry n times, and a tail.
type statement struct {
	text *strings.Reader
	n    int
}

func newStatement(n int) *statement { return &statement{strings.NewReader(statementHead), n} }

func (s *statement) Read(b []byte) (int, error) {
	for n := 0; ; {
		m, err := s.text.Read(b[n:])
		if n += m; err == nil && n < len(b) {
			continue
		}
		if err == io.EOF && s.n >= 0 {
			if s.n--; s.n >= 0 {
				s.text.Reset(statementEntry)
			} else {
				s.text.Reset(statementTail)
			}
			continue
		}
		if n > 0 {
			return n, nil
		}
		return 0, err
	}
}

const (
	memoryMiB = 64
	speedMBs  = 100
)

// readStatement validates and reads a statement of that many megabytes.
func readStatement(megabytes int) (missed int, err error) {
	entries := megabytes * 1e6 / len(statementEntry)
	octets := len(statementHead) + entries*len(statementEntry) + len(statementTail)
	var best time.Duration
	peak := new(atomic.Uint64)
	for range 3 {
		stop, stopped := make(chan struct{}), make(chan struct{})
		go watch(peak, stop, stopped)
		begin := time.Now()
		n, sum := 0, int64(0)
		r := iso20022.StatementOptions{Strict: true}.NewReader(newStatement(entries))
		for {
			st, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				return 0, err
			}
			for e, err := range st.Entries() {
				if err != nil {
					return 0, err
				}
				n++
				sum += e.Amount.Minor
			}
		}
		took := time.Since(begin)
		close(stop)
		<-stopped
		if n != entries || sum != int64(entries)*450 {
			return 0, fmt.Errorf("%d entries of %d, sum %d", n, entries, sum)
		}
		if best == 0 || took < best {
			best = took
		}
	}
	speed, mib := float64(octets)/1e6/best.Seconds(), float64(peak.Load())/(1<<20)
	fmt.Printf("camt.053 of %d entries, %.1f MB, validated and read: %.0f MB/s (goal %d), at most %.1f MiB of memory in the whole process (goal %d)\n\n",
		entries, float64(octets)/1e6, speed, speedMBs, mib, memoryMiB)
	if speed < speedMBs {
		missed++
	}
	if mib > memoryMiB {
		missed++
	}
	return missed, nil
}

// watch notes the most memory that the Go runtime holds of the system.
func watch(peak *atomic.Uint64, stop, stopped chan struct{}) {
	defer close(stopped)
	read := func() {
		s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
		metrics.Read(s)
		peak.Store(max(peak.Load(), s[0].Value.Uint64()-s[1].Value.Uint64()))
	}
	for {
		select {
		case <-stop:
			read()
			return
		case <-time.After(5 * time.Millisecond):
			read()
		}
	}
}

// bytesPerRun returns how many bytes one run allocates.
func bytesPerRun(do func() error) uint64 {
	const n = 200
	var before, after runtime.MemStats
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	runtime.ReadMemStats(&before)
	for range n {
		do()
	}
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) / n
}
