package device

import (
	"context"
	"errors"
	"slices"
)

// value is an application's value in its row.
type value struct {
	Key   string `cbor:"1,keyasint"`
	Value []byte `cbor:"2,keyasint"`
}

// MaxValue bounds one value of Put, in octets.
const MaxValue = 1 << 20

// Put stores a value of the application's in the device's store, encrypted like all else, its bucket and key hidden; nil deletes
// it. It is durable when Put returns.
func (d *Device) Put(ctx context.Context, bucket, key string, v []byte) error {
	if len(v) > MaxValue || len(key) > 1024 {
		return errors.New("device: put: key or value too long")
	}
	b, k := d.s.name([]byte("bucket"), []byte(bucket)), d.s.name([]byte("key"), []byte(bucket), []byte(key))
	return d.s.update(ctx, func(t *tx) error {
		if v == nil {
			return t.exec(`DELETE FROM value WHERE bucket = ? AND k = ?`, b, k)
		}
		row, err := t.sealed("value", k, value{key, v})
		if err != nil {
			return err
		}
		return t.exec(`INSERT INTO value (bucket, k, v) VALUES (?, ?, ?) ON CONFLICT (bucket, k) DO UPDATE SET v = excluded.v`, b, k, row)
	})
}

// Get returns a value, or ErrNotFound.
func (d *Device) Get(ctx context.Context, bucket, key string) ([]byte, error) {
	b, k := d.s.name([]byte("bucket"), []byte(bucket)), d.s.name([]byte("key"), []byte(bucket), []byte(key))
	var v value
	err := d.s.view(ctx, func(t *tx) error {
		var row []byte
		found, err := t.row(`SELECT v FROM value WHERE bucket = ? AND k = ?`, []any{b, k}, &row)
		if err != nil {
			return err
		}
		if !found {
			return ErrNotFound
		}
		return t.unsealed("value", k, row, &v)
	})
	if err == nil && v.Value == nil {
		v.Value = []byte{}
	}
	return v.Value, err
}

// Keys lists the keys of a bucket in order.
func (d *Device) Keys(ctx context.Context, bucket string) ([]string, error) {
	var keys []string
	err := d.s.view(ctx, func(t *tx) error {
		return t.rows(`SELECT k, v FROM value WHERE bucket = ?`, []any{d.s.name([]byte("bucket"), []byte(bucket))}, func(scan func(...any) error) error {
			var k, row []byte
			if err := scan(&k, &row); err != nil {
				return err
			}
			var v value
			if err := t.unsealed("value", k, row, &v); err != nil {
				return err
			}
			keys = append(keys, v.Key)
			return nil
		})
	})
	slices.Sort(keys)
	return keys, err
}
