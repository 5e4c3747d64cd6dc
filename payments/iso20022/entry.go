package iso20022

import (
	"iter"
	"strings"
	"time"

	"github.com/parleypay/parley/payments"
)

// part reads one element of a statement: what it knows, in any order and version, and nothing else. The element may be against the
// schema, which is reported elsewhere; a value that cannot be read is a fault and stays zero.
type part struct {
	*tree
	s      string // the bytes of the element, which begin at base of the tree's
	base   uint32
	zone   *time.Location
	faults []Fault
}

func (p *part) fail(i uint32, rule, text string) {
	p.faults = append(p.faults, *p.tree.fault(i, rule, text))
}

// children iterates over the elements inside i, with their names.
func (p *part) children(i uint32) iter.Seq2[uint32, string] {
	return func(yield func(uint32, string) bool) {
		for c := i + 1; c < p.next(i); c = p.next(c) {
			n := &p.nodes[c]
			if n.ns == p.nodes[i].ns && !yield(c, p.s[n.nameAt-p.base:n.nameEnd-p.base]) {
				return
			}
		}
	}
}

// find returns the element at a path of names below i, 0 if there is none.
func (p *part) find(i uint32, path ...string) uint32 {
	for _, name := range path {
		found := uint32(0)
		for c, n := range p.children(i) {
			if n == name {
				found = c
				break
			}
		}
		if i = found; i == 0 {
			return 0
		}
	}
	return i
}

// textOf returns the text of a leaf.
func (p *part) textOf(i uint32) string {
	n := &p.nodes[i]
	if !p.isLeaf(i) {
		return ""
	}
	if n.flags&(hasReference|hasCDATA|hasComment|hasLineEnd) != 0 {
		return string(p.tree.text(i))
	}
	return p.s[n.textAt-p.base : n.textEnd-p.base]
}

// textAt returns the text at a path of names below i, "" if there is none.
func (p *part) textAt(i uint32, path ...string) string {
	if c := p.find(i, path...); c > 0 {
		return p.textOf(c)
	}
	return ""
}

// either returns the text of Cd or Prtry in i, or of i itself in versions without.
func (p *part) either(i uint32) string {
	for c, name := range p.children(i) {
		if name == "Cd" || name == "Prtry" {
			return p.textOf(c)
		}
	}
	return p.textOf(i)
}

func (p *part) timeOf(i uint32) time.Time {
	v := p.textOf(i)
	if !isDateTime([]byte(v)) {
		return time.Time{} // the validator has said so
	}
	t, why := parseTime(v, nil)
	if why == noZone {
		local := p.zone
		if local == nil {
			local = time.UTC
			p.fail(i, "model.time", "no zone: taken for UTC")
		}
		t, why = parseTime(v, local)
	}
	if why != "" && why != noZone {
		p.fail(i, "model.time", why)
	}
	return t
}

// momentOf reads a Dt or DtTm in i.
func (p *part) momentOf(i uint32) (m Moment) {
	for c, name := range p.children(i) {
		switch name {
		case "Dt":
			if m.Date = p.textOf(c); len(m.Date) > len("2006-01-02") && isDate([]byte(m.Date)) && m.Date[4] == '-' {
				m.Date = m.Date[:len("2006-01-02")] // a zone says nothing here
			}
		case "DtTm":
			m.Time = p.timeOf(c)
		}
	}
	return m
}

// isCredit reads CdtDbtInd.
func (p *part) isCredit(i uint32) bool { return p.textOf(i) == "CRDT" }

func (p *part) flag(i uint32) bool {
	v := strings.TrimSpace(p.textOf(i))
	return v == "true" || v == "1"
}

// amountOf reads an amount exactly. Decimals that are missing are zeros, and zeros beyond those of the currency say nothing; it may be
// zero, and in a currency that has ended.
func (p *part) amountOf(i uint32) payments.Amount {
	code := ""
	for k, a := range p.attributes(i) {
		if a.ns == noNamespace && string(p.src[a.nameAt:a.nameEnd]) == "Ccy" {
			code = string(p.attrValue(&p.attributes(i)[k]))
		}
	}
	c, err := payments.ParseHistoricCurrency(code)
	if err != nil {
		if code != "" {
			p.fail(i, "model.currency", "unknown currency")
		}
		return payments.Amount{}
	}
	v, ok := exactAmount(p.textOf(i), c)
	if !ok {
		p.fail(i, "model.amount", "not plain digits, or more decimals than the currency has")
	}
	return v
}

// exactAmount reads plain digits, with a point or without, as an amount.
func exactAmount(text string, c payments.Currency) (payments.Amount, bool) {
	digits, _ := c.Digits()
	whole, fraction, point := strings.Cut(text, ".")
	if point && fraction == "" || len(text) > 64 {
		return payments.Amount{}, false
	}
	for len(whole) > 1 && whole[0] == '0' {
		whole = whole[1:]
	}
	fraction = strings.TrimRight(fraction, "0")
	if len(fraction) > digits {
		return payments.Amount{}, false
	}
	if text = whole; digits > 0 {
		text += "." + fraction + "00000"[:digits-len(fraction)]
	}
	a, err := payments.ParseAmount(text, c)
	return a, err == nil
}

