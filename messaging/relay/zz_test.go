package relay

import (
	"fmt"
	"github.com/nats-io/nats.go"
	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/wire"
	"testing"
	"time"
)

func TestZZ(t *testing.T) {
	x := start(t, Config{})
	for _, n := range []int{1, 2, 10, 100} {
		b := time.Now()
		for i := range 20 {
			var ms []*nats.Msg
			for k := range n {
				m := nats.NewMsg(fmt.Sprintf("kp.%d", i*1000+k))
				m.Data = make([]byte, 1024)
				ms = append(ms, m)
			}
			if _, err := x.r.store.publish(ms); err != nil {
				t.Fatal(err)
			}
		}
		t.Log("batch", n, time.Since(b)/20)
	}
	b := time.Now()
	for i := range 20 {
		done := make(chan error, 1)
		x.r.store.confirm(streamKP, uint64(i+10000), func(e error) { done <- e })
		<-done
	}
	t.Log("mark", time.Since(b)/20)
	c := x.dial(newKey())
	g := messaging.NewChatID()
	b = time.Now()
	for i := range uint64(20) {
		c.write(&wire.Commit{Req: 1, ID: randomID(), Group: g, Prev: i, Body: []byte("x"), To: []messaging.DeviceID{c.Device}})
		want[*wire.Accepted](c)
	}
	t.Log("commit", time.Since(b)/20)
	b = time.Now()
	for range 20 {
		c.write(c.message(c.Device, "x"))
		want[*wire.Accepted](c)
	}
	t.Log("send", time.Since(b)/20)
}
