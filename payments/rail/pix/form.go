package pix

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/internal/pattern"
	"github.com/parleypay/parley/payments/rail/internal/xmltext"
)

// form is the wire of Pix's settlement system (SPI): an Envelope in a namespace of its own for each message and version, with AppHdr
// and Document inside. Shapes are those of the central bank's public message catalogue 5.13, described here in our own words.
type form struct{}

// messages are the messages read and written, by ISO's definition. (camt, pibr, reda and other admi messages have no structure here.)
var messages = map[string]struct {
	name, namespace string
	structure       *node
}{
	rail.MsgTransfer: {"pacs.008.spi.1.16", "https://www.bcb.gov.br/pi/pacs.008/1.16", structure(`Envelope{`+pixHeader+` Document{FIToFICstmrCdtTrf{
		GrpHdr{MsgId:msgid CreDtTm:time NbOfTxs:number SttlmInf{SttlmMtd:CLRG} PmtTpInf{InstrPrty:HIGH|NORM SvcLvl{Prtry:PAGPRI|PAGAGD|PAGFRD}}}
		CdtTrfTxInf+{
			PmtId{InstrId?:eod EndToEndId:e2e TxId?:txid}
			IntrBkSttlmAmt:amount AccptncDtTm:time ChrgBr:SLEV
			MndtRltdInf{Tp{LclInstrm{Prtry:MANU|DICT|QRDN|QRES|INIC|AUTO|APDN|APES}}}
			InitgPty?{Id{OrgId{Othr{Id:cnpj}}}}
			Dbtr{Nm:text140 Id{PrvtId{Othr{Id:taxid}}}}
			DbtrAcct{Id{Othr{Id:account Issr?:branch}} Tp{Cd:CACC|OTHR|SLRY|SVGS|TRAN}}
			DbtrAgt{FinInstnId{ClrSysMmbId{MmbId:ispb}}}
			CdtrAgt{FinInstnId{ClrSysMmbId{MmbId:ispb}}}
			Cdtr{Id{PrvtId{Othr{Id:taxid}}}}
			CdtrAcct{Id{Othr{Id:account Issr?:branch}} Tp{Cd:CACC|OTHR|SLRY|SVGS|TRAN} Prxy?{Id:text77}}
			Purp{Cd:IPAY|GSCB|IPRT|OTHR|REFU}
			Tax?{RefNb:alnum50 Rcrd+{Tp:CBSSPLIT|IBSSPLIT Ctgy:INF TaxAmt{TtlAmt:amount}}}
			RmtInf?{Ustrd?:text140 Strd?{RfrdDocInf{Tp{CdOrPrtry{Prtry:AGFSS|AGTEC|AGTOT} Issr:ispb}} RfrdDocAmt{AdjstmntAmtAndRsn+{Amt:amount Rsn:VLCP|VLDN}}}}
		}}}}`, kinds)},
	rail.MsgStatus: {"pacs.002.spi.1.17", "https://www.bcb.gov.br/pi/pacs.002/1.17", structure(`Envelope{`+pixHeader+` Document{FIToFIPmtStsRpt{
		GrpHdr{MsgId:msgid CreDtTm:time}
		TxInfAndSts+{
			OrgnlInstrId:eod OrgnlEndToEndId:e2e TxSts:ACCC|ACSC|ACSP|RJCT
			StsRsnInf*{Rsn?{Cd:code} AddtlInf*:text105}
			FctvIntrBkSttlmDt?{DtTm:time}
			OrgnlTxRef?{IntrBkSttlmDt:date}
		}}}}`, kinds)},
	msgReturn: {"pacs.004.spi.1.5", "https://www.bcb.gov.br/pi/pacs.004/1.5", structure(`Envelope{`+pixHeader+` Document{PmtRtr{
		GrpHdr{MsgId:msgid CreDtTm:time NbOfTxs:number SttlmInf{SttlmMtd:CLRG}}
		TxInf+{
			RtrId:return OrgnlEndToEndId:e2e RtrdIntrBkSttlmAmt:amount SttlmPrty:HIGH|NORM ChrgBr:SLEV
			RtrRsnInf{Rsn{Cd:BE08|FR01|MD06|SL02} AddtlInf*:text105}
			OrgnlTxRef{RmtInf?{Ustrd:text140} DbtrAgt{FinInstnId{ClrSysMmbId{MmbId:ispb}}} CdtrAgt{FinInstnId{ClrSysMmbId{MmbId:ispb}}}}
		}}}}`, kinds)},
	msgRejection: {"admi.002.spi.1.5", "https://www.bcb.gov.br/pi/admi.002/1.5", structure(`Envelope{`+pixHeader+` Document{admi.002.001.01{
		RltdRef{Ref:text35} Rsn{RjctgPtyRsn:text35 RjctnDtTm?:time ErrLctn?:text350 RsnDesc?:text350 AddtlData?:text1000}}}}`, kinds)},
}

