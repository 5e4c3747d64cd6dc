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
	ID      PartyID

	AccountCurrency payments.Currency // Ccy of the account, for one IBAN with several; empty if it is not said
}

// PartyID identifies an organisation (OrgId) or a person (PrvtId).
type PartyID struct {
	Private     bool   // PrvtId; else OrgId
	BIC         string // AnyBIC, of an organisation
	LEI         string // of an organisation, since the messages of 2019
	Other       string // Othr/Id, the first one
	Scheme      string // Othr/SchmeNm/Cd, such as "CUST"; at most one of the two
	SchemePrtry string // Othr/SchmeNm/Prtry
	Issuer      string // Othr/Issr
}

// Identity is a party without account and agent (PartyIdentification). All empty means none.
type Identity struct {
	Name    payments.Name
	Address Address
	ID      PartyID
}

// Actor is a party or an agent that does something about a payment (Party40Choice). Encoders refuse one that is both.
type Actor struct {
	Identity Identity
	Agent    Agent
}

// Moment is a day or a date and time (DateAndDateTimeChoice). Encoders refuse one that is both.
type Moment struct {
	Date string // Dt, YYYY-MM-DD
	Time time.Time
}

// PaymentType says which service is asked for (PmtTpInf).
type PaymentType struct {
	ServiceLevel  string // SvcLvl/Cd, such as "SEPA"
	LocalCode     string // LclInstrm/Cd, such as "INST"; at most one of the two
	LocalPrtry    string // LclInstrm/Prtry, such as "FDNA"
	CategoryCode  string // CtgyPurp/Cd, such as "SUPP"; at most one of the two
	CategoryPrtry string // CtgyPurp/Prtry, such as "CONS"
}

// Original names the payment that a report, return, recall or question is about. What is empty is not said.
type Original struct {
	MessageID     string    // OrgnlMsgId
	MessageName   string    // OrgnlMsgNmId, such as "pacs.008.001.08"
	Created       time.Time // OrgnlCreDtTm
	PaymentInfoID string    // OrgnlPmtInfId, in messages between customer and bank
	InstructionID string    // OrgnlInstrId
	EndToEndID    payments.EndToEndID
	TransactionID string          // OrgnlTxId, in messages between banks
	UETR          payments.UETR   // OrgnlUETR
	Amount        payments.Amount // OrgnlIntrBkSttlmAmt, or OrgnlInstdAmt between customer and bank
	Date          string          // OrgnlIntrBkSttlmDt, or OrgnlReqdExctnDt/Dt between customer and bank
}

// OriginalDetails repeats what the original payment said (OrgnlTxRef). What is empty is not said. It identifies nothing: decoders keep it
// for people and for comparing.
type OriginalDetails struct {
	Amount      payments.Amount // IntrBkSttlmAmt
	Instructed  payments.Amount // Amt/InstdAmt
	Date        string          // IntrBkSttlmDt
	Execution   Moment          // ReqdExctnDt
	PaymentType PaymentType
	Remittance  string // RmtInf/Ustrd
	Reference   string // RmtInf/Strd/CdtrRefInf/Ref of the type SCOR
	Debtor      Party
	Creditor    Party
	Purpose     string // Purp/Cd
}

// Reason says why a payment was refused, returned or recalled: one code or proprietary text, with explanations.
type Reason struct {
	Originator Identity // Orgtr, who said so
	Code       string   // Rsn/Cd of an external code set, such as "AC04"; at most one of the two
	Prtry      string   // Rsn/Prtry
	Info       []string // AddtlInf, each Max105Text
}

// SupplementaryData is what a document carries besides its standard elements, as a sequence of <SplmtryData> elements whose content is
// byte for byte what was received. At most 64 KiB. See NewSupplementaryData.
type SupplementaryData string

// Supplementary is the supplementary data of a message, by place.
type Supplementary struct {
	Transaction SupplementaryData // of the transaction
	Message     SupplementaryData // at the end of the message
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
	Supplementary  Supplementary
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

	Status         string   // TxSts or GrpSts, such as "ACSC"
	Reason         string   // StsRsnInf/Rsn/Cd, such as "AC03"
	ReasonPrtry    string   // StsRsnInf/Rsn/Prtry, such as "E990"; not together with Reason
	ReasonInfo     string   // StsRsnInf/AddtlInf, first occurrence, Max105Text
	ReasonFrom     Identity // StsRsnInf/Orgtr, who refused
	AcceptanceTime time.Time
	SettleDate     string // FctvIntrBkSttlmDt/Dt, optional
	Instructing    Agent
	Instructed     Agent
	OriginalAmount payments.Amount // OrgnlTxRef/IntrBkSttlmAmt, zero if absent
	Supplementary  Supplementary
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
	Supplementary       Supplementary
}

