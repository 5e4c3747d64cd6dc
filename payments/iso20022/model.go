// Package iso20022 reads and writes ISO 20022 messages strictly: a scanner, validation against the schemas, and one encoder and
// decoder per message.
//
// It knows no rail: what a rail demands beyond the schema (identifiers, codes, wrappers, clocks) is package rail's. It opens no file
// and no socket, and never uses encoding/xml or a float.
package iso20022

import (
	"time"

	"github.com/parleypay/parley/payments"
)

// Namespace returns the XML namespace of a message definition, such as "pacs.008.001.08".
func Namespace(msgDef string) string { return namespacePrefix + msgDef }

// Header is the business application header (head.001.001.01 or .02), AppHdr.
type Header struct {
	Version    string           // message definition of the header itself: "head.001.001.01" or "head.001.001.02"
	From, To   payments.AgentID // Fr, To: FIId/FinInstnId, as BICFI or ClrSysMmbId/MmbId
	BizMsgID   string           // BizMsgIdr, Max35Text
	MsgDef     string           // MsgDefIdr, such as "pacs.008.001.08"
	BizService string           // BizSvc, optional
	Registry   string           // MktPrctc/Regy, .02 only, optional
	PracticeID string           // MktPrctc/Id, .02 only, with Registry
	Created    time.Time        // CreDt, with its zone
	CpyDplct   string           // CpyDplct: "COPY", "CODU" or "DUPL", optional; only DUPL means a repeat
	PssblDplct bool             // PssblDplct, written only when true
}

// Agent is a financial institution: BICFI, or a clearing system member id with its system's code (such as "USABA"), by the id's form.
type Agent struct {
	ID     payments.AgentID
	System string // ClrSysMmbId/ClrSysId/Cd; empty for a BIC
}

// Address is a structured or hybrid postal address (PstlAdr). All empty means none.
type Address struct {
	Street, Building, PostCode, Town, Country string // StrtNm, BldgNb, PstCd, TwnNm, Ctry
	Region                                    string // CtrySubDvsn, such as a US state
}

// Party is a debtor or creditor with its account and agent.
type Party struct {
	Name    payments.Name
	Address Address
	Account payments.Account // IBAN, or Othr/Id
	Agent   Agent
}

// CreditTransfer is a pacs.008 with exactly one transaction (FIToFICstmrCdtTrf). Its settlement method is always CLRG.
type CreditTransfer struct {
	// GroupLevel puts the settlement date and payment type into GrpHdr, with the total amount, as SEPA does; else they stand in
	// CdtTrfTxInf. A decoder accepts both and sets it when any of the three stands in GrpHdr.
	GroupLevel bool

	MessageID  string    // GrpHdr/MsgId, Max35Text
	Created    time.Time // GrpHdr/CreDtTm, with its zone
	SettleDate string    // IntrBkSttlmDt, YYYY-MM-DD
	ClrSysCode string    // SttlmInf/ClrSys/Cd, such as "FDN"; one of the two
	ClrSysPrtr string    // SttlmInf/ClrSys/Prtry, such as "TIPS"

	InstructionID string              // PmtId/InstrId, optional
	EndToEndID    payments.EndToEndID // PmtId/EndToEndId
	TransactionID string              // PmtId/TxId, optional
	UETR          payments.UETR       // PmtId/UETR, optional on some rails

	ServiceLevel   string // PmtTpInf/SvcLvl/Cd, such as "SEPA"
	LocalCode      string // PmtTpInf/LclInstrm/Cd, such as "INST"
	LocalPrtry     string // PmtTpInf/LclInstrm/Prtry, such as "FDNA"
	CategoryCode   string // PmtTpInf/CtgyPurp/Cd, such as "SUPP"; at most one of the two
	CategoryPrtry  string // PmtTpInf/CtgyPurp/Prtry, such as "CONS"
	Amount         payments.Amount
	AcceptanceTime time.Time // AccptncDtTm, zero if the rail has none
	ChargeBearer   string    // ChrgBr, such as "SLEV"
	Instructing    Agent     // InstgAgt; zero if absent
	Instructed     Agent     // InstdAgt; zero if absent
	Debtor         Party
	Creditor       Party
	Purpose        string // Purp/Cd, optional
	Remittance     string // RmtInf/Ustrd, at most 140 characters, optional
	Reference      string // RmtInf/Strd/CdtrRefInf/Ref with Tp/CdOrPrtry/Cd SCOR, Max35Text, optional
}

// StatusReport is a pacs.002 about exactly one transaction (FIToFIPmtStsRpt).
type StatusReport struct {
	// GroupLevel puts the original message, the status and the reason into OrgnlGrpInfAndSts, as SEPA does; else they stand in
	// TxInfAndSts. A decoder accepts both.
	GroupLevel bool

	MessageID string
	Created   time.Time

	StatusID            string    // StsId, optional
	OriginalMessageID   string    // OrgnlGrpInf/OrgnlMsgId
	OriginalMsgName     string    // OrgnlMsgNmId, such as "pacs.008.001.08"
	OriginalCreated     time.Time // OrgnlCreDtTm, zero if absent
	OriginalInstruction string
	OriginalEndToEnd    payments.EndToEndID
	OriginalTransaction string
	OriginalUETR        payments.UETR

	Status         string // TxSts or GrpSts, such as "ACSC"
	Reason         string // StsRsnInf/Rsn/Cd, such as "AC03"
	ReasonPrtry    string // StsRsnInf/Rsn/Prtry, such as "E990"; not together with Reason
	ReasonInfo     string // StsRsnInf/AddtlInf, first occurrence, Max105Text
	AcceptanceTime time.Time
	SettleDate     string // FctvIntrBkSttlmDt/Dt, optional
	Instructing    Agent
	Instructed     Agent
	OriginalAmount payments.Amount // OrgnlTxRef/IntrBkSttlmAmt, zero if absent
}

// StatusRequest is a pacs.028 about exactly one transaction (FIToFIPmtStsReq).
type StatusRequest struct {
	GroupLevel bool // OrgnlGrpInf stands beside TxInf, as SEPA does, not in it; a decoder accepts both

	MessageID string
	Created   time.Time

	RequestID           string // StsReqId, optional
	OriginalMessageID   string
	OriginalMsgName     string
	OriginalCreated     time.Time
	OriginalInstruction string
	OriginalEndToEnd    payments.EndToEndID
	OriginalTransaction string
	OriginalUETR        payments.UETR
	AcceptanceTime      time.Time // AccptncDtTm of the original, zero if absent
	Instructing         Agent
	Instructed          Agent
}
