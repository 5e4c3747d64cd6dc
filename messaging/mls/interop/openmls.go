package interop

// OpenMLS is the published Rust crate openmls 0.9.2, as a program; New is missing. See the README for what it lacks.
var OpenMLS = Implementation{
	Name:   "OpenMLS",
	Suites: []uint16{1, 2, 3},
	Lacks:  LackBranch | LackReInit | LackResumptionPSK | LackMixedPSKs | LackOutsidePSK,
}
