package iso20022

import (
	"testing"
	"time"

	"github.com/parleypay/parley/internal/shared"
)

// The published samples of the other messages are read, or refused for what is wrong with them, and what is read says the same again
// after it has been written.
func TestDecodeMoreSamples(t *testing.T) {
	for _, c := range []struct{ file, definition, rule string }{
		{"fednow-pacs.004-return.xml", ReturnV10, ""},
		{"cbpr-pacs.004.xml", ReturnV9, "model.settlement"}, // by an account
		{"fednow-camt.056-return-request.xml", RecallV8, ""},
		{"rtp-camt.056-refund.xml", RecallV8, ""},
		{"fednow-camt.029-refused.xml", ResolutionV9, ""},
		{"rtp-pain.013.xml", PaymentRequestV7, ""},
		{"rtp-pain.014-ACTC.xml", RequestAnswerV7, ""},
		{"fednow-admi.002-reject.xml", RejectionV1, ""},
		{"rtp-admi.002.xml", RejectionV1, ""},
		{"fednow-admi.004-ping.xml", SystemEventV2, ""},
		{"rtp-admi.004-971-suspended.xml", SystemEventV2, ""},
		{"nordea-pain.002.001.03-txn-reject.xml", InitiationReportV3, ""},
		{"lt-sepa-pain.001.001.03.xml", InitiationV3, "model.account"},         // placeholder IBANs, wrong check digits
		{"sepa-pain.001.001.03-two-pmtinf.xml", InitiationV3, "model.account"}, // likewise
		{"pain001-pain.001.001.09.xml", InitiationV9, "model.account"},         // likewise
		{"cbpr-pain.001.001.09.xml", InitiationV9, "model.element"},            // an equivalent amount
	} {
		var doc tree
		if f := doc.scan(shared.Read(t, "iso20022/samples/"+c.file)); f != nil {
			t.Fatal(f)
		}
		part := doc.find(t, c.definition)
		format := Format{}
		m, err := format.Decode(part)
		if ruleOf(err) == "model.time" { // written in local time
			format.LocalZone = time.FixedZone("", -4*3600)
			m, err = format.Decode(part)
		}
		if ruleOf(err) != c.rule {
			t.Errorf("%s: %v, want %q", c.file, err, c.rule)
		}
		if err == nil {
			thereAndBack(t, format, m)
		}
	}
}
