//go:build race

package iso20022

// underRace leaves out what measures times.
const underRace = true
