package interop

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
)

// A Script is a scenario of the working group's test runner: one action after the other.
type Script struct {
	File, Name string
	Actions    []Action
}

// Action is one line of a script. Numbers that refer to other actions count from 0.
type Action struct {
	Action       string      `json:"action"`
	Actor        string      `json:"actor"`
	Members      []string    `json:"members"`
	Joiners      []string    `json:"joiners"`
	Clients      []string    `json:"clients"`
	Joiner       string      `json:"joiner"`
	Signer       string      `json:"signer"`
	Member       string      `json:"member"`
	Proposer     string      `json:"proposer"`
	Committer    string      `json:"committer"`
	Welcomer     string      `json:"welcomer"`
	Removed      string      `json:"removed"`
	KeyPackage   int         `json:"keyPackage"`
	PSK          int         `json:"pskID"`
	PSKs         []int       `json:"psks"`
	Epoch        uint64      `json:"epochID"`
	Ciphertext   int         `json:"ciphertext"`
	Plaintext    string      `json:"plaintext"`
	AAD          string      `json:"authenticatedData"`
	Extensions   []scriptExt `json:"extensions"`
	ByReference  []int       `json:"byReference"`
	ByValue      []described `json:"byValue"`
	Description  described   `json:"description"`
	ForcePath    bool        `json:"forcePath"`
	ForcePath2   bool        `json:"force_path"`
	ExternalTree bool        `json:"externalTree"`
	ExternalTre2 bool        `json:"external_tree"`
	RemovePrior  bool        `json:"removePrior"`
	ChangeSuite  bool        `json:"changeCiphersuite"`
	ChangeID     bool        `json:"changeGroupID"`
	External     int         `json:"externalReinitProposal"`
}

type scriptExt struct {
	Type uint16 `json:"extension_type"`
	Data []byte `json:"extension_data"`
}

// described is a proposal inside an action. encoding/json matches changeCipherSuite and changeCiphersuite alike.
type described struct {
	Type        ProposalType `json:"proposalType"`
	KeyPackage  int          `json:"keyPackage"`
	Removed     string       `json:"removed"`
	PSK         int          `json:"pskID"`
	Epoch       uint64       `json:"epochID"`
	Extensions  []scriptExt  `json:"extensions"`
	ChangeSuite bool         `json:"changeCipherSuite"`
	ChangeID    bool         `json:"changeGroupID"`
}

// ReadScripts reads a file of scripts, sorted by name.
func ReadScripts(path string) ([]Script, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var file struct{ Scripts map[string][]Action }
	if err := json.Unmarshal(b, &file); err != nil {
		return nil, err
	}
	var out []Script
	for _, name := range slices.Sorted(maps.Keys(file.Scripts)) {
		out = append(out, Script{File: path, Name: name, Actions: file.Scripts[name]})
	}
	return out, nil
}

