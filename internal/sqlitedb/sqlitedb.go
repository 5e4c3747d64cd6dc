// Package sqlitedb opens the SQLite files that hold what must not be lost, and commits to them in groups.
//
// One writer runs the closures of all callers, as many as wait, in one transaction, each so that it can be undone alone, and
// answers them after the commit is durable (WAL, synchronous=FULL). A file is opened by one process at a time.
package sqlitedb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	_ "modernc.org/sqlite" // the driver
)

// ErrLocked means that another process has the file open.
var ErrLocked = errors.New("sqlitedb: the store is in use by another process")

// ErrBroken means that an earlier commit failed, so that it is not known what is on disk; the file must be opened anew.
var ErrBroken = errors.New("sqlitedb: a commit failed; the store takes no more writes until it is opened again")

// maxGroup bounds the closures in one commit, and so the time the first waits for the last. maxReaders bounds the views that run at
// the same time. holdFor is how long what nobody waits for, an Ahead or a Later, waits for an Update to go with.
const (
	maxGroup   = 256
	maxReaders = 4
	holdFor    = 20 * time.Millisecond
)

// DB is an open file. All its methods may be called concurrently.
type DB struct {
	write, read *sql.DB
	writer      session // only touched by run
	readers     chan *session
	lock        *os.File
	queue       chan *job
	stop        chan struct{}
	done        chan struct{}
	closing     sync.Once
	closed      error // what Close returned first
	dropped     error // of the first Later that failed; written by run, read after done

	due   chan struct{} // there are Laters
	mu    sync.Mutex    // guards later
	later []*job
}

// session is a connection with its prepared statements, used by one goroutine at a time.
type session struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	open  bool // a transaction that writes
}

type job struct {
	f    func(*Tx) error
	kind kind
	err  error         // of f; to be read after ran
	ran  chan struct{} // closed when f has run, or never will; nil unless it is an Ahead
	lost error         // of the commit; to be read after done
	done chan struct{} // closed when the commit is durable, or failed
}

// kind says who waits for a job's commit: an Update at once, an Ahead sooner or later, a Later not at all.
type kind uint8

const (
	update kind = iota
	ahead
	later
)

// result is what came of a job, after done.
func (j *job) result() error {
	if j.err != nil {
		return j.err
	}
	return j.lost
}

// Open opens or creates the file, takes its lock (path + ".lock"; ErrLocked after a quarter of a second) and runs schema, which must be idempotent (CREATE … IF NOT EXISTS).
func Open(path, schema string) (*DB, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("sqlitedb: %w", err)
	}
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("sqlitedb: %w", err)
	}
	if err := takeLock(lock); err != nil {
		lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s", ErrLocked, filepath.Base(path))
		}
		return nil, fmt.Errorf("sqlitedb: lock: %w", err)
	}
	db := &DB{lock: lock, readers: make(chan *session, maxReaders), queue: make(chan *job, maxGroup), due: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	if err := db.open(path, schema); err != nil {
		lock.Close()
		return nil, err
	}
	go db.run()
	return db, nil
}

// takeLock waits a little for a lock that is about to go: its holder is ending, or has closed the file while a process that it was just
// starting still had a copy of the descriptor, as every fork has until its exec.
func takeLock(f *os.File) (err error) {
	for wait := time.Millisecond; wait < 256*time.Millisecond; wait *= 2 {
		if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		time.Sleep(wait)
	}
	return err
}

func (db *DB) open(path, schema string) (err error) {
	// Before SQLite opens it, since the log and its index get the file's permissions.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("sqlitedb: %w", err)
	}
	if err := errors.Join(f.Chmod(0o600), f.Close()); err != nil {
		return fmt.Errorf("sqlitedb: %w", err)
	}
	dsn := "file:" + path + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=temp_store(MEMORY)&_pragma=wal_autocheckpoint(4000)&_pragma=foreign_keys(1)&_pragma=secure_delete(1)&_txlock=immediate"
	if db.write, err = sql.Open("sqlite", dsn); err != nil {
		return fmt.Errorf("sqlitedb: %w", err)
	}
	db.write.SetMaxOpenConns(1)
	if err = foldLog(db.write); err != nil {
		db.write.Close()
		return err
	}
	if _, err = db.write.Exec(schema); err != nil {
		db.write.Close()
		return fmt.Errorf("sqlitedb: schema: %w", err)
	}
	db.writer.stmts = map[string]*sql.Stmt{}
	if db.writer.conn, err = db.write.Conn(context.Background()); err != nil {
		db.write.Close()
		return fmt.Errorf("sqlitedb: %w", err)
	}
	if db.read, err = sql.Open("sqlite", dsn+"&_pragma=query_only(1)"); err != nil {
		db.write.Close()
		return fmt.Errorf("sqlitedb: %w", err)
	}
	for range maxReaders {
		db.readers <- &session{stmts: map[string]*sql.Stmt{}} // connected by the first View that takes it
	}
	return nil
}

