package journal

// The tables. Rows that a step writes for ever carry its pos and are numbered in the order of writing, so that Verify reads each
// table once; nothing updates or deletes them. payments, balances and limits are sums over them, kept for speed and checked by Verify.
// timers, cursors, meta and the last columns of outbox are how far work has come: they change and no chain covers them. Times are
// nanoseconds since 1970 in UTC, 0 for none; no time is ever read in SQL.
//
// Nothing that must be erased is ever deleted here, so freed pages are not overwritten.
const sqliteSchema = `
PRAGMA secure_delete = OFF;
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO meta VALUES ('schema', 1), ('clock', 0);

CREATE TABLE IF NOT EXISTS log (pos INTEGER PRIMARY KEY, at INTEGER NOT NULL, payment INTEGER NOT NULL, seq INTEGER NOT NULL,
	state BLOB, parts BLOB NOT NULL, hash BLOB NOT NULL) STRICT;

CREATE TABLE IF NOT EXISTS payments (id INTEGER PRIMARY KEY, intent TEXT NOT NULL, side TEXT NOT NULL, seq INTEGER NOT NULL,
	status TEXT NOT NULL, open INTEGER NOT NULL, head BLOB NOT NULL, state BLOB NOT NULL, updated INTEGER NOT NULL,
	UNIQUE (intent, side)) STRICT;
CREATE INDEX IF NOT EXISTS payments_open ON payments (id) WHERE open = 1;

CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY, pos INTEGER NOT NULL, payment INTEGER NOT NULL, seq INTEGER NOT NULL,
	at INTEGER NOT NULL, type TEXT NOT NULL, src TEXT NOT NULL, dst TEXT NOT NULL, evidence_kind TEXT NOT NULL,
	evidence_hash BLOB NOT NULL, data BLOB NOT NULL, hash BLOB NOT NULL, UNIQUE (payment, seq)) STRICT;

CREATE TABLE IF NOT EXISTS index_keys (id INTEGER PRIMARY KEY, pos INTEGER NOT NULL, kind TEXT NOT NULL, value TEXT NOT NULL,
	payment INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS index_keys_value ON index_keys (value, kind);

CREATE TABLE IF NOT EXISTS claims (id INTEGER PRIMARY KEY, pos INTEGER NOT NULL, kind TEXT NOT NULL, value TEXT NOT NULL,
	payment INTEGER NOT NULL, UNIQUE (value, kind)) STRICT;

CREATE TABLE IF NOT EXISTS limit_uses (id INTEGER PRIMARY KEY, pos INTEGER NOT NULL, name TEXT NOT NULL, amount INTEGER NOT NULL,
	ceiling INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS limits (name TEXT PRIMARY KEY, used INTEGER NOT NULL CHECK (used >= 0)) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS inbox (id INTEGER PRIMARY KEY, pos INTEGER NOT NULL, sender TEXT NOT NULL, message TEXT NOT NULL,
	hash BLOB NOT NULL, UNIQUE (message, sender)) STRICT;

CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY, pos INTEGER NOT NULL, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
	dest TEXT NOT NULL, body BLOB NOT NULL, payment INTEGER NOT NULL, at INTEGER NOT NULL,
	not_before INTEGER NOT NULL, attempts INTEGER NOT NULL, error TEXT NOT NULL, done INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS outbox_due ON outbox (kind, not_before, id) WHERE done = 0;

CREATE TABLE IF NOT EXISTS timers (payment INTEGER NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL,
	PRIMARY KEY (payment, name)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS timers_at ON timers (at);

CREATE TABLE IF NOT EXISTS postings (id INTEGER PRIMARY KEY, pos INTEGER NOT NULL, entry TEXT NOT NULL, account TEXT NOT NULL,
	currency TEXT NOT NULL, minor INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS balances (account TEXT NOT NULL, currency TEXT NOT NULL, minor INTEGER NOT NULL,
	PRIMARY KEY (account, currency)) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS cases (id INTEGER PRIMARY KEY, pos INTEGER NOT NULL, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
	detail TEXT NOT NULL, payment INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS case_closes (id INTEGER PRIMARY KEY, pos INTEGER NOT NULL, name TEXT NOT NULL UNIQUE,
	resolution TEXT NOT NULL, at INTEGER NOT NULL) STRICT;

CREATE TABLE IF NOT EXISTS cursors (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS codes (id INTEGER PRIMARY KEY, pos INTEGER NOT NULL, name TEXT NOT NULL UNIQUE, hash BLOB NOT NULL,
	expires INTEGER NOT NULL, attempts INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS code_marks (id INTEGER PRIMARY KEY, pos INTEGER NOT NULL, mark TEXT NOT NULL, name TEXT NOT NULL,
	at INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS code_marks_name ON code_marks (name);
CREATE TABLE IF NOT EXISTS registry (id INTEGER PRIMARY KEY, pos INTEGER NOT NULL, kid TEXT NOT NULL, owner TEXT NOT NULL,
	status TEXT NOT NULL, valid_from INTEGER NOT NULL, valid_to INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS registry_kid ON registry (kid);
CREATE INDEX IF NOT EXISTS registry_owner ON registry (owner);
CREATE TABLE IF NOT EXISTS nonces (id INTEGER PRIMARY KEY, pos INTEGER NOT NULL, nonce TEXT NOT NULL UNIQUE,
	expires INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS vals (id INTEGER PRIMARY KEY, pos INTEGER NOT NULL, tbl TEXT NOT NULL, key TEXT NOT NULL,
	value BLOB NOT NULL, deleted INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS vals_key ON vals (tbl, key, id);
`
