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

// Value is a value of the application's, under a key in a bucket. A nil Value deletes what is there.
type Value struct {
	Bucket, Key string
	Value       []byte
}

// Put stores a value of the application's in the device's store, encrypted like all else, its bucket and key hidden; nil deletes
// it. It is durable when Put returns.
func (d *Device) Put(ctx context.Context, bucket, key string, v []byte) error {
	return d.PutAll(ctx, Value{bucket, key, v})
}

// PutAll is Put for several values: all of them become durable together, or none.
func (d *Device) PutAll(ctx context.Context, values ...Value) error {
	if err := checkValues(values); err != nil {
		return err
	}
	return d.s.update(ctx, func(t *tx) error { return d.putAll(t, values) })
}

// PutLater is PutAll for handlers of messages: it does not wait. The values become durable before the message counts as handled, so
// that a crash which loses them makes the handler run again. Get and Keys see them only once they are durable; a Put, PutAll, PutLater
// or Send that begins later comes after.
func (d *Device) PutLater(values ...Value) error {
	if err := checkValues(values); err != nil {
		return err
	}
	d.s.db.Later(d.s.writing(func(t *tx) error { return d.putAll(t, values) }))
	return nil
}

func checkValues(values []Value) error {
	for _, v := range values {
		if len(v.Value) > MaxValue || len(v.Key) > 1024 {
			return errors.New("device: put: key or value too long")
		}
	}
	return nil
}

func (d *Device) putAll(t *tx, values []Value) error {
	for _, v := range values {
		b, k := d.s.name([]byte("bucket"), []byte(v.Bucket)), d.s.name([]byte("key"), []byte(v.Bucket), []byte(v.Key))
		if v.Value == nil {
			if err := t.exec(`DELETE FROM value WHERE bucket = ? AND k = ?`, b, k); err != nil {
				return err
			}
			continue
		}
		row, err := t.sealed("value", k, value{v.Key, v.Value})
		if err != nil {
			return err
		}
		if err := t.exec(`INSERT INTO value (bucket, k, v) VALUES (?, ?, ?) ON CONFLICT (bucket, k) DO UPDATE SET v = excluded.v`, b, k, row); err != nil {
			return err
		}
	}
	return nil
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
