package sdk

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/mls"
)

// TestChatAndSafetyCode has two people compare digits, rightly and wrongly.
func TestChatAndSafetyCode(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	id, err := s.payer.ChatWith(ctx, s.payee.ID())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.payer.SendText(ctx, id, "hello", SendOptions{}); err != nil {
		t.Fatal(err)
	}
	<-s.payee.text // now it is a member, too
	mine, err1 := s.payer.Chat(ctx, id)
	theirs, err2 := s.payee.Chat(ctx, id)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if mine.Suite != mls.XWingAES256GCM || mine.SafetyCode != theirs.SafetyCode || len(strings.Fields(mine.SafetyCode)) != 6 || len(mine.Members) != 2 {
		t.Fatalf("%+v\n%+v", mine, theirs)
	}
	other := func() Member {
		c, err := s.payer.Chat(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		return c.Members[slices.IndexFunc(c.Members, func(m Member) bool { return !m.Own })]
	}
	if m := other(); m.Verified || m.Device != s.payee.ID() || m.Name == "" {
		t.Fatalf("%+v before anybody compared", m)
	}
	wrong := []byte(theirs.SafetyCode)
	wrong[0] = '0' + (wrong[0]-'0'+1)%10
	for _, code := range []string{"", string(wrong), theirs.SafetyCode[:34], theirs.SafetyCode + "0"} {
		if err := s.payer.Verify(ctx, id, s.payee.ID(), code); !errors.Is(err, ErrSafetyCode) {
			t.Fatalf("%q: %v", code, err)
		}
	}
	for _, who := range []messaging.DeviceID{{1}, s.payer.ID(), s.bank.ID()} {
		if err := s.payer.Verify(ctx, id, who, theirs.SafetyCode); !errors.Is(err, ErrNotFound) {
			t.Fatalf("verified who is no other member: %v", err)
		}
	}
	if other().Verified {
		t.Fatal("verified by a wrong code")
	}
	if err := s.payer.Verify(ctx, id, s.payee.ID(), strings.ReplaceAll(theirs.SafetyCode, " ", "  ")); err != nil || !other().Verified {
		t.Fatal(err)
	}
	chats, err := s.payer.Chats(ctx)
	if err != nil || len(chats) == 0 {
		t.Fatal(len(chats), err)
	}
	if _, err := s.payer.Chat(ctx, messaging.ChatID{1}); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
}
