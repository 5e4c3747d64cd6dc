package lifecycle

import (
	"errors"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table into docs/payments.md")

// legal is the table again, written apart from it as one line per transition, so that a slip in either shows.
const legal = `
- stored created | - incoming submitted
created shown presented | created decline declined | created expiry expired | created cancel cancelled
presented decline declined | presented expiry expired | presented cancel cancelled | presented mandate authorised
authorised expiry expired | authorised cancel cancelled | authorised hold held | authorised deny rejected | authorised submit submitting
held expiry expired | held cancel cancelled | held release authorised | held deny rejected
submitting sent submitted | submitting silence unknown | submitting settlement settled | submitting rejection rejected
submitted silence unknown | submitted positive accepted | submitted settlement settled | submitted rejection rejected
accepted settlement settled | accepted late-rejection rejected
unknown positive accepted | unknown settlement settled | unknown rejection rejected | unknown still-uncertain unknown
`

var triggers = []Trigger{OnStored, OnShown, OnDecline, OnExpiry, OnCancel, OnMandate, OnHold, OnRelease, OnDeny, OnSubmit, OnSent, OnIncoming,
	OnSilence, OnPositive, OnSettlement, OnRejection, OnLateRejection, OnStillUncertain}

func TestEveryTransition(t *testing.T) {
	want := map[State]map[Trigger]State{}
	for _, line := range strings.FieldsFunc(legal, func(r rune) bool { return r == '|' || r == '\n' }) {
		f := strings.Fields(line)
		from := State(strings.TrimPrefix(f[0], "-"))
		if want[from] == nil {
			want[from] = map[Trigger]State{}
		}
		want[from][Trigger(f[1])] = State(f[2])
	}
	taken := 0
	for _, from := range append(States(), None) {
		for _, trigger := range triggers {
			got, err := Next(from, trigger)
			to, ok := want[from][trigger]
			if ok && (err != nil || got != to) {
				t.Errorf("%s on %s: %s, %v, want %s", from, trigger, got, err, to)
			}
			var te *TransitionError
			if !ok && (!errors.As(err, &te) || got != from || te.From != from || te.Trigger != trigger) {
				t.Errorf("%s on %s: %s, %v, want a TransitionError and no move", from, trigger, got, err)
			}
			if ok {
				taken++
			}
		}
	}
	if taken != 33 {
		t.Errorf("%d transitions tried, 33 are written down", taken)
	}
}

func TestTriggersAreThoseOfTheTable(t *testing.T) {
	used := map[Trigger]bool{}
	for _, r := range Table() {
		used[r.Trigger] = true
		if !slices.Contains(triggers, r.Trigger) {
			t.Errorf("trigger %s is not tested", r.Trigger)
		}
		if r.Evidence == "" || r.By == "" || len(r.Sides) == 0 {
			t.Errorf("row %s does not say on what evidence, by whom or in whose record", r.Trigger)
		}
	}
	for _, trigger := range triggers {
		if !used[trigger] {
			t.Errorf("trigger %s is in no row", trigger)
		}
	}
	if _, err := Next(Created, "no such trigger"); err == nil {
		t.Error("an unknown trigger moved a payment")
	}
}

func TestTableIsUnambiguous(t *testing.T) {
	type at struct {
		from    State
		trigger Trigger
	}
	seen := map[at]bool{}
	for _, r := range Table() {
		for _, from := range r.From {
			if seen[at{from, r.Trigger}] {
				t.Errorf("%s on %s stands twice in the table", from, r.Trigger)
			}
			seen[at{from, r.Trigger}] = true
		}
	}
}

func TestTerminalStatesAreNeverLeft(t *testing.T) {
	for _, r := range Table() {
		for _, from := range r.From {
			if from.Terminal() {
				t.Errorf("%s leaves %s", r.Trigger, from)
			}
		}
	}
	for _, s := range States() {
		leaves := slices.ContainsFunc(Table(), func(r Row) bool { return slices.Contains(r.From, s) && r.To != s })
		if leaves == s.Terminal() {
			t.Errorf("%s: terminal is %v, but the table has a way out: %v", s, s.Terminal(), leaves)
		}
	}
}

func TestRankGrows(t *testing.T) {
	for _, r := range Table() {
		for _, from := range r.From {
			equal := (from == Authorised && r.To == Held) || (from == Held && r.To == Authorised) || from == r.To
			if d := r.To.Rank() - from.Rank(); d < 0 || (d == 0) != equal {
				t.Errorf("%s to %s: rank %d to %d", from, r.To, from.Rank(), r.To.Rank())
			}
		}
	}
}

// TestNothingIsWithdrawnOnceItMayHaveLeft holds invariant 5 of the payment on the table itself.
func TestNothingIsWithdrawnOnceItMayHaveLeft(t *testing.T) {
	for _, r := range Table() {
		for _, from := range r.From {
			if from.MayHaveLeft() && (r.To == Cancelled || r.To == Expired || r.To == Declined) {
				t.Errorf("%s goes to %s", from, r.To)
			}
			if !from.MayHaveLeft() && r.To.MayHaveLeft() && r.To != Submitting && from != None {
				t.Errorf("%s goes to %s without being recorded as submitting", from, r.To)
			}
		}
	}
	for _, s := range States() {
		if s.MayRetry() != slices.Contains([]State{Declined, Expired, Cancelled, Rejected}, s) {
			t.Errorf("%s: MayRetry is %v", s, s.MayRetry())
		}
	}
}

func TestCheckBySide(t *testing.T) {
	creditor := map[[2]State]bool{{None, Submitted}: true, {Submitted, Accepted}: true, {Unknown, Accepted}: true}
	for _, from := range []State{Submitting, Submitted, Accepted, Unknown} {
		creditor[[2]State{from, Settled}], creditor[[2]State{from, Rejected}] = true, true
	}
	for _, from := range append(States(), None) {
		for _, to := range append(States(), None) {
			if ok := Check(Creditor, from, to) == nil; ok != (from == to || creditor[[2]State{from, to}]) {
				t.Errorf("creditor, %s to %s: allowed is %v", from, to, ok)
			}
			byTrigger := false
			for _, trigger := range triggers {
				next, err := Next(from, trigger)
				byTrigger = byTrigger || (err == nil && next == to && trigger != OnIncoming)
			}
			if ok := Check(Debtor, from, to) == nil; ok != (from == to || byTrigger) {
				t.Errorf("debtor, %s to %s: allowed is %v", from, to, ok)
			}
			if from != to && Check("nobody", from, to) == nil {
				t.Errorf("a record of no side may go from %s to %s", from, to)
			}
		}
	}
}

func TestParseState(t *testing.T) {
	for _, s := range append(States(), None) {
		if got, err := ParseState(string(s)); err != nil || got != s {
			t.Errorf("%q: %q, %v", s, got, err)
		}
	}
	for _, s := range []string{"Settled", "settled ", "none", "failed"} {
		if _, err := ParseState(s); err == nil {
			t.Errorf("%q was taken as a state", s)
		}
	}
}

func TestTableIsACopy(t *testing.T) {
	Table()[0].From[0] = Settled
	if s, err := Next(None, OnStored); err != nil || s != Created {
		t.Error("a caller changed the table")
	}
}

// TestDocument compares the table with docs/payments.md. Run with -update to write it there.
func TestDocument(t *testing.T) {
	const path, begin, end = "../../docs/payments.md", "<!-- begin: state table, generated from payments/lifecycle -->\n", "<!-- end: state table -->\n"
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(b), begin)
	found, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", path)
	}
	if found == Markdown() {
		return
	}
	if !*update {
		t.Fatalf("%s differs from the table; run: go test ./payments/lifecycle -run TestDocument -update", path)
	}
	if err := os.WriteFile(path, []byte(before+begin+Markdown()+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
