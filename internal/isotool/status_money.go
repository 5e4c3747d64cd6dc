package isotool

import (
	"fmt"
	"strings"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"
)

// withoutRail is what a status says by ISO's own words, where no rail is named: the cautious reading.
var withoutRail = map[string]rail.Kind{
	"RCVD": rail.Waiting, "ACTC": rail.Accepted, "ACCP": rail.Accepted, "ACSP": rail.Accepted, "PDNG": rail.Accepted, "ACWC": rail.Accepted,
	"ACSC": rail.Settled, "ACCC": rail.SettledCredited, "ACWP": rail.SettledPending, "BLCK": rail.Blocked, "RJCT": rail.Rejected,
}

// kind says what a pacs.002 means for the money.
func (e *event) kind(p *rail.Profile) rail.Kind {
	if p == nil {
		return withoutRail[e.status]
	}
	party := func(s string) payments.AgentID { // of TCH RTP a header also names the connection
		if len(s) == 11 && p.Name == "rtp" {
			s = s[:9]
		}
		return payments.AgentID(s)
	}
	report := &iso20022.StatusReport{Status: e.status, Reason: e.reason, ReasonPrtry: e.ownReason, Instructing: iso20022.Agent{ID: party(e.agent)}}
	from := party(e.from)
	if !e.header && e.agent == "" {
		return p.Meaning(rail.Participant, report).Kind
	}
	return p.Meaning(p.Sender(&rail.Message{Header: iso20022.Header{From: from}, Status: report}), report).Kind
}

// settle follows the money through the events of a payment, marks what contradicts, and says how it stands at now.
func (p *payment) settle(profile *rail.Profile, now time.Time) {
	money, returning := rail.MoneyUnknown, rail.MoneyUnknown
	var transfer, initiation, request, lastReturn, recall *event
	accepted, waiting, returnDue, notFound, asked, agreed, declined, refusedByBank, rejectedMessage := false, false, false, false, false, false, false, false, false
	recallAnswer := ""
	returned := ""
	for i := range p.events {
		e := &p.events[i]
		if e.again {
			continue
		}
		if e.originalAmount != "" && p.amount != "" && !sameAmount(e.originalAmount, p.amount) && (e.name == "pacs.002" || e.name == "pacs.004" || e.name == "pacs.028" || e.name == "camt.056") {
			e.conflict = "names another amount for the payment: " + e.originalAmount
		}
		switch e.name {
		case "pain.013":
			request = e
		case "pain.014":
			switch e.status {
			case "RJCT":
				declined = true
			case "ACCP", "ACTC":
				agreed = true
			}
		case "pain.001":
			initiation = e
		case "pain.002":
			refusedByBank = refusedByBank || e.status == "RJCT"
			accepted = accepted || e.status != "RJCT"
		case "pacs.008", "pacs.009":
			if transfer != nil && transfer.amount != "" && e.amount != "" && !sameAmount(transfer.amount, e.amount) {
				e.conflict = "another amount than " + transfer.amount + " in " + transfer.messageID
			}
			if transfer == nil {
				transfer = e
			}
		case "pacs.028":
			asked = true
		case "admi.002":
			rejectedMessage = true
			e.means = "the message was not taken"
		case "camt.056", "camt.055":
			recall, recallAnswer = e, ""
		case "camt.029":
			recallAnswer = e.status
		case "pacs.004":
			lastReturn = e
			returned = e.amount
			if e.amount != "" && p.amount != "" && exceeds(e.amount, p.amount) {
				e.conflict = "more comes back than was paid: " + p.amount
			}
			if money == rail.MoneyRefused {
				e.conflict = "returns what was refused"
			}
		case "pacs.002":
			k := e.kind(profile)
			if about := e.originalDef; strings.HasPrefix(about, "pacs.004") || lastReturn != nil && e.originalMessage != "" && e.originalMessage == lastReturn.messageID || lastReturn != nil && e.instr != "" && e.instr == lastReturn.returnID {
				var ok bool
				if returning, ok = returning.After(k); !ok {
					e.conflict = "contradicts an earlier answer about the return"
				}
				e.means = "the return: " + k.String()
				continue
			} else if about != "" && !strings.HasPrefix(about, "pacs.00") {
				continue
			}
			due := money.Returning(k)
			after, ok := money.After(k)
			switch {
			case !ok:
				e.conflict = "contradicts what was known: " + money.String()
			case e.conflict == "":
				money = after
			}
			if profile != nil {
				e.means = k.String()
				if k == rail.Ignored {
					e.means = "nothing: not a word of the rail, or not one that this sender can give"
				}
			}
			returnDue = returnDue || due
			accepted, waiting, notFound = accepted || k == rail.Accepted, waiting || k == rail.Waiting, k == rail.NotFound
		}
	}
	conflicts := 0
	for i := range p.events {
		if p.events[i].conflict != "" {
			conflicts++
		}
	}
	overdue := false
	if profile != nil && transfer != nil && !transfer.zoneless && !transfer.at.IsZero() {
		overdue = now.After(transfer.at.Add(profile.AnswerTimeout))
	}
	p.state, p.next = money.String(), ""
	switch {
	case lastReturn != nil && (returning == rail.MoneySettled || returning == rail.MoneyCredited || profile != nil && lastReturn.header && lastReturn.from == string(profile.Service)):
		p.state, p.next = "returned", "nothing: the money is back"
		if returned != "" && p.amount != "" && !sameAmount(returned, p.amount) {
			p.state, p.next = "returned", fmt.Sprintf("part of it is back: %s of %s", returned, p.amount)
		}
	case lastReturn != nil && returning == rail.MoneyRefused:
		p.next = "the return was refused: see why, and return the money anew"
	case lastReturn != nil:
		p.state, p.next = "returning", "wait: a return is on its way, and nothing says yet that it has settled"
	case money == rail.MoneyRefused:
		p.next = "nothing: no money moved. A new attempt is a new payment with new ids"
	case money == rail.MoneyHeld && returnDue:
		p.next = "a return is due: wait for a pacs.004"
	case money == rail.MoneyHeld:
		p.next = "wait: settled, the creditor's bank has not posted it yet"
	case money == rail.MoneyBlocked:
		p.next = "ask the creditor's bank: settled and frozen there, neither credited nor returned"
	case money == rail.MoneySettled || money == rail.MoneyCredited:
		p.next = "nothing: the money has moved"
	case rejectedMessage:
		p.state, p.next = "unknown", "a message was not taken (admi.002): see which and why. If it was the payment itself, correct it and send it as a new one"
	case notFound:
		p.state, p.next = "unknown", "open a case: the rail has no record, which is no refusal by itself. Do not send it again"
	case transfer != nil && overdue:
		p.state, p.next = "unknown", overdueHint(profile, transfer, now, asked)
	case transfer != nil && accepted:
		p.state, p.next = "accepted", "wait: accepted, not settled"
	case transfer != nil && waiting:
		p.state, p.next = "sent", "wait: the rail has it, nothing is decided"
	case transfer != nil:
		p.state, p.next = "sent", "wait for the answer"
	case refusedByBank:
		p.state, p.next = "refused", "nothing: the bank did not take the order. Correct it and send a new one"
	case initiation != nil && accepted:
		p.state, p.next = "accepted", "wait: the bank has taken the order"
	case initiation != nil:
		p.state, p.next = "initiated", "wait for the bank's answer (pain.002)"
	case declined:
		p.state, p.next = "declined", "nothing: the payer does not want to pay"
	case agreed:
		p.state, p.next = "agreed", "wait for the payment: the payer has agreed, no money has moved"
	case request != nil:
		p.state, p.next = "requested", "wait for the payer's answer (pain.014)"
	default:
		if accepted {
			p.state = "accepted"
		}
		p.next = "find the payment's own message: it is not among these files"
	}
	if recall != nil && lastReturn == nil {
		switch recallAnswer {
		case "":
			p.next = "wait: the recall is not answered yet (camt.029 or a return)"
		case "RJCR":
			p.next = "nothing: the recall was refused"
		case "IPAY", "ACCR", "CNCL":
			p.next = "a return is due: the recall was accepted"
		default:
			p.next = "wait: the recall is being looked at"
		}
	}
	if conflicts > 0 {
		p.next = "a person must look: the messages contradict each other. Do not send anything meanwhile"
	}
}

