//go:build race

package journal_test

// underRace thins out what is repeated for its own sake: the race detector makes SQLite ten times slower and finds nothing in it.
const underRace = true
