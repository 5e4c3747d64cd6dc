// Package mls implements the Messaging Layer Security protocol of RFC 9420: groups whose members agree on keys, membership and
// history, with forward secrecy and post-compromise security.
//
// It does no I/O, reads no clock, starts no goroutine, keeps no global state and writes no log: bytes and randomness go in, bytes and
// state come out. It knows no relay, no store and no content format; package device joins them.
//
// A Client makes key packages and enters groups; a Group is one group in one epoch. Every operation works in one transaction of the
// caller's store (Tx), together with the caller's own rows, and says what it made of a message by a closed set of types. Nothing is
// merged implicitly: a commit, own or another's, is staged, looked at, and then confirmed, merged or dropped. A PublicGroup follows a
// group without its secrets.
//
// What of the RFC and its drafts is left out, and why, is listed in docs/divergences.md.
//
// What a peer sends is decoded into wire types (KeyPackage, Welcome, MLSMessage …), which say nothing of validity, and is acted upon
// only after the checks of the RFC's sections, listed in docs/mls-validation.md. Decoded values share memory with one private copy
// of the input and are not to be modified.
package mls

// ProtocolVersion is the version of the protocol a message or key package speaks (RFC 9420 §6).
type ProtocolVersion uint16

// MLS10 is the only version there is: "mls10".
const MLS10 ProtocolVersion = 1