const msgRejection = iso20022.RejectionV1 // what admi.002.spi.1.5 is built on

const msgReturn = "pacs.004.001.10" // what pacs.004.spi.1.5 is built on

const pixHeader = `AppHdr{Fr{FIId{FinInstnId{Othr{Id:ispb}}}} To{FIId{FinInstnId{Othr{Id:ispb}}}} BizMsgIdr:msgid MsgDefIdr:text35 CreDt:time Sgntr:any}`

const pixTime = "2006-01-02T15:04:05.000Z"

var kinds = map[string]func(string) bool{
	"msgid":  func(s string) bool { return pattern.Fits(s, "M", pattern.Upper, 8, pattern.Alnum, 23) },
	"e2e":    func(s string) bool { return payments.CheckPixEndToEndID(s) == nil },
	"return": func(s string) bool { return payments.CheckPixReturnID(s) == nil },
	"eod": func(s string) bool {
		return payments.CheckPixEndToEndID(s) == nil || payments.CheckPixReturnID(s) == nil
	},
	"ispb": func(s string) bool { return pattern.Fits(s, pattern.Upper, 8) },
	"time": func(s string) bool {
		t, err := time.Parse(pixTime, s)
		return err == nil && t.Format(pixTime) == s
	},
	"date":    func(s string) bool { _, err := time.Parse(time.DateOnly, s); return err == nil },
	"number":  func(s string) bool { return len(s) >= 1 && len(s) <= 15 && pattern.Fits(s, pattern.Digits, len(s)) },
	"branch":  func(s string) bool { return len(s) >= 1 && len(s) <= 4 && pattern.Fits(s, pattern.Digits, len(s)) },
	"account": func(s string) bool { return len(s) >= 1 && len(s) <= 20 && pattern.Fits(s, pattern.Upper, len(s)) },
	"txid":    func(s string) bool { return len(s) >= 1 && len(s) <= 35 && pattern.Fits(s, pattern.Alnum, len(s)) },
	"alnum50": func(s string) bool { return len(s) >= 1 && len(s) <= 50 && pattern.Fits(s, pattern.Alnum, len(s)) },
	"cnpj":    func(s string) bool { return pattern.Fits(s, pattern.Upper, 12, pattern.Digits, 2) },
	"taxid": func(s string) bool {
		return pattern.Fits(s, pattern.Digits, 11) || pattern.Fits(s, pattern.Upper, 12, pattern.Digits, 2)
	},
	"code":    func(s string) bool { return pattern.Fits(s, pattern.Upper, 4) },
	"amount":  func(string) bool { return true }, // the decoder's to judge
	"text35":  func(s string) bool { return within(s, 35) },
	"text77":  func(s string) bool { return within(s, 77) },
	"text105": func(s string) bool { return within(s, 105) },
	"text140": func(s string) bool { return within(s, 140) },
	"text350": func(s string) bool { return within(s, 350) }, "text1000": func(s string) bool { return within(s, 1000) },
}

// ownNames returns the catalogue's names by ISO's definition.
func ownNames() map[string]string {
	names := map[string]string{}
	for def, m := range messages {
		names[def] = m.name
	}
	return names
}

// within reports whether s has 1 to n characters.
func within(s string, n int) bool { return s != "" && len([]rune(s)) <= n }

