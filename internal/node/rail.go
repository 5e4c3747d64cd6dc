package node

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/parleypay/parley/internal/config"
	"github.com/parleypay/parley/payments/rail/railsim"
)

// RailFile is the configuration file of a simulated rail.
type RailFile struct {
	Listen         string `yaml:"listen,required"` // host:port for participants
	Monitor        string `yaml:"monitor"`         // loopback host:port of /healthz, /readyz, /metrics
	railsim.Config `yaml:",inline"`
}

// ReadRail reads a simulated rail's configuration. Its error is a config.Faults with all that is wrong.
func ReadRail(path string) (RailFile, error) {
	var f RailFile
	src := config.Read(path, &f)
	beside(path, &f.ArchiveDir, &f.Store, &f.TLSDir)
	checkAddresses(src, f.Listen, f.Monitor)
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
	return sim.Serve(ctx, listener, ops, drainTime)
}
