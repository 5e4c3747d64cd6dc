package content

import (
	"fmt"
	"time"

	"github.com/parleypay/parley/messaging"
)

// Status is what became of a message at its receiver. The numbers are those of draft-mahy-mimi-message-status.
type Status uint8

// Statuses in use here; others survive decoding.
const (
	Delivered Status = 1 // stored durably by the receiving device
	Read      Status = 2
	Expired   Status = 3
	Deleted   Status = 4
	Failed    Status = 6
)

// MaxStatuses bounds one report.
const MaxStatuses = 256

// Report is a delivery report: what became of messages of the same chat. Its encoding follows draft-mahy-mimi-message-status:
// [timestamp, [* [messageId, status]]], with the timestamp in Unix milliseconds, untagged; the media type is ours until the draft's is registered.
type Report struct {
	At       time.Time
	Statuses []MessageStatus
}

// MessageStatus is one line of a Report.
type MessageStatus struct {
	ID     messaging.MessageID
	Status Status
}

// Message returns the report as a message.
func (p Report) Message() Message {
	b := appendHead(appendArray(nil, 2), majorUint, uint64(max(0, p.At.UnixMilli())))
	b = appendArray(b, len(p.Statuses))
	for _, s := range p.Statuses {
		b = appendHead(appendBytes(appendArray(b, 2), s.ID[:]), majorUint, uint64(s.Status))
	}
	return Message{Body: Part{Kind: Single, MediaType: TypeStatus, Content: b}}
}

// DecodeReport reads the content of a part of TypeStatus.
func DecodeReport(b []byte) (Report, error) {
	var p Report
	if len(b) > MaxSize {
		return p, fmt.Errorf("content: report of %d octets, limit %d", len(b), MaxSize)
	}
	r := &reader{b: b}
	n, err := r.array("report: array of 2")
	if err != nil {
		return p, err
	}
	if n != 2 {
		return p, r.fail("report: array of 2")
	}
	at, err := r.uint(1<<48, "timestamp")
	if err != nil {
		return p, err
	}
	p.At = time.UnixMilli(int64(at))
	if n, err = r.array("statuses"); err != nil {
		return p, err
	}
	if n > MaxStatuses {
		return p, r.fail(fmt.Sprintf("at most %d statuses", MaxStatuses))
	}
	for range n {
		k, err := r.array("status: array of 2")
		if err != nil {
			return p, err
		}
		if k != 2 {
			return p, r.fail("status: array of 2")
		}
		id, err := r.messageID("messageId")
		if err != nil {
			return p, err
		}
		if id == nil {
			return p, r.fail("messageId")
		}
		status, err := r.uint(255, "status")
		if err != nil {
			return p, err
		}
		p.Statuses = append(p.Statuses, MessageStatus{ID: *id, Status: Status(status)})
	}
	if r.off != len(b) {
		return p, r.fail("the end")
	}
	return p, nil
}

// IDs returns an extension whose value is an array of message ids.
func IDs(key int64, ids []messaging.MessageID) Extension {
	b := appendArray(nil, len(ids))
	for i := range ids {
		b = appendBytes(b, ids[i][:])
	}
	return Extension{Key: key, Value: b}
}

// IDs reads the extension that IDs wrote; nil when the message has none. At most limit ids are taken.
func (m *Message) IDs(key int64, limit int) ([]messaging.MessageID, error) {
	for _, e := range m.Extensions {
		if e.Name != "" || e.Key != key {
			continue
		}
		r := &reader{b: e.Value}
		n, err := r.array("message ids: array")
		if err != nil {
			return nil, err
		}
		if n > limit {
			return nil, r.fail(fmt.Sprintf("at most %d message ids", limit))
		}
		ids := make([]messaging.MessageID, 0, n)
		for range n {
			id, err := r.messageID("message id")
			if err != nil {
				return nil, err
			}
			if id == nil {
				return nil, r.fail("message id")
			}
			ids = append(ids, *id)
		}
		return ids, nil
	}
	return nil, nil
}