// InstitutionTransfer is a pacs.009 with exactly one transaction (FICdtTrf): a bank pays a bank. Its settlement method is always CLRG.
type InstitutionTransfer struct {
	GroupLevel bool // settlement date and payment type stand in GrpHdr, with the total amount; a decoder accepts both

	MessageID   string
	Created     time.Time
	SettleDate  string // IntrBkSttlmDt, YYYY-MM-DD
	ClrSysCode  string // SttlmInf/ClrSys/Cd; one of the two
	ClrSysPrtry string // SttlmInf/ClrSys/Prtry

	InstructionID string
	EndToEndID    payments.EndToEndID
	TransactionID string
	UETR          payments.UETR
	PaymentType   PaymentType
	Amount        payments.Amount
	Instructing   Agent // InstgAgt; zero if absent
	Instructed    Agent // InstdAgt; zero if absent
	Debtor        Institution
	Creditor      Institution
	Purpose       string // Purp/Cd, optional
	Remittance    string // RmtInf/Ustrd, at most 140 characters, optional
	Supplementary Supplementary
}

// Institution is a bank as a debtor or creditor.
type Institution struct {
	Agent         Agent            // Dbtr or Cdtr
	Account       payments.Account // optional; in the currency of the payment
	Correspondent Agent            // DbtrAgt or CdtrAgt; zero if absent
}

// Return is a pacs.004 about exactly one transaction (PmtRtr): money that comes back as a new payment.
type Return struct {
	MsgDef string // "pacs.004.001.09" or "pacs.004.001.10", which adds accounts to the chain

	MessageID   string
	Created     time.Time
	ClrSysCode  string // SttlmInf/ClrSys/Cd, such as "FDN"; one of the two
	ClrSysPrtry string // SttlmInf/ClrSys/Prtry
	GroupLevel  bool   // the settlement date stands in GrpHdr, with the total amount; a decoder accepts both

	ReturnID     string // RtrId
	Original     Original
	Amount       payments.Amount // RtrdIntrBkSttlmAmt: what comes back, perhaps less than the original
	SettleDate   string          // IntrBkSttlmDt of the return
	Instructed   Agent           // InstdAgt; zero if absent
	Instructing  Agent           // InstgAgt; zero if absent
	Compensation payments.Amount // CompstnAmt; zero if absent
	Charges      []Charge        // what an agent kept
	ChargeBearer string          // ChrgBr; may be empty
	Debtor       Party           // RtrChain/Dbtr: the creditor of the original. Accounts only in pacs.004.001.10
	Creditor     Party           // RtrChain/Cdtr: the debtor of the original
	Reason       Reason          // RtrRsnInf
	Details      OriginalDetails // OrgnlTxRef

	Supplementary Supplementary
}

// Charge is what an agent takes for itself (ChrgsInf).
type Charge struct {
	Amount payments.Amount // zero is allowed
	Agent  Agent
}

// Recall asks for a payment to be cancelled or its money to be returned: a camt.056 between banks (FIToFIPmtCxlReq) or a camt.055 from a
// customer (CstmrPmtCxlReq), about exactly one transaction.
type Recall struct {
	MsgDef string // "camt.056.001.08" or "camt.055.001.09"

	Case           Case
	GroupLevel     bool   // the original message stands in OrgnlGrpInfAndCxl, as RTP does; a decoder accepts both
	CancellationID string // CxlId; PmtCxlId in a camt.055 of a whole payment instruction, see Original.PaymentInfoID
	Original       Original
	Assigner       Agent // TxInf/Assgnr, camt.056 only; zero if absent
	Assignee       Agent // TxInf/Assgne, camt.056 only; zero if absent
	Reason         Reason
	Details        OriginalDetails // OrgnlTxRef

	Supplementary Supplementary
}

// Case is the assignment of an exception or investigation, and the case it is about.
type Case struct {
	AssignmentID string // Assgnmt/Id, Max35Text
	Assigner     Actor  // Assgnmt/Assgnr, who asks or answers
	Assignee     Actor  // Assgnmt/Assgne, who is to act
	Created      time.Time
	ID           string // Case/Id or RslvdCase/Id; empty if the case is not named
	Creator      Actor  // Case/Cretr
	Reopened     bool   // Case/ReopCaseIndctn
}

