package iso20022

import "github.com/parleypay/parley/payments"

// Definitions of the messages with a codec.
const (
	HeaderV01        = "head.001.001.01"
	HeaderV02        = "head.001.001.02"
	CreditTransferV8 = "pacs.008.001.08"
	StatusReportV10  = "pacs.002.001.10"
	StatusRequestV3  = "pacs.028.001.03"
)

// Append appends the header as <AppHdr xmlns="…">…</AppHdr>, in canonical bytes without an XML declaration. If it fails, with a
// *Fault, dst is returned as it was.
func (h *Header) Append(dst []byte) ([]byte, error) {
	e := encoder{b: dst}
	v2 := h.Version == HeaderV02
	if !v2 && h.Version != HeaderV01 {
		e.start = len(dst)
		e.fail("", "model.message", "the version of the header is neither head.001.001.01 nor .02")
		return e.finish()
	}
	e.root("AppHdr", h.Version)
	for _, side := range [2]struct {
		name string
		id   payments.AgentID
	}{{"Fr", h.From}, {"To", h.To}} {
		e.begin(side.name)
		e.begin("FIId")
		e.institution(Agent{ID: side.id})
		if !v2 && side.id.IsBIC() && !isOldBIC(side.id) {
			e.fail("", "model.agent", "not a BIC as head.001.001.01 takes it")
		}
		e.end()
		e.end()
	}
	e.required("BizMsgIdr", h.BizMsgID, 35)
	e.required("MsgDefIdr", h.MsgDef, 35)
	e.id("BizSvc", h.BizService, 35)
	switch {
	case h.Registry == "" && h.PracticeID == "":
	case !v2 || h.Registry == "" || h.PracticeID == "":
		e.fail("MktPrctc", "model.missing", "needs registry and id, and head.001.001.02")
	default:
		e.begin("MktPrctc")
		e.id("Regy", h.Registry, 350)
		e.id("Id", h.PracticeID, 2048)
		e.end()
	}
	if _, offset := h.Created.Zone(); !v2 && offset != 0 {
		e.fail("CreDt", "model.time", "head.001.001.01 takes UTC only")
	}
	e.requiredTime("CreDt", h.Created)
	switch h.CpyDplct {
	case "", "COPY", "CODU", "DUPL":
		e.code("CpyDplct", h.CpyDplct, 4)
	default:
		e.fail("CpyDplct", "model.code", "neither COPY, CODU nor DUPL")
	}
	if h.PssblDplct {
		e.raw("PssblDplct", "true")
	}
	e.end()
	return e.finish()
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

// DecodeHeader scans, validates and reads an AppHdr element of head.001.001.01 or .02. The error is a *Fault. Passed over: CharSet,
// BizPrcgDt, Prty, Rltd. A signature is refused, since nothing here verifies it.
func DecodeHeader(b []byte) (*Header, error) {
	return decode(b, (*decoder).header, HeaderV01, HeaderV02)
}

func (d *decoder) header(h *Header) {
	h.Version = string(d.uri(0)[len(namespacePrefix):])
	for c, name := range d.children(0) {
		switch name {
		case "Fr":
			h.From = d.headerParty(c)
		case "To":
			h.To = d.headerParty(c)
		case "BizMsgIdr":
			h.BizMsgID = d.id(c)
		case "MsgDefIdr":
			h.MsgDef = d.id(c)
		case "BizSvc":
			h.BizService = d.id(c)
		case "MktPrctc":
			h.Registry, h.PracticeID = d.id(c+1), d.id(c+2)
		case "CreDt":
			h.Created = d.time(c)
		case "CpyDplct":
			h.CpyDplct = d.code(c)
		case "PssblDplct":
			h.PssblDplct = d.flag(c)
		case "CharSet", "BizPrcgDt", "Prty", "Rltd":
		default:
			d.outside(c)
		}
	}
}

// headerParty reads Fr or To, which must name a financial institution, without the code of its clearing system.
func (d *decoder) headerParty(i uint32) payments.AgentID {
	c, name := d.only(i)
	if name != "FIId" {
		d.outside(c)
		return ""
	}
	a := d.agent(c)
	if a.System != "" && a.ID.IsBIC() {
		d.fail(c, "model.agent", "a clearing system member id in the form of a BIC")
	}
	return a.ID
}