// partyOf reads a party, whether it stands directly or as Pty or Agt.
func (p *part) partyOf(i uint32, party *Party) {
	for c, name := range p.children(i) {
		switch name {
		case "Nm":
			n, err := payments.ParseName(strings.TrimSpace(p.textOf(c)))
			if err != nil {
				p.fail(c, "model.name", "a control character, empty, or too long")
			}
			party.Name = n
		case "PstlAdr":
			p.addressOf(c, &party.Address)
		case "Id":
			p.partyID(c, &party.ID)
		case "Pty":
			p.partyOf(c, party)
		case "Agt":
			party.Agent = p.agentOf(c)
		}
	}
}

func (p *part) addressOf(i uint32, a *Address) {
	a.Street, a.Building, a.PostCode = p.textAt(i, "StrtNm"), p.textAt(i, "BldgNb"), p.textAt(i, "PstCd")
	a.Town, a.Region, a.Country = p.textAt(i, "TwnNm"), p.textAt(i, "CtrySubDvsn"), p.textAt(i, "Ctry")
}

func (p *part) partyID(i uint32, id *PartyID) {
	for c, name := range p.children(i) {
		id.Private = name == "PrvtId"
		id.BIC, id.LEI = p.textAt(c, "AnyBIC")+p.textAt(c, "BICOrBEI"), p.textAt(c, "LEI")
		if o := p.find(c, "Othr"); o > 0 {
			id.Other, id.Issuer = p.textAt(o, "Id"), p.textAt(o, "Issr")
			id.Scheme, id.SchemePrtry = p.textAt(o, "SchmeNm", "Cd"), p.textAt(o, "SchmeNm", "Prtry")
		}
	}
}

// agentOf reads a BIC, or a member id of a clearing system.
func (p *part) agentOf(i uint32) (a Agent) {
	f := p.find(i, "FinInstnId")
	if f == 0 {
		return a
	}
	if bic := p.textAt(f, "BICFI") + p.textAt(f, "BIC"); bic != "" {
		return Agent{ID: payments.AgentID(bic)}
	}
	return Agent{payments.AgentID(p.textAt(f, "ClrSysMmbId", "MmbId")), p.textAt(f, "ClrSysMmbId", "ClrSysId", "Cd")}
}

// accountOf reads the number of a CashAccount.
func (p *part) accountOf(i uint32) payments.Account {
	c := p.find(i, "Id", "IBAN")
	if c == 0 {
		c = p.find(i, "Id", "Othr", "Id")
	}
	if c == 0 {
		return payments.Account{}
	}
	a, err := payments.ParseAccount(p.textOf(c))
	if err != nil {
		p.fail(c, "model.account", "not an account number, or an IBAN with wrong check digits")
	}
	return a
}

func (p *part) statementHeader(i uint32, h *StatementHeader) {
	for c, name := range p.children(i) {
		switch name {
		case "MsgId":
			h.MessageID = p.textOf(c)
		case "CreDtTm":
			h.Created = p.timeOf(c)
		case "MsgPgntn":
			h.Page = p.textAt(c, "PgNb")
			if last := p.find(c, "LastPgInd"); last > 0 {
				h.LastPage = p.flag(last)
			}
		case "AddtlInf":
			h.Info = p.textOf(c)
		}
	}
}

// statementPart reads element i of a statement, which is no entry.
func (p *part) statementPart(i uint32, st *Statement) {
	switch string(p.name(i)) {
	case "Id":
		st.ID = p.textOf(i)
	case "ElctrncSeqNb":
		st.Sequence = p.textOf(i)
	case "CreDtTm":
		st.Created = p.timeOf(i)
	case "FrToDt":
		for c, name := range p.children(i) {
			switch name {
			case "FrDtTm":
				st.From = p.timeOf(c)
			case "ToDtTm":
				st.To = p.timeOf(c)
			}
		}
	case "CpyDplctInd":
		st.CpyDplct = p.textOf(i)
	case "Acct":
		st.Account = p.accountOf(i)
		st.Currency = payments.Currency(p.textAt(i, "Ccy"))
		if c := p.find(i, "Ownr"); c > 0 {
			var owner Party
			p.partyOf(c, &owner)
			st.Owner = owner.Name
		}
		if c := p.find(i, "Svcr"); c > 0 {
			st.Servicer = p.agentOf(c)
		}
	case "Bal":
		st.Balances = append(st.Balances, p.balance(i))
	}
}

