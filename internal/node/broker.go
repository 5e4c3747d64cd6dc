package node

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/parleypay/parley/internal/config"
	"github.com/parleypay/parley/payments/rail/amqp"
)

// The transports between a bank and a rail.
const (
	transportHTTP = "http"
	transportAMQP = "amqp"
)

// checkTransport reports whether a configured transport is AMQP; empty means HTTP.
func checkTransport(src *config.Source, key, transport string) bool {
	if transport != "" && transport != transportHTTP && transport != transportAMQP {
		src.Faultf(key, "must be %s or %s", transportHTTP, transportAMQP)
	}
	return transport == transportAMQP
}

// tlsFiles names the certificates for a broker.
type tlsFiles struct{ ca, cert, key string }

// broker makes the settings of a broker out of a file's keys. passwordFile may be empty when there is a certificate.
func broker(url, user, passwordFile string, files tlsFiles) (amqp.Broker, error) {
	b := amqp.Broker{URL: url, User: user}
	var errs [2]error
	if passwordFile != "" {
		b.Password, errs[0] = oneSecret(passwordFile)
	}
	b.TLS, errs[1] = files.load()
	return b, errors.Join(errs[:]...)
}

func (f tlsFiles) load() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS13}
	if f.ca != "" {
		pem, err := os.ReadFile(f.ca)
		if err != nil {
			return nil, err
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", filepath.Base(f.ca))
		}
	}
	if (f.cert == "") != (f.key == "") {
		return nil, errors.New("a client certificate needs both cert_file and key_file")
	}
	if f.cert != "" {
		if _, err := secretFile(f.key); err != nil {
			return nil, err
		}
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return nil, errors.New("cert_file and key_file do not hold a certificate and its key")
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