func (form) Open(p *rail.Profile, wire []byte) (*rail.Parts, error) {
	limits := iso20022.Limits{SizeBytes: int64(p.SizeMaxBytes)}
	tree, err := limits.Parse(wire)
	if err != nil {
		return nil, err
	}
	o := &rail.Parts{Wire: tree.Root()}
	for def, m := range messages {
		if o.Wire.Namespace() == m.namespace {
			o.Definition = def
		}
	}
	switch {
	case o.Definition == "":
		return nil, o.Wire.Fault("wrapper.namespace", "the envelope belongs to no message of this rail that is read here")
	case o.Wire.Name() != "Envelope":
		return nil, o.Wire.Fault("wrapper.element", "the wrapper's element is not Envelope")
	}
	if at, why := messages[o.Definition].structure.check(o.Wire); why != "" {
		path := strings.TrimPrefix(strings.TrimPrefix(at.Path(), "/Envelope"), "/")
		if f := p.Fault("structure", path, at); f != nil {
			f.Text = why
			return nil, rail.RuleErrors{f} // nothing else can be judged
		}
	}
	o.HeaderAt, _ = o.Wire.Child("AppHdr")
	o.DocumentAt, _ = o.Wire.Child("Document")
	t := translator{}
	if o.Header, err = t.header(o); err != nil {
		return nil, err
	}
	switch o.Definition {
	case rail.MsgTransfer:
		o.Document, err = t.transfer(o.DocumentAt)
	case rail.MsgStatus:
		o.Document = t.report(o.DocumentAt)
	default:
		t.b = nil
		t.put(`<Document xmlns="%s">`, iso20022.Namespace(o.Definition))
		t.children(o.DocumentAt)
		t.put("</Document>")
		o.Document = t.b
	}
	return o, err
}

// translator copies values into ISO's elements, as they stand.
type translator struct{ b []byte }

func (t *translator) put(format string, parts ...any) { t.b = fmt.Appendf(t.b, format, parts...) }

// copy appends the element at names inside e under its own name, nothing if there is none.
func (t *translator) copy(e iso20022.Element, names ...string) {
	if x, ok := e.Child(names...); ok {
		t.tree(x)
	}
}

// tree appends e with all that stands in it, without prefixes.
func (t *translator) tree(e iso20022.Element) {
	t.put("<%s", e.Name())
	if ccy, ok := e.Attr("Ccy"); ok {
		t.put(` Ccy="%s"`, xmltext.Escape(ccy))
	}
	t.put(">")
	if e.IsLeaf() {
		t.b = append(t.b, xmltext.Inner(e)...)
	} else {
		t.children(e)
	}
	t.put("</%s>", e.Name())
}

func (t *translator) children(e iso20022.Element) {
	for c := range e.Children() {
		t.tree(c)
	}
}

func (t *translator) header(o *rail.Parts) ([]byte, error) {
	h := o.HeaderAt
	t.b = nil
	t.put(`<AppHdr xmlns="%s">`, iso20022.Namespace("head.001.001.01"))
	for _, side := range [2]string{"Fr", "To"} {
		t.put("<%[1]s><FIId><FinInstnId><ClrSysMmbId><MmbId>%[2]s</MmbId></ClrSysMmbId></FinInstnId></FIId></%[1]s>", side,
			xmltext.Escape(h.Value(side, "FIId", "FinInstnId", "Othr", "Id")))
	}
	t.copy(h, "BizMsgIdr")
	def := o.Definition
	if h.Value("MsgDefIdr") != messages[def].name {
		def = "other" // judged by the rule about the header
	}
	t.put("<MsgDefIdr>%s</MsgDefIdr>", def)
	t.copy(h, "CreDt")
	t.put("</AppHdr>")
	return t.b, nil
}

