package rail

import (
	"errors"
	"fmt"
	"strings"

	"github.com/parleypay/parley/payments/iso20022"
)

// Rule is one thing a rail demands beyond the ISO schema. Its name is stable: operators, tests and documents refer to it.
type Rule struct {
	Name string // rail.subject.detail, such as "fednow.aba.checksum"
	Path string // where it looks, from AppHdr or Document; several places are told apart in the RuleError
	Text string // what it demands
	// Check returns the path of the first fault, or "" when the message keeps the rule or the rule does not apply to it. It changes
	// nothing and may be called by several goroutines.
	Check Check
}

// Check is how a rule judges a message that travels in direction dir.
type Check func(p *Profile, m *Message, dir Direction) string

// Elsewhere is the Check of a rule that the rail's Form judges while it opens a message, with Profile.Fault.
func Elsewhere(*Profile, *Message, Direction) string { return "" }

// OnWire makes a check of the bytes as they came, for what the model does not hold. What is written keeps it by construction.
func OnWire(check func(*Profile, *Parts) string) Check {
	return func(p *Profile, m *Message, _ Direction) string {
		if m.wire == nil {
			return ""
		}
		return check(p, m.wire)
	}
}

// RuleError says which rule a message breaks and where. It never contains a value from the message.
type RuleError struct {
	Rule string `json:"rule"`
	Path string `json:"path"`
	Text string `json:"text"`
	Line int    `json:"line,omitempty"` // in the wire message, from 1; 0 where a rule looks at more than one place
	Col  int    `json:"col,omitempty"`  // in bytes, from 1
}

// Error returns rule, path, place and text.
func (e *RuleError) Error() string {
	switch {
	case e.Path == "":
		return fmt.Sprintf("rail: %s: %s", e.Rule, e.Text)
	case e.Line > 0:
		return fmt.Sprintf("rail: %s at %s (line %d, column %d): %s", e.Rule, e.Path, e.Line, e.Col, e.Text)
	}
	return fmt.Sprintf("rail: %s at %s: %s", e.Rule, e.Path, e.Text)
}

// RuleErrors is every rule a message breaks, in the profile's order; errors.As finds the first as *RuleError.
type RuleErrors []*RuleError

// Error lists all the faults, at most ten.
func (e RuleErrors) Error() string {
	var b strings.Builder
	for i, r := range e {
		if i == 10 {
			fmt.Fprintf(&b, "; and %d more", len(e)-i)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(r.Error())
	}
	return b.String()
}

// Unwrap gives errors.As each fault.
func (e RuleErrors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, r := range e {
		errs[i] = r
	}
	return errs
}

// Faults returns the rules an error of Encode or Decode lists, and nil for any other error.
func Faults(err error) []*RuleError {
	var many RuleErrors
	if errors.As(err, &many) {
		return many
	}
	var one *RuleError
	if errors.As(err, &one) {
		return []*RuleError{one}
	}
	return nil
}

// CheckMessage runs the profile's rules on m, travelling in direction dir, and returns RuleErrors or nil.
func (p *Profile) CheckMessage(m *Message, dir Direction) error {
	if m.MsgDef() == "" {
		return &RuleError{Rule: p.Name + ".message.one", Path: "Document", Text: "a message has exactly one document"}
	}
	if faults := p.faults(m, dir); faults != nil {
		return faults
	}
	return nil
}

func (p *Profile) faults(m *Message, dir Direction) RuleErrors {
	var faults RuleErrors
	for i := range p.Rules {
		r := &p.Rules[i]
		if m.bare && strings.HasPrefix(r.Path, "AppHdr") {
			continue
		}
		if path := r.Check(p, m, dir); path != "" {
			f := &RuleError{Rule: r.Name, Path: path, Text: r.Text}
			if m.wire != nil {
				f.Line, f.Col = m.wire.at(path)
			}
			faults = append(faults, f)
		}
	}
	return faults
}

// Fault returns the rule of that name (without the profile's prefix) as a fault at path, which in the wire is at the element at; nil if
// the profile has no such rule, or it is switched off. It is for Forms.
func (p *Profile) Fault(name, path string, at iso20022.Element) *RuleError {
	for i := range p.Rules {
		if r := &p.Rules[i]; r.Name == p.Name+"."+name {
			f := &RuleError{Rule: r.Name, Path: path, Text: r.Text}
			if !at.IsZero() {
				f.Line, f.Col = at.Position()
			}
			return f
		}
	}
	return nil
}
