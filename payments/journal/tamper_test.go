package journal_test

import (
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/journal/journaltest"
	"github.com/parleypay/parley/payments/lifecycle"
	"pgregory.net/rapid"
)

// covered lists the tables that Verify answers for, with the words by which a DamageError names a row of each, and the columns that
// only say how far work has come or in which order rows were written.
var covered = map[string]struct {
	words string
	free  string
}{
	"log": {"step", ""}, "payments": {"payment", ""}, "events": {"event", "id"}, "index_keys": {"index key", "id"},
	"claims": {"claim", "id"}, "limit_uses": {"limit use", "id"}, "limits": {"limit", ""}, "inbox": {"inbox entry", "id"},
	"outbox": {"outbox row", "id not_before attempts error done"}, "postings": {"posting", "id"}, "balances": {"balance", ""},
	"cases": {"case", "id"}, "case_closes": {"closed case", "id"}, "codes": {"enrolment code", "id"}, "code_marks": {"code use", "id"},
	"registry": {"enrolled key", "id"}, "nonces": {"nonce", "id"}, "vals": {"value", "id"},
}

// fill records a little of everything.
func fill(t testing.TB, j journal.Journal) {
	t.Helper()
	at := journaltest.Start
	var steps []journal.Step
	for n := range 4 {
		k := journaltest.Key(n)
		steps = append(steps, journaltest.Begin(k), journaltest.Authorise(k), journaltest.Submit(k))
	}
	steps = append(steps,
		journal.Step{At: at.Add(time.Minute), Key: journaltest.Key(0), ExpectedSeq: 4, State: []byte("settled"), DoneOutbox: []string{"rail/" + string(journaltest.Key(0).Intent)},
			Events:   []journal.Draft{journaltest.Event(lifecycle.Submitting, lifecycle.Submitted), journaltest.Event(lifecycle.Submitted, lifecycle.Settled)},
			Postings: journaltest.Move("post", "rail_clearing:fednow", "external", 1050), Inbox: &journal.InboxEntry{Sender: "fednow", ID: "M1", Hash: journal.HashOf([]byte("x"))}},
		journal.Step{At: at, Key: journaltest.Key(1), ExpectedSeq: 4, Events: []journal.Draft{{Type: "rail.unmatched", From: lifecycle.Submitting, To: lifecycle.Submitting, Data: []byte("d")}},
			Cases: []journal.CaseDraft{{ID: "c1", Kind: "contradiction", Detail: "ACSC after RJCT"}, {ID: "c2", Kind: "other"}}},
		journal.Step{At: at, CloseCases: []journal.CaseClose{{ID: "c1", Resolution: "explained"}}},
		journal.Step{At: at, NewCodes: []journal.Code{{ID: "k1", Expires: at.Add(time.Hour), Attempts: 3, Data: []byte("a")}, {ID: "k2", Expires: at.Add(time.Hour), Attempts: 3}}},
		journal.Step{At: at, MissCode: "k1"},
		journal.Step{At: at, UseCode: "k1", PutKeys: []journal.EnrolledKey{{KID: "kid", Owner: "customer", Status: "active", From: at, Data: []byte("{}")}}},
		journal.Step{At: at, PutKeys: []journal.EnrolledKey{{KID: "kid", Owner: "customer", Status: "revoked", From: at, To: at.Add(time.Hour), Data: []byte("{}")}}},
		journal.Step{At: at, Nonces: []journal.Nonce{{Nonce: "n1", Expires: at.Add(time.Hour), Data: []byte("check")}}, Claims: []journal.Claim{{Kind: "boot", Value: "1"}}},
		journal.Step{At: at, Puts: []journal.Put{{Table: "t", Key: "a", Value: []byte("1")}, {Table: "t", Key: "b", Value: []byte("2")}}},
		journal.Step{At: at, Puts: []journal.Put{{Table: "t", Key: "a"}}},
	)
	for i, s := range steps {
		if err := j.Apply(t.Context(), s); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
}

// bench is a filled journal, and another way into its file.
type bench struct {
	j   *journal.SQLite
	raw *sql.DB
}

func newBench(t testing.TB) *bench {
	t.Helper()
	path := filepath.Join(t.TempDir(), "j.db")
	j := openSQLite(t, path)
	fill(t, j)
	raw, err := sql.Open("sqlite", "file:"+path+"?_pragma=synchronous(OFF)&_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	raw.SetMaxOpenConns(1)
	t.Cleanup(func() { raw.Close() })
	return &bench{j, raw}
}

func (b *bench) exec(t testing.TB, query string, args ...any) error {
	t.Helper()
	_, err := b.raw.Exec(query, args...)
	return err
}

// rows reads a table whole.
func rows(t testing.TB, db *sql.DB, table string) (columns []string, all [][]any) {
	t.Helper()
	r, err := db.Query("SELECT * FROM " + table)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if columns, err = r.Columns(); err != nil {
		t.Fatal(err)
	}
	for r.Next() {
		row := make([]any, len(columns))
		dest := make([]any, len(columns))
		for i := range row {
			dest[i] = &row[i]
		}
		if err := r.Scan(dest...); err != nil {
			t.Fatal(err)
		}
		for i := range row {
			if b, blob := row[i].([]byte); row[i] == nil && columns[i] != "state" || blob && len(b) == 0 {
				row[i] = []byte{} // the driver reads an empty blob as nil; only log.state may be NULL
			}
		}
		all = append(all, row)
	}
	return columns, all
}

// where selects exactly one row by all its columns.
func where(columns []string) string {
	return " WHERE " + strings.Join(columns, " IS ? AND ") + " IS ?"
}

// otherValues returns values that a forger might put in the place of v.
func otherValues(v any, random *rand.Rand) []any {
	switch v := v.(type) {
	case int64:
		return []any{v + 1, v - 1, random.Int64N(1 << 40), int64(0)}
	case string:
		return []any{v + "x", "", strings.ToUpper(v)}
	case []byte:
		flipped := slices.Clone(v)
		if len(flipped) > 0 {
			flipped[random.IntN(len(flipped))] ^= 1 << random.IntN(8)
		}
		return []any{flipped, append(slices.Clone(v), 0), []byte{}}
	}
	return []any{make([]byte, 32)}
}

func (b *bench) mustFind(t *testing.T, what, words string) {
	t.Helper()
	err := b.j.Verify(t.Context())
	var damage *journal.DamageError
	if !errors.As(err, &damage) {
		t.Errorf("%s: %v, want a DamageError", what, err)
	} else if words != "" && !strings.Contains(damage.Record, words) {
		t.Errorf("%s is named %q, want %q in it", what, damage.Record, words)
	}
}

// TestEveryEditIsFound changes every column of every row, one at a time, and puts it back.
func TestEveryEditIsFound(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	random := rand.New(rand.NewPCG(3, 4))
	tried := 0
	for table, c := range covered {
		columns, all := rows(t, b.raw, table)
		if len(all) == 0 {
			t.Errorf("table %s is empty: nothing is tested", table)
		}
		for _, row := range all {
			for i, column := range columns {
				if slices.Contains(strings.Fields(c.free), column) {
					continue
				}
				values := otherValues(row[i], random)
				for n, v := range []any{values[tried%len(values)], values[random.IntN(len(values))]} {
					if underRace && (n > 0 || random.IntN(4) > 0) {
						continue
					}
					if fmt.Sprint(v) == fmt.Sprint(row[i]) {
						continue
					}
					edited := slices.Clone(row)
					edited[i] = v
					set := "UPDATE " + table + " SET " + column + " = ?" + where(columns)
					if err := b.exec(t, set, append([]any{v}, row...)...); err != nil {
						continue // a constraint stands against it
					}
					words := c.words
					if column == "pos" || column == "payment" || table == "log" || table == "payments" {
						words = "" // the row now belongs elsewhere, and what is missing there may be found first
					}
					b.mustFind(t, fmt.Sprintf("%s.%s of row %v", table, column, row[0]), words)
					tried++
					if err := b.exec(t, set, append([]any{row[i]}, edited...)...); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	if err := b.j.Verify(t.Context()); err != nil {
		t.Fatalf("everything is put back: %v", err)
	}
	if tried < thinned(400) {
		t.Errorf("only %d edits were tried", tried)
	}
	t.Logf("%d edits found", tried)
}

// TestEveryDeletionIsFound removes every row, one at a time, and puts it back.
func TestEveryDeletionIsFound(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	tried := 0
	for table, c := range covered {
		columns, all := rows(t, b.raw, table)
		for i, row := range all {
			if err := b.exec(t, "DELETE FROM "+table+where(columns), row...); err != nil {
				t.Fatal(err)
			}
			words := c.words
			switch {
			case table == "log" && i == len(all)-1:
				words = fmt.Sprintf("step %d", row[0])
			case table == "log" || table == "payments":
				words = ""
			}
			b.mustFind(t, fmt.Sprintf("%s, row %v deleted", table, row[0]), words)
			tried++
			if err := b.exec(t, "INSERT INTO "+table+" VALUES (?"+strings.Repeat(", ?", len(row)-1)+")", row...); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := b.j.Verify(t.Context()); err != nil {
		t.Fatalf("everything is put back: %v", err)
	}
	t.Logf("%d deletions found", tried)
}

// TestEventIsNamed checks the name by which an operator finds a damaged event.
func TestEventIsNamed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if err := b.exec(t, "UPDATE events SET data = x'00' WHERE seq = 2 AND payment = 3"); err != nil {
		t.Fatal(err)
	}
	b.mustFind(t, "edited event", "event "+journaltest.Key(2).String()+" seq 2")
}

// TestTruncation cuts off the last steps with everything they wrote, as a forger would who knows the tables. The file alone is then
// consistent; a head kept elsewhere tells.
func TestTruncation(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	head, err := b.j.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{
		"DELETE FROM vals WHERE pos = %d", "DELETE FROM log WHERE pos = %d",
	} {
		if err := b.exec(t, fmt.Sprintf(q, head.Pos)); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.j.Verify(t.Context()); err != nil {
		t.Fatalf("the forger's work is not as intended: %v", err)
	}
	var damage *journal.DamageError
	if err := b.j.Verify(t.Context(), head); !errors.As(err, &damage) || damage.Record != fmt.Sprintf("step %d", head.Pos) {
		t.Errorf("verify against the head kept elsewhere: %v", err)
	}
}

// TestClockSetBackIsFound sets the high-water clock before the last step.
func TestClockSetBackIsFound(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if err := b.exec(t, "UPDATE meta SET value = value - 1 WHERE name = 'clock'"); err != nil {
		t.Fatal(err)
	}
	b.mustFind(t, "clock set back", "clock")
}

// TestAnyEditsAreFound makes several edits and deletions at once: whenever Verify is content, all that it covers is what was recorded.
func TestAnyEditsAreFound(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	dump := func() string {
		var s strings.Builder
		for _, table := range tables() {
			columns, all := rows(t, b.raw, table)
			for _, row := range all {
				for i := range row {
					if !slices.Contains(strings.Fields(covered[table].free), columns[i]) {
						fmt.Fprintf(&s, "%v|", row[i])
					}
				}
				s.WriteByte('\n')
			}
		}
		return s.String()
	}
	written := dump()
	rapid.Check(t, func(rt *rapid.T) {
		if err := b.exec(t, "BEGIN"); err != nil {
			rt.Fatal(err)
		}
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		var undo []func()
		for range rapid.IntRange(1, 4).Draw(rt, "edits") {
			table := rapid.SampledFrom(tables()).Draw(rt, "table")
			columns, all := rows(t, b.raw, table)
			if len(all) == 0 {
				continue
			}
			row := all[rapid.IntRange(0, len(all)-1).Draw(rt, "row")]
			insert := "INSERT INTO " + table + " VALUES (?" + strings.Repeat(", ?", len(row)-1) + ")"
			if rapid.Bool().Draw(rt, "delete") {
				if b.exec(t, "DELETE FROM "+table+where(columns), row...) == nil {
					undo = append(undo, func() { b.exec(t, insert, row...) })
				}
				continue
			}
			i := rapid.IntRange(0, len(columns)-1).Draw(rt, "column")
			edited := slices.Clone(row)
			edited[i] = rapid.SampledFrom(otherValues(row[i], random)).Draw(rt, "value")
			if b.exec(t, "UPDATE "+table+" SET "+columns[i]+" = ?"+where(columns), append([]any{edited[i]}, row...)...) == nil {
				undo = append(undo, func() {
					b.exec(t, "DELETE FROM "+table+where(columns), edited...)
					b.exec(t, insert, row...)
				})
			}
		}
		if err := b.exec(t, "COMMIT"); err != nil {
			rt.Fatal(err)
		}
		if err := b.j.Verify(t.Context()); err == nil && dump() != written {
			rt.Error("Verify is content with a record that was changed")
		}
		for _, f := range slices.Backward(undo) {
			f()
		}
		if dump() != written {
			rt.Fatal("the test did not put back what it changed")
		}
	})
}

func tables() (names []string) {
	for table := range covered {
		names = append(names, table)
	}
	slices.Sort(names)
	return names
}

// TestFlippedBitsAreFound flips one bit anywhere in the closed file: opening fails, or Verify does, or what is recorded is untouched.
func TestFlippedBitsAreFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "j.db")
	j, err := journal.OpenSQLite(path)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, j)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dump := func(file string) (s string) {
		db, err := sql.Open("sqlite", "file:"+file)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for _, table := range tables() {
			_, all := rows(t, db, table)
			s += fmt.Sprintln(table, all)
		}
		return s
	}
	written := dump(path)
	random := rand.New(rand.NewPCG(5, 6))
	found := 0
	flips := thinned(60)
	for i := range flips {
		file := filepath.Join(dir, fmt.Sprintf("f%d.db", i))
		forged := slices.Clone(whole)
		at := random.IntN(len(forged))
		forged[at] ^= 1 << random.IntN(8)
		if err := os.WriteFile(file, forged, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := journal.OpenSQLite(file)
		if err == nil {
			err = j.Verify(t.Context())
			j.Close()
		}
		if err != nil {
			found++
		} else if got := dump(file); got != written {
			t.Errorf("a bit flipped at %d of %d changed the record and was not found", at, len(whole))
		}
		os.Remove(file)
	}
	if found == 0 {
		t.Error("no flipped bit was found")
	}
	t.Logf("%d of %d flipped bits found, the others in space that holds no record", found, flips)
}
