package intent

import (
	"fmt"
	"io"
	"log/slog"
)

// Values that hold signed bytes or a one-time code print and log as their kind and, where there is one, the intent: the bytes are
// easily decoded and full of persons' data.

// Format prints the kind and the intent for every verb of package fmt.
func (u UnverifiedMandate) Format(f fmt.State, _ rune) { io.WriteString(f, u.summary()) }

// LogValue logs the kind and the intent.
func (u UnverifiedMandate) LogValue() slog.Value { return slog.StringValue(u.summary()) }

func (u UnverifiedMandate) summary() string { return "unverified mandate for " + string(u.m.Intent) }

// Format prints the kind and the intent for every verb of package fmt.
func (v VerifiedMandate) Format(f fmt.State, _ rune) { io.WriteString(f, v.summary()) }

// LogValue logs the kind and the intent.
func (v VerifiedMandate) LogValue() slog.Value { return slog.StringValue(v.summary()) }

func (v VerifiedMandate) summary() string { return "mandate for " + string(v.mandate.Intent) }

// Format prints the kind for every verb of package fmt.
func (Check) Format(f fmt.State, _ rune) { io.WriteString(f, "check") }

// LogValue logs the kind.
func (Check) LogValue() slog.Value { return slog.StringValue("check") }

// Format prints the kind for every verb of package fmt.
func (Approval) Format(f fmt.State, _ rune) { io.WriteString(f, "approval") }

// LogValue logs the kind.
func (Approval) LogValue() slog.Value { return slog.StringValue("approval") }

// Format prints the kind for every verb of package fmt.
func (Enrol) Format(f fmt.State, _ rune) { io.WriteString(f, "enrol") }

// LogValue logs the kind.
func (Enrol) LogValue() slog.Value { return slog.StringValue("enrol") }
