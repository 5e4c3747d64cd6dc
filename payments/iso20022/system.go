package iso20022

// Messages about messages and about the rail itself: admi.

var (
	rejections    = family{root: "Document", defs: []string{RejectionV1}, bodies: []string{"admi.002.001.01"}, make: func() Message { return new(Rejection) }}
	systemEvents  = family{root: "Document", defs: []string{SystemEventV2}, bodies: []string{"SysEvtNtfctn"}, make: func() Message { return new(SystemEvent) }}
	receipts      = family{root: "Document", defs: []string{ReceiptV1}, bodies: []string{"RctAck"}, make: func() Message { return new(Receipt) }}
	eventReceipts = family{root: "Document", defs: []string{EventReceiptV1}, bodies: []string{"SysEvtAck"}, make: func() Message { return new(EventReceipt) }}
)

// DecodeRejection scans, validates and reads a Document of admi.002.001.01. The error is a *Fault.
func DecodeRejection(b []byte) (*Rejection, error) { return decode[Rejection](b) }

// DecodeSystemEvent scans, validates and reads a Document of admi.004.001.02. The error is a *Fault.
func DecodeSystemEvent(b []byte) (*SystemEvent, error) { return decode[SystemEvent](b) }

// DecodeReceipt scans, validates and reads a Document of admi.007.001.01. The error is a *Fault. Passed over: RefIssr.
func DecodeReceipt(b []byte) (*Receipt, error) { return decode[Receipt](b) }

// DecodeEventReceipt scans, validates and reads a Document of admi.011.001.01. The error is a *Fault.
func DecodeEventReceipt(b []byte) (*EventReceipt, error) { return decode[EventReceipt](b) }

// Definition returns "admi.002.001.01".
func (m *Rejection) Definition() string { return RejectionV1 }

// Definition returns "admi.004.001.02".
func (m *SystemEvent) Definition() string { return SystemEventV2 }

// Definition returns "admi.007.001.01".
func (m *Receipt) Definition() string { return ReceiptV1 }

// Definition returns "admi.011.001.01".
func (m *EventReceipt) Definition() string { return EventReceiptV1 }

// Append appends the message as a Document; see Message.
func (m *Rejection) Append(dst []byte) ([]byte, error) { return Format{}.Append(dst, m) }

// Append appends the message as a Document; see Message.
func (m *SystemEvent) Append(dst []byte) ([]byte, error) { return Format{}.Append(dst, m) }

// Append appends the message as a Document; see Message.
func (m *Receipt) Append(dst []byte) ([]byte, error) { return Format{}.Append(dst, m) }

// Append appends the message as a Document; see Message.
func (m *EventReceipt) Append(dst []byte) ([]byte, error) { return Format{}.Append(dst, m) }

func (m *Rejection) family() *family    { return &rejections }
func (m *SystemEvent) family() *family  { return &systemEvents }
func (m *Receipt) family() *family      { return &receipts }
func (m *EventReceipt) family() *family { return &eventReceipts }

func (m *Rejection) fields(x *codec) {
	if x.begin("RltdRef") {
		x.required("Ref", &m.Reference)
		x.end()
	}
	if x.begin("Rsn") {
		x.required("RjctgPtyRsn", &m.Reason)
		x.time("RjctnDtTm", &m.Time)
		x.text("ErrLctn", &m.Location, 350)
		x.text("RsnDesc", &m.Description, 350)
		x.text("AddtlData", &m.Data, 20_000)
		x.end()
	}
}

func (m *SystemEvent) fields(x *codec) {
	if x.begin("EvtInf") {
		x.event(m)
		x.end()
	}
}

// event is the content of EvtInf or AckDtls.
func (x *codec) event(m *SystemEvent) {
	x.code("EvtCd", &m.Code, 4)
	x.texts("EvtParam", &m.Parameters, 35)
	x.text("EvtDesc", &m.Description, 1000)
	x.time("EvtTm", &m.Time)
}

func (m *Receipt) fields(x *codec) {
	if x.begin("MsgId") {
		x.required("MsgId", &m.MessageID)
		x.time("CreDtTm", &m.Created)
		x.id("QryNm", &m.QueryName, 35)
		x.end()
	}
	list(x, "Rpt", &m.Reports, (*codec).handling)
	x.supplementary(&m.Supplementary)
}

func (x *codec) handling(h *Handling) {
	if x.begin("RltdRef") {
		x.required("Ref", &h.Reference)
		x.id("MsgNm", &h.MessageName, 35)
		x.pass("RefIssr")
		x.end()
	}
	if x.begin("ReqHdlg") {
		x.code("StsCd", &h.Status, 4)
		x.time("StsDtTm", &h.Time)
		x.text("Desc", &h.Description, 140)
		x.end()
	}
}

func (m *EventReceipt) fields(x *codec) {
	x.required("MsgId", &m.MessageID)
	x.id("OrgtrRef", &m.Reference, 35)
	x.code("SttlmSsnIdr", &m.Session, 4)
	if m.Event == nil && x.reading && x.is("AckDtls") {
		m.Event = new(SystemEvent)
	}
	if m.Event != nil && x.always("AckDtls") {
		x.event(m.Event)
		x.end()
	}
	x.supplementary(&m.Supplementary)
}
