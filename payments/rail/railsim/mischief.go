package railsim

import (
	"context"
	"time"

	"github.com/parleypay/parley/payments/rail"
)

// mischief is how a transport carries one message badly. What a message says is the core's business, how it travels is the
// transport's, and each transport does it with what it has. The zero mischief carries well.
type mischief struct {
	content  content
	carriage carriage
	pace     time.Duration // per byte, of carrySlow and of a carryReset that is slow too
	oversize bool          // oversizeBytes are added
}

// content is what stands where the rail's word belongs.
type content uint8

const (
	contentRail  content = iota // the rail's own
	contentHTML                 // a page for people, given as success
	contentOK                   // success outside, a refusal inside
	contentError                // the failure of something in between, though the rail has done its part
)

// carriage is how the bytes travel.
type carriage uint8

const (
	carryWell  carriage = iota
	carrySlow           // byte by byte
	carryReset          // half of them, then the connection is reset
	carryHang           // none of them, and the connection stays
)

// oversizeBytes is what an oversize message has beyond its own: far over any rail's limit.
const oversizeBytes = 10 << 20

// What stands where the rail's word belongs.
const (
	pageHTML   = "<!DOCTYPE html><html><head><title>Sign in</title></head><body><h1>Sign in to go on</h1></body></html>\n"
	textReject = "<Status><TxSts>RJCT</TxSts><Rsn><Cd>AC03</Cd></Rsn></Status>\n"
	textError  = "the service behind failed\n"
	textJunk   = "this is no message <"
)

// reply is what a transport is to say to a participant about a message that it brought.
type reply struct {
	err  error // nil: taken; errNotTaken, errThrottled: not looked at; else refused, with rail.Faults, or a failed store's
	how  mischief
	hold *hold // to wait for before a word is said; nil for none
}

// hold keeps a reply back until the participant has acknowledged the answer to its message, but not for ever.
type hold struct {
	heard chan struct{} // closed then
	most  time.Duration
}

// wait returns when the reply may be given, or ctx or the rail ends.
func (s *Sim) wait(ctx context.Context, h *hold) {
	if h == nil {
		return
	}
	expired := make(chan struct{})
	stop := s.clock.AfterFunc(h.most, func() { close(expired) })
	defer stop()
	select {
	case <-h.heard:
	case <-expired:
	case <-s.closed:
	case <-ctx.Done():
	}
}

// batch is what a transport is to deliver to a participant. With mischief it holds one message, and asked again the same message comes
// well.
type batch struct {
	deliveries []rail.Delivery
	how        mischief
}

// waiting is one message in a participant's queue.
type waiting struct {
	rail.Delivery
	how   mischief      // done at its first delivery; not kept over a restart
	heard chan struct{} // closed once it is acknowledged; nil for none
}
