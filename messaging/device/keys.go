package device

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/argon2"
)

// KeySource gives the key that unlocks a store. It is made by Passphrase or KeyFile.
type KeySource interface {
	// key derives 32 octets. salt and params are the store's own, see kdfParams.
	key(salt []byte, params kdfParams) ([]byte, error)
	// kind is stored, so that a store is not opened with the wrong kind of key by accident.
	kind() string
}

// kdfParams are the cost parameters of Argon2id, stored in the clear beside the salt so that they can be raised for new stores.
type kdfParams struct {
	Time, MemoryKiB uint32
	Threads         uint8
}

// defaultKDF follows RFC 9106 §4, second recommendation (64 MiB), at 3 passes.
var defaultKDF = kdfParams{Time: 3, MemoryKiB: 64 << 10, Threads: 4}

// check refuses parameters that a manipulated file could use to exhaust memory, or to make the key cheap.
func (p kdfParams) check() error {
	if p.Time < 1 || p.Time > 64 || p.MemoryKiB < 8<<10 || p.MemoryKiB > 1<<20 || p.Threads < 1 || p.Threads > 64 {
		return errors.New("device: key derivation parameters out of bounds")
	}
	return nil
}

type passphrase string

// Passphrase unlocks a store with a key derived by Argon2id (RFC 9106) from the passphrase and the store's salt. It takes about
// 0.1 s and 64 MiB each time the store is opened.
func Passphrase(p string) KeySource { return passphrase(p) }

func (p passphrase) key(salt []byte, c kdfParams) ([]byte, error) {
	if p == "" {
		return nil, errors.New("device: empty passphrase")
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	return argon2.IDKey([]byte(p), salt, c.Time, c.MemoryKiB, c.Threads, 32), nil
}
func (passphrase) kind() string { return "argon2id" }

// Format keeps the passphrase out of logs.
func (passphrase) Format(f fmt.State, _ rune) { fmt.Fprint(f, "passphrase(…)") }

type keyFile string

// KeyFile unlocks a store with the 32 octets in a file, written as 64 hexadecimal digits. The file must not be readable by others.
func KeyFile(path string) KeySource { return keyFile(path) }

func (p keyFile) key([]byte, kdfParams) ([]byte, error) {
	info, err := os.Stat(string(p))
	if err != nil {
		return nil, fmt.Errorf("device: key file: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("device: key file %s: others may read it (mode %o); want 600", filepath.Base(string(p)), info.Mode().Perm())
	}
	if info.Size() > 1024 {
		return nil, errors.New("device: key file: want 64 hexadecimal digits")
	}
	raw, err := os.ReadFile(string(p))
	if err != nil {
		return nil, fmt.Errorf("device: key file: %w", err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(raw)))
	if err != nil || len(key) != 32 {
		return nil, errors.New("device: key file: want 64 hexadecimal digits") // never quote what it says
	}
	return key, nil
}
func (keyFile) kind() string { return "keyfile" }

// NewKeyFile writes a new random key to path, which must not exist, readable by its owner only.
func NewKeyFile(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("device: key file: %w", err)
	}
	var key [32]byte
	rand.Read(key[:]) // never fails (crypto/rand)
	_, err = fmt.Fprintf(f, "%x\n", key)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("device: key file: %w", err)
	}
	return nil
}