// Resolution answers a recall or another case (camt.029, RsltnOfInvstgtn), about at most one transaction.
type Resolution struct {
	Case         Case
	Confirmation string // Sts/Conf, such as "RJCR", "IPAY", "PDCR" or "CNCL"

	StatusID  string          // CxlStsId
	Original  Original        // all empty: the answer names no transaction
	Status    string          // TxCxlSts: "RJCR", "ACCR" or "PDCR"; may be empty
	Reason    Reason          // CxlStsRsnInf
	Returned  payments.Amount // RsltnRltdInf/IntrBkSttlmAmt, what was or will be returned
	Settled   string          // RsltnRltdInf/IntrBkSttlmDt
	ReturnRef ReturnReference // RsltnRltdInf: the payment that returns the money
	Assigner  Actor           // TxInfAndSts/Assgnr; zero if absent
	Assignee  Actor           // TxInfAndSts/Assgne; zero if absent
	Details   OriginalDetails // OrgnlTxRef

	Supplementary SupplementaryData
}

// ReturnReference names the payment that returns money.
type ReturnReference struct {
	EndToEndID    payments.EndToEndID
	TransactionID string
	UETR          payments.UETR
}

// PaymentRequest asks a debtor to pay (pain.013, CdtrPmtActvtnReq), with exactly one transaction. It is no mandate, and its acceptance
// moves no money.
type PaymentRequest struct {
	MessageID string
	Created   time.Time
	Initiator Identity // GrpHdr/InitgPty

	PaymentInfoID string // PmtInfId
	Execution     Moment // ReqdExctnDt: when to pay
	Expiry        Moment // XpryDt, optional
	PaymentType   PaymentType
	Conditions    *Conditions // PmtCond, nil if absent

	InstructionID string
	EndToEndID    payments.EndToEndID
	UETR          payments.UETR
	Amount        payments.Amount // Amt/InstdAmt
	ChargeBearer  string          // ChrgBr
	Debtor        Party           // who is asked to pay
	Creditor      Party
	Purpose       string
	Remittance    string
	Reference     string

	Supplementary Supplementary
}

// Conditions are what a creditor allows and demands (PmtCond).
type Conditions struct {
	AmountChange bool   // AmtModAllwd: the debtor may pay another amount
	Early        bool   // EarlyPmtAllwd
	LatePenalty  string // DelyPnlty, at most 140 characters
	Guaranteed   bool   // GrntedPmtReqd
}

// RequestAnswer answers a request to pay (pain.014, CdtrPmtActvtnReqStsRpt), about exactly one transaction. The status stands in the
// transaction if there is one, else in the instruction or the group; a decoder accepts all.
type RequestAnswer struct {
	MessageID string
	Created   time.Time
	Initiator Identity
	Debtor    Agent // GrpHdr/DbtrAgt; zero if absent
	Creditor  Agent // GrpHdr/CdtrAgt; zero if absent

	Original       Original // PaymentInfoID names the instruction
	StatusID       string
	Status         string // such as "RCVD", "ACTC", "ACCP", "RJCT"
	Reason         Reason
	Accepted       *Acceptance // PmtCondSts, nil if absent
	Decided        time.Time   // DbtrDcsnDtTm
	AcceptanceTime time.Time
	Details        OriginalDetails // OrgnlTxRef; the schema demands creditor and its agent where anything is repeated

	Supplementary Supplementary
}

// Acceptance says what a debtor has agreed to (PmtCondSts).
type Acceptance struct {
	Amount     payments.Amount // AccptdAmt; zero if absent
	Guaranteed bool            // GrntedPmt
	Early      bool            // EarlyPmt
}

// Initiation asks a bank to make payments (pain.001, CstmrCdtTrfInitn).
type Initiation struct {
	MsgDef string // "pain.001.001.03" or "pain.001.001.09"

	MessageID string
	Created   time.Time
	Initiator Identity
	Batches   []Batch // PmtInf, at least one
	// Supplementary is that of the message; pain.001.001.09 only.
	Supplementary SupplementaryData
}

// Batch is payments of one debtor on one day (PmtInf).
type Batch struct {
	ID           string // PmtInfId
	PaymentType  PaymentType
	Execution    Moment // ReqdExctnDt; a day in pain.001.001.03
	Debtor       Party
	ChargeBearer string // ChrgBr; empty leaves it to the bank or to each payment
	BatchBooking *bool  // BtchBookg: one entry on the statement; nil leaves it to the bank
	Payments     []InitiatedPayment
}

// InitiatedPayment is one payment of a Batch (CdtTrfTxInf).
type InitiatedPayment struct {
	InstructionID string
	EndToEndID    payments.EndToEndID
	UETR          payments.UETR // pain.001.001.09 only
	PaymentType   PaymentType   // in its Batch or here, not in both
	Amount        payments.Amount
	ChargeBearer  string // in its Batch or here
	Creditor      Party
	Purpose       string
	Remittance    string
	Reference     string
	Supplementary SupplementaryData // pain.001.001.09 only
}

