package amqp

import (
	"time"

	goamqp "github.com/Azure/go-amqp"
)

// ContentType is what every wire message is said to be.
const ContentType = "application/xml"

// Message is a wire message with the properties that the rails use (AMQP 1.0, part 3, section 3.2.4). All texts are short: who makes a
// Message for sending sees to it, and from a received one longer texts are dropped.
type Message struct {
	ID          string // message-id: one for every message handed over, also when two have the same bytes
	Correlation string // correlation-id: the ID of the message that this one answers
	To, ReplyTo string // queues, for people and gateways; nothing is routed by them
	User        string // user-id: who sent it; a broker worth trusting refuses a wrong one
	ContentType string
	Created     time.Time
	Body        []byte
}

// propertyMaxBytes bounds one property of a received message.
const propertyMaxBytes = 255

// encode makes the AMQP message: durable, without an expiry, in one data section. A payment message never expires in a queue: it would
// be lost without a word, while the rail refuses one that comes too late.
func (m Message) encode() *goamqp.Message {
	text := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	id := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	p := &goamqp.MessageProperties{
		MessageID: id(m.ID), CorrelationID: id(m.Correlation), To: text(m.To), ReplyTo: text(m.ReplyTo), ContentType: text(or(m.ContentType, ContentType)),
	}
	if m.User != "" {
		p.UserID = []byte(m.User)
	}
	if !m.Created.IsZero() {
		created := m.Created.UTC()
		p.CreationTime = &created
	}
	return &goamqp.Message{Header: &goamqp.MessageHeader{Durable: true}, Properties: p, Data: [][]byte{m.Body}}
}

// decode reads a received message. What is not as it should be (an id that is no text, a body that is no data) becomes empty; a body
// longer than sizeMax is cut one byte above it, so that whoever decodes it refuses it as too large.
func decode(in *goamqp.Message, sizeMax int) Message {
	var m Message
	text := func(s string) string {
		if len(s) > propertyMaxBytes {
			return ""
		}
		return s
	}
	if p := in.Properties; p != nil {
		id := func(v any) string { s, _ := v.(string); return text(s) }
		m.ID, m.Correlation, m.User = id(p.MessageID), id(p.CorrelationID), text(string(p.UserID))
		for _, x := range []struct {
			from *string
			into *string
		}{{p.To, &m.To}, {p.ReplyTo, &m.ReplyTo}, {p.ContentType, &m.ContentType}} {
			if x.from != nil {
				*x.into = text(*x.from)
			}
		}
		if p.CreationTime != nil {
			m.Created = *p.CreationTime
		}
	}
	for _, section := range in.Data {
		if room := sizeMax + 1 - len(m.Body); len(section) > room {
			section = section[:room]
		}
		m.Body = append(m.Body, section...)
	}
	return m
}