// foldLog moves the log into the file and fsyncs it, before anything in it is believed. After a failed fsync Linux keeps the pages as if
// they were clean: the commit that failed can then be read back from the log by the next process, though no disk has it, and would be
// lost with the power. Written again as pages of the file, it is either on disk or an error here.
func foldLog(db *sql.DB) error {
	var busy, frames, folded int
	if err := db.QueryRow("PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &folded); err != nil {
		return fmt.Errorf("sqlitedb: fold the log: %w", err)
	}
	if busy != 0 {
		return errors.New("sqlitedb: fold the log: something else reads the file")
	}
	return nil
}

// Tx is a transaction as the closures see it. Statements are prepared once per connection and kept, so their texts must be few.
type Tx struct{ on *session }

// Exec runs a statement.
func (t *Tx) Exec(query string, args ...any) (sql.Result, error) {
	s, err := t.on.stmt(query)
	if err != nil {
		return nil, err
	}
	return s.Exec(args...)
}

// Query runs a query. The rows must be closed before the closure returns.
func (t *Tx) Query(query string, args ...any) (*sql.Rows, error) {
	s, err := t.on.stmt(query)
	if err != nil {
		return nil, err
	}
	return s.Query(args...)
}

// QueryRow runs a query for at most one row and scans it into dest. It returns sql.ErrNoRows when there is none.
func (t *Tx) QueryRow(query string, args []any, dest ...any) error {
	s, err := t.on.stmt(query)
	if err != nil {
		return err
	}
	return s.QueryRow(args...).Scan(dest...)
}

func (c *session) stmt(query string) (*sql.Stmt, error) {
	s, ok := c.stmts[query]
	if !ok {
		var err error
		if s, err = c.conn.PrepareContext(context.Background(), query); err != nil {
			return nil, err
		}
		c.stmts[query] = s
	}
	return s, nil
}

// exec runs a statement without arguments, such as BEGIN.
func (c *session) exec(statement string) error {
	s, err := c.stmt(statement)
	if err != nil {
		return err
	}
	_, err = s.Exec()
	return err
}

func (c *session) close() error {
	if c.conn == nil {
		return nil
	}
	for _, s := range c.stmts {
		s.Close()
	}
	return c.conn.Close()
}

// Update runs f in a transaction and returns after it is durable. When f fails, or panics, only what f did is undone. f must not
// call Update, and must not keep its Tx. Cancelling ctx before f has started leaves it out; afterwards Update waits.
func (db *DB) Update(ctx context.Context, f func(*Tx) error) error {
	j := &job{f: f, done: make(chan struct{})}
	if err := db.put(ctx, j); err != nil {
		return err
	}
	return db.wait(j)
}

// Ahead runs f and returns before it is durable: what f did becomes so together with the next Update, or 20 ms later. durable waits for
// that. Updates that begin after Ahead has returned see what f did, and none of them becomes durable without it; views do not see it
// before it is durable. So what is done on the strength of f must be undone by a crash, or be an Update itself. When f fails, what it did
// is undone, and its error is returned when that is certain.
func (db *DB) Ahead(ctx context.Context, f func(*Tx) error) (durable func() error, err error) {
	j := &job{f: f, kind: ahead, ran: make(chan struct{}), done: make(chan struct{})}
	if err := db.put(ctx, j); err != nil {
		return nil, err
	}
	select {
	case <-j.ran:
	case <-db.done:
		return nil, db.wait(j)
	}
	if j.err != nil {
		return nil, db.wait(j)
	}
	return func() error { return db.wait(j) }, nil
}

