// Package corebank is a simulated core banking system on one SQLite file: accounts, holds and credits, each call idempotent by its key.
//
// It is for demonstrations and tests behind the connector's core-bank port. It keeps no general ledger, charges no fees and knows no
// interest; a hold reduces what is available, a post turns it into a debit.
package corebank

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/parleypay/parley/internal/sqlitedb"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/connector"
)

// Status of an account. The zero Status is none: such an account is not opened.
type Status string

const (
	Open    Status = "open"
	Closed  Status = "closed"  // takes no debit and no credit (AC04)
	Blocked Status = "blocked" // likewise, for now (AC06)
)

// Account is an account to open.
type Account struct {
	Account payments.Account
	Name    payments.Name   // the holder
	Balance payments.Amount // at the opening; the account keeps this currency
	Status  Status          // empty means Open
}

// Bank is the simulator. All methods may be called concurrently.
type Bank struct{ db *sqlitedb.DB }

// ISO external status reasons of refusals.
const (
	reasonNoAccount = "AC03"
	reasonClosed    = "AC04"
	reasonBlocked   = "AC06"
	reasonCurrency  = "AM03"
	reasonFunds     = "AM04"
	reasonDuplicate = "AM05" // the key was used for something else
	reasonNoHold    = "NOAS" // no such hold
)

const schema = `
PRAGMA secure_delete = OFF; -- nothing is ever erased
CREATE TABLE IF NOT EXISTS account (
	id TEXT PRIMARY KEY, name TEXT NOT NULL, currency TEXT NOT NULL, status TEXT NOT NULL,
	balance INTEGER NOT NULL, held INTEGER NOT NULL DEFAULT 0 CHECK (held >= 0)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hold (
	key TEXT PRIMARY KEY, account TEXT NOT NULL, currency TEXT NOT NULL, minor INTEGER NOT NULL, state TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS credit (
	n INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, account TEXT NOT NULL, currency TEXT NOT NULL, minor INTEGER NOT NULL
) STRICT;`

// States of a hold. A released key stays, so that a reserve that comes late is refused.
const (
	held     = "held"
	posted   = "posted"
	released = "released"
)

// OpenBank opens or creates the file and opens the accounts that it does not have yet; the others stay as they are.
func OpenBank(path string, accounts []Account) (*Bank, error) {
	db, err := sqlitedb.Open(path, schema)
	if err != nil {
		return nil, fmt.Errorf("corebank: %w", err)
	}
	b := &Bank{db}
	if err := b.OpenAccounts(context.Background(), accounts); err != nil {
		db.Close()
		return nil, err
	}
	return b, nil
}

// Close releases the file.
func (b *Bank) Close() error { return b.db.Close() }

// OpenAccounts opens the accounts that the bank does not have yet.
func (b *Bank) OpenAccounts(ctx context.Context, accounts []Account) error {
	for i, a := range accounts {
		if a.Account == (payments.Account{}) || a.Name == (payments.Name{}) {
			return fmt.Errorf("corebank: account %d: number and name are required", i)
		}
		if _, ok := a.Balance.Currency.Digits(); !ok || a.Balance.Minor < 0 {
			return fmt.Errorf("corebank: account %d: the balance needs a currency and must not be negative", i)
		}
		switch a.Status {
		case "", Open, Closed, Blocked:
		default:
			return fmt.Errorf("corebank: account %d: status is none of open, closed, blocked", i)
		}
	}
	return b.update(ctx, func(tx *sqlitedb.Tx) error {
		for _, a := range accounts {
			status := a.Status
			if status == "" {
				status = Open
			}
			if _, err := tx.Exec("INSERT INTO account (id, name, currency, status, balance) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
				a.Account.Reveal(), a.Name.Reveal(), string(a.Balance.Currency), string(status), a.Balance.Minor); err != nil {
				return err
			}
		}
		return nil
	})
}

