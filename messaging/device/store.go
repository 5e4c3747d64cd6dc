package device

import (
	"context"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/parleypay/parley/internal/sqlitedb"
	"github.com/parleypay/parley/messaging"
)

// schema is the store. What stands in the clear is what the file needs to find its rows: chat ids, message ids and hashes of
// ciphertexts (all random or derived from random), times, and counts. Every value, and every name that an application chose, is
// encrypted or hashed under a key of the store.
const schema = `
CREATE TABLE IF NOT EXISTS meta (k TEXT PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS mls (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID; -- k: chat id and mls.Key
CREATE TABLE IF NOT EXISTS keypackage (ref BLOB PRIMARY KEY, suite INTEGER NOT NULL, last INTEGER NOT NULL, expires INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS chat (id BLOB PRIMARY KEY, state INTEGER NOT NULL, head INTEGER NOT NULL, peer BLOB, commit_id BLOB, expire INTEGER,
	info BLOB, pending BLOB, last BLOB, copied INTEGER, healed INTEGER) WITHOUT ROWID; -- copied, healed: see copies
CREATE INDEX IF NOT EXISTS chat_peer ON chat (peer) WHERE peer IS NOT NULL;
CREATE TABLE IF NOT EXISTS message (n INTEGER PRIMARY KEY, chat BLOB NOT NULL, id BLOB NOT NULL, state INTEGER NOT NULL, at INTEGER NOT NULL,
	expires INTEGER NOT NULL, hash BLOB, k BLOB, v BLOB, UNIQUE (chat, id));
CREATE INDEX IF NOT EXISTS message_chat ON message (chat, n);
CREATE INDEX IF NOT EXISTS message_hash ON message (hash) WHERE hash IS NOT NULL;
CREATE UNIQUE INDEX IF NOT EXISTS message_k ON message (k) WHERE k IS NOT NULL;
CREATE INDEX IF NOT EXISTS message_due ON message (n) WHERE state = 0;
CREATE INDEX IF NOT EXISTS message_expires ON message (expires) WHERE expires > 0 AND v IS NOT NULL;
CREATE TABLE IF NOT EXISTS outbox (n INTEGER PRIMARY KEY, chat BLOB NOT NULL, id BLOB NOT NULL, expires INTEGER NOT NULL, v BLOB NOT NULL,
	waiting BLOB NOT NULL, UNIQUE (chat, id));
CREATE TABLE IF NOT EXISTS early (n INTEGER PRIMARY KEY, chat BLOB NOT NULL, at INTEGER NOT NULL, v BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS early_chat ON early (chat, n);
CREATE TABLE IF NOT EXISTS value (n INTEGER PRIMARY KEY, bucket BLOB NOT NULL, k BLOB NOT NULL, v BLOB NOT NULL, UNIQUE (bucket, k)); -- values are long: with rowids, one of 4 KB lies in one page, else in three
`

// store is the open file with its keys.
type store struct {
	db   *sqlitedb.DB
	aead cipher.AEAD
	mac  []byte // for names that must be found but not read

	// groups holds open MLS groups, as they are in the store. Only transactions that write use it, and sqlitedb runs those one after the
	// other.
	groups map[messaging.ChatID]*handle
}

