package interop

// TSMLS is ts-mls 1.6.4 (npm), as a program; New is missing. See the README for what it lacks.
var TSMLS = Implementation{
	Name:   "ts-mls",
	Suites: []uint16{1, 3},
	Lacks:  LackExternalPSK | LackExternalSenders | LackEmptyExtensions | LackCommitExtensions,
}