// SetStatus opens, closes or blocks an account.
func (b *Bank) SetStatus(ctx context.Context, account payments.Account, s Status) error {
	return b.update(ctx, func(tx *sqlitedb.Tx) error {
		r, err := tx.Exec("UPDATE account SET status = ? WHERE id = ?", string(s), account.Reveal())
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, refuse(reasonNoAccount))
		}
		return nil
	})
}

func refuse(reason string) error { return &connector.CoreError{Reason: reason} }

func (b *Bank) update(ctx context.Context, f func(*sqlitedb.Tx) error) error {
	err := b.db.Update(ctx, f)
	var refused *connector.CoreError
	if err == nil || errors.As(err, &refused) {
		return err
	}
	return fmt.Errorf("corebank: %w", err)
}

// usable refuses an account that does not exist, is not open or has another currency.
func usable(tx *sqlitedb.Tx, account string, c payments.Currency) error {
	var status, currency string
	err := tx.QueryRow("SELECT status, currency FROM account WHERE id = ?", []any{account}, &status, &currency)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return refuse(reasonNoAccount)
	case err != nil:
		return err
	case Status(status) == Closed:
		return refuse(reasonClosed)
	case Status(status) != Open:
		return refuse(reasonBlocked)
	case currency != string(c):
		return refuse(reasonCurrency)
	}
	return nil
}

// Reserve holds the amount. The same call again answers the same; after a Release with this key it refuses.
func (b *Bank) Reserve(ctx context.Context, key string, account payments.Account, amount payments.Amount) error {
	if !amount.Payable() || key == "" {
		return errors.New("corebank: key and a payable amount are required")
	}
	id := account.Reveal()
	return b.update(ctx, func(tx *sqlitedb.Tx) error {
		var was, currency, state string
		var minor int64
		err := tx.QueryRow("SELECT account, currency, minor, state FROM hold WHERE key = ?", []any{key}, &was, &currency, &minor, &state)
		switch {
		case err == nil && state == released:
			return refuse(reasonNoHold)
		case err == nil && (was != id || currency != string(amount.Currency) || minor != amount.Minor):
			return refuse(reasonDuplicate)
		case err == nil:
			return nil
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		if err := usable(tx, id, amount.Currency); err != nil {
			return err
		}
		r, err := tx.Exec("UPDATE account SET held = held + ? WHERE id = ? AND balance - held >= ?", amount.Minor, id, amount.Minor)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, refuse(reasonFunds))
		}
		_, err = tx.Exec("INSERT INTO hold (key, account, currency, minor, state) VALUES (?, ?, ?, ?, ?)", key, id, string(amount.Currency), amount.Minor, held)
		return err
	})
}

// Post debits what is held under the key. Posting twice does nothing more; a released or unknown hold is refused.
func (b *Bank) Post(ctx context.Context, key string) error {
	return b.update(ctx, func(tx *sqlitedb.Tx) error {
		account, minor, state, err := hold(tx, key)
		switch {
		case err != nil:
			return err
		case state == posted:
			return nil
		case state != held:
			return refuse(reasonNoHold)
		}
		if _, err := tx.Exec("UPDATE account SET held = held - ?, balance = balance - ? WHERE id = ?", minor, minor, account); err != nil {
			return err
		}
		return setHold(tx, key, posted)
	})
}

// Release gives the hold back. Releasing twice, or what was never held, does nothing and bars a later Reserve; a posted hold is refused.
func (b *Bank) Release(ctx context.Context, key string) error {
	return b.update(ctx, func(tx *sqlitedb.Tx) error {
		account, minor, state, err := hold(tx, key)
		switch {
		case err != nil:
			return err
		case state == posted:
			return refuse(reasonNoHold)
		case state == released:
			return nil
		case state == "":
			_, err := tx.Exec("INSERT INTO hold (key, account, currency, minor, state) VALUES (?, '', '', 0, ?)", key, released)
			return err
		}
		if _, err := tx.Exec("UPDATE account SET held = held - ? WHERE id = ?", minor, account); err != nil {
			return err
		}
		return setHold(tx, key, released)
	})
}

