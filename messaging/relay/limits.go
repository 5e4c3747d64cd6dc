package relay

import (
	"net"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limits bounds what one address may do: connections at a time, new connections and new devices per second.
type limits struct {
	cfg   *Config
	mu    sync.Mutex
	total int
	addrs map[string]*addrLimit
}

type addrLimit struct {
	open     int
	connect  *rate.Limiter
	register *rate.Limiter
	used     time.Time
}

const addrsKnown = 50_000

func newLimits(cfg *Config) *limits { return &limits{cfg: cfg, addrs: map[string]*addrLimit{}} }

// enter counts a connection of the address in, or refuses it. The caller calls leave when it was not refused.
func (l *limits) enter(addr string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.of(addr)
	if l.total >= l.cfg.ConnectionsMax || a.open >= l.cfg.ConnectionsAddr || !a.connect.AllowN(a.used, 1) {
		return false
	}
	l.total++
	a.open++
	return true
}

func (l *limits) leave(addr string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	l.of(addr).open--
}

// mayRegister takes one from the address's budget of new devices.
func (l *limits) mayRegister(addr string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.of(addr)
	return a.register.AllowN(a.used, 1)
}

// of returns the limits of an address, and forgets idle ones when there are many. The caller holds mu.
func (l *limits) of(addr string) *addrLimit {
	now := time.Now()
	a := l.addrs[addr]
	if a == nil {
		if len(l.addrs) >= addrsKnown {
			for k, old := range l.addrs {
				if old.open == 0 && now.Sub(old.used) > time.Minute {
					delete(l.addrs, k)
				}
			}
		}
		a = &addrLimit{
			connect:  rate.NewLimiter(rate.Limit(l.cfg.ConnectRate), max(1, int(4*l.cfg.ConnectRate))),
			register: rate.NewLimiter(rate.Limit(l.cfg.RegisterRate), max(1, int(10*l.cfg.RegisterRate))),
		}
		l.addrs[addr] = a
	}
	a.used = now
	return a
}

// addrOf returns what counts as one address: a host, or the /64 network of an IPv6 host.
func addrOf(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
		return ip.Mask(net.CIDRMask(64, 128)).String()
	}
	return host
}