func (t *translator) transfer(doc iso20022.Element) ([]byte, error) {
	body, _ := doc.Child("FIToFICstmrCdtTrf")
	t.b = nil
	t.put(`<Document xmlns="%s"><FIToFICstmrCdtTrf><GrpHdr>`, iso20022.Namespace(rail.MsgTransfer))
	t.copy(body, "GrpHdr", "MsgId")
	t.copy(body, "GrpHdr", "CreDtTm")
	t.copy(body, "GrpHdr", "NbOfTxs")
	t.put("<SttlmInf><SttlmMtd>CLRG</SttlmMtd></SttlmInf></GrpHdr>")
	for tx := range body.Children() {
		if tx.Name() != "CdtTrfTxInf" {
			continue
		}
		t.put("<CdtTrfTxInf>")
		t.copy(tx, "PmtId")
		t.put("<PmtTpInf><LclInstrm><Prtry>%s</Prtry></LclInstrm></PmtTpInf>", xmltext.Escape(tx.Value("MndtRltdInf", "Tp", "LclInstrm", "Prtry")))
		t.copy(tx, "IntrBkSttlmAmt")
		t.copy(tx, "AccptncDtTm")
		t.copy(tx, "ChrgBr")
		for _, agent := range [2][2]string{{"InstgAgt", "DbtrAgt"}, {"InstdAgt", "CdtrAgt"}} {
			t.put("<%s>", agent[0])
			t.copy(tx, agent[1], "FinInstnId")
			t.put("</%s>", agent[0])
		}
		for _, side := range [2]string{"Dbtr", "Cdtr"} {
			account, err := pixAccount(tx, side)
			if err != nil {
				return nil, err
			}
			if side == "Cdtr" {
				t.copy(tx, "CdtrAgt")
			}
			t.put("<%s>", side)
			t.copy(tx, side, "Nm")
			t.put("</%[1]s><%[1]sAcct><Id><Othr><Id>%[2]s</Id></Othr></Id></%[1]sAcct>", side, account)
			if side == "Dbtr" {
				t.copy(tx, "DbtrAgt")
			}
		}
		t.copy(tx, "Purp")
		if x, ok := tx.Child("RmtInf", "Ustrd"); ok {
			t.put("<RmtInf>")
			t.tree(x)
			t.put("</RmtInf>")
		}
		t.put("</CdtTrfTxInf>")
	}
	t.put("</FIToFICstmrCdtTrf></Document>")
	return t.b, nil
}

// pixAccount spells an account and its holder as one text (payments.PixAccount).
func pixAccount(tx iso20022.Element, side string) (string, error) {
	a, err := payments.PixAccount{
		Holder: tx.Value(side, "Id", "PrvtId", "Othr", "Id"), Type: tx.Value(side+"Acct", "Tp", "Cd"),
		Number: tx.Value(side+"Acct", "Id", "Othr", "Id"), Branch: tx.Value(side+"Acct", "Id", "Othr", "Issr"),
	}.Account()
	if err != nil {
		at, _ := tx.Child(side + "Acct")
		return "", at.Fault("model.account", "an account that has no place here: with letters, of type OTHR, or too long together with its holder")
	}
	return a.Reveal(), nil
}

func (t *translator) report(doc iso20022.Element) []byte {
	body, _ := doc.Child("FIToFIPmtStsRpt")
	t.b = nil
	t.put(`<Document xmlns="%s"><FIToFIPmtStsRpt>`, iso20022.Namespace(rail.MsgStatus))
	t.copy(body, "GrpHdr")
	for tx := range body.Children() {
		if tx.Name() != "TxInfAndSts" {
			continue
		}
		t.put("<TxInfAndSts>")
		t.copy(tx, "OrgnlInstrId")
		t.copy(tx, "OrgnlEndToEndId")
		t.copy(tx, "TxSts")
		for x := range tx.Children() {
			if x.Name() == "StsRsnInf" {
				t.tree(x)
			}
		}
		if day, _, ok := strings.Cut(tx.Value("FctvIntrBkSttlmDt", "DtTm"), "T"); ok {
			t.put("<FctvIntrBkSttlmDt><Dt>%s</Dt></FctvIntrBkSttlmDt>", xmltext.Escape(day))
		}
		t.put("</TxInfAndSts>")
	}
	t.put("</FIToFIPmtStsRpt></Document>")
	return t.b
}

