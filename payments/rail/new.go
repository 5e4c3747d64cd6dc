package rail

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/parleypay/parley/payments"
)

// sizeLimitBytes bounds Profile.SizeMaxBytes: a message of a payment is small, and what a peer sends is read whole.
const sizeLimitBytes = 16 << 20

var (
	railName = regexp.MustCompile(`^[a-z][a-z0-9]{1,19}$`)
	ruleName = regexp.MustCompile(`^[a-z][a-z0-9]*(\.[a-z][a-z0-9]*){1,3}$`)
	rulePath = regexp.MustCompile(`^(AppHdr|Document)(/|$)`)
	isoCode  = regexp.MustCompile(`^[A-Z0-9]{4}$`)
)

// New checks that a profile does not contradict itself and returns it. The error lists everything that is wrong: a rule without a check
// or the rail's name, a status without a meaning, a clock that ends before another, a reason that is missing. Whether the profile is
// what the rail wants no program knows; package railtest compares it with samples.
func New(p Profile) (*Profile, error) {
	f := &flaws{rail: p.Name}
	f.unless(railName.MatchString(p.Name), "Name must be 2 to 20 lower-case letters and digits, a letter first")
	f.unless(p.Title != "", "Title is empty")
	if _, ok := payments.LookupCurrency(string(p.Currency)); !ok {
		f.add("Currency %.3q is no currency of ISO 4217", p.Currency)
	}
	f.unless(p.AmountMax > 0, "AmountMax must be above zero")
	f.unless(p.Service != "", "Service is empty: the rail itself needs an id")
	f.unless(p.ChargeBearer != "", "ChargeBearer is empty")
	f.unless(p.SizeMaxBytes > 0 && p.SizeMaxBytes <= sizeLimitBytes, "SizeMaxBytes must be above 0 and at most 16 MiB")
	f.unless(p.TimeResolution > 0 && p.TimeResolution <= time.Second, "TimeResolution must be above 0 and at most a second")
	p.wireFlaws(f)
	p.answerFlaws(f)
	p.clockFlaws(f)
	p.ruleFlaws(f)
	p.returnFlaws(f)
	if f.errs != nil {
		return nil, errors.Join(f.errs...)
	}
	return &p, nil
}

// MustNew is New for a profile that is a constant of the program: it panics where New fails.
func MustNew(p Profile) *Profile {
	checked, err := New(p)
	if err != nil {
		panic(err)
	}
	return checked
}

type flaws struct {
	rail string
	errs []error
}

func (f *flaws) add(format string, args ...any) {
	f.errs = append(f.errs, fmt.Errorf("rail: profile %.20q: %s", f.rail, fmt.Sprintf(format, args...)))
}

func (f *flaws) unless(ok bool, text string) {
	if !ok {
		f.add("%s", text)
	}
}

func (p *Profile) wireFlaws(f *flaws) {
	f.unless(p.HeaderVersion == "head.001.001.01" || p.HeaderVersion == "head.001.001.02", "HeaderVersion must be head.001.001.01 or head.001.001.02")
	for _, def := range []string{MsgTransfer, MsgStatus} {
		f.unless(slices.Contains(p.Definitions, def), "Definitions lack "+def)
	}
	f.unless(p.ClrSysCode == "" || p.ClrSysPrtr == "", "ClrSysCode and ClrSysPrtr exclude each other")
	f.unless(p.LocalCode == "" || p.LocalPrtry == nil, "LocalCode and LocalPrtry exclude each other")
	for own := range p.OwnNames {
		f.unless(slices.Contains(p.Definitions, own), "OwnNames name "+own+", which Definitions lack")
	}
	if p.Form != nil {
		return
	}
	f.unless(p.OwnNames == nil, "OwnNames need a Form")
	for _, e := range []struct {
		name string
		Envelope
	}{{"In", p.In}, {"Out", p.Out}} {
		f.unless(e.Namespace != "" && len(e.Path) > 0, e.name+" needs a namespace and at least one element")
		for _, def := range p.Definitions {
			f.unless(e.Elements == nil || len(e.Elements[def]) > 0, e.name+" has no element for "+def)
		}
	}
}