// openStore opens or creates the file. The key is checked before anything else is read.
func openStore(ctx context.Context, path string, source KeySource) (*store, error) {
	if source == nil {
		return nil, errors.New("device: no key for the store")
	}
	db, err := sqlitedb.Open(path, schema)
	if err != nil {
		return nil, err
	}
	s := &store{db: db, groups: map[messaging.ChatID]*handle{}}
	if err := s.unlock(ctx, source); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// storeVersion is that of the layout below. Version 1 held the groups of another MLS implementation.
const storeVersion = 2

// locks is the row, in the clear, that says how the key is made.
type locks struct {
	Version int       `cbor:"1,keyasint"`
	Kind    string    `cbor:"2,keyasint"`
	Salt    []byte    `cbor:"3,keyasint"`
	KDF     kdfParams `cbor:"4,keyasint"`
}

func (s *store) unlock(ctx context.Context, source KeySource) error {
	var l locks
	var raw, check []byte
	err := s.db.View(ctx, func(t *sqlitedb.Tx) error {
		return errors.Join(
			optional(t.QueryRow(`SELECT v FROM meta WHERE k = 'locks'`, nil, &raw)),
			optional(t.QueryRow(`SELECT v FROM meta WHERE k = 'check'`, nil, &check)))
	})
	if err != nil {
		return fmt.Errorf("device: store: %w", err)
	}
	fresh := raw == nil
	if fresh {
		l = locks{Version: storeVersion, Kind: source.kind(), Salt: make([]byte, 16), KDF: defaultKDF}
		rand.Read(l.Salt) // never fails (crypto/rand)
		if raw, err = cbor.Marshal(l); err != nil {
			return err
		}
	} else if err := cbor.Unmarshal(raw, &l); err != nil {
		return errors.New("device: store: not a device store")
	} else if l.Version != storeVersion {
		return fmt.Errorf("%w: it has version %d, this program reads version %d", ErrStoreVersion, l.Version, storeVersion)
	}
	if l.Kind != source.kind() {
		return fmt.Errorf("%w: it was locked with %s, not %s", ErrWrongKey, l.Kind, source.kind())
	}
	key, err := source.key(l.Salt, l.KDF)
	if err != nil {
		return err
	}
	defer clear(key)
	if err := s.derive(key, l.Salt); err != nil {
		return err
	}
	if fresh {
		return s.db.Update(ctx, func(t *sqlitedb.Tx) error {
			_, e1 := t.Exec(`INSERT INTO meta (k, v) VALUES ('locks', ?)`, raw)
			_, e2 := t.Exec(`INSERT INTO meta (k, v) VALUES ('check', ?)`, s.seal("meta", []byte("check"), []byte("parley device store 2")))
			return errors.Join(e1, e2)
		})
	}
	if _, err := s.open("meta", []byte("check"), check); err != nil {
		return ErrWrongKey
	}
	return nil
}

func (s *store) derive(key, salt []byte) error {
	values, err := hkdf.Key(sha256.New, key, salt, "parley device store 2 values", chacha20poly1305.KeySize)
	if err != nil {
		return err
	}
	if s.mac, err = hkdf.Key(sha256.New, key, salt, "parley device store 2 names", 32); err != nil {
		return err
	}
	s.aead, err = chacha20poly1305.NewX(values)
	return err
}

// seal encrypts a value for one row: XChaCha20-Poly1305 with a random nonce in front, and table and key as associated data, so that a
// value moved to another row does not open.
func (s *store) seal(table string, key, value []byte) []byte {
	out := make([]byte, chacha20poly1305.NonceSizeX, chacha20poly1305.NonceSizeX+len(value)+chacha20poly1305.Overhead)
	rand.Read(out) // never fails (crypto/rand)
	return s.aead.Seal(out, out, value, rowAD(table, key))
}

func (s *store) open(table string, key, sealed []byte) ([]byte, error) {
	if len(sealed) < chacha20poly1305.NonceSizeX {
		return nil, fmt.Errorf("device: store: row of %s is damaged", table)
	}
	nonce, text := sealed[:chacha20poly1305.NonceSizeX], sealed[chacha20poly1305.NonceSizeX:]
	v, err := s.aead.Open(nil, nonce, text, rowAD(table, key))
	if err != nil {
		return nil, fmt.Errorf("device: store: row of %s is damaged", table)
	}
	return v, nil
}

func rowAD(table string, key []byte) []byte {
	return append(append(append(make([]byte, 0, len(table)+1+len(key)), table...), 0), key...)
}

// name hides a name that the store must find again.
func (s *store) name(parts ...[]byte) []byte {
	h := hmac.New(sha256.New, s.mac)
	for _, p := range parts {
		fmt.Fprintf(h, "%d:", len(p))
		h.Write(p)
	}
	return h.Sum(nil)[:16]
}

// tx is a transaction on the store.
type tx struct {
	*sqlitedb.Tx
	s *store
	// failed is the first error of the database itself, in contrast to messages that turn out bad. The transaction must not be kept then.
	failed error
	writes bool               // false for a snapshot
	used   []messaging.ChatID // whose handles this transaction used
}

// update runs f in a transaction; it is durable when update returns nil. f must not touch anything outside that a second run, or
// none, would make wrong.
func (s *store) update(ctx context.Context, f func(*tx) error) error {
	return s.db.Update(ctx, s.writing(f))
}

// ahead runs f and returns before it is durable; see sqlitedb.Ahead.
func (s *store) ahead(ctx context.Context, f func(*tx) error) (durable func() error, err error) {
	return s.db.Ahead(ctx, s.writing(f))
}

func (s *store) writing(f func(*tx) error) func(*sqlitedb.Tx) error {
	return func(t *sqlitedb.Tx) error {
		x := &tx{Tx: t, s: s, writes: true}
		kept := false
		defer func() { // also when f panics
			if !kept {
				for _, chat := range x.used {
					delete(s.groups, chat)
				}
			}
		}()
		if err := f(x); err != nil {
			return err
		}
		kept = x.failed == nil
		return x.failed
	}
}

// view runs f on a snapshot.
func (s *store) view(ctx context.Context, f func(*tx) error) error {
	return s.db.View(ctx, func(t *sqlitedb.Tx) error { return f(&tx{Tx: t, s: s}) })
}

// fail remembers an error of the database.
func (t *tx) fail(err error) error {
	if err != nil {
		err = fmt.Errorf("device: store: %w", err)
		if t.failed == nil {
			t.failed = err
		}
	}
	return err
}

func (t *tx) exec(query string, args ...any) error {
	_, err := t.Exec(query, args...)
	return t.fail(err)
}

// row scans at most one row and reports whether there was one.
func (t *tx) row(query string, args []any, dest ...any) (bool, error) {
	err := t.QueryRow(query, args, dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, t.fail(err)
}

// rows calls f for each row.
func (t *tx) rows(query string, args []any, f func(scan func(...any) error) error) error {
	r, err := t.Query(query, args...)
	if err != nil {
		return t.fail(err)
	}
	defer r.Close()
	for r.Next() {
		if err := f(r.Scan); err != nil {
			return t.fail(err)
		}
	}
	return t.fail(r.Err())
}

// sealed encodes v and encrypts it for a row; unsealed is its reverse.
func (t *tx) sealed(table string, key []byte, v any) ([]byte, error) {
	b, err := cbor.Marshal(v)
	if err != nil {
		return nil, t.fail(err)
	}
	return t.s.seal(table, key, b), nil
}

func (t *tx) unsealed(table string, key, b []byte, v any) error {
	plain, err := t.s.open(table, key, b)
	if err != nil {
		return t.fail(err)
	}
	return t.fail(cbor.Unmarshal(plain, v))
}

// meta values: a few named ones, encrypted.
func (t *tx) getMeta(name string, v any) (bool, error) {
	var b []byte
	found, err := t.row(`SELECT v FROM meta WHERE k = ?`, []any{name}, &b)
	if !found || err != nil {
		return false, err
	}
	return true, t.unsealed("meta", []byte(name), b, v)
}

func (t *tx) putMeta(name string, v any) error {
	b, err := t.sealed("meta", []byte(name), v)
	if err != nil {
		return err
	}
	return t.exec(`INSERT INTO meta (k, v) VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v`, name, b)
}

func optional(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}