// InitiationReport says what became of an Initiation (pain.002, CstmrPmtStsRpt): of all of it, of batches, of payments.
type InitiationReport struct {
	MsgDef string // "pain.002.001.03" or "pain.002.001.10"

	MessageID string
	Created   time.Time
	Initiator Identity
	Debtor    Agent // GrpHdr/DbtrAgt; zero if absent
	Creditor  Agent // GrpHdr/CdtrAgt; zero if absent

	OriginalMessageID string
	OriginalMsgName   string
	OriginalCreated   time.Time
	Status            string // GrpSts, such as "ACTC", "PART", "RJCT"; empty if only parts have one
	Reasons           []Reason
	Batches           []BatchStatus
	Supplementary     SupplementaryData // pain.002.001.10 only
}

// BatchStatus is the status of a Batch (OrgnlPmtInfAndSts).
type BatchStatus struct {
	ID       string // OrgnlPmtInfId
	Status   string // PmtInfSts
	Reasons  []Reason
	Payments []PaymentStatus
}

// PaymentStatus is the status of an InitiatedPayment (TxInfAndSts).
type PaymentStatus struct {
	StatusID       string
	InstructionID  string
	EndToEndID     payments.EndToEndID
	UETR           payments.UETR // pain.002.001.10 only
	Status         string        // TxSts
	Reasons        []Reason
	AcceptanceTime time.Time
	ServicerRef    string // AcctSvcrRef
	Details        OriginalDetails
	Supplementary  SupplementaryData // pain.002.001.10 only
}

// Query says that a payment cannot be applied as it is and what is missing or wrong (camt.026, UblToApply).
type Query struct {
	Case     Case
	Original Underlying

	// One of three says why:
	Any                 bool          // AnyInf: any information will help
	Missing             []Shortcoming // MssngInf, at most ten
	Incorrect           []Shortcoming // IncrrctInf, at most ten
	AntiMoneyLaundering bool          // AMLReq, together with the two lists
	PossibleDuplicate   bool          // PssblDplctInstr

	Supplementary SupplementaryData
}

// Shortcoming is something missing or incorrect, by a code of the schema.
type Shortcoming struct {
	Code string // such as "MS03" or "IN07"
	Info string // at most 140 characters
}

// Underlying is the payment that a Query or Addition is about.
type Underlying struct {
	Customer bool // it was initiated by a customer (Initn), so that amount and date are what was instructed; else between banks (IntrBk)
	Original Original
	Details  OriginalDetails
}

// Addition gives information that a Query asked for (camt.028, AddtlPmtInf).
type Addition struct {
	Case     Case
	Original Underlying

	InstructionID string
	EndToEndID    payments.EndToEndID
	TransactionID string
	PaymentType   PaymentType
	SettleDate    string
	Amount        payments.Amount // IntrBkSttlmAmt
	Debtor        Party
	Creditor      Party
	Purpose       string
	Remittance    string
	Reference     string

	Supplementary SupplementaryData
}

// Rejection says that a message could not be taken at all (admi.002). It says nothing about money.
type Rejection struct {
	Reference   string    // RltdRef/Ref: of the message refused
	Reason      string    // RjctgPtyRsn, Max35Text: a code of the rail
	Time        time.Time // RjctnDtTm, optional
	Location    string    // ErrLctn, at most 350 characters
	Description string    // RsnDesc, at most 350 characters
	Data        string    // AddtlData, at most 20,000 characters
}

// SystemEvent tells that something happened to the rail or a participant (admi.004, SysEvtNtfctn).
type SystemEvent struct {
	Code        string    // EvtCd, such as "PING" or "971"
	Parameters  []string  // EvtParam
	Description string    // EvtDesc, at most 1,000 characters
	Time        time.Time // EvtTm, optional
}

// Receipt acknowledges messages (admi.007, RctAck).
type Receipt struct {
	MessageID     string
	Created       time.Time // optional
	QueryName     string
	Reports       []Handling // at least one
	Supplementary SupplementaryData
}

// Handling is what became of one message.
type Handling struct {
	Reference   string // RltdRef/Ref: of the message
	MessageName string // RltdRef/MsgNm, such as "pain.013.001.07"
	Status      string // ReqHdlg/StsCd, such as "TS01"
	Time        time.Time
	Description string // at most 140 characters
}

// EventReceipt acknowledges a SystemEvent (admi.011, SysEvtAck).
type EventReceipt struct {
	MessageID     string
	Reference     string       // OrgtrRef
	Session       string       // SttlmSsnIdr, four letters or digits
	Event         *SystemEvent // AckDtls, description at most 350 characters; nil if absent
	Supplementary SupplementaryData
}
