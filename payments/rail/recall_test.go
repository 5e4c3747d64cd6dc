package rail_test

import (
	. "github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/rails"
	"testing"
	"time"
)

func TestCalendar(t *testing.T) {
	day := func(s string) time.Time { return must(time.Parse(time.DateOnly, s)) }
	for s, open := range map[string]bool{
		"2026-11-23": true, "2026-11-21": false, "2026-11-22": false, "2026-01-01": false, "2026-04-03": false, "2026-04-06": false, "2026-04-05": false,
		"2026-05-01": false, "2026-12-24": true, "2026-12-25": false, "2028-12-26": false, "2024-03-29": false, "2024-04-01": false, "2038-04-26": false, "2026-05-25": true,
	} {
		if TARGET.Open(day(s)) != open || !EveryDay.Open(day(s)) {
			t.Errorf("%s open: %v", s, !open)
		}
	}
	for _, c := range []struct {
		from string
		n    int
		want string
	}{{"2026-11-23", 10, "2026-12-07"}, {"2026-12-18", 10, "2027-01-05"}, {"2026-04-01", 1, "2026-04-02"}, {"2026-04-02", 1, "2026-04-07"}, {"2026-11-21", 1, "2026-11-23"}} {
		if got := TARGET.Add(day(c.from), c.n); !got.Equal(day(c.want)) {
			t.Errorf("%d days after %s: %v, want %s", c.n, c.from, got, c.want)
		}
	}
	for year, want := range map[int]string{2024: "03-31", 2025: "04-20", 2026: "04-05", 2027: "03-28", 2038: "04-25", 2285: "03-22"} {
		if got := Easter(year).Format("01-02"); got != want {
			t.Errorf("Easter %d: %s, want %s", year, got, want)
		}
	}
}

func TestRecallUntil(t *testing.T) {
	settled := time.Date(2026, 11, 23, 23, 30, 0, 0, time.UTC)
	for _, c := range []struct{ rail, reason, want string }{
		{"sctinst", "DUPL", "2026-12-07"}, {"sctinst", "TECH", "2026-12-07"}, {"sctinst", "FRAD", "2027-12-23"}, {"sctinst", "CUST", "2027-12-23"},
		{"fednow", "FRAD", ""}, {"rtp", "DS24", ""}, {"sctinst", "XXXX", "error"}, {"pix", "FRAD", "error"},
	} {
		got, err := must(rails.Lookup(c.rail)).RecallUntil(c.reason, settled)
		text := ""
		if err != nil {
			text = "error"
		} else if !got.IsZero() {
			text = got.Format(time.DateOnly)
		}
		if text != c.want {
			t.Errorf("%s %s: %q, want %q", c.rail, c.reason, text, c.want)
		}
	}
	// 13 months after 31 January is the last of February.
	if got, _ := (Recall{Months: 13}).Until(time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)); got.Format(time.DateOnly) != "2027-02-28" {
		t.Error(got)
	}
}

func TestZones(t *testing.T) {
	for _, c := range []struct{ utc, local string }{
		{"2026-11-23T09:30:15Z", "2026-11-23T04:30:15-05:00"}, {"2026-07-01T09:30:15Z", "2026-07-01T05:30:15-04:00"},
		{"2026-03-08T06:59:59Z", "2026-03-08T01:59:59-05:00"}, {"2026-03-08T07:00:00Z", "2026-03-08T03:00:00-04:00"},
		{"2026-11-01T05:59:59Z", "2026-11-01T01:59:59-04:00"}, {"2026-11-01T06:00:00Z", "2026-11-01T01:00:00-05:00"},
		{"2023-07-13T19:29:36Z", "2023-07-13T15:29:36-04:00"}, {"2027-11-07T05:30:00Z", "2027-11-07T01:30:00-04:00"},
	} {
		u := must(time.Parse(time.RFC3339, c.utc))
		local := Eastern.In(u)
		if local.Format(time.RFC3339) != c.local {
			t.Errorf("%s is %s, want %s", c.utc, local.Format(time.RFC3339), c.local)
		}
		back := Eastern.Local(local.Year(), local.Month(), local.Day(), local.Hour(), local.Minute(), local.Second())
		if twice := c.utc == "2026-11-01T06:00:00Z"; twice && back.Equal(u.Add(-time.Hour)) {
			continue // the hour that comes twice reads as its first
		}
		if !back.Equal(u) {
			t.Errorf("%s reads as %s", c.local, back.UTC().Format(time.RFC3339))
		}
	}
	if got := Brasilia.In(time.Date(2026, 1, 1, 1, 0, 0, 0, time.UTC)).Format(time.DateOnly); got != "2025-12-31" {
		t.Error(got)
	}
}