// Actors returns who takes part, in the order of appearance.
func (s Script) Actors() []string {
	var names []string
	add := func(more ...string) {
		for _, n := range more {
			if n != "" && !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	for _, a := range s.Actions {
		add(a.Actor)
		add(a.Members...)
		add(a.Joiners...)
		add(a.Clients...)
		add(a.Joiner, a.Signer, a.Member, a.Proposer, a.Committer, a.Welcomer)
	}
	return names
}

// Without returns the script as it can be played by a cast that lacks something, and false if nothing of its point is left.
func (s Script) Without(lacks Lack) (Script, bool) {
	change := func(in []scriptExt, present bool) []scriptExt {
		if lacks&LackExternalSenders != 0 {
			in = slices.DeleteFunc(slices.Clone(in), func(e scriptExt) bool { return e.Type == externalSenders })
		}
		if lacks&LackEmptyExtensions != 0 && present && len(in) == 0 {
			in = []scriptExt{{Type: requiredCapabilities, Data: make([]byte, 3)}}
		}
		return in
	}
	s.Actions = slices.Clone(s.Actions)
	for i := range s.Actions {
		a := &s.Actions[i]
		if a.Action == "addExternalSigner" && lacks&LackExternalSenders != 0 {
			return s, false
		}
		a.Extensions = change(a.Extensions, a.Action == "groupContextExtensionsProposal")
		a.ByValue = slices.Clone(a.ByValue)
		for j := range a.ByValue {
			d := &a.ByValue[j]
			d.Extensions = change(d.Extensions, d.Type == GroupContextExtensions)
		}
	}
	return s, true
}

// Types of extensions (RFC 9420 §17.3).
const (
	requiredCapabilities = 3
	externalSenders      = 5
)

// Config says how a script is played.
type Config struct {
	Suite   uint16
	Other   uint16 // suite of a reinitialisation that changes it
	Private bool   // handshakes of members as PrivateMessage
	Cast    map[string]Implementation
	Trace   func(format string, args ...any) // nil: none
}

// Run plays the script. After each action that begins an epoch all members must agree on it, and each opens a message of each other.
func Run(s Script, c Config) (err error) {
	w := &world{Config: c, actors: map[string]*actor{}, groupID: []byte(s.Name + " group")}
	defer func() {
		for _, a := range w.actors {
			err = errors.Join(err, a.client.Close())
		}
	}()
	for i, a := range s.Actions {
		if err := w.play(a); err != nil {
			return fmt.Errorf("action %d, %s: %w", i, a.Action, err)
		}
	}
	return nil
}

type world struct {
	Config
	actors  map[string]*actor
	outputs []output // of each action
	groupID []byte
	senders []string // external senders, by their index
	entries [][]byte // their ExternalSender structures
}

// output is what later actions refer to.
type output struct {
	message   []byte // key package, proposal or ciphertext
	from      *actor
	plaintext []byte
	aad       []byte
	psk       []byte
	proposal  Proposal
}

type actor struct {
	name   string
	impl   Implementation
	client Client
	group  Group
	seen   map[string]bool // messages taken in, or sent
}

func (w *world) actor(name string) (*actor, error) {
	if a := w.actors[name]; a != nil {
		return a, nil
	}
	impl, ok := w.Cast[name]
	if !ok {
		return nil, fmt.Errorf("nobody plays %s", name)
	}
	client, err := impl.New(Profile{Identity: name, Private: w.Private, Unpadded: w.lacks()&LackPadding != 0})
	if err != nil {
		return nil, err
	}
	a := &actor{name: name, impl: impl, client: client, seen: map[string]bool{}}
	w.actors[name] = a
	return a, nil
}

// lacks is what somebody of the cast lacks.
func (c *Config) lacks() (l Lack) {
	for _, impl := range c.Cast {
		l |= impl.Lacks
	}
	return l
}

func (w *world) all(names []string) ([]*actor, error) {
	var out []*actor
	for _, n := range names {
		a, err := w.actor(n)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

func (a *actor) errorf(what string, err error) error {
	return fmt.Errorf("%s (%s) %s: %w", a.name, a.impl.Name, what, err)
}

// handle gives a proposal or commit to an actor, once.
func (a *actor) handle(message []byte) error {
	if a.seen[string(message)] {
		return nil
	}
	a.seen[string(message)] = true
	if err := a.group.Handle(message); err != nil {
		return a.errorf("handles", err)
	}
	return nil
}

// info returns the actor's GroupInfo.
func (a *actor) info(external bool) (info, tree []byte, err error) {
	s, err := a.group.State()
	if err == nil && s.Epoch == 0 && a.impl.Lacks&LackFirstInfo != 0 {
		if _, err = a.group.Commit(CommitOptions{}); err == nil {
			_, err = a.group.Confirm()
		}
	}
	if err == nil {
		info, tree, err = a.group.GroupInfo(external)
	}
	if err != nil {
		err = a.errorf("makes a GroupInfo", err)
	}
	return info, tree, err
}

func (w *world) play(a Action) error {
	var out output
	var err error
	switch a.Action {
	case "createGroup":
		err = w.create(a)
	case "createKeyPackage":
		out, err = w.keyPackage(a.Actor)
	case "installExternalPSK":
		out.psk = fmt.Appendf(nil, "psk %d", len(w.outputs))
		var clients []*actor
		if clients, err = w.all(a.Clients); err == nil {
			for _, c := range clients {
				err = errors.Join(err, c.client.StorePSK(out.psk, secretOf(out.psk)))
			}
		}
	case "addProposal":
		out, err = w.propose(a.Actor, Proposal{Type: Add, KeyPackage: w.outputs[a.KeyPackage].message})
	case "removeProposal":
		out, err = w.propose(a.Actor, Proposal{Type: Remove, Removed: a.Removed})
	case "updateProposal":
		out, err = w.propose(a.Actor, Proposal{Type: Update})
	case "externalPSKProposal":
		out, err = w.propose(a.Actor, Proposal{Type: ExternalPSK, PSK: w.outputs[a.PSK].psk})
	case "resumptionPSKProposal":
		out, err = w.propose(a.Actor, Proposal{Type: ResumptionPSK, Epoch: a.Epoch})
	case "groupContextExtensionsProposal":
		out, err = w.propose(a.Actor, Proposal{Type: GroupContextExtensions, Extensions: exts(a.Extensions)})
	case "fullCommit":
		err = w.fullCommit(a)
	case "protect":
		out, err = w.protect(a)
	case "unprotect":
		err = w.unprotect(a)
	case "externalJoin":
		err = w.externalJoin(a)
	case "newMemberAddProposal":
		out, err = w.proposeSelf(a)
	case "addExternalSigner":
		out, err = w.addExternalSigner(a)
	case "externalSignerProposal":
		out, err = w.proposeExternal(a)
	case "branch":
		err = w.branch(a)
	case "reinit":
		err = w.reinit(a)
	default:
		err = errors.New("unknown action")
	}
	w.outputs = append(w.outputs, out)
	return err
}

func secretOf(id []byte) []byte { return append([]byte("secret of "), id...) }

func exts(in []scriptExt) (out []Extension) {
	for _, e := range in {
		out = append(out, Extension(e))
	}
	return out
}

func (w *world) create(a Action) error {
	creator, err := w.actor(a.Actor)
	if err != nil {
		return err
	}
	if creator.group, err = creator.client.Create(w.Suite, w.groupID, nil); err != nil {
		return creator.errorf("creates", err)
	}
	if len(a.Members) == 0 {
		return nil
	}
	var o CommitOptions
	for _, name := range a.Members {
		kp, err := w.keyPackage(name)
		if err != nil {
			return err
		}
		o.ByValue = append(o.ByValue, Proposal{Type: Add, KeyPackage: kp.message})
	}
	return w.commit(creator, o, nil, a.Members)
}

func (w *world) keyPackage(name string) (output, error) {
	a, err := w.actor(name)
	if err != nil {
		return output{}, err
	}
	kp, err := a.client.KeyPackage(w.Suite)
	if err != nil {
		return output{}, a.errorf("makes a key package", err)
	}
	return output{message: kp, from: a}, nil
}

func (w *world) propose(name string, p Proposal) (output, error) {
	a, err := w.actor(name)
	if err != nil {
		return output{}, err
	}
	m, err := a.group.Propose(p)
	if err != nil {
		return output{}, a.errorf("proposes "+string(p.Type), err)
	}
	a.seen[string(m)] = true
	return output{message: m, from: a, proposal: p}, nil
}

func (w *world) described(d described) (Proposal, error) {
	p := Proposal{Type: d.Type, Removed: d.Removed, Epoch: d.Epoch, Extensions: exts(d.Extensions)}
	switch d.Type {
	case Add:
		p.KeyPackage = w.outputs[d.KeyPackage].message
	case ExternalPSK:
		p.PSK = w.outputs[d.PSK].psk
	case ReInit:
		p.Suite, p.GroupID = w.next(d.ChangeSuite, d.ChangeID)
	case Remove, ResumptionPSK, GroupContextExtensions:
	default:
		return p, fmt.Errorf("unknown proposal %q", d.Type)
	}
	return p, nil
}

// next returns suite and id of a group that replaces the present one.
func (w *world) next(changeSuite, changeID bool) (uint16, []byte) {
	suite, id := w.Suite, w.groupID
	if changeSuite {
		suite = w.Other
	}
	if changeID {
		id = append(slices.Clone(id), " next"...)
	}
	return suite, id
}

func (w *world) fullCommit(a Action) error {
	committer, err := w.actor(a.Actor)
	if err != nil {
		return err
	}
	members, err := w.all(a.Members)
	if err != nil {
		return err
	}
	for _, i := range a.ByReference {
		for _, to := range append([]*actor{committer}, members...) {
			if err := to.handle(w.outputs[i].message); err != nil {
				return err
			}
		}
	}
	o := CommitOptions{ForcePath: a.ForcePath || a.ForcePath2, ExternalTree: a.ExternalTree || a.ExternalTre2}
	for _, d := range a.ByValue {
		p, err := w.described(d)
		if err != nil {
			return err
		}
		o.ByValue = append(o.ByValue, p)
	}
	return w.commit(committer, o, members, a.Joiners)
}

// commit makes a commit, gives it to the members, lets the joiners in and compares.
func (w *world) commit(committer *actor, o CommitOptions, members []*actor, joinerNames []string) error {
	joiners, err := w.all(joinerNames)
	if err != nil {
		return err
	}
	o.ExternalTree = o.ExternalTree && treeBeside(joiners)
	before, err := committer.group.State()
	if err != nil {
		return err
	}
	m, err := committer.group.Commit(o)
	if err != nil {
		return committer.errorf("commits", err)
	}
	if after, err := committer.group.State(); err != nil || after.Epoch != before.Epoch {
		return committer.errorf("commits", fmt.Errorf("staged commit moved the group to epoch %d: %v", after.Epoch, err))
	}
	for _, to := range members {
		if err := to.handle(m); err != nil {
			return err
		}
	}
	welcome, err := committer.group.Confirm()
	if err != nil {
		return committer.errorf("confirms", err)
	}
	for _, j := range joiners {
		if j.group, err = j.client.Join(welcome, nil); err != nil {
			return j.errorf("joins", err)
		}
	}
	return w.agree(append(append([]*actor{committer}, members...), joiners...))
}

// treeBeside tells whether all of them can take the tree beside the Welcome.
func treeBeside(joiners []*actor) bool {
	return !slices.ContainsFunc(joiners, func(a *actor) bool { return a.impl.Lacks&LackTreeBeside != 0 })
}

// agree compares what the actors know of their epoch, and passes a message from each to all others.
func (w *world) agree(actors []*actor) error {
	var first State
	var secret []byte
	for i, a := range actors {
		s, err := a.group.State()
		if err != nil {
			return a.errorf("tells its state", err)
		}
		e, err := a.group.Export("interop", []byte("context"), 40)
		if err != nil {
			return a.errorf("exports", err)
		}
		if i == 0 {
			first, secret = s, e
			w.trace("epoch %d of %d members: %x", s.Epoch, len(s.Members), s.Authenticator)
			if len(e) != 40 || len(s.Authenticator) == 0 {
				return a.errorf("tells its state", fmt.Errorf("authenticator %x, exporter %x", s.Authenticator, e))
			}
			continue
		}
		switch {
		case s.Epoch != first.Epoch || !bytes.Equal(s.GroupID, first.GroupID):
			err = fmt.Errorf("is in epoch %d of %q, not %d of %q", s.Epoch, s.GroupID, first.Epoch, first.GroupID)
		case !bytes.Equal(s.Authenticator, first.Authenticator):
			err = fmt.Errorf("has another authenticator than %s (%s) in epoch %d", actors[0].name, actors[0].impl.Name, s.Epoch)
		case !bytes.Equal(e, secret):
			err = fmt.Errorf("exports another secret than %s (%s)", actors[0].name, actors[0].impl.Name)
		case !slices.Equal(s.Members, first.Members):
			err = fmt.Errorf("sees members %q, %s sees %q", s.Members, actors[0].name, first.Members)
		}
		if err != nil {
			return a.errorf("disagrees", err)
		}
	}
	for _, from := range actors {
		plain, aad := fmt.Appendf(nil, "%s in epoch %d", from.name, first.Epoch), []byte(from.name)
		m, err := from.group.Protect(plain, aad)
		if err != nil {
			return from.errorf("protects", err)
		}
		for _, to := range actors {
			if to == from {
				continue
			}
			p, d, err := to.group.Unprotect(m)
			if err != nil {
				return to.errorf(fmt.Sprintf("opens a message of %s (%s)", from.name, from.impl.Name), err)
			}
			if !bytes.Equal(p, plain) || !bytes.Equal(d, aad) {
				return to.errorf("opens", fmt.Errorf("got %q with %q, want %q with %q", p, d, plain, aad))
			}
		}
	}
	return nil
}

func (w *world) trace(format string, args ...any) {
	if w.Trace != nil {
		w.Trace(format, args...)
	}
}

func (w *world) protect(a Action) (output, error) {
	from, err := w.actor(a.Actor)
	if err != nil {
		return output{}, err
	}
	m, err := from.group.Protect([]byte(a.Plaintext), []byte(a.AAD))
	if err != nil {
		return output{}, from.errorf("protects", err)
	}
	return output{message: m, from: from, plaintext: []byte(a.Plaintext), aad: []byte(a.AAD)}, nil
}

func (w *world) unprotect(a Action) error {
	to, err := w.actor(a.Actor)
	if err != nil {
		return err
	}
	want := w.outputs[a.Ciphertext]
	p, d, err := to.group.Unprotect(want.message)
	if err != nil {
		return to.errorf("opens", err)
	}
	if !bytes.Equal(p, want.plaintext) || !bytes.Equal(d, want.aad) {
		return to.errorf("opens", fmt.Errorf("got %q with %q, want %q with %q", p, d, want.plaintext, want.aad))
	}
	return nil
}

func (w *world) externalJoin(a Action) error {
	host, err := w.actor(a.Actor)
	if err != nil {
		return err
	}
	joiner, err := w.actor(a.Joiner)
	if err != nil {
		return err
	}
	members, err := w.all(a.Members)
	if err != nil {
		return err
	}
	info, tree, err := host.info(a.ExternalTree)
	if err != nil {
		return err
	}
	o := ExternalJoin{RemovePrior: a.RemovePrior}
	for _, i := range a.PSKs {
		id := w.outputs[i].psk
		if err := joiner.client.StorePSK(id, secretOf(id)); err != nil {
			return err
		}
		o.PSKs = append(o.PSKs, id)
	}
	var commit []byte
	if joiner.group, commit, err = joiner.client.JoinExternal(info, tree, o); err != nil {
		return joiner.errorf("joins externally", err)
	}
	present := append([]*actor{host}, members...)
	for _, m := range present {
		if err := m.handle(commit); err != nil {
			return err
		}
	}
	return w.agree(append(present, joiner))
}

func (w *world) proposeSelf(a Action) (output, error) {
	host, err := w.actor(a.Actor)
	if err != nil {
		return output{}, err
	}
	joiner, err := w.actor(a.Joiner)
	if err != nil {
		return output{}, err
	}
	info, _, err := host.info(false)
	if err != nil {
		return output{}, err
	}
	m, err := joiner.client.ProposeSelf(info)
	if err != nil {
		return output{}, joiner.errorf("asks to be added", err)
	}
	return output{message: m, from: joiner}, nil
}

func (w *world) addExternalSigner(a Action) (output, error) {
	signer, err := w.actor(a.Signer)
	if err != nil {
		return output{}, err
	}
	entry, err := signer.client.ExternalSender(w.Suite)
	if err != nil {
		return output{}, signer.errorf("makes a key as external sender", err)
	}
	w.senders, w.entries = append(w.senders, a.Signer), append(w.entries, entry)
	return w.propose(a.Actor, Proposal{Type: GroupContextExtensions, Extensions: w.extensions(nil)})
}

// extensions returns those of the argument with the list of external senders put in.
func (w *world) extensions(in []Extension) []Extension {
	out := slices.DeleteFunc(slices.Clone(in), func(e Extension) bool { return e.Type == externalSenders })
	return append(out, Extension{Type: externalSenders, Data: vector(bytes.Join(w.entries, nil))})
}

// vector puts the length before b (RFC 9420 §2.1.2).
func vector(b []byte) []byte {
	n := len(b)
	switch {
	case n < 1<<6:
		return append([]byte{byte(n)}, b...)
	case n < 1<<14:
		return append([]byte{1<<6 | byte(n>>8), byte(n)}, b...)
	default:
		return append([]byte{2<<6 | byte(n>>24), byte(n >> 16), byte(n >> 8), byte(n)}, b...)
	}
}

func (w *world) proposeExternal(a Action) (output, error) {
	signer, err := w.actor(a.Actor)
	if err != nil {
		return output{}, err
	}
	host, err := w.actor(a.Member)
	if err != nil {
		return output{}, err
	}
	info, tree, err := host.info(true)
	if err != nil {
		return output{}, err
	}
	p, err := w.described(a.Description)
	if err != nil {
		return output{}, err
	}
	m, err := signer.client.ProposeExternal(info, tree, uint32(slices.Index(w.senders, a.Actor)), p)
	if err != nil {
		return output{}, signer.errorf("proposes as external sender", err)
	}
	return output{message: m, from: signer, proposal: p}, nil
}

func (w *world) branch(a Action) error {
	maker, err := w.actor(a.Actor)
	if err != nil {
		return err
	}
	s := Successor{Branch: true, GroupID: append(slices.Clone(w.groupID), " branch"...), Suite: w.Suite, Extensions: exts(a.Extensions),
		ForcePath: a.ForcePath, ExternalTree: a.ExternalTree}
	return w.follow(maker, s, a.Members)
}

// follow makes a successor of the present group and lets the others join it.
func (w *world) follow(maker *actor, s Successor, names []string) error {
	others, err := w.all(names)
	if err != nil {
		return err
	}
	for _, o := range others {
		kp, err := o.client.KeyPackage(s.Suite)
		if err != nil {
			return o.errorf("makes a key package", err)
		}
		s.KeyPackages = append(s.KeyPackages, kp)
	}
	s.ExternalTree = s.ExternalTree && treeBeside(others)
	g, welcome, err := maker.client.Continue(maker.group, s)
	if err != nil {
		return maker.errorf("continues the group", err)
	}
	for _, o := range others {
		next, err := o.client.Join(welcome, o.group)
		if err != nil {
			return o.errorf("joins the group that follows", err)
		}
		o.group = next
	}
	maker.group = g
	return w.agree(append([]*actor{maker}, others...))
}

func (w *world) reinit(a Action) error {
	var p output
	var err error
	if a.External > 0 {
		p = w.outputs[a.External]
	} else {
		suite, id := w.next(a.ChangeSuite, a.ChangeID)
		if p, err = w.propose(a.Proposer, Proposal{Type: ReInit, GroupID: id, Suite: suite, Extensions: exts(a.Extensions)}); err != nil {
			return err
		}
	}
	names := []string{a.Committer}
	for _, n := range append([]string{a.Proposer, a.Welcomer}, a.Members...) {
		if n != "" && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	all, err := w.all(names)
	if err != nil {
		return err
	}
	for _, m := range all {
		if err := m.handle(p.message); err != nil {
			return err
		}
	}
	committer, others := all[0], all[1:]
	m, err := committer.group.Commit(CommitOptions{ForcePath: a.ForcePath})
	if err != nil {
		return committer.errorf("commits to the end", err)
	}
	for _, to := range others {
		if err := to.handle(m); err != nil {
			return err
		}
	}
	if _, err := committer.group.Confirm(); err != nil {
		return committer.errorf("confirms", err)
	}
	welcomer, err := w.actor(a.Welcomer)
	if err != nil {
		return err
	}
	rest := slices.DeleteFunc(names, func(n string) bool { return n == a.Welcomer })
	s := Successor{GroupID: p.proposal.GroupID, Suite: p.proposal.Suite, Extensions: p.proposal.Extensions,
		ForcePath: a.ForcePath, ExternalTree: a.ExternalTree}
	return w.follow(welcomer, s, rest)
}
