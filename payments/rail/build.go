package rail

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
)

// TransferInput is what a payment says about itself, whatever the rail.
type TransferInput struct {
	UETR       payments.UETR
	EndToEndID payments.EndToEndID
	Amount     payments.Amount
	Debtor     iso20022.Party // agents need only their ID
	Creditor   iso20022.Party
	Remittance string // free text, optional
	Reference  string // structured creditor reference (RF…), optional; where both are given and the rail takes one, the reference goes
	Purpose    string // ISO purpose code, optional
	Category   string // where the rail has categories; empty means the rail's first

	Participant payments.AgentID // the sending bank: header Fr and InstgAgt
	Suffix      string           // makes the message id unique: 1 to 18 letters or digits, such as Suffix returns
	Now         time.Time        // creation and acceptance time
}

// Suffix derives the unique part of a message id, 18 capital letters and digits (about 90 bits), from what makes the message unique,
// such as the intent, the purpose and the number of the attempt.
func Suffix(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ" // Crockford's base 32
	sum := h.Sum(nil)
	b := make([]byte, 18)
	for i := range b {
		b[i] = alphabet[sum[i]&31]
	}
	return string(b)
}

// MessageID makes the id of a message from its sender, day and suffix, as the rail wants it; by default CCYYMMDD, 9 characters of the
// participant (the first 8 of a BIC) and the suffix, which fits FedNow's pattern and Max35Text.
func (p *Profile) MessageID(participant payments.AgentID, now time.Time, suffix string) (string, error) {
	if len(suffix) < 1 || len(suffix) > 18 {
		return "", errors.New("rail: message id suffix must have 1 to 18 characters")
	}
	for i := range len(suffix) {
		if c := suffix[i]; (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return "", errors.New("rail: message id suffix must be letters and digits")
		}
	}
	day := p.Zone.In(now)
	if p.IDs.Message != nil {
		return p.IDs.Message(participant, day, suffix), nil
	}
	id := string(participant)
	if participant.IsBIC() {
		id = id[:8]
	}
	return day.Format("20060102") + id + suffix, nil
}

// time cuts t to what the rail writes, in UTC.
func (p *Profile) time(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(p.TimeResolution)
}

// NewHeader returns the header of a message of that definition and id.
func (p *Profile) NewHeader(from, to payments.AgentID, msgDef, id string, now time.Time) iso20022.Header {
	if p.IDs.Header != nil {
		id = p.IDs.Header(id)
	}
	return iso20022.Header{
		Version: p.HeaderVersion, From: from, To: to, BizMsgID: id, MsgDef: msgDef,
		Registry: p.Registry, PracticeID: p.PracticeID, Created: p.time(now),
	}
}

// NewTransfer makes the pacs.008 of a payment. Texts are put into the rail's characters (see Profile.Text). The error lists the rules
// the payment breaks.
func (p *Profile) NewTransfer(in TransferInput) (*Message, error) {
	id, err := p.MessageID(in.Participant, in.Now, in.Suffix)
	if err != nil {
		return nil, err
	}
	now := p.time(in.Now)
	t := &iso20022.CreditTransfer{
		GroupLevel: p.GroupLevel,
		MessageID:  id, Created: now,
		ClrSysCode: p.ClrSysCode, ClrSysPrtr: p.ClrSysPrtr,
		EndToEndID: in.EndToEndID, UETR: in.UETR,
		ServiceLevel: p.ServiceLevel, LocalCode: p.LocalCode, CategoryPrtry: in.Category,
		Amount: in.Amount, ChargeBearer: p.ChargeBearer,
		Instructing: p.Agent(in.Participant), Instructed: p.Agent(in.Creditor.Agent.ID),
		Purpose: in.Purpose, Remittance: in.Remittance, Reference: in.Reference,
	}
	if t.Debtor, err = p.party(in.Debtor); err != nil {
		return nil, fmt.Errorf("rail: debtor: %w", err)
	}
	if t.Creditor, err = p.party(in.Creditor); err != nil {
		return nil, fmt.Errorf("rail: creditor: %w", err)
	}
	if p.SettleDateRequired {
		t.SettleDate = p.Zone.In(now).Format(time.DateOnly)
	}
	if len(p.LocalPrtry) > 0 {
		t.LocalPrtry = p.LocalPrtry[0]
	}
	if in.Category == "" && len(p.Categories) > 0 {
		t.CategoryPrtry = p.Categories[0]
	}
	if len(p.Purposes) > 0 && !slices.Contains(p.Purposes, t.Purpose) {
		t.Purpose = p.Purposes[0]
	}
	if p.TransactionIDRequired {
		t.TransactionID = id
	}
	if p.AcceptanceTimeRequired {
		t.AcceptanceTime = now
	}
	if t.Reference != "" {
		t.Remittance = ""
	}
	if p.PlainReference && t.Reference != "" {
		t.Remittance, t.Reference = t.Reference, ""
	}
	if p.NoUETR {
		t.UETR = ""
	}
	if p.NoCreditorName {
		t.Creditor.Name = payments.Name{}
	}
	if p.IDs.Transfer != nil {
		p.IDs.Transfer(t, &in, p.Zone.In(now))
	}
	t.Remittance, _ = p.Text(t.Remittance)
	m := &Message{Header: p.NewHeader(in.Participant, p.Service, MsgTransfer, id, now), Transfer: t}
	if err := p.CheckMessage(m, ToService); err != nil {
		return nil, err
	}
	return m, nil
}