func (form) Wrap(p *rail.Profile, h *iso20022.Header, document []byte) ([]byte, error) {
	if h.MsgDef == msgRejection {
		doc, err := iso20022.Parse(document)
		if err != nil {
			return nil, err
		}
		body, _ := doc.Root().Child(msgRejection)
		w := translator{}
		w.put("<%s>", msgRejection)
		w.copy(body, "RltdRef")
		w.put("<Rsn>")
		w.copy(body, "Rsn", "RjctgPtyRsn")
		if at, ok := body.Child("Rsn", "RjctnDtTm"); ok {
			t, err := time.Parse(time.RFC3339Nano, at.Text())
			if err != nil {
				return nil, at.Fault("model.time", "no time")
			}
			w.put("<RjctnDtTm>%s</RjctnDtTm>", t.UTC().Format(pixTime))
		}
		w.copy(body, "Rsn", "ErrLctn")
		w.copy(body, "Rsn", "RsnDesc")
		w.copy(body, "Rsn", "AddtlData")
		w.put("</Rsn></%s>", msgRejection)
		return envelope(p, h, w.b)
	}
	if h.MsgDef != msgReturn {
		return nil, fmt.Errorf("%s does not travel on %s", h.MsgDef, p.Title)
	}
	doc, err := iso20022.Parse(document)
	if err != nil {
		return nil, err
	}
	w := translator{}
	w.put("<PmtRtr><GrpHdr>")
	w.copy(doc.Root(), "PmtRtr", "GrpHdr", "MsgId")
	if created, ok := doc.Root().Child("PmtRtr", "GrpHdr", "CreDtTm"); ok {
		t, err := time.Parse(time.RFC3339Nano, created.Text())
		if err != nil {
			return nil, created.Fault("model.time", "no time")
		}
		w.put("<CreDtTm>%s</CreDtTm>", t.UTC().Format(pixTime))
	}
	w.put("<NbOfTxs>1</NbOfTxs><SttlmInf><SttlmMtd>CLRG</SttlmMtd></SttlmInf></GrpHdr><TxInf>")
	tx, _ := doc.Root().Child("PmtRtr", "TxInf")
	w.copy(tx, "RtrId")
	w.copy(tx, "OrgnlEndToEndId")
	w.copy(tx, "RtrdIntrBkSttlmAmt")
	w.put("<SttlmPrty>HIGH</SttlmPrty>")
	w.copy(tx, "ChrgBr")
	w.copy(tx, "RtrRsnInf")
	w.put("<OrgnlTxRef>")
	w.copy(tx, "OrgnlTxRef", "DbtrAgt")
	w.copy(tx, "OrgnlTxRef", "CdtrAgt")
	w.put("</OrgnlTxRef></TxInf></PmtRtr>")
	return envelope(p, h, w.b)
}

func (form) Write(p *rail.Profile, m *rail.Message) ([]byte, error) {
	// The codec's own checks of every value come first: what follows only places values.
	if _, err := m.AppendDocument(nil); err != nil {
		return nil, err
	}
	if m.Transfer != nil && m.Transfer.UETR != "" {
		return nil, errors.New("a transfer has no UETR on Pix") // a value without a place must not be left out in silence
	}
	w := translator{}
	switch {
	case m.Transfer != nil:
		if err := w.writeTransfer(m.Transfer); err != nil {
			return nil, err
		}
	case m.Status != nil:
		w.writeReport(m.Status)
	}
	return envelope(p, &m.Header, w.b)
}

// envelope puts header and document into the envelope, and checks the whole: what leaves has the structure that is read.
func envelope(p *rail.Profile, h *iso20022.Header, document []byte) ([]byte, error) {
	def, ok := messages[h.MsgDef]
	if !ok || document == nil {
		return nil, fmt.Errorf("%s does not travel on %s", h.MsgDef, p.Title)
	}
	if _, err := h.Append(nil); err != nil {
		return nil, err
	}
	w := translator{b: append(make([]byte, 0, len(document)+1024), xmltext.Declaration...)}
	w.put(`<Envelope xmlns="%s"><AppHdr>`, def.namespace)
	for _, side := range []struct {
		name string
		id   payments.AgentID
	}{{"Fr", h.From}, {"To", h.To}} {
		w.put("<%[1]s><FIId><FinInstnId><Othr><Id>%[2]s</Id></Othr></FinInstnId></FIId></%[1]s>", side.name, xmltext.Escape(string(side.id)))
	}
	// The signature is put in by whoever holds the keys: three references, over KeyInfo, AppHdr and Document.
	w.put("<BizMsgIdr>%s</BizMsgIdr><MsgDefIdr>%s</MsgDefIdr><CreDt>%s</CreDt><Sgntr></Sgntr></AppHdr><Document>",
		xmltext.Escape(h.BizMsgID), def.name, h.Created.UTC().Format(pixTime))
	w.b = append(append(w.b, document...), "</Document></Envelope>"...)
	tree, err := iso20022.Parse(w.b)
	if err != nil {
		return nil, err
	}
	if at, why := def.structure.check(tree.Root()); why != "" {
		return nil, at.Fault(p.Name+".structure", why)
	}
	return w.b, nil
}

