//go:build !race

package iso20022

const raceFactor = 1
