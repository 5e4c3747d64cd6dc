package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/parleypay/parley/internal/demo"
	"github.com/parleypay/parley/internal/shared"
	"github.com/parleypay/parley/internal/trace"
	profiles "github.com/parleypay/parley/payments/rail/rails"
)

// TestMain lets the test binary be the parley program: the demo starts its parts by calling itself.
func TestMain(m *testing.M) {
	if os.Getenv("PARLEY_TEST_AS_MAIN") != "" {
		main()
	}
	os.Exit(m.Run())
}

// parley runs the program and returns its exit status and output.
func parley(args ...string) (status int, out, errs string) {
	exe, err := os.Executable()
	if err != nil {
		return -1, "", err.Error()
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), "PARLEY_TEST_AS_MAIN=1")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if _, ok := err.(*exec.ExitError); !ok {
			return -1, "", err.Error()
		}
	}
	return cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

// recovery holds what the payer's bank does without an answer, as each rail wants it. On Pix it is nothing.
var recovery = map[string][]string{
	"fednow":  {"payer-bank pacs.028 sent"},
	"sctinst": {"payer-bank pacs.028 sent", "payer-bank payer restored"},
	"rtp":     {"payer-bank pacs.008 sent again"},
}

type ended struct {
	trace.Event
	Scenario string `json:"scenario"`
}

// TestDemo plays every scenario on every rail and checks the exit status, the events, what is done about a silence, and the XML.
func TestDemo(t *testing.T) {
	want := map[string]struct {
		status int
		final  string
		seen   []string // "actor event" that must be there
		unseen []string
	}{
		"settle":                {exitOK, "settled", []string{"payer-bank mandate verified", "payer-bank journaled", "payer-bank pacs.008 sent", "shop credit opened", "shop receipt shown"}, []string{"payer-bank unknown"}},
		"reject":                {exitNotSettled, "rejected", []string{"payer-bank rejected", "shop-bank rejected"}, []string{"shop credit opened", "shop-bank credited"}},
		"silence-then-settled":  {exitOK, "settled", []string{"payer-bank unknown", "shop credit opened"}, nil},
		"silence-then-rejected": {exitNotSettled, "rejected", []string{"payer-bank unknown"}, []string{"shop credit opened"}},
		"decline":               {exitNotSettled, "declined", []string{"payer decline sent", "shop withdrawal opened"}, []string{"payer-bank journaled", "payer-bank pacs.008 sent"}},
		"expire":                {exitNotSettled, "expired", nil, []string{"payer-bank journaled", "payer-bank pacs.008 sent", "payer mandate sent"}},
		"wrong-payee":           {exitNotSettled, "declined", []string{"payer decline sent"}, []string{"payer mandate sent", "payer-bank pacs.008 sent"}},
		"duplicate-status":      {exitOK, "settled", []string{"shop credit opened"}, nil},
		"connector-crash":       {exitOK, "settled", []string{"payer-bank killed", "payer-bank restarted", "shop credit opened"}, nil},
	}
	if len(want) != len(strings.Split(demo.Scenarios(), ", ")) {
		t.Fatalf("the test knows %d scenarios, the demo has %s", len(want), demo.Scenarios())
	}
	var checks []func()
	slots := make(chan struct{}, 6) // plays mostly wait
	for name, w := range want {
		for _, rail := range profiles.Names() {
			if testing.Short() && name != "settle" {
				continue
			}
			dir := filepath.Join(t.TempDir(), name+"-"+rail)
			var status int
			var out, errs string
			played := make(chan struct{})
			go func() {
				defer close(played)
				slots <- struct{}{}
				defer func() { <-slots }()
				status, out, errs = parley("demo", "-json", "-scenario", name, "-rail", rail, "-out", dir)
			}()
			checks = append(checks, func() {
				t.Run(name+"/"+rail, func(t *testing.T) {
					<-played
					if status != w.status {
						t.Fatalf("exit status %d, want %d\n%s\n%s", status, w.status, errs, out)
					}
					seen, last := map[string]bool{}, ended{}
					for line := range strings.Lines(out) {
						last = ended{}
						if err := json.Unmarshal([]byte(line), &last); err != nil {
							t.Fatalf("%v in line %q", err, line)
						}
						if last.T.IsZero() || last.Actor == "" || last.Event.Event == "" {
							t.Fatalf("an event without time, actor or name: %s", line)
						}
						seen[last.Actor+" "+last.Event.Event] = true
					}
					if last.Status != w.final || last.Scenario != name || !strings.HasPrefix(last.Intent, "pi_") {
						t.Errorf("the last line has %+v, want status %s", last, w.final)
					}
					for _, event := range append(recovery[rail], "payer-bank pacs.028 sent", "payer-bank pacs.008 sent again", "payer-bank payer restored") {
						if wanted := strings.HasPrefix(name, "silence") && slices.Contains(recovery[rail], event); seen[event] != wanted {
							t.Errorf("%q: %v, want %v: that is not the rail's rule", event, seen[event], wanted)
						}
					}
					for _, event := range w.seen {
						if !seen[event] {
							t.Errorf("no event %q in\n%s", event, out)
						}
					}
					for _, event := range w.unseen {
						if seen[event] {
							t.Errorf("there is an event %q", event)
						}
					}
					if w.status != exitOK && !strings.Contains(errs, w.final) {
						t.Errorf("standard error does not give the reason: %q", errs)
					}
					checkEvidence(t, dir, rail, seen["payer-bank pacs.008 sent"])
				})
			})
		}
	}
	for _, check := range checks {
		check()
	}
}

