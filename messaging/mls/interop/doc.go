// Package interop runs groups whose members are different implementations of MLS, to prove that messaging/mls speaks RFC 9420 and not
// a dialect of its own.
//
// It is a module of its own, so that the peers stay out of the product's module graph; nothing of Parley imports it.
package interop
