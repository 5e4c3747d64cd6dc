// Package moov holds tests that read Parley's ISO 20022 documents with github.com/moov-io/iso20022, and that pin down what that
// library does wrong.
//
// It is a module of its own, since that library brings 447 modules into the graph; nothing of Parley imports it, and nothing is
// written with it.
package moov
