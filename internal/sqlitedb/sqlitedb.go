// Package sqlitedb opens the SQLite files that hold what must not be lost, and commits to them in groups.
//
// One writer runs the closures of all callers, as many as wait, in one transaction, each inside a savepoint of its own, and
// answers them after the commit is durable (WAL, synchronous=FULL). A file is opened by one process at a time.
package sqlitedb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	_ "modernc.org/sqlite" // the driver
)

// ErrLocked means that another process has the file open.
var ErrLocked = errors.New("sqlitedb: the store is in use by another process")

// ErrBroken means that an earlier commit failed, so that it is not known what is on disk; the file must be opened anew.
var ErrBroken = errors.New("sqlitedb: a commit failed; the store takes no more writes until it is opened again")

// maxGroup bounds the closures in one commit, and so the time the first waits for the last.
const maxGroup = 256

// DB is an open file. All its methods may be called concurrently.
type DB struct {
	write, read *sql.DB
	conn        *sql.Conn // the writer's only connection
	lock        *os.File
	queue       chan *job
	stop        chan struct{}
	done        chan struct{}
	closing     sync.Once
}

type job struct {
	f    func(*Tx) error
	err  error
	done chan struct{}
}

// Open opens or creates the file, takes its lock (path + ".lock") and runs schema, which must be idempotent (CREATE … IF NOT EXISTS).
func Open(path, schema string) (*DB, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("sqlitedb: %w", err)
	}
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("sqlitedb: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s", ErrLocked, filepath.Base(path))
		}
		return nil, fmt.Errorf("sqlitedb: lock: %w", err)
	}
	db := &DB{lock: lock, queue: make(chan *job, maxGroup), stop: make(chan struct{}), done: make(chan struct{})}
	if err := db.open(path, schema); err != nil {
		lock.Close()
		return nil, err
	}
	go db.run()
	return db, nil
}

func (db *DB) open(path, schema string) (err error) {
	dsn := "file:" + path + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_pragma=secure_delete(1)&_txlock=immediate"
	if db.write, err = sql.Open("sqlite", dsn); err != nil {
		return fmt.Errorf("sqlitedb: %w", err)
	}
	db.write.SetMaxOpenConns(1)
	if _, err = db.write.Exec(schema); err != nil {
		db.write.Close()
		return fmt.Errorf("sqlitedb: schema: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		db.write.Close()
		return fmt.Errorf("sqlitedb: %w", err)
	}
	if db.conn, err = db.write.Conn(context.Background()); err != nil {
		db.write.Close()
		return fmt.Errorf("sqlitedb: %w", err)
	}
	if db.read, err = sql.Open("sqlite", dsn+"&_pragma=query_only(1)"); err != nil {
		db.write.Close()
		return fmt.Errorf("sqlitedb: %w", err)
	}
	db.read.SetMaxOpenConns(4)
	return nil
}

// Tx is a transaction as the closures see it. Statements are prepared once and kept.
type Tx struct {
	on interface {
		PrepareContext(context.Context, string) (*sql.Stmt, error)
	}
	stmts map[string]*sql.Stmt
}

// Exec runs a statement.
func (t *Tx) Exec(query string, args ...any) (sql.Result, error) {
	s, err := t.stmt(query)
	if err != nil {
		return nil, err
	}
	return s.Exec(args...)
}

// Query runs a query. The rows must be closed before the closure returns.
func (t *Tx) Query(query string, args ...any) (*sql.Rows, error) {
	s, err := t.stmt(query)
	if err != nil {
		return nil, err
	}
	return s.Query(args...)
}

// QueryRow runs a query for at most one row and scans it into dest. It returns sql.ErrNoRows when there is none.
func (t *Tx) QueryRow(query string, args []any, dest ...any) error {
	s, err := t.stmt(query)
	if err != nil {
		return err
	}
	return s.QueryRow(args...).Scan(dest...)
}

func (t *Tx) stmt(query string) (*sql.Stmt, error) {
	s, ok := t.stmts[query]
	if !ok {
		var err error
		if s, err = t.on.PrepareContext(context.Background(), query); err != nil {
			return nil, err
		}
		t.stmts[query] = s
	}
	return s, nil
}

// Update runs f in a transaction and returns after it is durable. When f fails, or panics, only what f did is undone. f must not
// call Update, and must not keep its Tx. Cancelling ctx before f has started leaves it out; afterwards Update waits.
func (db *DB) Update(ctx context.Context, f func(*Tx) error) error {
	j := &job{f: f, done: make(chan struct{})}
	select {
	case db.queue <- j:
	case <-db.stop:
		return sql.ErrConnDone
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-j.done:
		return j.err
	case <-db.done: // closed while j waited: run has answered what it took
		select {
		case <-j.done:
			return j.err
		default:
			return sql.ErrConnDone
		}
	}
}

// View runs f on a snapshot. What f writes fails.
func (db *DB) View(ctx context.Context, f func(*Tx) error) error {
	tx, err := db.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	return f(&Tx{on: tx, stmts: map[string]*sql.Stmt{}})
}

// Close answers what is queued, closes the file and gives up its lock.
func (db *DB) Close() error {
	db.closing.Do(func() { close(db.stop) })
	<-db.done
	err := errors.Join(db.read.Close(), db.conn.Close(), db.write.Close())
	return errors.Join(err, db.lock.Close())
}

func (db *DB) run() {
	defer close(db.done)
	stmts := map[string]*sql.Stmt{}
	var broken error
	for {
		var jobs []*job
		select {
		case j := <-db.queue:
			jobs = append(jobs, j)
		case <-db.stop:
			for {
				select {
				case j := <-db.queue:
					j.err = sql.ErrConnDone
					close(j.done)
				default:
					return
				}
			}
		}
	more:
		for len(jobs) < maxGroup {
			select {
			case j := <-db.queue:
				jobs = append(jobs, j)
			default:
				break more
			}
		}
		err := broken
		if err == nil {
			if err = db.commit(jobs, stmts); err != nil {
				broken = fmt.Errorf("%w (%w)", ErrBroken, err)
				err = broken
			}
		}
		for _, j := range jobs {
			if err != nil && j.err == nil {
				j.err = err
			}
			close(j.done)
		}
	}
}

// commit runs the jobs in one transaction. Its error means that nothing is known to be durable; a job's own error is in the job.
func (db *DB) commit(jobs []*job, stmts map[string]*sql.Stmt) error {
	exec := func(statement string) error {
		_, err := db.conn.ExecContext(context.Background(), statement)
		return err
	}
	if err := exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	if err := db.runAll(jobs, &Tx{on: db.conn, stmts: stmts}, exec); err != nil {
		return errors.Join(err, exec("ROLLBACK"))
	}
	return exec("COMMIT")
}

func (db *DB) runAll(jobs []*job, tx *Tx, exec func(string) error) error {
	for _, j := range jobs {
		if err := exec("SAVEPOINT job"); err != nil {
			return err
		}
		if j.err = call(j.f, tx); j.err != nil {
			if err := exec("ROLLBACK TO job"); err != nil {
				return err
			}
		}
		if err := exec("RELEASE job"); err != nil {
			return err
		}
	}
	return nil
}

func call(f func(*Tx) error, tx *Tx) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("sqlitedb: panic in a transaction: %v", r)
		}
	}()
	return f(tx)
}
