// Package terminal lets a person chat and pay line by line: what is typed goes to a client, what happens is printed.
//
// It decides nothing and keeps nothing; an sdk.Client does.
package terminal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/content"
	"github.com/parleypay/parley/messaging/mls"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/sdk"
)

// Session is one person at one terminal. Fields are set before Run and not changed after.
type Session struct {
	Client *sdk.Client
	In     io.Reader
	Out    io.Writer
	Chat   messaging.ChatID  // where text goes at first; zero: /open chooses
	Sent   func(text string) // is told of each text sent; may be nil
	Quiet  bool              // somebody else prints what arrives
	Secret string            // a line that is never sent: the passphrase, typed where none was asked for; empty: none

	mu      sync.Mutex // guards what follows, and Out
	current messaging.ChatID
	pending payments.IntentID // the latest request
	lines   chan string
}

// ErrQuit is what Run returns when the person left or the input ended.
var ErrQuit = errors.New("terminal: the person left")

const help = `  /open ADDRESS   open a chat with a device and make it the current one
  /pay            ask your bank who is to be paid, and show the request
  /approve        pay the request that was shown (/approve anyway: despite "no match")
  /decline [WHY]  refuse it; WHY is one word
  /status         what is known of the latest payment
  /members        who is in the current chat, and how it is encrypted
  /code           the chat's safety code: if it is the same on the other's screen, nobody sits in between
  /verify DIGITS  note that you have compared it: DIGITS are those of the other's screen
  /me             your own address
  /help, /quit
  anything else is sent to the current chat, such as /buy flat white`