func (p *part) balance(i uint32) (b Balance) {
	for c, name := range p.children(i) {
		switch name {
		case "Tp":
			if k := p.find(c, "CdOrPrtry"); k > 0 {
				b.Type = p.either(k)
			}
		case "Amt":
			b.Amount = p.amountOf(c)
		case "CdtDbtInd":
			b.Credit = p.isCredit(c)
		case "Dt":
			b.Date = p.momentOf(c)
		}
	}
	return b
}

// entry reads Ntry.
func (p *part) entry(i uint32, e *Entry) {
	for c, name := range p.children(i) {
		switch name {
		case "NtryRef":
			e.Reference = p.textOf(c)
		case "Amt":
			e.Amount = p.amountOf(c)
		case "CdtDbtInd":
			e.Credit = p.isCredit(c)
		case "RvslInd":
			e.Reversal = p.flag(c)
		case "Sts":
			e.Status = p.either(c)
		case "BookgDt":
			e.Booked = p.momentOf(c)
		case "ValDt":
			e.Value = p.momentOf(c)
		case "AcctSvcrRef":
			e.ServicerRef = p.textOf(c)
		case "BkTxCd":
			e.Code = p.transactionCode(c)
		case "AddtlNtryInf":
			e.Info = p.textOf(c)
		case "NtryDtls":
			for k, name := range p.children(c) {
				switch name {
				case "Btch":
					e.Batch = EntryBatch{p.textAt(k, "MsgId"), p.textAt(k, "PmtInfId"), p.textAt(k, "NbOfTxs")}
				case "TxDtls":
					e.Transactions = append(e.Transactions, EntryTransaction{Credit: e.Credit})
					p.transaction(k, &e.Transactions[len(e.Transactions)-1])
				}
			}
		}
	}
}

func (p *part) transactionCode(i uint32) TransactionCode {
	code := TransactionCode{Prtry: p.textAt(i, "Prtry", "Cd"), Issuer: p.textAt(i, "Prtry", "Issr")}
	if d := p.find(i, "Domn"); d > 0 {
		code.Domain, code.Family, code.SubFamily = p.textAt(d, "Cd"), p.textAt(d, "Fmly", "Cd"), p.textAt(d, "Fmly", "SubFmlyCd")
	}
	return code
}

// transaction reads TxDtls.
func (p *part) transaction(i uint32, t *EntryTransaction) {
	for c, name := range p.children(i) {
		switch name {
		case "Refs":
			p.references(c, t)
		case "Amt":
			t.Amount = p.amountOf(c)
		case "AmtDtls":
			if k := p.find(c, "TxAmt", "Amt"); k > 0 && t.Amount == (payments.Amount{}) {
				t.Amount = p.amountOf(k)
			}
		case "CdtDbtInd":
			t.Credit = p.isCredit(c)
		case "RltdPties":
			for k, name := range p.children(c) {
				switch name {
				case "Dbtr":
					p.partyOf(k, &t.Debtor)
				case "DbtrAcct":
					t.Debtor.Account = p.accountOf(k)
				case "Cdtr":
					p.partyOf(k, &t.Creditor)
				case "CdtrAcct":
					t.Creditor.Account = p.accountOf(k)
				}
			}
		case "RltdAgts":
			for k, name := range p.children(c) {
				switch name {
				case "DbtrAgt":
					t.Debtor.Agent = p.agentOf(k)
				case "CdtrAgt":
					t.Creditor.Agent = p.agentOf(k)
				}
			}
		case "Purp":
			t.Purpose = p.either(c)
		case "RmtInf":
			for k, name := range p.children(c) {
				switch name {
				case "Ustrd":
					t.Remittance = append(t.Remittance, p.textOf(k))
				case "Strd":
					if ref := p.textAt(k, "CdtrRefInf", "Ref") + p.textAt(k, "CdtrRefInf", "CdtrRef"); ref != "" {
						t.References = append(t.References, ref)
					}
				}
			}
		case "RtrInf":
			t.Returned.Code, t.Returned.Prtry = p.textAt(c, "Rsn", "Cd"), p.textAt(c, "Rsn", "Prtry")
			for k, name := range p.children(c) {
				if name == "AddtlInf" {
					t.Returned.Info = append(t.Returned.Info, p.textOf(k))
				}
			}
		case "AddtlTxInf":
			t.Info = p.textOf(c)
		}
	}
}

func (p *part) references(i uint32, t *EntryTransaction) {
	for c, name := range p.children(i) {
		v := p.textOf(c)
		switch name {
		case "MsgId":
			t.MessageID = v
		case "AcctSvcrRef":
			t.ServicerRef = v
		case "PmtInfId":
			t.PaymentInfoID = v
		case "InstrId":
			t.InstructionID = v
		case "EndToEndId":
			t.EndToEndID = payments.EndToEndID(v)
		case "TxId":
			t.TransactionID = v
		case "MndtId":
			t.MandateID = v
		case "ClrSysRef":
			t.ClearingRef = v
		case "UETR":
			t.UETR = payments.UETR(v)
		}
	}
}
