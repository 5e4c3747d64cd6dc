// Package rabbitmq runs a RabbitMQ node for a test, which may kill it.
//
// It is imported by tests only, and installs nothing.
package rabbitmq

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// script is the broker as Debian's package rabbitmq-server installs it.
const script = "/usr/lib/rabbitmq/bin/rabbitmq-server"

// Node is a RabbitMQ node of the test's own: on loopback ports, with its own data, as whoever runs the test.
type Node struct {
	t    testing.TB
	dir  string
	port int
	env  []string
	node *exec.Cmd
	log  *os.File

	Restart sync.WaitGroup // of the goroutine that kills and starts; waited for before the test ends
}

func freePort(t testing.TB) int {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

// Start starts a node with one queue "to-rail" and one for each bank, and users that may do with them what they must. A bank
// writes to the exchange "to-rail" and reads its own queue, no more; so nobody but the rail can put a message into a bank's queue.
func Start(t testing.TB, banks ...string) *Node {
	t.Helper()
	if _, err := os.Stat(script); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("RabbitMQ is not installed: apt-get install rabbitmq-server")
		}
		t.Skip("needs RabbitMQ: apt-get install rabbitmq-server")
	}
	r := &Node{t: t, dir: t.TempDir(), port: freePort(t)}
	epmd := strconv.Itoa(freePort(t))
	file := func(name, text string) string {
		path := filepath.Join(r.dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	type m = map[string]any
	quorum := m{"x-queue-type": "quorum"}
	d := m{
		"vhosts":      []m{{"name": "/"}},
		"users":       []m{{"name": "rail", "password": "password-of-rail", "tags": ""}},
		"permissions": []m{{"user": "rail", "vhost": "/", "configure": "^$", "write": "^from-rail$", "read": "^to-rail$"}},
		"exchanges": []m{
			{"name": "to-rail", "vhost": "/", "type": "direct", "durable": true, "auto_delete": false, "internal": false, "arguments": m{}},
			{"name": "from-rail", "vhost": "/", "type": "direct", "durable": true, "auto_delete": false, "internal": false, "arguments": m{}}},
		"queues":   []m{{"name": "to-rail", "vhost": "/", "durable": true, "auto_delete": false, "arguments": quorum}},
		"bindings": []m{{"source": "to-rail", "vhost": "/", "destination": "to-rail", "destination_type": "queue", "routing_key": "messages", "arguments": m{}}},
	}
	add := func(key string, v m) { d[key] = append(d[key].([]m), v) }
	for _, bank := range banks {
		add("users", m{"name": bank, "password": "password-of-" + bank, "tags": ""})
		add("permissions", m{"user": bank, "vhost": "/", "configure": "^$", "write": "^to-rail$", "read": "^to-" + bank + "$"})
		add("queues", m{"name": "to-" + bank, "vhost": "/", "durable": true, "auto_delete": false, "arguments": quorum})
		add("bindings", m{"source": "from-rail", "vhost": "/", "destination": "to-" + bank, "destination_type": "queue", "routing_key": bank, "arguments": m{}})
	}
	raw, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	definitions := file("definitions.json", string(raw))
	config := file("rabbitmq.conf", fmt.Sprintf("listeners.tcp.1 = 127.0.0.1:%d\nload_definitions = %s\nlog.console = true\nlog.file = false\ndisk_free_limit.absolute = 50MB\n", r.port, definitions))
	plugins := file("enabled_plugins", "[rabbitmq_amqp1_0].\n")
	if r.log, err = os.Create(filepath.Join(r.dir, "out")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.log.Close() })
	r.env = append(os.Environ(), "HOME="+r.dir, "RABBITMQ_NODENAME=parley@localhost", "RABBITMQ_MNESIA_BASE="+filepath.Join(r.dir, "mnesia"),
		"RABBITMQ_LOG_BASE="+filepath.Join(r.dir, "log"), "RABBITMQ_CONFIG_FILE="+config, "RABBITMQ_ENABLED_PLUGINS_FILE="+plugins, "RABBITMQ_CONF_ENV_FILE=/dev/null",
		"RABBITMQ_PID_FILE="+filepath.Join(r.dir, "pid"), "RABBITMQ_DIST_PORT="+strconv.Itoa(freePort(t)), "ERL_EPMD_PORT="+epmd, "ERL_EPMD_ADDRESS=127.0.0.1",
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 2:2 +SDio 2")
	// The port mapper is started here, so that the node does not leave one behind.
	mapper := exec.Command("epmd", "-address", "127.0.0.1", "-port", epmd)
	if err := mapper.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mapper.Process.Kill(); mapper.Wait() })
	r.Start()
	t.Cleanup(func() { r.Restart.Wait(); r.Kill() })
	// A queue that was declared a moment ago may be gone after a kill: the node writes its list of quorum queues now and then, and when
	// it is stopped. The queues of a bank are older than that.
	r.stop()
	r.Start()
	return r
}

// Start starts the node again and returns when it listens.
func (r *Node) Start() {
	r.node = exec.Command(script)
	r.node.Env, r.node.Dir, r.node.Stdout, r.node.Stderr = r.env, r.dir, r.log, r.log
	r.node.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := r.node.Start(); err != nil {
		r.t.Error(err)
		return
	}
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", r.port), time.Second)
		if err == nil {
			conn.Close()
			return
		}
	}
	out, _ := os.ReadFile(r.log.Name())
	r.t.Errorf("the broker does not start:\n%s", bytes.TrimSpace(out[max(0, len(out)-2000):]))
}

// Kill ends the node as a power switch of the process would: SIGKILL to all of it.
func (r *Node) Kill() {
	syscall.Kill(-r.node.Process.Pid, syscall.SIGKILL)
	r.node.Wait()
}

// stop ends the node in order.
func (r *Node) stop() {
	syscall.Kill(-r.node.Process.Pid, syscall.SIGTERM)
	ended := make(chan bool)
	go func() { r.node.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		r.t.Error("the broker does not stop")
		syscall.Kill(-r.node.Process.Pid, syscall.SIGKILL)
		<-ended
	}
}

// URL returns the node's address.
func (r *Node) URL() string { return fmt.Sprintf("amqp://127.0.0.1:%d", r.port) }

// Password returns a user's password.
func (r *Node) Password(user string) string { return "password-of-" + user }

// Addresses of the node.
const (
	ToRail       = "/exchange/to-rail/messages" // where a bank sends to
	FromBanks    = "/amq/queue/to-rail"         // where the rail receives
	ToBankPrefix = "/exchange/from-rail/"       // and a bank: where the rail sends to
	OfBankPrefix = "/amq/queue/to-"             // and a bank: where that receives
)

// Logged reports whether the broker's log holds a text.
func (r *Node) Logged(text string) bool {
	out, _ := os.ReadFile(r.log.Name())
	return strings.Contains(string(out), text)
}
