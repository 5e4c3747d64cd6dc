package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/internal/trace"
)

func TestMonitorIsForTheMachineOnly(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "192.0.2.1:80", "example.net:80", "127.0.0.1", "[::]:0"} {
		if m, err := startMonitor(addr, nil, nil, nil); err == nil {
			m.stop()
			t.Errorf("a monitor on %q", addr)
		}
	}
	if m, err := startMonitor("", nil, nil, nil); m != nil || err != nil || m.addr() != "" {
		t.Error("no address means no monitor", err)
	}
}

func TestMonitorAnswers(t *testing.T) {
	var problem error
	m, err := startMonitor("127.0.0.1:0", func() error { return problem }, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer m.stop()
	get := func(path string) (int, string) {
		resp, err := http.Get("http://" + m.addr() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	if status, _ := get("/readyz"); status != http.StatusOK {
		t.Error("not ready:", status)
	}
	problem = errors.New("the rail is away")
	if status, body := get("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "the rail is away") {
		t.Error(status, body)
	}
	if status, _ := get("/healthz"); status != http.StatusOK {
		t.Error("a part that is not ready is alive all the same:", status)
	}
	if status, _ := get("/metrics"); status != http.StatusNotFound {
		t.Error("metrics without a registry:", status)
	}
}

func TestSecretFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if got, err := oneSecret(write("good", "# comment\n\n secret \n", 0o600)); err != nil || got != "secret" {
		t.Error(got, err)
	}
	for name, path := range map[string]string{
		"readable by others": write("open", "secret", 0o644),
		"empty":              write("empty", "\n#x\n", 0o600),
		"two":                write("two", "a\nb\n", 0o600),
		"huge":               write("huge", strings.Repeat("x", 65<<10), 0o600),
		"missing":            filepath.Join(dir, "none"),
	} {
		if _, err := oneSecret(path); err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), "secret") && name != "missing" {
			t.Errorf("%s: the secret is in the error: %v", name, err)
		}
	}
}

func TestSigningKeyStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "connector.key")
	first, err := signingKey(path)
	if err != nil {
		t.Fatal(err)
	}
	second, err := signingKey(path)
	if err != nil || !first.Equal(second) {
		t.Fatal("the bank's key changed", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal("the key can be read by others", err)
	}
	if err := os.WriteFile(path, []byte("abc\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := signingKey(path); err == nil || strings.Contains(err.Error(), "abc") {
		t.Fatalf("a damaged key: %v", err)
	}
}

func TestJSONLines(t *testing.T) {
	var out bytes.Buffer
	o := JSONLines(&out)
	o.Trace.Emit(trace.Event{Actor: "a", Event: "b"})
	o.ready(Ready{Part: "relay", URL: "ws://x"})
	var lines []Line
	dec := json.NewDecoder(&out)
	for {
		var l Line
		if err := dec.Decode(&l); err != nil {
			break
		}
		lines = append(lines, l)
	}
	if len(lines) != 2 || lines[0].Event == nil || lines[0].Event.Event != "b" || lines[1].Ready == nil || lines[1].Ready.URL != "ws://x" {
		t.Fatalf("%+v", lines)
	}
}

func TestUntilClosed(t *testing.T) {
	r, w := io.Pipe()
	ctx, cancel := UntilClosed(context.Background(), r)
	defer cancel()
	w.Close()
	select {
	case <-ctx.Done():
	case <-time.After(5 * time.Second):
		t.Fatal("the parent has gone and the child goes on")
	}
}

func TestRelativePathsStartAtTheFile(t *testing.T) {
	a, b, c := "store", "/abs", ""
	beside("/etc/parley/bank.yaml", &a, &b, &c)
	if a != "/etc/parley/store" || b != "/abs" || c != "" {
		t.Error(a, b, c)
	}
}

// TestEverythingWrongIsSaid checks that a wrong key does not hide a wrong value, for both parts whose values somebody else checks.
func TestEverythingWrongIsSaid(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	_, err := ReadRail(write("rail.yaml", "listen: 127.0.0.1:0\nrail: fednow\nparticipants:\n  - {id: \"1\", token: a, prefundd: \"1\"}\nrules: [{action: {do: dance}}]\nmonitor: 0.0.0.0:1\n"))
	wantAll(t, err, "rail.yaml:4: participants[0].prefundd: unknown key", "rail.yaml:4: participants[0].id:", "rail.yaml:4: participants[0].token:", "rail.yaml:5: rules[0].action:", "rail.yaml:6: monitor:")
	_, err = ReadRelay(write("relay.yaml", "lisen: x\nstore: here\nmonitor: 0.0.0.0:1\nttl_max: 1ms\ntokens_file: none\n"))
	wantAll(t, err, "relay.yaml: listen: is required", "relay.yaml:1: lisen: unknown key", "relay.yaml:3: monitor:", "ttl_max must be", "relay.yaml:5: tokens_file:")
}

// TestQueuesConfiguration checks what the files say of queues: all that is wrong, at its key, and no secret in it.
func TestQueuesConfiguration(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("password", "hunter2\n")
	railText := "listen: 127.0.0.1:0\nrail: fednow\ntransport: amqp\nqueues:\n  url: %s\n  user: rail\n  password_file: password\n  from_participants: q\n" +
		"  participants: {%s}\nparticipants:\n  - {id: \"021040078\", prefunded: \"1.00\"}\nrules: [{action: {do: %s}}]\n"
	f, err := ReadRail(write("rail.yaml", fmt.Sprintf(railText, "amqp://127.0.0.1:5672", "\"021040078\": /queue/a", "late")))
	if err != nil || f.queues.Broker.Password != "hunter2" || len(f.queues.Participants) != 1 {
		t.Errorf("%v %d", err, len(f.queues.Participants))
	}
	_, err = ReadRail(write("rail.yaml", fmt.Sprintf(railText, "amqp://192.0.2.1", "\"091000019\": /queue/a", "hang")))
	wantAll(t, err, "rail.yaml:4: queues: without TLS", "rail.yaml:4: queues: participants.091000019: not on this rail", "rail.yaml:4: queues: rules[0].action: do: hang")
	_, err = ReadRail(write("rail.yaml", strings.Replace(fmt.Sprintf(railText, "amqp://127.0.0.1", "", "late"), "transport: amqp", "transport: smtp", 1)))
	wantAll(t, err, "rail.yaml:3: transport: must be http or amqp", "rail.yaml:4: queues: is for transport: amqp")
	bankText := "agent: \"021040078\"\nname: A\nstore: s\nrelay: {url: \"ws://127.0.0.1:1\"}\nrail: {profile: fednow, url: %q%s}\n"
	b, err := ReadBank(write("bank.yaml", fmt.Sprintf(bankText, "amqp://127.0.0.1:5672", ", transport: amqp, token_file: password, to_service: a, from_service: b")))
	if err != nil {
		t.Error(err)
	} else if transport, hangUp, err := b.dialRail(); err != nil || transport == nil || hangUp() != nil || b.broker.User != "021040078" {
		t.Errorf("%v %q", err, b.broker.User)
	}
	for rest, want := range map[string]string{
		", transport: amqp, token_file: password, to_service: a":               "address to receive from",
		", transport: amqp, to_service: a, from_service: b":                    "password or a client certificate",
		", transport: amqp, to_service: a, from_service: b, cert_file: x":      "both cert_file and key_file",
		", transport: amqp, to_service: a, from_service: b, ca_file: password": "holds no certificate",
		", transport: queue, token_file: password":                             "rail.transport: must be http or amqp",
		"":                                "rail.token_file: is required",
		", token_file: password, user: u": "rail.user: is for transport: amqp",
	} {
		_, err := ReadBank(write("bank.yaml", fmt.Sprintf(bankText, "amqp://127.0.0.1:5672", rest)))
		wantAll(t, err, want)
		if strings.Contains(fmt.Sprint(err), "hunter2") {
			t.Error("a fault tells the password")
		}
	}
}

// TestAgentsOfTheRail checks that a bank has the kind of id that its rail uses.
func TestAgentsOfTheRail(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	agents := map[string]string{"fednow": "021040078", "sctinst": "PAYRDEF0XXX", "rtp": "021040078", "pix": "99999010"}
	for rail := range agents {
		for of, agent := range agents {
			path := filepath.Join(dir, rail+"-"+of+".yaml")
			text := "agent: \"" + agent + "\"\nname: Bank\nstore: bank\nrelay: {url: \"ws://127.0.0.1:1\"}\nrail: {profile: " + rail + ", url: \"http://127.0.0.1:1\", token_file: token}\n"
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := ReadBank(path)
			switch same := len(agents[rail]) == len(agent); {
			case same && err != nil:
				t.Error(err)
			case !same:
				wantAll(t, err, ":1: agent: is not the kind of agent id that "+rail+" uses")
			}
		}
	}
}

func wantAll(t *testing.T, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("nothing was found wrong")
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q is not in\n%v", text, err)
		}
	}
}
