package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/parleypay/parley/internal/config"
)

// monitor serves /healthz, /readyz and /metrics. It listens on loopback only: what it tells is for the machine's operator.
type monitor struct {
	listener net.Listener
	server   *http.Server
}

// startMonitor listens on addr, which must be a loopback address; an empty addr means no monitor and returns nil. ready says why the
// part cannot serve now, or nil.
func startMonitor(addr string, ready func() error, metrics prometheus.Gatherer, extra map[string]http.Handler) (*monitor, error) {
	if addr == "" {
		return nil, nil
	}
	if err := checkLoopback(addr); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("monitor: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, nil) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { answer(w, ready()) })
	if metrics != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	}
	for pattern, h := range extra {
		mux.Handle(pattern, h)
	}
	m := &monitor{listener: listener, server: &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10,
	}}
	go m.server.Serve(listener) // ends in stop
	return m, nil
}

func (m *monitor) addr() string {
	if m == nil {
		return ""
	}
	return m.listener.Addr().String()
}

func (m *monitor) stop() {
	if m == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	m.server.Shutdown(ctx)
	m.server.Close()
}

func answer(w http.ResponseWriter, problem error) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	body := map[string]string{"status": "ok"}
	if problem != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		body = map[string]string{"status": "unavailable", "reason": problem.Error()}
	}
	json.NewEncoder(w).Encode(body)
}

// checkAddresses notes what is wrong with the keys listen and monitor; those that are not given are no concern of it.
func checkAddresses(src *config.Source, listen, monitor string) {
	if listen != "" {
		if err := checkListen(listen); err != nil {
			src.Faultf("listen", "%v", err)
		}
	}
	if monitor != "" {
		if err := checkLoopback(monitor); err != nil {
			src.Faultf("monitor", "%v", err)
		}
	}
}

// checkListen refuses what is no address to listen at.
func checkListen(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return errors.New("must be host:port, such as 127.0.0.1:7410")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return errors.New("the port must be a number up to 65535")
	}
	return nil
}

// checkLoopback refuses an address that other machines could reach.
func checkLoopback(addr string) error {
	if err := checkListen(addr); err != nil {
		return err
	}
	host, _, _ := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return errors.New("must be a loopback address such as 127.0.0.1:9101")
	}
	return nil
}
