package interop

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/parleypay/parley/internal/shared"
)

// scenarios are the files of scripts of the working group's test runner.
var scenarios = []string{"application", "branch", "commit", "external_join", "external_proposals", "reinit", "welcome_join"}

func scripts(t *testing.T) []Script {
	t.Helper()
	var all []Script
	for _, name := range scenarios {
		s, err := ReadScripts(shared.Path(t, "mls-vectors/interop-configs/"+name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s...)
	}
	if len(all) < 39 {
		t.Fatalf("only %d scripts", len(all))
	}
	return all
}

// needs tells what a role asks of its implementation.
func needs(s Script, name string) Lack {
	var need Lack
	for _, a := range s.Actions {
		switch {
		case a.Action == "externalJoin" && a.Joiner == name && len(a.PSKs) > 0:
			need |= LackExternalPSK
		case a.Action == "externalJoin" && a.Joiner == name && a.RemovePrior:
			need |= LackResync
		case a.Action == "newMemberAddProposal" && a.Joiner == name:
			need |= LackProposeSelf
		case a.Action == "branch":
			need |= LackBranch
		case a.Action == "reinit":
			need |= LackReInit
		case a.Action == "resumptionPSKProposal" && a.Actor == name:
			need |= LackResumptionPSK
		case a.Action == "externalSignerProposal" && slices.Contains([]ProposalType{ExternalPSK, ResumptionPSK, ReInit}, a.Description.Type):
			need |= LackOutsidePSK
		case a.Action == "fullCommit" && a.Actor == name:
			need |= ofCommit(s, a)
		}
	}
	return need
}

// ofCommit tells what a commit asks of its committer.
func ofCommit(s Script, a Action) Lack {
	var need, psks Lack
	const byReference, byValue = 1, 2
	for _, i := range a.ByReference {
		switch s.Actions[i].Action {
		case "groupContextExtensionsProposal":
			need |= LackCommitExtensions
		case "externalPSKProposal", "resumptionPSKProposal":
			psks |= byReference
		}
	}
	for _, d := range a.ByValue {
		switch d.Type {
		case GroupContextExtensions:
			need |= LackCommitExtensions
		case ExternalPSK, ResumptionPSK:
			psks |= byValue
		}
	}
	if psks == byReference|byValue {
		need |= LackMixedPSKs
	}
	return need
}

// casts distributes the roles of a script between two implementations: alternating, both ways, and the first role against all
// others, both ways; with every, each role in turn against all others. A role that its implementation cannot play goes to the other.
func casts(s Script, a, b Implementation, every bool) map[string]map[string]Implementation {
	roles := s.Actors()
	out := map[string]map[string]Implementation{}
	seen := map[string]bool{}
	add := func(pick func(i int) Implementation) {
		cast := map[string]Implementation{}
		var names []string
		for i, r := range roles {
			impl := pick(i)
			if need := needs(s, r); impl.Lacks&need != 0 {
				if impl = either(impl.Name == a.Name, b, a); impl.Lacks&need != 0 {
					return // nobody can
				}
			}
			cast[r] = impl
			names = append(names, impl.Name)
		}
		name := strings.Join(names, ",")
		if !seen[name] {
			seen[name] = true
			out[name] = cast
		}
	}
	for k := range roles {
		if k > 0 && !every {
			break
		}
		add(func(i int) Implementation { return either(i == k, a, b) })
		add(func(i int) Implementation { return either(i == k, b, a) })
	}
	add(func(i int) Implementation { return either(i%2 == 0, a, b) })
	add(func(i int) Implementation { return either(i%2 == 0, b, a) })
	return out
}

func either(first bool, a, b Implementation) Implementation {
	if first {
		return a
	}
	return b
}

// everything tells whether the long version of the tests is asked for, and that no peer may be missing.
func everything() bool { return os.Getenv("PARLEY_INTEROP") == "all" }

// playAll plays every script in every suite with both implementations, a suite of RFC 9420 that comes first with
// more casts than the others.
func playAll(t *testing.T, a, b Implementation, suites []uint16) {
	all := scripts(t)
	for i, suite := range suites {
		for _, private := range []bool{false, true} {
			for _, s := range all {
				for names, cast := range casts(s, a, b, i == 0 && suite < 16 || everything()) {
					c := Config{Suite: suite, Other: suites[(i+1)%len(suites)], Private: private, Cast: cast}
					s, ok := s.Without(c.lacks())
					if !ok {
						continue
					}
					name := fmt.Sprintf("suite %d/%s/%s/private=%t/%s", suite, strings.TrimSuffix(path.Base(s.File), ".json"), s.Name, private, names)
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						if err := Run(s, c); err != nil {
							t.Error(err)
						}
					})
				}
			}
		}
	}
}

func TestAlone(t *testing.T) { playAll(t, Ours, Ours, Ours.Suites) }

func TestMLSGo(t *testing.T) { playAll(t, Ours, MLSGo, MLSGo.Suites) }

func TestTSMLS(t *testing.T) { playAll(t, Ours, tsmls(t), TSMLS.Suites) }

func TestOpenMLS(t *testing.T) { playAll(t, Ours, openmls(t), OpenMLS.Suites) }
