package mls

import (
	"fmt"
	"math"
)

// pskInput is one pre-shared key that goes into an epoch.
type pskInput struct {
	id  PreSharedKeyID
	psk []byte
}

// pskSecret returns psk_secret over the keys in the order of the commit or of GroupSecrets, nil for none, which stands for Nh zero
// bytes (RFC 9420 §8.4). The caller wipes the keys.
func (s *suite) pskSecret(psks []pskInput) ([]byte, error) {
	if len(psks) > math.MaxUint16 {
		return nil, fmt.Errorf("mls: %d pre-shared keys in one commit: at most %d fit (§8.4)", len(psks), math.MaxUint16)
	}
	var secret []byte
	for i, p := range psks {
		var label encoder // PSKLabel
		p.id.encode(&label)
		label.u16(uint16(i))
		label.u16(uint16(len(psks)))
		if label.err != nil {
			return nil, label.err
		}
		extracted := s.extract(make([]byte, s.nh), p.psk)
		input := make([]byte, s.nh)
		s.expandInto(input, extracted, "derived psk", label.buf)
		next := s.extract(input, s.orZero(secret))
		wipe(extracted, input, secret)
		secret = next
	}
	return secret, nil
}