func hold(tx *sqlitedb.Tx, key string) (account string, minor int64, state string, err error) {
	if key == "" {
		return "", 0, "", errors.New("key is required")
	}
	err = tx.QueryRow("SELECT account, minor, state FROM hold WHERE key = ?", []any{key}, &account, &minor, &state)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return account, minor, state, err
}

func setHold(tx *sqlitedb.Tx, key, state string) error {
	_, err := tx.Exec("UPDATE hold SET state = ? WHERE key = ?", state, key)
	return err
}

// Credit adds the amount to the account. The same call again answers with the same reference.
func (b *Bank) Credit(ctx context.Context, key string, account payments.Account, amount payments.Amount) (ref string, err error) {
	if !amount.Payable() || key == "" {
		return "", errors.New("corebank: key and a payable amount are required")
	}
	id := account.Reveal()
	err = b.update(ctx, func(tx *sqlitedb.Tx) error {
		var n, minor int64
		var was, currency string
		err := tx.QueryRow("SELECT n, account, currency, minor FROM credit WHERE key = ?", []any{key}, &n, &was, &currency, &minor)
		switch {
		case err == nil && (was != id || currency != string(amount.Currency) || minor != amount.Minor):
			return refuse(reasonDuplicate)
		case err == nil:
			ref = reference(n)
			return nil
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		if err := usable(tx, id, amount.Currency); err != nil {
			return err
		}
		if _, err := tx.Exec("UPDATE account SET balance = balance + ? WHERE id = ?", amount.Minor, id); err != nil {
			return err
		}
		r, err := tx.Exec("INSERT INTO credit (key, account, currency, minor) VALUES (?, ?, ?, ?)", key, id, string(amount.Currency), amount.Minor)
		if err != nil {
			return err
		}
		n, err = r.LastInsertId()
		ref = reference(n)
		return err
	})
	return ref, err
}

func reference(n int64) string { return fmt.Sprintf("CR%010d", n) }

// LookUp returns an account, or a *connector.CoreError with AC03.
func (b *Bank) LookUp(ctx context.Context, account payments.Account) (info connector.AccountInfo, err error) {
	var name, currency, status string
	err = b.db.View(ctx, func(tx *sqlitedb.Tx) error {
		return tx.QueryRow("SELECT name, currency, status FROM account WHERE id = ?", []any{account.Reveal()}, &name, &currency, &status)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return info, refuse(reasonNoAccount)
	}
	if err != nil {
		return info, fmt.Errorf("corebank: %w", err)
	}
	info.Currency = payments.Currency(currency)
	switch Status(status) {
	case Open:
	case Closed:
		info.Refuse = reasonClosed
	default:
		info.Refuse = reasonBlocked
	}
	info.Name, err = payments.ParseName(name)
	return info, err
}

// Balance returns what is on the account, and how much of it is held.
func (b *Bank) Balance(ctx context.Context, account payments.Account) (balance, heldNow payments.Amount, err error) {
	var currency string
	err = b.db.View(ctx, func(tx *sqlitedb.Tx) error {
		return tx.QueryRow("SELECT currency, balance, held FROM account WHERE id = ?", []any{account.Reveal()}, &currency, &balance.Minor, &heldNow.Minor)
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = refuse(reasonNoAccount)
	}
	balance.Currency, heldNow.Currency = payments.Currency(currency), payments.Currency(currency)
	return balance, heldNow, err
}

// Totals returns the sum of all balances and of all holds per currency, for reconciliation.
func (b *Bank) Totals(ctx context.Context) (balances, holds map[payments.Currency]int64, err error) {
	balances, holds = map[payments.Currency]int64{}, map[payments.Currency]int64{}
	err = b.db.View(ctx, func(tx *sqlitedb.Tx) error {
		rows, err := tx.Query("SELECT currency, sum(balance), sum(held) FROM account GROUP BY currency")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var c string
			var balance, held int64
			if err := rows.Scan(&c, &balance, &held); err != nil {
				return err
			}
			balances[payments.Currency(c)], holds[payments.Currency(c)] = balance, held
		}
		return rows.Err()
	})
	return balances, holds, err
}
