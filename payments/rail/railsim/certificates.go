package railsim

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// certificates are what a rail shows: the right one, of the authority in ca.pem, and one of an authority that nobody knows.
type certificates struct{ right, strange tls.Certificate }

const (
	authorityFile = "ca.pem"     // for the participants
	serverFile    = "server.pem" // certificate and key
)

// openCertificates reads the certificates in dir, and makes them when there are none.
func openCertificates(dir string) (*certificates, error) {
	wrap := func(err error) error { return fmt.Errorf("railsim: tls_dir: %w", err) }
	server := filepath.Join(dir, serverFile)
	if _, err := os.Stat(server); errors.Is(err, fs.ErrNotExist) {
		authority, chain, err := newCertificates()
		if err == nil {
			err = os.MkdirAll(dir, 0o700)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, authorityFile), authority, 0o644)
		}
		if err == nil {
			err = os.WriteFile(server, chain, 0o600)
		}
		if err != nil {
			return nil, wrap(err)
		}
	}
	c := &certificates{}
	var err error
	if c.right, err = tls.LoadX509KeyPair(server, server); err != nil {
		return nil, wrap(err)
	}
	_, strange, err := newCertificates()
	if err == nil {
		c.strange, err = tls.X509KeyPair(strange, strange)
	}
	if err != nil {
		return nil, wrap(err)
	}
	return c, nil
}

// newCertificates makes an authority and a server certificate of it for this machine, as PEM: the authority's certificate, and the
// server's with its key. The authority's key is forgotten.
func newCertificates() (authority, server []byte, err error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial := func() *big.Int { // above zero, at most 127 bits
		b := make([]byte, 16)
		rand.Read(b)
		b[0] &= 0x7f
		return new(big.Int).SetBytes(append(b, 1))
	}
	from, to := time.Now().Add(-time.Hour), time.Now().AddDate(10, 0, 0)
	ca := &x509.Certificate{SerialNumber: serial(), Subject: pkix.Name{CommonName: "simulated rail authority"}, NotBefore: from, NotAfter: to,
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign}
	leaf := &x509.Certificate{SerialNumber: serial(), Subject: pkix.Name{CommonName: "simulated rail"}, NotBefore: from, NotAfter: to,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return nil, nil, err
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	return block("CERTIFICATE", caDER), append(block("CERTIFICATE", leafDER), block("PRIVATE KEY", keyDER)...), nil
}

// tlsConfig is for a listener. There is no HTTP/2, where a single answer could not be spoilt, and no session is resumed, so that every
// connection sees the certificate of the moment.
func (s *Sim) tlsConfig() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, SessionTicketsDisabled: true,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.clock.Now().Before(s.core.strange) {
				return &s.certs.strange, nil
			}
			return &s.certs.right, nil
		}}
}

// closeOnTurn closes the connections of srv that carry nothing, and those that do after that, whenever another certificate is to be
// shown, until ctx ends.
func (s *Sim) closeOnTurn(ctx context.Context, srv *http.Server) {
	for {
		s.mu.Lock()
		turned := s.turned
		s.mu.Unlock()
		select {
		case <-turned:
		case <-ctx.Done():
			return
		}
		srv.SetKeepAlivesEnabled(false)
		s.mu.Lock()
		left := s.until.Sub(s.clock.Now())
		s.mu.Unlock()
		select {
		case <-time.After(left):
		case <-ctx.Done():
			return
		}
		srv.SetKeepAlivesEnabled(true)
	}
}
