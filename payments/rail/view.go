package rail

import (
	"strings"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
)

// Paths of the elements the rules look at.
const (
	PathTransfer   = "Document/FIToFICstmrCdtTrf"
	PathTransferTx = PathTransfer + "/CdtTrfTxInf"
	PathStatus     = "Document/FIToFIPmtStsRpt"
	PathStatusTx   = PathStatus + "/TxInfAndSts"
	PathRequest    = "Document/FIToFIPmtStsReq"
	PathRequestTx  = PathRequest + "/TxInf"
	PathMember     = "/FinInstnId/ClrSysMmbId/MmbId" // below an agent
	PathBIC        = "/FinInstnId/BICFI"             // below an agent
)

// settlementPath is where settlement date and payment type stand: GrpHdr on rails that put them there, else the transaction.
func settlementPath(t *iso20022.CreditTransfer) string {
	if t.GroupLevel {
		return PathTransfer + "/GrpHdr"
	}
	return PathTransferTx
}

// statusPath is where the original and its status stand.
func statusPath(s *iso20022.StatusReport) string {
	if s.GroupLevel {
		return PathStatus + "/OrgnlGrpInfAndSts"
	}
	return PathStatusTx
}

// Placed is a value and where it stands.
type Placed[T any] struct {
	Path  string // as in a Rule
	Value T
}

// Agents returns every agent of the document with its path; of a definition without a type, those that are named.
func (m *Message) Agents() []Placed[iso20022.Agent] {
	switch {
	case m.Transfer != nil:
		t := m.Transfer
		return []Placed[iso20022.Agent]{
			{PathTransferTx + "/InstgAgt", t.Instructing}, {PathTransferTx + "/InstdAgt", t.Instructed},
			{PathTransferTx + "/DbtrAgt", t.Debtor.Agent}, {PathTransferTx + "/CdtrAgt", t.Creditor.Agent},
		}
	case m.Status != nil:
		return []Placed[iso20022.Agent]{{PathStatusTx + "/InstgAgt", m.Status.Instructing}, {PathStatusTx + "/InstdAgt", m.Status.Instructed}}
	case m.Request != nil:
		return []Placed[iso20022.Agent]{{PathRequestTx + "/InstgAgt", m.Request.Instructing}, {PathRequestTx + "/InstdAgt", m.Request.Instructed}}
	}
	var found []Placed[iso20022.Agent]
	each(m.tree, func(e iso20022.Element) {
		if e.Name() != "FinInstnId" {
			return
		}
		a := iso20022.Agent{ID: payments.AgentID(e.Value("BICFI"))}
		if a.ID == "" {
			a = iso20022.Agent{ID: payments.AgentID(e.Value("ClrSysMmbId", "MmbId")), System: e.Value("ClrSysMmbId", "ClrSysId", "Cd")}
		}
		if a.ID != "" {
			found = append(found, Placed[iso20022.Agent]{strings.TrimSuffix(strings.TrimPrefix(e.Path(), "/"), "/FinInstnId"), a})
		}
	})
	return found
}

// each calls f for every element inside e, in the order of the document.
func each(e iso20022.Element, f func(iso20022.Element)) {
	if e.IsZero() {
		return
	}
	for c := range e.Children() {
		f(c)
		each(c, f)
	}
}

// Parties returns debtor and creditor of a transfer with their paths.
func (m *Message) Parties() []Placed[iso20022.Party] {
	if m.Transfer == nil {
		return nil
	}
	return []Placed[iso20022.Party]{{PathTransferTx + "/Dbtr", m.Transfer.Debtor}, {PathTransferTx + "/Cdtr", m.Transfer.Creditor}}
}

// MessageIDPath returns where MessageID stands; "Document" for a definition without a type.
func (m *Message) MessageIDPath() string {
	switch {
	case m.Transfer != nil:
		return PathTransfer + "/GrpHdr/MsgId"
	case m.Status != nil:
		return PathStatus + "/GrpHdr/MsgId"
	case m.Request != nil:
		return PathRequest + "/GrpHdr/MsgId"
	}
	return "Document"
}

// References returns the message and transaction references of the document with their paths.
func (m *Message) References() []Placed[string] {
	switch {
	case m.Transfer != nil:
		t := m.Transfer
		return []Placed[string]{
			{PathTransfer + "/GrpHdr/MsgId", t.MessageID}, {PathTransferTx + "/PmtId/InstrId", t.InstructionID},
			{PathTransferTx + "/PmtId/EndToEndId", string(t.EndToEndID)}, {PathTransferTx + "/PmtId/TxId", t.TransactionID},
		}
	case m.Status != nil:
		return []Placed[string]{{PathStatus + "/GrpHdr/MsgId", m.Status.MessageID}}
	case m.Request != nil:
		return []Placed[string]{{PathRequest + "/GrpHdr/MsgId", m.Request.MessageID}}
	}
	return nil
}

// Texts returns every free text of the document with its path: what a person or a bank wrote, identifiers included.
func (m *Message) Texts() []Placed[string] {
	out := m.References()
	if t := m.Transfer; t != nil {
		out = append(out, Placed[string]{PathTransferTx + "/RmtInf/Ustrd", t.Remittance}, Placed[string]{PathTransferTx + "/RmtInf/Strd/CdtrRefInf/Ref", t.Reference})
	}
	for _, x := range m.Parties() {
		a := x.Value.Address
		out = append(out, Placed[string]{x.Path + "/Nm", x.Value.Name.Reveal()},
			Placed[string]{x.Path + "/PstlAdr/StrtNm", a.Street}, Placed[string]{x.Path + "/PstlAdr/BldgNb", a.Building},
			Placed[string]{x.Path + "/PstlAdr/PstCd", a.PostCode}, Placed[string]{x.Path + "/PstlAdr/TwnNm", a.Town},
			Placed[string]{x.Path + "/PstlAdr/CtrySubDvsn", a.Region})
	}
	if s := m.Status; s != nil {
		out = append(out, Placed[string]{PathStatusTx + "/StsRsnInf/AddtlInf", s.ReasonInfo})
	}
	return out
}