func (t *translator) optional(name, text string) {
	if text != "" {
		t.put("<%[1]s>%[2]s</%[1]s>", name, xmltext.Escape(text))
	}
}

func (t *translator) writeTransfer(x *iso20022.CreditTransfer) error {
	t.put("<FIToFICstmrCdtTrf><GrpHdr><MsgId>%s</MsgId><CreDtTm>%s</CreDtTm><NbOfTxs>1</NbOfTxs><SttlmInf><SttlmMtd>CLRG</SttlmMtd></SttlmInf>"+
		"<PmtTpInf><InstrPrty>HIGH</InstrPrty><SvcLvl><Prtry>PAGPRI</Prtry></SvcLvl></PmtTpInf></GrpHdr><CdtTrfTxInf><PmtId>",
		xmltext.Escape(x.MessageID), x.Created.UTC().Format(pixTime))
	t.optional("InstrId", x.InstructionID)
	t.optional("EndToEndId", string(x.EndToEndID))
	t.optional("TxId", x.TransactionID)
	t.put(`</PmtId><IntrBkSttlmAmt Ccy="%s">%s</IntrBkSttlmAmt><AccptncDtTm>%s</AccptncDtTm><ChrgBr>%s</ChrgBr>`+
		"<MndtRltdInf><Tp><LclInstrm><Prtry>%s</Prtry></LclInstrm></Tp></MndtRltdInf>",
		x.Amount.Currency, x.Amount.Text(), x.AcceptanceTime.UTC().Format(pixTime), xmltext.Escape(x.ChargeBearer), xmltext.Escape(x.LocalPrtry))
	for _, side := range []struct {
		name  string
		party *iso20022.Party
	}{{"Dbtr", &x.Debtor}, {"Cdtr", &x.Creditor}} {
		a, err := payments.ParsePixAccount(side.party.Account)
		if err != nil {
			return err
		}
		agent := fmt.Sprintf("<%[1]sAgt><FinInstnId><ClrSysMmbId><MmbId>%[2]s</MmbId></ClrSysMmbId></FinInstnId></%[1]sAgt>", side.name, xmltext.Escape(string(side.party.Agent.ID)))
		if side.name == "Cdtr" {
			t.put("%s", agent)
		}
		t.put("<%s>", side.name)
		t.optional("Nm", side.party.Name.Reveal())
		t.put("<Id><PrvtId><Othr><Id>%s</Id></Othr></PrvtId></Id></%[2]s><%[2]sAcct><Id><Othr><Id>%[3]s</Id>", a.Holder, side.name, a.Number)
		t.optional("Issr", a.Branch)
		t.put("</Othr></Id><Tp><Cd>%s</Cd></Tp></%sAcct>", a.Type, side.name)
		if side.name == "Dbtr" {
			t.put("%s", agent)
		}
	}
	t.put("<Purp><Cd>%s</Cd></Purp>", xmltext.Escape(x.Purpose))
	if x.Remittance != "" {
		t.put("<RmtInf><Ustrd>%s</Ustrd></RmtInf>", xmltext.Escape(x.Remittance))
	}
	t.put("</CdtTrfTxInf></FIToFICstmrCdtTrf>")
	return nil
}

func (t *translator) writeReport(s *iso20022.StatusReport) {
	t.put("<FIToFIPmtStsRpt><GrpHdr><MsgId>%s</MsgId><CreDtTm>%s</CreDtTm></GrpHdr><TxInfAndSts>", xmltext.Escape(s.MessageID), s.Created.UTC().Format(pixTime))
	t.optional("OrgnlInstrId", s.OriginalInstruction)
	t.optional("OrgnlEndToEndId", string(s.OriginalEndToEnd))
	t.optional("TxSts", s.Status)
	if s.Reason != "" || s.ReasonInfo != "" {
		t.put("<StsRsnInf>")
		if s.Reason != "" {
			t.put("<Rsn><Cd>%s</Cd></Rsn>", xmltext.Escape(s.Reason))
		}
		t.optional("AddtlInf", s.ReasonInfo)
		t.put("</StsRsnInf>")
	}
	if s.SettleDate != "" {
		t.put("<FctvIntrBkSttlmDt><DtTm>%s</DtTm></FctvIntrBkSttlmDt>", s.Created.UTC().Format(pixTime))
	}
	t.put("</TxInfAndSts></FIToFIPmtStsRpt>")
}