// party returns x in the rail's characters, its agent as the rail writes it.
func (p *Profile) party(x iso20022.Party) (iso20022.Party, error) {
	x.Agent = p.Agent(x.Agent.ID)
	if p.NoAddress {
		x.Address = iso20022.Address{}
	}
	for _, s := range []*string{&x.Address.Street, &x.Address.Building, &x.Address.PostCode, &x.Address.Town, &x.Address.Region} {
		*s, _ = p.Text(*s)
	}
	if s, changes := p.Text(x.Name.Reveal()); changes != nil {
		var err error
		if x.Name, err = payments.ParseName(s); err != nil {
			return x, err
		}
	}
	return x, nil
}

// AnswerInput is the answer of the creditor's bank to a pacs.008 it received.
type AnswerInput struct {
	Participant payments.AgentID // the answering bank
	Status      string           // AnswerYes, "RJCT" and what else the rail lets a participant say
	Reason      string           // ISO external status reason, with RJCT only
	Suffix      string           // as in TransferInput
	Now         time.Time
}

// NewAnswer makes the pacs.002 with which the creditor's bank answers the pacs.008 to.
func (p *Profile) NewAnswer(to *Message, in AnswerInput) (*Message, error) {
	if to == nil || to.Transfer == nil {
		return nil, errors.New("rail: an answer needs the pacs.008 it answers")
	}
	id, err := p.MessageID(in.Participant, in.Now, in.Suffix)
	if err != nil {
		return nil, err
	}
	s := p.NewReport(to.Transfer, id, in.Now)
	s.Status, s.Reason = in.Status, in.Reason
	s.Instructing, s.Instructed = p.Agent(in.Participant), p.Agent(p.Service)
	m := &Message{Header: p.NewHeader(in.Participant, p.Service, MsgStatus, id, in.Now), Status: s}
	if err := p.CheckMessage(m, ToService); err != nil {
		return nil, err
	}
	return m, nil
}

// NewReport returns a status report about t that names the original; status, reason and agents are the caller's to set.
func (p *Profile) NewReport(t *iso20022.CreditTransfer, id string, now time.Time) *iso20022.StatusReport {
	s := &iso20022.StatusReport{
		GroupLevel: p.GroupLevel,
		MessageID:  id, Created: p.time(now),
		OriginalMessageID: t.MessageID, OriginalMsgName: MsgTransfer, OriginalCreated: t.Created,
		OriginalInstruction: t.InstructionID, OriginalEndToEnd: t.EndToEndID, OriginalTransaction: t.TransactionID, OriginalUETR: t.UETR,
	}
	if p.OriginalByEndToEnd {
		s.OriginalMessageID, s.OriginalMsgName, s.OriginalCreated, s.OriginalTransaction = "", "", time.Time{}, ""
		s.OriginalInstruction = string(t.EndToEndID)
	}
	return s
}

// Duplicate returns the transfer m marked as sent before (CpyDplct DUPL), with nothing else changed, for a rail that wants this when no
// answer came. It fails on every other rail.
func (p *Profile) Duplicate(m *Message) (*Message, error) {
	if p.Recovery != ResendMarked {
		return nil, fmt.Errorf("rail: %s is not sent a transfer again with a mark: %s", p.Name, p.Recovery)
	}
	if m == nil || m.Transfer == nil {
		return nil, errors.New("rail: only a pacs.008 is sent again")
	}
	c := &Message{Header: m.Header, Transfer: m.Transfer}
	c.Header.CpyDplct = "DUPL"
	return c, nil
}

// ErrTooOld means that the rail takes no enquiry about a payment that old.
var ErrTooOld = errors.New("rail: the payment is too old for an enquiry")

// NewEnquiry makes the pacs.028 that asks for the status of a payment. It refuses an enquiry before the payment's deadline, and fails
// with ErrTooOld when the rail takes none any more. The question may be repeated, each time with its own suffix.
func (p *Profile) NewEnquiry(orig *iso20022.CreditTransfer, participant payments.AgentID, now time.Time, suffix string) (*Message, error) {
	if orig == nil {
		return nil, errors.New("rail: an enquiry needs the pacs.008 it asks about")
	}
	if p.Recovery != Ask {
		return nil, fmt.Errorf("rail: %s is not asked: %s", p.Name, p.Recovery)
	}
	if now.Before(orig.Created.Add(p.AnswerTimeout)) {
		return nil, errors.New("rail: no enquiry before the payment's deadline")
	}
	if p.EnquiryDays > 0 {
		first := now.UTC().AddDate(0, 0, 1-p.EnquiryDays).Truncate(24 * time.Hour)
		if orig.Created.UTC().Before(first) {
			return nil, ErrTooOld
		}
	}
	id, err := p.MessageID(participant, now, suffix)
	if err != nil {
		return nil, err
	}
	r := &iso20022.StatusRequest{
		GroupLevel: p.GroupLevel,
		MessageID:  id, Created: p.time(now),
		OriginalMessageID: orig.MessageID, OriginalMsgName: MsgTransfer, OriginalCreated: orig.Created,
		OriginalInstruction: orig.InstructionID, OriginalEndToEnd: orig.EndToEndID, OriginalTransaction: orig.TransactionID, OriginalUETR: orig.UETR,
		AcceptanceTime: orig.AcceptanceTime,
		Instructing:    p.Agent(participant), Instructed: p.Agent(p.Service),
	}
	m := &Message{Header: p.NewHeader(participant, p.Service, MsgRequest, id, now), Request: r}
	if err := p.CheckMessage(m, ToService); err != nil {
		return nil, err
	}
	return m, nil
}
