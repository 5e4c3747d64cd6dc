//go:build race

package iso20022

// raceFactor is how much slower the race detector makes reading.
const raceFactor = 20
