package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/parleypay/parley/messaging/device"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/rail"
)

// collect reads the signed objects of the payment out of the clients while they are open.
func (st *stage) collect(ctx context.Context, id payments.IntentID) error {
	for actor, c := range map[string]interface {
		Evidence(context.Context, payments.IntentID) (map[string][]byte, error)
	}{actorPayer: st.payer, actorShop: st.shop} {
		objects, err := c.Evidence(ctx, id)
		if errors.Is(err, device.ErrNotFound) {
			continue // a request that its program did not make
		}
		if err != nil {
			return err
		}
		for name, jws := range objects {
			st.jws[actor+"."+name+".jws"] = jws
		}
	}
	return nil
}

// audit checks, after everything has stopped, what must be true whatever happened: the journals are whole, and the rail has moved the
// money once when the payment settled and not at all when it did not.
func (st *stage) audit(r *Result) error {
	for _, bank := range []string{actorPayerBank, actorShopBank} {
		err := func() error {
			j, err := journal.OpenSQLite(filepath.Join(st.dir, bank, "journal.db"))
			if err != nil {
				return err
			}
			defer j.Close()
			return j.Verify(context.Background())
		}()
		if err != nil {
			return fmt.Errorf("the journal of %s: %w", bank, err)
		}
	}
	executions := 0
	for _, p := range st.effects.Payments {
		if string(p.Intent) == r.Intent {
			executions += p.Executions
		}
	}
	want := 0
	if r.Settled() {
		want = 1
	}
	if executions != want {
		return fmt.Errorf("the payment is %s, but the rail has moved the money %d times", r.Status, executions)
	}
	r.Remarks = append(r.Remarks, fmt.Sprintf("The rail moved %s. The hash chains of both journals are whole.", times(executions)))
	return nil
}

func times(n int) string {
	switch n {
	case 0:
		return "no money"
	case 1:
		return "the money exactly once"
	}
	return fmt.Sprintf("the money %d times", n)
}

// evidence leaves the exact XML, the signed objects, the journals and the events in a directory:
//
//	xml/       AppHdr and Document of every message on the rail, as they were, to be validated by their namespace
//	wire/      the whole messages with the rail's own wrapper
//	signed/    request, payee check, mandate, receipt and credit, JWS in compact form
//	journal/   the journals of both connectors, SQLite
//	events.jsonl
func (st *stage) evidence(out string) error {
	for _, dir := range []string{"xml", "wire", "signed", "journal"} {
		if err := os.MkdirAll(filepath.Join(out, dir), 0o700); err != nil {
			return err
		}
	}
	for name, jws := range st.jws {
		if err := os.WriteFile(filepath.Join(out, "signed", name), jws, 0o600); err != nil {
			return err
		}
	}
	for _, bank := range []string{actorPayerBank, actorShopBank} {
		if err := copyFile(filepath.Join(out, "journal", bank+".db"), filepath.Join(st.dir, bank, "journal.db")); err != nil {
			return err
		}
	}
	if err := st.documents(out); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(out, "events.jsonl"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(f)
	for _, e := range st.events.all() {
		if err := enc.Encode(e); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return f.Close()
}

// documents splits the rail's archive into the schema-valid parts of each message.
func (st *stage) documents(out string) error {
	profile, err := rail.Lookup(st.world.Rail)
	if err != nil {
		return err
	}
	archive := filepath.Join(st.dir, "wire")
	files, err := os.ReadDir(archive)
	if err != nil {
		return err
	}
	for _, f := range files {
		wire, err := os.ReadFile(filepath.Join(archive, f.Name()))
		if err != nil {
			return err
		}
		base := strings.TrimSuffix(f.Name(), ".xml")
		if err := os.WriteFile(filepath.Join(out, "wire", base+".wire"), wire, 0o600); err != nil {
			return err
		}
		envelope := profile.In
		if strings.Contains(base, "-out-") {
			envelope = profile.Out
		}
		path := envelope.Path
		if len(envelope.Elements) > 0 {
			path = append(path[:len(path):len(path)], "*")
		}
		parts, err := iso20022.Split(wire, iso20022.Wrapper{Namespace: envelope.Namespace, Path: path})
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name(), err)
		}
		for part, b := range map[string][]byte{"AppHdr": parts.Header, "Document": parts.Document} {
			if err := os.WriteFile(filepath.Join(out, "xml", base+"."+part+".xml"), b, 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

// copyFile copies a file of a process that has stopped.
func copyFile(to, from string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close())
}
