//go:build !race

package iso20022

const underRace = false
