package payments

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestReferences(t *testing.T) {
	for _, s := range []string{"RF18539007547034", "A", "INV 2026/117", "order-7?:().,'+", strings.Repeat("9", 35)} {
		if err := CheckReference(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"", " A", "A ", "/A", "A/", "A//B", "a&b", "<a>", "é", "a\nb", "a\x1bb", "RF181", "RF19539007547034", "RF18539007547035",
		"RF18539007547034X", "RF18 5390 0754 7034", "RF18" + strings.Repeat("0", 22), strings.Repeat("9", 36)} {
		if CheckReference(s) == nil {
			t.Errorf("%q accepted", s)
		}
	}
	if err := CheckRF("RF18539007547034"); err != nil {
		t.Error(err)
	}
	for _, s := range []string{"", "RF18", "rf18539007547034", "RF1853900754703é", "XX18539007547034"} {
		if CheckRF(s) == nil {
			t.Errorf("%q accepted as RF reference", s)
		}
	}
}

func TestLEI(t *testing.T) {
	if err := CheckLEI("529900T8BM49AURSDO55"); err != nil {
		t.Error(err)
	}
	for _, s := range []string{"", "529900T8BM49AURSDO56", "529900T8BM49AURSDO5", "529900T8BM49AURSDO555", "529900t8BM49AURSDO55", "529900T8BM49AURSD-55", "00000000000000000000"} {
		if CheckLEI(s) == nil {
			t.Errorf("%q accepted", s)
		}
	}
}

func TestAgents(t *testing.T) {
	for _, s := range []string{"021000021", "011000015", "021150706", "EXAMDEFF", "EXAMDEFFXXX", "E097AEXX", "00038166"} {
		if _, err := ParseAgentID(s); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	for _, s := range []string{"", "111111111", "000000000", "00000000", "0003816", "0210000210", "02100002A", "examdeff", "EXAMDEF", "EXAMD3FF", "EXAMZZFF", "EXAMDEFFXX", "EXAMDEFFXXXX"} {
		if _, err := ParseAgentID(s); err == nil {
			t.Errorf("%q accepted", s)
		}
	}
}

func TestIntentID(t *testing.T) {
	now := time.UnixMilli(0x0192f3a4b5c6)
	id, err := NewIntentID(now, bytes.NewReader(bytes.Repeat([]byte{0xff}, 10)))
	if err != nil || id != "pi_0192f3a4-b5c6-7fff-bfff-ffffffffffff" {
		t.Fatalf("%s, %v", id, err)
	}
	if back, ok := IntentFromEndToEnd(id.EndToEndID()); !ok || back != id || len(id.EndToEndID()) != 32 {
		t.Errorf("end-to-end id %s gives %s", id.EndToEndID(), back)
	}
	u := NewUETR(id, "bank.example")
	if _, err := ParseUETR(string(u)); err != nil || u != NewUETR(id, "bank.example") || u == NewUETR(id, "other.example") {
		t.Errorf("UETR %s: %v", u, err)
	}
	if _, err := NewIntentID(now, bytes.NewReader(nil)); err == nil {
		t.Error("intent id made without randomness")
	}
	for _, s := range []string{"", "pi_", "0192f3a4-b5c6-7fff-bfff-ffffffffffff", "pi_0192F3A4-b5c6-7fff-bfff-ffffffffffff", "pi_0192f3a4-b5c6-4fff-bfff-ffffffffffff",
		"pi_0192f3a4-b5c6-7fff-cfff-ffffffffffff", "pi_0192f3a4xb5c6-7fff-bfff-ffffffffffff", "pi_0192f3a4-b5c6-7fff-bfff-fffffffffffff"} {
		if _, err := ParseIntentID(s); err == nil {
			t.Errorf("%q accepted", s)
		}
	}
	for _, e := range []EndToEndID{"", "NOTPROVIDED", "0192F3A4B5C67FFFBFFFFFFFFFFFFFFF", "0192f3a4b5c64fffbfffffffffffffff"} {
		if id, ok := IntentFromEndToEnd(e); ok {
			t.Errorf("%q taken for %s", e, id)
		}
	}
}
