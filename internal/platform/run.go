package platform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/parleypay/parley/internal/node"
	"github.com/parleypay/parley/internal/trace"
	"github.com/parleypay/parley/payments/rail/railsim"
)

// Platform is a world running in this process, on free loopback ports.
type Platform struct {
	World               World
	Dir                 string
	RelayURL, RailURL   string
	PayerBank, ShopBank string            // contacts
	Monitors            map[string]string // URL of each part's monitor, by actor

	stops []func() error // in the order in which nothing is lost
}

// Start writes the world's files into dir and runs all four parts. sink gets the parts' events and log
// their log lines; both may be nil.
func Start(ctx context.Context, w World, dir string, sink trace.Sink, log io.Writer) (p *Platform, err error) {
	p = &Platform{World: w, Dir: dir, Monitors: map[string]string{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Stop())
		}
	}()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return p, err
	}
	if err := w.WriteRail(dir); err != nil {
		return p, err
	}
	relay, err := run(ctx, p, node.Options{Trace: sink, Log: log}, Relay, node.ReadRelay, node.RunRelay)
	if err != nil {
		return p, err
	}
	rail, err := run(ctx, p, node.Options{Trace: sink, Log: log}, Rail, node.ReadRail, node.RunRail)
	if err != nil {
		return p, err
	}
	p.RelayURL, p.RailURL = relay.URL, rail.URL
	if err := w.WriteBank(dir, ShopBank, relay.URL, rail.URL, ""); err != nil {
		return p, err
	}
	shop, err := run(ctx, p, node.Options{Trace: sink, Log: log}, ShopBank, node.ReadBank, node.RunConnector)
	if err != nil {
		return p, err
	}
	if err := w.WriteBank(dir, PayerBank, relay.URL, rail.URL, shop.URL); err != nil {
		return p, err
	}
	payer, err := run(ctx, p, node.Options{Trace: sink, Log: log}, PayerBank, node.ReadBank, node.RunConnector)
	if err != nil {
		return p, err
	}
	p.PayerBank, p.ShopBank = payer.Contact, shop.Contact
	return p, nil
}

// run starts one part from its file and waits until it is ready. It keeps running after ctx has ended, until Stop.
func run[T any](ctx context.Context, p *Platform, o node.Options, name string, read func(string) (T, error), start func(context.Context, T, node.Options) error) (node.Ready, error) {
	config, err := read(filepath.Join(p.Dir, name+".yaml"))
	if err != nil {
		return node.Ready{}, err
	}
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ready, done := make(chan node.Ready, 1), make(chan error, 1)
	o.OnReady = func(r node.Ready) { ready <- r }
	go func() { done <- start(background, config, o) }()
	stop := func() error {
		cancel()
		if err := <-done; err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	}
	select {
	case r := <-ready:
		p.Monitors[name] = "http://" + r.Monitor
		p.stops = append([]func() error{stop}, p.stops...)
		return r, nil
	case err := <-done:
		cancel()
		return node.Ready{}, fmt.Errorf("%s ended: %w", name, err)
	case <-ctx.Done():
		return node.Ready{}, errors.Join(ctx.Err(), stop())
	case <-time.After(20 * time.Second):
		return node.Ready{}, errors.Join(fmt.Errorf("%s is not ready after 20 s", name), stop())
	}
}

// Stop drains and stops all parts: the connectors before rail and relay.
func (p *Platform) Stop() error {
	var errs []error
	for _, stop := range p.stops {
		errs = append(errs, stop())
	}
	p.stops = nil
	return errors.Join(errs...)
}

// Effects returns what the rail at railURL did: the truth about the money.
func Effects(ctx context.Context, railURL, token string) (out railsim.Effects, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, railURL+"/v1/effects", nil)
	if err != nil {
		return out, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return out, fmt.Errorf("the rail's audit page: %s", resp.Status)
	}
	return out, json.NewDecoder(io.LimitReader(resp.Body, 64<<20)).Decode(&out)
}
