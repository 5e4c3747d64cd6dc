package mls

// senderDataKey derives the key and nonce that hide the sender of a PrivateMessage (RFC 9420 §6.3.2) into k, which the caller
// wipes. secret is sender_data_secret; the sample is the first Nh octets of ciphertext, or all of it if shorter.
func (s *suite) senderDataKey(k *messageKey, secret, ciphertext []byte) {
	sample := ciphertext[:min(s.nh, len(ciphertext))]
	s.expandInto(k.key[:s.nk], secret, "key", sample)
	s.expandInto(k.nonce[:s.nn], secret, "nonce", sample)
}
