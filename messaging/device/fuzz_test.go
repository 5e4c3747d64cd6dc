package device

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/content"
	"github.com/parleypay/parley/messaging/mls"
	"github.com/parleypay/parley/messaging/wire"
)

// FuzzDelivery gives a device every kind of body that a relay can deliver or hand out. The store must never fail for it, and a message
// that is thrown away must leave the group's rows as they were.
func FuzzDelivery(f *testing.F) {
	_, a, b, chat := pair(f)
	ctx := context.Background()
	undo := errors.New("undo")
	a.s.update(ctx, func(t *tx) error {
		m := content.Text("x")
		m.NewSalt()
		encoded, err := content.Encode(m)
		if err != nil {
			f.Fatal(err)
		}
		env, err := a.session(t, chat).Seal(encoded, nil)
		if err != nil {
			f.Fatal(err)
		}
		c, err := a.makeCommit(t, chat, change{})
		if err != nil {
			f.Fatal(err)
		}
		k, err := b.newKeyPackage(t, mls.XWingAES256GCM, false)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(wire.KindMessage), env)
		f.Add(byte(wire.KindCommit), c.Message)
		f.Add(byte(wire.KindWelcome), c.Message)
		f.Add(byte(0), k)
		return undo
	})
	a.halt()
	b.halt()
	f.Fuzz(func(t *testing.T, kind byte, body []byte) {
		checkClaimed(body, b.ID(), usableSuites)
		err := b.s.update(ctx, func(x *tx) error {
			var all [][]byte
			rowsOf := func() error {
				all = nil
				return x.rows(`SELECT k, v FROM mls ORDER BY k`, nil, func(scan func(...any) error) error {
					var k, v []byte
					err := scan(&k, &v)
					all = append(all, k, v)
					return err
				})
			}
			if err := rowsOf(); err != nil {
				return err
			}
			before := all
			r := &outcome{}
			for _, to := range []messaging.ChatID{chat, {1}} {
				if err := b.applyOne(x, r, wire.Kind(kind), to, 1, incoming{Body: body, Expires: 1 << 60}); err != nil {
					return err
				}
			}
			if err := rowsOf(); err != nil {
				return err
			}
			if r.received+r.commits == 0 && !slices.EqualFunc(before, all, bytes.Equal) {
				return errors.New("a body that was thrown away changed the group")
			}
			return undo
		})
		if !errors.Is(err, undo) {
			t.Fatal(err)
		}
	})
}
