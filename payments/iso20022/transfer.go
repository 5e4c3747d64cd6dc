package iso20022

import (
	"strings"
	"time"

	"github.com/parleypay/parley/payments"
)

// Parts of transfers between banks: pacs.008 and pacs.009.

// transferHeader is GrpHdr, with what may stand either in it or in the transaction.
type transferHeader struct {
	groupLevel              bool // date and payment type stand in GrpHdr
	messageID               string
	created                 time.Time
	settleDate              string
	clrSysCode, clrSysPrtry string
	paymentType             PaymentType
	amount                  payments.Amount
	instructing, instructed Agent
	sums                    sums
}

// sums are elements that stand before the amount that they must be equal to, as indexes, while reading.
type sums struct{ control, total uint32 }

func (x *codec) transferHeader(h *transferHeader) {
	if !x.begin("GrpHdr") {
		return
	}
	x.required("MsgId", &h.messageID)
	x.requiredTime("CreDtTm", &h.created)
	x.pass("BtchBookg")
	x.one("NbOfTxs")
	if x.reading {
		h.sums.control, _ = x.take("CtrlSum")
		h.sums.total, _ = x.take("TtlIntrBkSttlmAmt")
		h.groupLevel = h.sums.total > 0 || x.is("IntrBkSttlmDt")
	}
	if h.groupLevel {
		if !x.reading {
			x.requiredAmount("TtlIntrBkSttlmAmt", &h.amount)
		}
		x.date("IntrBkSttlmDt", &h.settleDate)
	}
	x.settlement(&h.clrSysCode, &h.clrSysPrtry)
	if x.reading && x.is("PmtTpInf") {
		h.groupLevel = true
	}
	if h.groupLevel {
		x.paymentType(&h.paymentType)
	}
	x.headerAgent("InstgAgt", &h.instructing)
	x.headerAgent("InstdAgt", &h.instructed)
	x.end()
}

// paymentID is PmtId. Passed over: ClrSysRef.
func (x *codec) paymentID(instruction *string, endToEnd *payments.EndToEndID, transaction *string, uetr *payments.UETR) {
	if x.begin("PmtId") {
		x.id("InstrId", instruction, 35)
		x.required("EndToEndId", (*string)(endToEnd))
		x.id("TxId", transaction, 35)
		x.uetr("UETR", uetr)
		x.pass("ClrSysRef")
		x.end()
	}
}

// transferAmount is what follows PmtId: payment type, amount and date, with what must agree with them in GrpHdr. Passed over:
// SttlmPrty, SttlmTmIndctn.
func (x *codec) transferAmount(h *transferHeader) {
	if x.reading || !h.groupLevel {
		x.once("PmtTpInf", h.paymentType != (PaymentType{}))
		x.paymentType(&h.paymentType)
	}
	x.requiredAmount("IntrBkSttlmAmt", &h.amount)
	if x.reading {
		x.checkSums(h.sums, h.amount)
	}
	if x.reading || !h.groupLevel {
		x.once("IntrBkSttlmDt", h.settleDate != "")
		x.date("IntrBkSttlmDt", &h.settleDate)
	}
	x.pass("SttlmPrty", "SttlmTmIndctn")
}

func (x *codec) checkSums(s sums, amount payments.Amount) {
	if s.control > 0 && x.fault == nil && !sameDecimal(x.plainOf(s.control), amount.Text()) {
		x.failAt(s.control, "model.sum", "the control sum is not the amount")
	}
	if s.total > 0 && x.fault == nil && x.amountOf(s.total) != amount {
		x.failAt(s.total, "model.sum", "not the amount of the payment")
	}
}

// sameDecimal reports whether two plain decimal numbers are equal. A text in any other form equals none.
func sameDecimal(a, b string) bool {
	norm := func(s string) (whole, fraction string, ok bool) {
		whole, fraction, point := strings.Cut(s, ".")
		ok = whole != "" && (!point || fraction != "")
		for i := range len(s) {
			ok = ok && (s[i] == '.' || isDigit(s[i]))
		}
		ok = ok && !strings.Contains(fraction, ".")
		return strings.TrimLeft(whole, "0"), strings.TrimRight(fraction, "0"), ok
	}
	aw, af, aok := norm(a)
	bw, bf, bok := norm(b)
	return aok && bok && aw == bw && af == bf
}
