// Package qr writes and reads the text inside payment QR codes: the EPC's for SEPA (EPC069-12) and EMVCo's merchant-presented code,
// with Pix's BR Code.
//
// It draws no picture and looks nothing up. Whoever photographs a code reads a stranger's text, so every reader is strict, bounded and
// names the field at fault without repeating its value.
package qr

import "fmt"

// Error says which field of a code is wrong and why. It holds no value of the code.
type Error struct {
	Field string // line of an EPC code ("beneficiary name") or id of an EMV field ("26-01")
	Text  string
}

// Error returns field and reason.
func (e *Error) Error() string { return fmt.Sprintf("qr: %s: %s", e.Field, e.Text) }

func fault(field, text string) error { return &Error{field, text} }
