package mls_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/parleypay/parley/messaging/mls"
)

// FuzzProcess gives a member of a real group whatever a relay could: it refuses, and has then written nothing and is as it was.
func FuzzProcess(f *testing.F) {
	list, members := mutationTargets(f, suite1)
	ben := members[1]
	for _, tt := range list {
		f.Add(tt.message)
	}
	authenticator := ben.group.EpochAuthenticator()
	f.Fuzz(func(t *testing.T, message []byte) {
		tx := ben.store.Begin(ben.id)
		defer tx.Rollback()
		watched := &watchedTx{Tx: tx}
		event, err := ben.group.Process(watched, message)
		if err == nil { // a seed: dropped with the transaction, and with it the group that saw it
			if event == nil {
				t.Fatal("neither an event nor an error")
			}
			ben.t = t
			tx.Rollback()
			ben.reload()
			return
		}
		if event != nil || watched.writes != 0 {
			t.Fatalf("%v after %d writes, and %T", err, watched.writes, event)
		}
		if !bytes.Equal(authenticator, ben.group.EpochAuthenticator()) || len(ben.group.Proposals()) != 0 {
			t.Fatal("the group has changed")
		}
	})
}

// FuzzEnter gives somebody who is to enter a group a Welcome or GroupInfo, and a member a key package to add.
func FuzzEnter(f *testing.F) {
	list, _ := mutationTargets(f, suite1)
	var ways []target
	for _, tt := range list {
		switch tt.name {
		case "welcome", "group info", "key package":
			f.Add(uint8(len(ways)), tt.message)
			ways = append(ways, tt)
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, message []byte) {
		tt := ways[int(kind)%len(ways)]
		if tt.by.group == nil && tt.name == "key package" {
			tt.by.t = t
			tt.by.reload()
		}
		tx := tt.by.store.Begin(tt.by.id)
		defer tx.Rollback()
		watched := &watchedTx{Tx: tx}
		if err := tt.take(watched, message); err != nil && watched.writes != 0 {
			t.Fatalf("%v after %d writes", err, watched.writes)
		}
	})
}

// FuzzPublicGroup gives an outsider's view messages and stored states.
func FuzzPublicGroup(f *testing.F) {
	list, members := mutationTargets(f, suite1)
	raw, err := members[0].group.GroupInfo(mls.GroupInfoOptions{})
	if err != nil {
		f.Fatal(err)
	}
	o := mls.PublicGroupOptions{Identity: openIdentity{}, Now: func() time.Time { return start }}
	view, err := mls.NewPublicGroup(parse(f, raw).GroupInfo, nil, o)
	if err != nil {
		f.Fatal(err)
	}
	state, err := view.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint8(1), state)
	f.Add(uint8(2), raw)
	for _, tt := range list {
		f.Add(uint8(0), tt.message)
	}
	f.Fuzz(func(t *testing.T, kind uint8, b []byte) {
		switch kind % 3 {
		case 0:
			event, err := view.Process(b)
			if (event == nil) == (err == nil) {
				t.Fatal(event, err)
			}
			if after, _ := view.Marshal(); !bytes.Equal(after, state) {
				t.Fatal("the view has changed")
			}
		case 1:
			if g, err := mls.ParsePublicGroup(b, o); err == nil {
				again, err := g.Marshal()
				if err != nil || !bytes.Equal(again, b) {
					t.Fatalf("%x was written as %x, %v", b, again, err)
				}
			}
		case 2:
			if m, err := mls.ParseMLSMessage(b); err == nil && m.GroupInfo != nil {
				_, _ = mls.NewPublicGroup(m.GroupInfo, nil, o)
			}
		}
	})
}

// FuzzParseKey: a key that is read is written to the same octets.
func FuzzParseKey(f *testing.F) {
	f.Add([]byte{})
	f.Add(mls.Key{Row: mls.RowHead, Epoch: 1 << 40, Index: 7, Ratchet: mls.RatchetApplication, Generation: 9}.Append(nil))
	f.Add(mls.Key{Row: mls.RowKeyPackage, ID: "reference"}.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := mls.ParseKey(b)
		if err == nil && !bytes.Equal(k.Append(nil), b) {
			t.Fatalf("%x was read as %+v", b, k)
		}
	})
}
