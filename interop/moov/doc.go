// Package moov imports values of the types of github.com/moov-io/iso20022, exactly or not at all. Its tests read Parley's documents with
// that library and pin down what it does wrong.
//
// It is a module of its own, since that library brings 447 modules into the graph; nothing of Parley imports it, and nothing is
// written with it.
package moov
