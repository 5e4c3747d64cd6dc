package rail

import "time"

// What the tests outside the package look at.

// Travels says which way a message travels by its header.
func Travels(p *Profile, m *Message) Direction { return p.direction(m) }

// OwnName is the rail's own name of a definition.
func OwnName(p *Profile, def string) string { return p.ownName(def) }

// Open takes a wire message apart as the profile's form does.
func Open(p *Profile, wire []byte) (*Parts, error) { return p.shape().Open(p, wire) }

// Easter returns Easter Sunday.
func Easter(year int) time.Time { return easter(year) }
