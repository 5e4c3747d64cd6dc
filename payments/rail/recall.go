package rail

import (
	"fmt"
	"time"
)

// Returns says how money comes back after settlement: always as a new payment that points to the old one.
type Returns struct {
	Ask     string   // message that asks for it, "" if the rail has none
	Answer  string   // message that refuses
	Message string   // message that moves the money: pacs.004, or a new pacs.008
	Reasons []string // return reasons allowed; nil for any of ISO's
	Partial bool     // part of the amount may come back
	Days    int      // calendar days in which it may be sent, 0 if the rail sets none
}

// Recall is until when a settled payment can be asked back for a reason. Days and Months both zero mean that the rail sets no limit.
type Recall struct {
	Reason   string   // cancellation reason (ExternalCancellationReason1Code)
	Days     int      // banking business days after settlement
	Months   int      // months after settlement
	Calendar Calendar // of the banking business days
}

// Until returns the last day on which a payment that settled on day can be asked back, in UTC at midnight, and false without a limit.
func (r Recall) Until(day time.Time) (time.Time, bool) {
	day = time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, time.UTC)
	switch {
	case r.Days > 0:
		return r.Calendar.Add(day, r.Days), true
	case r.Months > 0:
		// A month that is too short ends on its last day, as deadlines in law do.
		last := time.Date(day.Year(), day.Month()+time.Month(r.Months)+1, 0, 0, 0, 0, 0, time.UTC)
		if t := day.AddDate(0, r.Months, 0); t.Before(last) {
			return t, true
		}
		return last, true
	}
	return time.Time{}, false
}

// RecallUntil returns the last day on which a payment that settled at the instant settled can be asked back for a reason, in the rail's
// zone; the zero time means that the rail sets no limit. The error says that the rail does not know the reason.
func (p *Profile) RecallUntil(reason string, settled time.Time) (time.Time, error) {
	for _, r := range p.Recalls {
		if r.Reason == reason {
			until, _ := r.Until(p.Zone.In(settled))
			return until, nil
		}
	}
	return time.Time{}, fmt.Errorf("rail: %s has no recall for the reason %.4q", p.Name, reason)
}

// Calendar says which days are banking business days. The zero Calendar has every day.
type Calendar uint8

const (
	EveryDay Calendar = iota
	TARGET            // Monday to Friday but 1 January, Good Friday, Easter Monday, 1 May, 25 and 26 December
)

// Open reports whether the day of t, in t's zone, is a banking business day.
func (c Calendar) Open(t time.Time) bool {
	if c == EveryDay {
		return true
	}
	if d := t.Weekday(); d == time.Saturday || d == time.Sunday {
		return false
	}
	switch fmt.Sprintf("%02d-%02d", int(t.Month()), t.Day()) {
	case "01-01", "05-01", "12-25", "12-26":
		return false
	}
	easter := easter(t.Year())
	for _, off := range [2]int{-2, 1} {
		if d := easter.AddDate(0, 0, off); d.Month() == t.Month() && d.Day() == t.Day() {
			return false
		}
	}
	return true
}

// Add returns the day that is n business days after day. Day itself does not count, whether open or not.
func (c Calendar) Add(day time.Time, n int) time.Time {
	for n > 0 {
		if day = day.AddDate(0, 0, 1); c.Open(day) {
			n--
		}
	}
	return day
}

// easter returns Easter Sunday (the anonymous Gregorian computus).
func easter(year int) time.Time {
	a, b, c := year%19, year/100, year%100
	d, e := b/4, b%4
	g := (8*b + 13) / 25
	h := (19*a + b - d - g + 15) % 30
	i, k := c/4, c%4
	l := (32 + 2*e + 2*i - h - k) % 7
	m := (a + 11*h + 22*l) / 451
	n := h + l - 7*m + 114
	return time.Date(year, time.Month(n/31), n%31+1, 0, 0, 0, 0, time.UTC)
}
