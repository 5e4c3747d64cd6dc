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
//	wire/      every message on the rail, byte for byte, in the rail's own wrapper
//	xml/       its AppHdr and Document alone, to be validated by their namespace; not on Pix, which has a namespace of its own
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

// documents copies the rail's archive, and takes the ISO 20022 parts out of it.
func (st *stage) documents(out string) error {
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
		if err := os.WriteFile(filepath.Join(out, "wire", f.Name()), wire, 0o600); err != nil {
			return err
		}
		parts, err := isoParts(wire)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name(), err)
		}
		for part, b := range parts {
			name := strings.TrimSuffix(f.Name(), ".xml") + "." + part + ".xml"
			if err := os.WriteFile(filepath.Join(out, "xml", name), b, 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

// isoParts returns the AppHdr and the Document of a wire message, each as a document of its own. Where the rail has put their content
// into elements of its own (RTP), they are made anew around it. A message that has nothing of an ISO 20022 namespace (Pix) has none.
func isoParts(wire []byte) (map[string][]byte, error) {
	tree, err := iso20022.Parse(wire)
	if err != nil {
		return nil, err
	}
	parts := map[string][]byte{}
	var look func(e iso20022.Element)
	look = func(e iso20022.Element) {
		if e.Definition() != "" {
			parts[e.Name()] = e.Part()
			return
		}
		var content []byte
		namespace := ""
		for c := range e.Children() {
			if c.Definition() == "" || c.Name() == "AppHdr" || c.Name() == "Document" {
				look(c)
				continue
			}
			namespace, content = c.Namespace(), append(content, c.Part()...)
		}
		if content != nil {
			name := "Document"
			if e.Name() == "AppHdr" {
				name = "AppHdr"
			}
			parts[name] = fmt.Appendf(nil, `<%[1]s xmlns="%[2]s">%[3]s</%[1]s>`, name, namespace, content)
		}
	}
	look(tree.Root())
	return parts, nil
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