func (db *DB) put(ctx context.Context, j *job) error {
	select {
	case db.queue <- j:
		return nil
	case <-db.stop:
		return sql.ErrConnDone
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (db *DB) wait(j *job) error {
	select {
	case <-j.done:
		return j.result()
	case <-db.done: // closed while j waited: run has answered what it took
		select {
		case <-j.done:
			return j.result()
		default:
			return sql.ErrConnDone
		}
	}
}

// Later has f run like Ahead, and does not wait even for that. It is for what costs nothing to lose or to do again: marks of work that is
// idempotent. Updates that begin after it see what f did; views only once it is durable. When f fails, what it did is undone and Close
// returns its error. After a failed commit, or Close, f is left out.
func (db *DB) Later(f func(*Tx) error) {
	db.mu.Lock()
	db.later = append(db.later, &job{f: f, kind: later, done: make(chan struct{})})
	db.mu.Unlock()
	select {
	case db.due <- struct{}{}:
	default:
	}
}

// takeLater returns what waits for the next commit.
func (db *DB) takeLater() []*job {
	db.mu.Lock()
	defer db.mu.Unlock()
	jobs := db.later
	db.later = nil
	return jobs
}

// View runs f on a snapshot of what is durable. What f writes fails. f must not keep its Tx or open rows. Cancelling ctx before f has
// started leaves it out; afterwards View waits. Within f another View may wait for ever.
func (db *DB) View(ctx context.Context, f func(*Tx) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	var r *session
	select {
	case r = <-db.readers:
	case <-db.stop:
		return sql.ErrConnDone
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { db.readers <- r }()
	select {
	case <-db.stop:
		return sql.ErrConnDone
	default:
	}
	if r.conn == nil {
		if r.conn, err = db.read.Conn(context.Background()); err != nil {
			return err
		}
	}
	if err := r.exec("BEGIN"); err != nil {
		return err
	}
	defer func() {
		if failed := r.exec("ROLLBACK"); failed != nil {
			err = errors.Join(err, failed)
		}
	}()
	return f(&Tx{on: r})
}

// Close waits for the views and updates that run, answers those that wait with sql.ErrConnDone, does what is left of Later, closes the
// file and gives up its lock.
func (db *DB) Close() error {
	db.closing.Do(func() {
		close(db.stop)
		<-db.done
		for range maxReaders {
			r := <-db.readers
			db.closed = errors.Join(db.closed, r.close())
		}
		db.closed = errors.Join(db.closed, db.dropped, db.read.Close(), db.writer.close(), db.write.Close(), db.lock.Close())
	})
	return db.closed
}

func (db *DB) run() {
	defer close(db.done)
	hold := time.NewTimer(time.Hour)
	defer hold.Stop()
	var group []*job // what ran in the open transaction
	var broken error
	for stopped := false; !stopped; {
		var waiting []*job
		enough := false
		select {
		case j := <-db.queue:
			waiting = append(waiting, j)
			runtime.Gosched() // whoever can run now may have something for this commit: the busier the machine, the larger the groups
		case <-db.due:
		case <-hold.C:
			enough = true
		case <-db.stop:
			stopped = true
		}
	more:
		for len(waiting) < maxGroup && !stopped {
			select {
			case j := <-db.queue:
				waiting = append(waiting, j)
			default:
				break more
			}
		}
		first := len(group) == 0
		// Taken after the queue, so that every Later that came before an Update is here or gone, and runs before it.
		for _, j := range append(db.takeLater(), waiting...) {
			if broken == nil {
				broken = db.failed(db.writer.do(j))
			}
			if broken != nil && j.err == nil && j.ran != nil {
				j.err = broken
			}
			if j.ran != nil {
				close(j.ran)
			}
			enough = enough || j.kind == update
			group = append(group, j)
		}
		if enough = enough || stopped || broken != nil || len(group) >= maxGroup; !enough {
			if first && len(group) > 0 {
				hold.Reset(holdFor)
			}
			continue
		}
		hold.Stop()
		if broken == nil {
			broken = db.failed(db.writer.commit())
		}
		for _, j := range group {
			j.lost = broken
			if j.kind == later && db.dropped == nil {
				db.dropped = j.result()
			}
			close(j.done)
		}
		group = nil
	}
	db.refuseQueued()
}

// failed gives up the transaction when err says that it is lost.
func (db *DB) failed(err error) error {
	if err == nil {
		return nil
	}
	db.writer.exec("ROLLBACK") // fails when SQLite has done so itself; the store is broken in either case
	return fmt.Errorf("%w (%w)", ErrBroken, err)
}

// refuseQueued answers what came too late.
func (db *DB) refuseQueued() {
	for {
		select {
		case j := <-db.queue:
			j.lost = sql.ErrConnDone
			close(j.done)
		default:
			return
		}
	}
}

// do runs a job in the open transaction, or opens one. Its error means that the transaction as a whole is lost: after a disk error SQLite
// rolls all of it back. A job's own error is in the job.
func (w *session) do(j *job) error {
	if !w.open { // the first needs no savepoint, for which SQLite keeps a second copy of each page
		if err := w.exec("BEGIN IMMEDIATE"); err != nil {
			return err
		}
		w.open = true
		if j.err = call(j.f, &Tx{on: w}); j.err == nil {
			return nil
		}
		w.open = false
		return w.exec("ROLLBACK")
	}
	if err := w.exec("SAVEPOINT job"); err != nil {
		return err
	}
	if j.err = call(j.f, &Tx{on: w}); j.err != nil {
		if err := w.exec("ROLLBACK TO job"); err != nil {
			return errors.Join(j.err, err)
		}
	}
	return w.exec("RELEASE job")
}

// commit makes what the jobs did durable. Its error means that nothing is known to be.
func (w *session) commit() error {
	if !w.open { // no job did anything
		return nil
	}
	w.open = false
	return w.exec("COMMIT")
}

func call(f func(*Tx) error, tx *Tx) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("sqlitedb: panic in a transaction: %v", r)
		}
	}()
	return f(tx)
}