func (p *Profile) answerFlaws(f *flaws) {
	meaning := func(field, status string, from Sender, kinds ...Kind) {
		k, known := p.Answers[from][status]
		who := map[Sender]string{Service: "the rail", Participant: "a participant"}[from]
		if !known || !slices.Contains(kinds, k) {
			f.add("%s: %q from %s means %q, want one of %v", field, status, who, k, kinds)
		}
	}
	final := []Kind{Settled, SettledCredited}
	meaning("Yes", p.Yes, Participant, Accepted, Settled, SettledCredited)
	meaning("Settled", p.Settled, Service, final...)
	meaning("SettledCreditor", p.SettledCreditor, Service, final...)
	meaning("Posted", p.Posted, Service, final...)
	meaning("Pending", p.Pending, Service, SettledPending, Accepted)
	meaning("Answers", "RJCT", Service, Rejected)
	meaning("Answers", "RJCT", Participant, Rejected)
	for _, status := range []string{p.Yes, "RJCT"} {
		f.unless(slices.Contains(p.ParticipantStatus, status), "ParticipantStatus lacks "+status)
	}
	for _, status := range p.ParticipantStatus {
		if _, ok := p.Answers[Participant][status]; !ok {
			f.add("ParticipantStatus %q has no meaning in Answers", status)
		}
	}
	for from, answers := range p.Answers {
		for status, k := range answers {
			f.unless(isoCode.MatchString(status), "Answers hold a status that has not four capitals or digits")
			if k == Ignored || k >= NotFound {
				f.add("Answers: %q from %d means %q: leave out what changes nothing, and give Codes.NotFound", status, from, k)
			}
		}
	}
	c := p.Codes
	for name, code := range map[string]string{"NoFunds": c.NoFunds, "CreditorTimeout": c.CreditorTimeout, "UnknownAgent": c.UnknownAgent, "TooLate": c.TooLate} {
		f.unless(code != "", "Codes."+name+" is empty")
	}
	f.unless((c.NotFound != "") == (p.Recovery == Ask), "Codes.NotFound is for a rail that is asked, and only that")
}

func (p *Profile) clockFlaws(f *flaws) {
	f.unless(p.Recovery <= ResendSame, "Recovery is none of the known ones")
	f.unless(p.ServiceTimeout > 0 && p.ServiceTimeout < p.AnswerTimeout, "ServiceTimeout must be above zero and below AnswerTimeout: the rail gives up on the creditor's bank first")
	f.unless((len(p.Ladder) == 0) == (p.Recovery == Wait), "Ladder must be empty on a rail that is waited for, and only there")
	f.unless(len(p.Ladder) <= 3, "Ladder has more than three steps")
	last := time.Duration(-1)
	for _, d := range p.Ladder {
		f.unless(d > last, "Ladder must rise, from zero up")
		last = d
	}
	f.unless(p.CaseAfter > last && p.CaseAfter > 0, "CaseAfter must come after the last step of Ladder")
	f.unless(p.EnquiryDays >= 0 && (p.EnquiryDays == 0 || p.Recovery == Ask), "EnquiryDays is for a rail that is asked")
	f.unless(p.Recovery != Ask || slices.Contains(p.Definitions, MsgRequest), "a rail that is asked needs "+MsgRequest+" in Definitions")
}

func (p *Profile) ruleFlaws(f *flaws) {
	seen := map[string]bool{}
	for _, r := range p.Rules {
		switch {
		case !ruleName.MatchString(r.Name) || len(r.Name) <= len(p.Name) || r.Name[:len(p.Name)+1] != p.Name+".":
			f.add("rule %.60q must be named %s and one to three words behind it, with points between them", r.Name, p.Name)
		case seen[r.Name]:
			f.add("rule %s stands twice", r.Name)
		case r.Check == nil:
			f.add("rule %s has no check; a rule of the Form has Elsewhere", r.Name)
		case !rulePath.MatchString(r.Path):
			f.add("rule %s needs a path from AppHdr or Document", r.Name)
		case r.Text == "":
			f.add("rule %s has no text", r.Name)
		}
		seen[r.Name] = true
	}
	for _, must := range []string{"header.msgdef", "header.service", "amount.currency", "amount.limit", "status.participant", "status.reason"} {
		f.unless(seen[p.Name+"."+must], "no rule "+p.Name+"."+must+": no rail is without it (see CommonRules)")
	}
}

func (p *Profile) returnFlaws(f *flaws) {
	travels := func(def string) bool {
		if slices.Contains(p.Definitions, def) {
			return true
		}
		for _, own := range p.OwnNames {
			if own == def {
				return true
			}
		}
		return false
	}
	r := p.Returns
	f.unless(r.Message == "" || travels(r.Message), "Returns.Message does not travel on the rail")
	f.unless((r.Ask == "") == (r.Answer == ""), "Returns.Ask and Returns.Answer go together")
	f.unless(r.Ask == "" || travels(r.Ask) && travels(r.Answer), "Returns.Ask or Returns.Answer does not travel on the rail")
	f.unless(r.Days >= 0, "Returns.Days is below zero")
	seen := map[string]bool{}
	for _, x := range p.Recalls {
		f.unless(isoCode.MatchString(x.Reason) && !seen[x.Reason], "Recalls: a reason has four capitals or digits and stands once")
		f.unless(x.Days >= 0 && x.Months >= 0 && (x.Days == 0 || x.Months == 0), "Recalls: Days and Months exclude each other")
		seen[x.Reason] = true
	}
	f.unless(len(p.Recalls) == 0 || r.Ask != "", "Recalls need Returns.Ask")
}
