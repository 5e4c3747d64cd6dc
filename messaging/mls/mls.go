// Package mls implements the Messaging Layer Security protocol of RFC 9420: groups whose members agree on keys, membership and
// history, with forward secrecy and post-compromise security.
//
// It does no I/O, reads no clock, starts no goroutine, keeps no global state and writes no log: bytes and randomness go in, bytes and
// state come out. It knows no relay, no store and no content format; package device joins them.
//
// Experimental: the core makes and processes commits, joins and messages and passes the working group's vectors, but the group API is
// not exported yet and nothing imports the package; package device still uses another implementation. What is missing is listed in
// docs/mls-validation.md.
//
// What a peer sends is decoded into wire types (KeyPackage, Welcome, MLSMessage …), which say nothing of validity, and is acted upon
// only after the checks of the RFC's sections, listed in docs/mls-validation.md. Decoded values share memory with one private copy
// of the input and are not to be modified.
package mls

// ProtocolVersion is the version of the protocol a message or key package speaks (RFC 9420 §6).
type ProtocolVersion uint16

// MLS10 is the only version there is: "mls10".
const MLS10 ProtocolVersion = 1