// wrappers holds how a message on each rail begins.
var wrappers = map[string]string{
	"fednow": "<FedNow", "sctinst": "<InstantMessage xmlns=", "rtp": `<Message xmlns="urn:tch"`, "pix": `<Envelope xmlns="https://www.bcb.gov.br/pi/`,
}

// checkEvidence looks for all the evidence, checks every message by its rail's rules, and its ISO 20022 parts by xmllint where that is
// installed. (.ci/scenarios checks those of RTP as well, whose headers ISO's schema takes only with a zone added.)
func checkEvidence(t *testing.T, dir, rail string, sent bool) {
	t.Helper()
	for _, file := range []string{"journal/payer-bank.db", "journal/shop-bank.db", "events.jsonl", "signed/payer.request.jws"} {
		if info, err := os.Stat(filepath.Join(dir, file)); err != nil || info.Size() == 0 {
			t.Errorf("evidence %s: %v", file, err)
		}
	}
	profile, err := profiles.Lookup(rail)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := filepath.Glob(filepath.Join(dir, "wire", "*.xml"))
	if err != nil {
		t.Fatal(err)
	}
	if sent && len(messages) < 2 {
		t.Errorf("%d messages, want some", len(messages))
	}
	for _, file := range messages {
		wire, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		v, err := profile.Check(wire)
		if err != nil || !v.Valid() {
			t.Errorf("%s: %v %v", filepath.Base(file), v.Faults, err)
		}
		if _, after, ok := strings.Cut(string(wire), "?>"); !ok || !strings.HasPrefix(after, wrappers[rail]) {
			t.Errorf("%s does not begin with %s", filepath.Base(file), wrappers[rail])
		}
	}
	parts, err := filepath.Glob(filepath.Join(dir, "xml", "*.xml"))
	if err != nil {
		t.Fatal(err)
	}
	want := 2 * len(messages)
	if rail == "pix" { // nothing in them belongs to ISO 20022
		want = 0
	}
	if len(parts) != want {
		t.Errorf("%d parts of %d messages, want %d", len(parts), len(messages), want)
	}
	xmllint, err := exec.LookPath("xmllint")
	if err != nil {
		t.Logf("xmllint is not installed; %d parts were not validated by it", len(parts))
		return
	}
	schemas := shared.Path(t, "iso20022/xsd")
	byNamespace := map[string][]string{}
	for _, file := range parts {
		if rail == "rtp" && strings.HasSuffix(file, ".AppHdr.xml") {
			continue
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, after, ok := strings.Cut(string(raw), "urn:iso:std:iso:20022:tech:xsd:")
		if !ok {
			t.Errorf("%s has no namespace of ISO 20022", filepath.Base(file))
			continue
		}
		namespace, _, _ := strings.Cut(after, `"`)
		byNamespace[namespace] = append(byNamespace[namespace], file)
	}
	for namespace, files := range byNamespace {
		args := append([]string{"--noout", "--nonet", "--schema", filepath.Join(schemas, namespace+".xsd")}, files...)
		if out, err := exec.Command(xmllint, args...).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
}

// TestTranscript reads what a person sees.
func TestTranscript(t *testing.T) {
	status, out, errs := parley("demo", "-plain")
	if status != exitOK {
		t.Fatalf("exit status %d\n%s%s", status, errs, out)
	}
	for _, want := range []string{"chat with Example Coffee: post-quantum", "/buy flat white", "signed request", "MTCH", "mandate", "pacs.008", "pacs.002", "CREDITED", "receipt", "The time of each leg", "SETTLED", "exactly once"} {
		if !strings.Contains(out, want) {
			t.Errorf("the transcript does not show %q", want)
		}
	}
	if strings.Contains(out, "\x1b[") {
		t.Error("-plain prints colours")
	}
	for line := range strings.Lines(out) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 100 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if t.Failed() {
		t.Log("\n" + out)
	}
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args   []string
		status int
		want   string
	}{
		{nil, exitUsage, "usage: parley COMMAND"},
		{[]string{"help"}, exitOK, "usage: parley COMMAND"},
		{[]string{"dmeo"}, exitUsage, `no command "dmeo"`},
		{[]string{"demo", "-scenario", "nothing"}, exitFailed, "there is no scenario"},
		{[]string{"demo", "-rail", "pigeon"}, exitFailed, "there is no rail"},
		{[]string{"demo", "extra"}, exitUsage, "unexpected argument"},
		{[]string{"demo", "-json", "-interactive"}, exitFailed, "cannot play in JSON"},
		{[]string{"connector"}, exitUsage, "-config is required"},
		{[]string{"relay", "-config", "/nowhere.yaml"}, exitUsage, "/nowhere.yaml"},
		{[]string{"chat"}, exitUsage, "required"},
		{[]string{"bench"}, exitUsage, "bench pay|relay"},
		{[]string{"init", "-rail", "pigeon"}, exitFailed, "there is no rail"},
	} {
		var out, errs bytes.Buffer
		if status := run(c.args, strings.NewReader(""), &out, &errs); status != c.status || !strings.Contains(out.String()+errs.String(), c.want) {
			t.Errorf("parley %q: status %d, %q %q; want %d and %q", c.args, status, out.String(), errs.String(), c.status, c.want)
		}
	}
}

// TestInit checks that what parley init writes is what the parts accept, and that they name every fault with its key and line.
func TestInit(t *testing.T) {
	for _, rail := range profiles.Names() {
		dir := filepath.Join(t.TempDir(), "try")
		var out, errs bytes.Buffer
		if status := run([]string{"init", "-dir", dir, "-rail", rail}, nil, &out, &errs); status != exitOK {
			t.Fatal(errs.String())
		}
		if status := run([]string{"init", "-dir", dir}, nil, io.Discard, io.Discard); status != exitFailed {
			t.Error("init wrote into a directory that was there")
		}
		if strings.Contains(out.String(), "\nparley ") || !strings.Contains(out.String(), calledAs(os.Args[0])+" relay     --config "+dir) {
			t.Errorf("the commands do not call the program as it was called:\n%s", out.String())
		}
		relay := filepath.Join(dir, "relay.yaml")
		for part, file := range map[string]string{"relay": "relay.yaml", "rail": "rail.yaml"} {
			checkConfig(t, part, filepath.Join(dir, file), exitOK, "nothing is wrong")
		}
		checkConfig(t, "relay", badCopy(t, relay, "listen: 127.0.0.1:7410", "listen: 127.0.0.1:x", "127.0.0.1:7411", "0.0.0.0:7411"), exitUsage,
			"yaml:1: listen: the port must be a number", "yaml:2: monitor: must be a loopback address")
		checkConfig(t, "rail", badCopy(t, filepath.Join(dir, "rail.yaml"), "rail: ", "rail: x", "127.0.0.1:7421", "0.0.0.0:7421"), exitUsage,
			"monitor: must be a loopback address", "rail: no profile")
		for _, bank := range []string{"payer-bank", "shop-bank"} {
			file := filepath.Join(dir, bank+".yaml")
			checkConfig(t, "connector", file, exitOK, "nothing is wrong")
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			bad := strings.NewReplacer("name: Bank", "nam: Bank", "profile: ", "profile: x", "role: pay", "role: play", `balance: "1000.00"`, `balance: "1e3"`).Replace(string(raw))
			if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
				t.Fatal(err)
			}
			checkConfig(t, "connector", file, exitUsage, "yaml:2: nam: unknown key (did you mean name?)", "name: is required", "rail.profile:", "codes[0].role:", "accounts[0].balance:")
			if err := os.Chmod(filepath.Join(dir, bank+".token"), 0o644); err != nil {
				t.Fatal(err)
			}
			checkConfig(t, "connector", file, exitUsage, "may be read by others")
		}
	}
}

