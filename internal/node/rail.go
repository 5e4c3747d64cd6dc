package node

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/parleypay/parley/internal/config"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/rail/amqp"
	"github.com/parleypay/parley/payments/rail/railsim"
)

// RailFile is the configuration file of a simulated rail.
type RailFile struct {
	Listen  string `yaml:"listen,required"` // host:port for participants
	Monitor string `yaml:"monitor"`         // loopback host:port of /healthz, /readyz, /metrics
	// Transport is "http" (default), or "amqp" for the banks of Queues; the others and the audit page stay at Listen.
	Transport string `yaml:"transport"`
	Queues    struct {
		URL              string            `yaml:"url"` // of the broker
		User             string            `yaml:"user"`
		PasswordFile     string            `yaml:"password_file"`
		CAFile           string            `yaml:"ca_file"`
		CertFile         string            `yaml:"cert_file"`
		KeyFile          string            `yaml:"key_file"`
		FromParticipants string            `yaml:"from_participants"` // address of the queue that the banks send to
		Participants     map[string]string `yaml:"participants"`      // agent → address that the rail sends to
		Users            map[string]string `yaml:"users"`             // agent → the bank's name at the broker, if that is not the agent
	} `yaml:"queues"`
	railsim.Config `yaml:",inline"`

	queues railsim.Queues
}

// ReadRail reads a simulated rail's configuration. Its error is a config.Faults with all that is wrong.
func ReadRail(path string) (RailFile, error) {
	var f RailFile
	src := config.Read(path, &f)
	beside(path, &f.ArchiveDir, &f.Store, &f.TLSDir, &f.Queues.PasswordFile, &f.Queues.CAFile, &f.Queues.CertFile, &f.Queues.KeyFile)
	checkAddresses(src, f.Listen, f.Monitor)
	f.readQueues(src)
	var joined interface{ Unwrap() []error }
	switch err := f.Config.Validate(); {
	case errors.As(err, &joined):
		for _, err := range joined.Unwrap() {
			railFault(src, err)
		}
	case err != nil:
		railFault(src, err)
	}
	return f, src.Err()
}

// readQueues checks what the file says of queues. A bank at a queue needs no token, so it gets one that nobody knows.
func (f *RailFile) readQueues(src *config.Source) {
	q := &f.Queues
	if !checkTransport(src, "transport", f.Transport) {
		if src.Has("queues") {
			src.Faultf("queues", "is for transport: amqp")
		}
		return
	}
	b, err := broker(q.URL, q.User, q.PasswordFile, tlsFiles{q.CAFile, q.CertFile, q.KeyFile})
	if err != nil {
		src.Faultf("queues", "%v", err)
	} else if _, err := amqp.NewReceiver(amqp.ReceiverConfig{Broker: b, Address: q.FromParticipants}); err != nil {
		src.Faultf("queues", "%s", strings.TrimPrefix(err.Error(), "amqp: "))
	}
	f.queues = railsim.Queues{Broker: b, FromParticipants: q.FromParticipants, Participants: map[payments.AgentID]railsim.Queue{}}
	for agent, address := range q.Participants {
		f.queues.Participants[payments.AgentID(agent)] = railsim.Queue{Address: address, User: q.Users[agent]}
		if _, err := amqp.NewSender(b, address); err != nil && address == "" {
			src.Faultf("queues.participants."+agent, "is empty")
		}
	}
	for agent := range q.Users {
		if _, ok := q.Participants[agent]; !ok {
			src.Faultf("queues.users."+agent, "is not among the participants")
		}
	}
	for i := range f.Config.Participants {
		p := &f.Config.Participants[i]
		if _, ok := f.queues.Participants[p.ID]; ok && p.Token == "" && !p.Simulated {
			p.Token = rand.Text()
		}
	}
	var joined interface{ Unwrap() []error }
	if err := f.queues.Validate(&f.Config); errors.As(err, &joined) {
		for _, err := range joined.Unwrap() {
			src.Faultf("queues", "%s", strings.TrimPrefix(err.Error(), "railsim: queues: "))
		}
	}
}

// railFault reports what the simulator found wrong, at the key that it names.
func railFault(src *config.Source, err error) {
	text := strings.TrimPrefix(err.Error(), "railsim: config: ")
	key, rest, ok := strings.Cut(text, ": ")
	if !ok || !src.Has(key) {
		key, rest = "", text
	}
	src.Faultf(key, "%s", rest)
}

// drainTime is how long the rail gives open payments to end when it is told to stop.
const drainTime = 5 * time.Second

// RunRail runs a simulated rail until ctx ends and what it has begun is finished.
func RunRail(ctx context.Context, f RailFile, o Options) error {
	f.Trace = o.Trace
	sim, err := railsim.New(f.Config)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", f.Listen)
	if err != nil {
		return err
	}
	var ops net.Listener
	r := Ready{Part: "rail", URL: "http://" + listener.Addr().String()}
	if f.TLSDir != "" {
		r.URL = "https://" + listener.Addr().String()
	}
	if f.Monitor != "" {
		if ops, err = net.Listen("tcp", f.Monitor); err != nil {
			return errors.Join(err, listener.Close())
		}
		r.Monitor = ops.Addr().String()
	}
	o.ready(r)
	if f.Transport != transportAMQP {
		return sim.Serve(ctx, listener, ops, drainTime)
	}
	// The queues go last: while the rail drains, banks still answer.
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	queuesCtx, stopQueues := context.WithCancel(context.WithoutCancel(ctx))
	defer stopQueues()
	served := make(chan error, 1)
	go func() {
		err := sim.ServeQueues(queuesCtx, f.queues)
		stop()
		served <- err
	}()
	err = sim.Serve(ctx, listener, ops, drainTime)
	stopQueues()
	return errors.Join(err, <-served)
}
