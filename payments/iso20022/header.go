package iso20022

import "github.com/parleypay/parley/payments"

// Definitions of the messages with a codec.
const (
	HeaderV01             = "head.001.001.01"
	HeaderV02             = "head.001.001.02"
	CreditTransferV8      = "pacs.008.001.08"
	InstitutionTransferV8 = "pacs.009.001.08"
	StatusReportV10       = "pacs.002.001.10"
	StatusRequestV3       = "pacs.028.001.03"
	ReturnV9              = "pacs.004.001.09"
	ReturnV10             = "pacs.004.001.10"
	RecallV8              = "camt.056.001.08"
	CustomerRecallV9      = "camt.055.001.09"
	ResolutionV9          = "camt.029.001.09"
	QueryV7               = "camt.026.001.07"
	AdditionV9            = "camt.028.001.09"
	InitiationV3          = "pain.001.001.03"
	InitiationV9          = "pain.001.001.09"
	InitiationReportV3    = "pain.002.001.03"
	InitiationReportV10   = "pain.002.001.10"
	PaymentRequestV7      = "pain.013.001.07"
	RequestAnswerV7       = "pain.014.001.07"
	RejectionV1           = "admi.002.001.01"
	SystemEventV2         = "admi.004.001.02"
	ReceiptV1             = "admi.007.001.01"
	EventReceiptV1        = "admi.011.001.01"
)

var headers = family{root: "AppHdr", defs: []string{HeaderV01, HeaderV02}, make: func() Message { return new(Header) }, proven: true}

// DecodeHeader scans, validates and reads an AppHdr element of head.001.001.01 or .02. The error is a *Fault. Passed over: CharSet,
// BizPrcgDt, Prty, Rltd. A signature is refused, since nothing here verifies it: see package xmlsig.
func DecodeHeader(b []byte) (*Header, error) { return decode[Header](b) }

// Definition returns Version.
func (h *Header) Definition() string { return h.Version }

// Append appends the header as an AppHdr element; see Message.
func (h *Header) Append(dst []byte) ([]byte, error) { return Format{}.Append(dst, h) }

func (h *Header) family() *family { return &headers }

func (h *Header) fields(x *codec) {
	x.version(&h.Version)
	v2 := x.def == HeaderV02
	x.pass("CharSet")
	x.headerParty("Fr", &h.From)
	x.headerParty("To", &h.To)
	x.required("BizMsgIdr", &h.BizMsgID)
	x.required("MsgDefIdr", &h.MsgDef)
	x.id("BizSvc", &h.BizService, 35)
	if practice := h.Registry != "" || h.PracticeID != ""; practice && (!v2 || h.Registry == "" || h.PracticeID == "") {
		x.fail("MktPrctc", "model.missing", "needs registry and id, and head.001.001.02")
	} else if (x.reading || practice) && x.begin("MktPrctc") {
		x.id("Regy", &h.Registry, 350)
		x.id("Id", &h.PracticeID, 2048)
		x.end()
	}
	if _, offset := h.Created.Zone(); !v2 && offset != 0 {
		x.fail("CreDt", "model.time", "head.001.001.01 takes UTC only")
	}
	x.requiredTime("CreDt", &h.Created)
	x.pass("BizPrcgDt")
	switch h.CpyDplct {
	case "", "COPY", "CODU", "DUPL":
		x.code("CpyDplct", &h.CpyDplct, 4)
	default:
		x.fail("CpyDplct", "model.code", "neither COPY, CODU nor DUPL")
	}
	x.flag("PssblDplct", &h.PssblDplct)
	x.pass("Prty")
	if x.reading && x.is("Sgntr") {
		x.outside(x.levels[x.depth-1].next)
	}
	x.pass("Rltd")
}

// headerParty is Fr or To, which must name a financial institution, without the code of its clearing system.
func (x *codec) headerParty(name string, id *payments.AgentID) {
	if !x.begin(name) {
		return
	}
	if !x.reading && x.def == HeaderV01 && id.IsBIC() && !isOldBIC(*id) {
		x.fail("", "model.agent", "not a BIC as head.001.001.01 takes it")
	}
	a := Agent{ID: *id}
	x.requiredAgent("FIId", &a)
	if x.reading && a.System != "" && a.ID.IsBIC() {
		x.fail("", "model.agent", "a clearing system member id in the form of a BIC")
	}
	*id = a.ID
	x.end()
}

// isOldBIC reports whether a BIC fits BICFIIdentifier of head.001.001.01: [A-Z]{6,6}[A-Z2-9][A-NP-Z0-9]([A-Z0-9]{3,3}){0,1}.
func isOldBIC(id payments.AgentID) bool {
	for i := range 4 {
		if isDigit(id[i]) {
			return false
		}
	}
	return id[6] != '0' && id[6] != '1' && id[7] != 'O'
}