// badCopy writes the file with some of its text replaced, beside it.
func badCopy(t *testing.T, file string, replace ...string) string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	bad := strings.TrimSuffix(file, ".yaml") + "-bad.yaml"
	if err := os.WriteFile(bad, []byte(strings.NewReplacer(replace...).Replace(string(raw))), 0o600); err != nil {
		t.Fatal(err)
	}
	return bad
}

func checkConfig(t *testing.T, part, file string, want int, texts ...string) {
	t.Helper()
	var out, errs bytes.Buffer
	status := run([]string{part, "-check-config", "-config", file}, nil, &out, &errs)
	said := out.String() + errs.String()
	if status != want {
		t.Errorf("%s: status %d, want %d: %s", file, status, want, said)
	}
	for _, text := range texts {
		if !strings.Contains(said, text) {
			t.Errorf("%s: %q is not in\n%s", file, text, said)
		}
	}
}

func TestNewCode(t *testing.T) {
	var out bytes.Buffer
	if status := run([]string{"connector", "-new-code"}, nil, &out, io.Discard); status != exitOK {
		t.Fatal(status)
	}
	var code, hash string
	if _, err := fmt.Sscanf(out.String(), "for the customer: %s\nfor the bank's file: code_hash: %q", &code, &hash); err != nil {
		t.Fatalf("%v in %q", err, out.String())
	}
	if len(code) != 19 || !strings.HasPrefix(hash, "sha-256:") || strings.Contains(hash, code) {
		t.Fatalf("%q %q", code, hash)
	}
}