// Run reads lines until the input ends, the person quits or ctx does.
func (s *Session) Run(ctx context.Context) error {
	s.mu.Lock()
	s.current = s.Chat
	s.mu.Unlock()
	if err := s.resume(ctx); err != nil {
		return err
	}
	s.lines = make(chan string)
	go func() {
		defer close(s.lines)
		scan := bufio.NewScanner(s.In)
		scan.Buffer(nil, 16<<10)
		for scan.Scan() {
			select {
			case s.lines <- scan.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		line, err := s.Ask(ctx, "")
		if err != nil {
			return err
		}
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if err := s.do(ctx, line); err != nil {
			if errors.Is(err, ErrQuit) || ctx.Err() != nil {
				return err
			}
			s.print("! %v", err)
		}
	}
}

// resume finds the latest request that came in an earlier run.
func (s *Session) resume(ctx context.Context) error {
	if s.Client == nil {
		return nil
	}
	latest, err := s.Client.Payments(ctx, 20)
	if err != nil {
		return err
	}
	for _, p := range latest {
		if p.Role != sdk.Payer {
			continue
		}
		s.mu.Lock()
		fresh := s.pending == ""
		if fresh {
			s.pending = p.Intent
		}
		s.mu.Unlock()
		if fresh && !p.Status.Terminal() {
			s.print("%s", Describe(p))
		}
		return nil
	}
	return nil
}

// Ask prints a question and returns the next line. Only what Run calls may use it, such as an Unlock of the client.
func (s *Session) Ask(ctx context.Context, question string) (string, error) {
	if question != "" {
		s.print("%s", question)
	}
	select {
	case line, ok := <-s.lines:
		if !ok {
			return "", ErrQuit
		}
		return line, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// AskSecret is Ask for what nobody should read over the person's shoulder: a terminal does not show it while it is typed.
func (s *Session) AskSecret(ctx context.Context, question string) (string, error) {
	defer silence(s.In)()
	return s.Ask(ctx, question)
}

func (s *Session) print(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.Out, format+"\n", args...)
}

func (s *Session) do(ctx context.Context, line string) error {
	word, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	s.mu.Lock()
	chat, pending := s.current, s.pending
	s.mu.Unlock()
	switch word {
	case "/quit":
		return ErrQuit
	case "/help":
		s.print("%s", help)
		return nil
	case "/me":
		s.print("  %s", s.Client.ID())
		return nil
	case "/open":
		return s.open(ctx, rest)
	case "/pay", "/approve", "/decline", "/status":
		if pending == "" {
			return errors.New("nobody has asked for money yet")
		}
		return s.pay(ctx, word, rest, pending)
	}
	if chat == (messaging.ChatID{}) {
		return errors.New("no chat is open; /open ADDRESS opens one, /help says more")
	}
	switch word {
	case "/members", "/code", "/verify":
		return s.look(ctx, word, rest, chat)
	}
	if s.Secret != "" && line == strings.TrimSpace(s.Secret) {
		return errors.New("that is your passphrase; it was not sent")
	}
	if s.Sent != nil {
		s.Sent(line)
	}
	return s.Client.SendText(ctx, chat, line, sdk.SendOptions{})
}

func (s *Session) open(ctx context.Context, address string) error {
	peer, err := messaging.ParseDeviceID(address)
	if err != nil {
		return fmt.Errorf("an address has 40 hexadecimal digits: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	chat, err := s.Client.ChatWith(ctx, peer)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.current = chat
	s.mu.Unlock()
	opened, err := s.Client.Chat(ctx, chat)
	if err != nil {
		return err
	}
	s.print("  the chat is open, encrypted end to end: %s", Encryption(opened.Suite))
	return nil
}

// look shows who is in the chat and how it is encrypted, or notes that its safety code was compared.
func (s *Session) look(ctx context.Context, word, rest string, id messaging.ChatID) error {
	chat, err := s.Client.Chat(ctx, id)
	if err != nil {
		return err
	}
	switch word {
	case "/members":
		s.print("%s", DescribeChat(chat))
		return nil
	case "/code":
		s.print("  %s\n  the same digits on the other's screen: nobody sits in between; then /verify them", chat.SafetyCode)
		return nil
	}
	var other []sdk.Member
	for _, m := range chat.Members {
		if !m.Own {
			other = append(other, m)
		}
	}
	if len(other) != 1 { // with more, the digits do not say whose screen they are from
		return errors.New("/verify is for chats of two")
	}
	if err := s.Client.Verify(ctx, id, other[0].Device, rest); err != nil {
		return err
	}
	s.print("  %s is verified", content.Clean(other[0].Name))
	return nil
}

// Encryption says how a chat is encrypted. What is not post-quantum stands out.
func Encryption(suite mls.CipherSuite) string {
	if suite.PostQuantum() {
		return "post-quantum (" + suite.String() + ")"
	}
	return "CLASSICAL: a later quantum computer can read what is recorded today (" + suite.String() + ")"
}

// DescribeChat says who is in a chat, and how it is encrypted.
func DescribeChat(c sdk.Chat) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %s", Encryption(c.Suite))
	for _, m := range c.Members {
		fmt.Fprintf(&b, "\n  %s  %s", m.Device, content.Clean(m.Name))
		switch {
		case m.Own:
			b.WriteString(" (you)")
		case m.Verified:
			b.WriteString(" (verified)")
		default:
			b.WriteString(" (not verified; /code)")
		}
	}
	return b.String()
}

func (s *Session) pay(ctx context.Context, word, rest string, id payments.IntentID) error {
	switch word {
	case "/decline":
		if strings.ContainsAny(rest, " \t") {
			return errors.New("give the reason as one word, such as too-late")
		}
		return s.Client.Decline(ctx, id, rest)
	case "/approve":
		if p, err := s.Client.Payment(ctx, id); err == nil && p.Check == nil && !p.Status.Terminal() {
			return errors.New("look at it first: /pay asks your bank who is to be paid")
		}
		err := s.Client.Approve(ctx, id, sdk.ApproveOptions{DespiteNoMatch: rest == "anyway"})
		if errors.Is(err, sdk.ErrNoMatch) {
			return errors.New("the account is not the payee's; /decline, or, if you know better, /approve anyway")
		}
		return err
	case "/pay":
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		if _, err := s.Client.Check(ctx, id); err != nil {
			return err
		}
	}
	p, err := s.Client.Payment(ctx, id)
	if err != nil {
		return err
	}
	s.print("%s", Describe(p))
	return nil
}

// ShowText prints a text of somebody else. It is the client's OnText.
func (s *Session) ShowText(_ context.Context, t sdk.Text) error {
	if !s.Quiet {
		s.print("%s: %s", content.Clean(t.Sender.Name), t.Body)
	}
	return nil
}

// ShowPayment prints what happened to a payment. It is the client's OnPayment.
func (s *Session) ShowPayment(_ context.Context, p sdk.Payment) error {
	s.mu.Lock()
	if p.News == sdk.NewsRequested {
		s.pending = p.Intent
	}
	s.mu.Unlock()
	if s.Quiet {
		return nil
	}
	switch p.News {
	case sdk.NewsRequested:
		s.print("%s\n  /pay to look into it, /decline to refuse", Describe(p))
	case sdk.NewsRefused:
		s.print("  your bank refused: %s", p.Refusal.Text)
	case sdk.NewsStatus, sdk.NewsCredited:
		s.print("  payment of %s: %s", p.Amount, Status(p))
	}
	return nil
}

// accountText spells an account as people of its rail know it: on Pix, where banks have ISPBs, number, branch and tax id are told apart.
func accountText(a payments.Account, agent payments.AgentID) string {
	x, err := payments.ParsePixAccount(a)
	if err != nil || len(agent) != 8 || agent.IsBIC() {
		return a.Reveal()
	}
	text := x.Number + " (" + x.Type + ")"
	if x.Branch != "" {
		text += ", branch " + x.Branch
	}
	kind := "CPF"
	if len(x.Holder) == 14 {
		kind = "CNPJ"
	}
	return text + ", of " + kind + " " + x.Holder
}

// Describe says in a few lines what a payment is about: the lines a person must see before approving.
func Describe(p sdk.Payment) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %s asks for %s", content.Clean(p.Creditor.Name.Reveal()), p.Amount)
	if title := p.Title(); title != "" {
		fmt.Fprintf(&b, " for %s", content.Clean(title))
	}
	fmt.Fprintf(&b, "\n  account %s at %s, until %s", accountText(p.Creditor.Account, p.Creditor.Agent), p.Creditor.Agent, p.Expires.Local().Format(time.TimeOnly))
	if p.Check != nil {
		fmt.Fprintf(&b, "\n  %s", CheckText(*p.Check))
	}
	fmt.Fprintf(&b, "\n  %s", Status(p))
	return b.String()
}

// CheckText says what a payee check found.
func CheckText(c intent.PayeeCheck) string {
	switch c.Result {
	case intent.Match:
		return "your bank says: the account is the payee's (MTCH)"
	case intent.CloseMatch:
		return "your bank says: the account is of " + content.Clean(c.MatchedName.Reveal()) + " (CMTC); is that whom you mean?"
	case intent.NoMatch:
		return "YOUR BANK SAYS: THE ACCOUNT IS NOT THE PAYEE'S (NMTC)"
	}
	return "your bank could not find out whose account it is (NOAP)"
}

// Status says where a payment stands, in words that are safe to act on.
func Status(p sdk.Payment) string {
	text := string(p.Status)
	switch p.Status {
	case "presented":
		text = "nothing is approved"
		if p.Approved {
			text = "approved; your bank has not answered yet"
		}
	case "unknown":
		text = "not confirmed, being checked by your bank; do not pay again"
	}
	if p.Reason != "" {
		text += " (" + content.Clean(p.Reason)
		if says, ok := reasons[p.Reason]; ok {
			text += ": " + says
		}
		text += ")"
	}
	return text
}

// reasons says the codes that a payer meets most (ISO 20022 ExternalStatusReason1Code) in words.
var reasons = map[string]string{
	"AB05": "the payee's bank did not answer in time",
	"AB08": "the payee's bank is not reachable",
	"AC03": "the payee's account does not exist",
	"AC04": "the payee's account is closed",
	"AC06": "the payee's account is blocked",
	"AM02": "the amount is over the limit",
	"AM04": "not enough money",
	"AM23": "not enough money",
	"RC07": "the payee's bank is not on this rail",
	"RC10": "the payee's bank is not on this rail",
	"TM01": "too late",
}