// overdueHint says what the rail wants done when no answer came.
func overdueHint(profile *rail.Profile, transfer *event, now time.Time, asked bool) string {
	if now.After(transfer.at.Add(profile.AnswerTimeout + profile.CaseAfter)) {
		return "open a case with the rail: no answer in time, and the automatic steps are over. Never pay again"
	}
	switch profile.Recovery {
	case rail.Ask:
		if asked {
			return "wait: the question (pacs.028) is not answered yet. Do not send the payment again"
		}
		return "ask with a pacs.028. Do not send the payment again"
	case rail.ResendMarked:
		return "send the identical message again, marked CpyDplct DUPL. Change no id"
	case rail.ResendSame:
		return "send the same bytes again"
	}
	return "wait for the rail's verdict. Do not ask and do not send it again"
}

// exceeds reports whether amount a is more than b in the same currency.
func exceeds(a, b string) bool {
	x, v, _ := strings.Cut(a, " ")
	y, w, _ := strings.Cut(b, " ")
	m, err1 := exactAmount(v, x)
	n, err2 := exactAmount(w, y)
	return err1 == nil && err2 == nil && x == y && m.Minor > n.Minor
}

// exactAmount reads an amount as a message has it, which may leave out decimals.
func exactAmount(text, currency string) (payments.Amount, error) {
	c := payments.Currency(currency)
	digits, _ := c.Digits()
	value, ok := decimalValue(text)
	if !ok {
		return payments.Amount{}, fmt.Errorf("not a number")
	}
	whole, fraction, _ := strings.Cut(value, ".")
	if whole == "" {
		whole = "0"
	}
	if digits == 0 && fraction == "" {
		return payments.ParseAmount(whole, c)
	}
	return payments.ParseAmount(whole+"."+fraction+strings.Repeat("0", max(digits-len(fraction), 0)), c)
}
