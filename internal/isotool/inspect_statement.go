package isotool

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
)

// inspectStatements shows the statements of a file, one entry after the other as they are read.
func inspectStatements(s *screen, r io.Reader, all bool) error {
	sr := iso20022.NewStatementReader(r)
	for n := 0; ; n++ {
		st, err := sr.Next()
		if err != nil {
			faults(s, sr.Faults())
			if errors.Is(err, io.EOF) {
				if n == 0 {
					return errors.New("no statement in it")
				}
				return nil
			}
			return err
		}
		if n > 0 {
			s.printf("\n")
		}
		if err := inspectStatement(s, st, all); err != nil {
			return err
		}
	}
}

func inspectStatement(s *screen, st *iso20022.Statement, all bool) error {
	name, purpose, _ := aboutMessage(st.Header.MsgDef)
	s.printf("%s\n  %s\n", s.paint(bold, name+" ("+st.Header.MsgDef+")"), s.paint(dim, purpose))
	t := table{indent: 2}
	add := func(what string, parts ...string) {
		if v := strings.Join(nonEmpty(parts), ", "); v != "" {
			t.row(styled(dim, what), text(visible(clip(v, 400))))
		}
	}
	add("account", st.Account.Reveal(), string(st.Currency), st.Owner.Reveal(), string(st.Servicer.ID))
	add("statement", st.ID, st.Sequence, when(iso20022.Moment{Time: st.Created}))
	add("period", period(st.From, st.To))
	if st.CpyDplct != "" {
		t.row(styled(dim, "marked"), styled(yellow, visible(st.CpyDplct)))
	}
	t.print(s)
	t = table{indent: 2}
	for _, b := range st.Balances {
		meaning, _ := codeText("ExternalBalanceType1Code", b.Type)
		t.row(styled(dim, visible(b.Type)), text(meaning), cell{text: signed(b.Amount, b.Credit), style: bold, right: true}, text(when(b.Date)))
	}
	t.print(s)
	faults(s, st.Faults)
	told := len(st.Faults)
	entries, credits, debits := 0, 0, 0
	for e, err := range st.Entries() {
		if err != nil {
			return err
		}
		if entries++; e.Credit {
			credits++
		} else {
			debits++
		}
		if all {
			inspectEntry(s, e)
			faults(s, e.Faults)
		}
	}
	faults(s, st.Faults[told:])
	s.printf("  %s\n", s.paint(dim, fmt.Sprintf("%d in all: %s, %s", entries, plural(credits, "credit"), plural(debits, "debit"))))
	return nil
}

// inspectEntry shows an entry in a line, and one for each of its payments. The columns are fixed, since entries are not held.
func inspectEntry(s *screen, e *iso20022.Entry) {
	st := green
	if !e.Credit {
		st = plain
	}
	about := nonEmpty([]string{e.Reference, e.ServicerRef, strings.Join(nonEmpty([]string{e.Code.Domain, e.Code.Family, e.Code.SubFamily}), "/"), e.Code.Prtry, e.Info})
	if e.Status != "" && e.Status != "BOOK" {
		about = append([]string{e.Status}, about...)
	}
	if e.Reversal {
		about = append([]string{"reversal"}, about...)
	}
	s.printf("  %-10s  %s  %s\n", when(e.Booked), s.paint(st, fmt.Sprintf("%20s", signed(e.Amount, e.Credit))), visible(clip(strings.Join(about, "  "), 200)))
	for i := range e.Transactions {
		tx := &e.Transactions[i]
		other := tx.Debtor
		if !e.Credit {
			other = tx.Creditor
		}
		line := nonEmpty([]string{other.Name.Reveal(), other.Account.Reveal(), string(tx.EndToEndID), string(tx.UETR),
			strings.Join(tx.Remittance, " "), strings.Join(tx.References, " ")})
		if r := tx.Returned; r.Code != "" {
			meaning, _ := codeText("ExternalReturnReason1Code", r.Code)
			line = append(line, "returned: "+r.Code+" "+meaning)
		}
		amount := ""
		if len(e.Transactions) > 1 && tx.Amount != (payments.Amount{}) {
			amount = signed(tx.Amount, tx.Credit)
		}
		s.printf("  %-10s  %20s  %s\n", "", amount, s.paint(dim, visible(clip(strings.Join(line, "  "), 300))))
	}
}

// signed returns an amount with the sign it has for the account's owner.
func signed(a payments.Amount, credit bool) string {
	if a == (payments.Amount{}) {
		return "?"
	}
	if credit {
		return "+" + a.Text() + " " + string(a.Currency)
	}
	return "-" + a.Text() + " " + string(a.Currency)
}

func when(m iso20022.Moment) string {
	switch {
	case m.Date != "":
		return m.Date
	case !m.Time.IsZero():
		return m.Time.Format(time.RFC3339)
	}
	return ""
}

func period(from, to time.Time) string {
	if from.IsZero() && to.IsZero() {
		return ""
	}
	return when(iso20022.Moment{Time: from}) + " to " + when(iso20022.Moment{Time: to})
}

func faults(s *screen, list []iso20022.Fault) {
	for _, f := range list {
		s.printf("  %s\n", s.paint(red, visible(strings.TrimPrefix(f.Error(), "iso20022: "))))
	}
}
