package interop

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// A Process is an implementation that runs as a program: one request as a line of JSON on its standard input, one answer as a line on
// its standard output. Byte strings are base64. It holds any number of clients and may be used by any number of goroutines.
type Process struct {
	mu  sync.Mutex
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	err error // after which the program is of no use
}

// answerWithin is how long a program may take for one request before it is ended.
const answerWithin = 60 * time.Second

// StartProcess starts a program in a folder. What it writes to its standard error is passed on.
func StartProcess(dir, name string, args ...string) (*Process, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &Process{cmd: cmd, in: in, out: bufio.NewReaderSize(out, 1<<16)}, nil
}

// Stop ends the program.
func (p *Process) Stop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = errors.New("stopped")
	p.in.Close()
	return p.cmd.Wait()
}

// New makes a client inside the program. It is the New of an Implementation.
func (p *Process) New(profile Profile) (Client, error) {
	r, err := p.call(request{Op: "client", Identity: profile.Identity, Private: profile.Private})
	return &pipeClient{p: p, id: r.ID}, err
}

// request and reply have a field for everything that some operation needs.
type request struct {
	Op       string `json:"op"`
	Client   int    `json:"client,omitempty"`
	Group    int    `json:"group,omitempty"`
	Identity string `json:"identity,omitempty"`
	Private  bool   `json:"private,omitempty"`
	Suite    uint16 `json:"suite,omitempty"`
	Key      []byte `json:"key,omitempty"` // id of a PSK, or of a group
	Secret   []byte `json:"secret,omitempty"`
	Message  []byte `json:"message,omitempty"`
	Tree     []byte `json:"tree,omitempty"`
	Data     []byte `json:"data,omitempty"`
	AAD      []byte `json:"aad,omitempty"`
	Label    string `json:"label,omitempty"`
	N        int    `json:"n,omitempty"`
	External bool   `json:"external,omitempty"`

	Extensions []Extension    `json:"extensions,omitempty"`
	Proposal   *Proposal      `json:"proposal,omitempty"`
	Commit     *CommitOptions `json:"commit,omitempty"`
	Join       *ExternalJoin  `json:"join,omitempty"`
	Successor  *Successor     `json:"successor,omitempty"`
}

type reply struct {
	Error   string   `json:"error"`
	ID      int      `json:"id"` // of the new client or group
	Message []byte   `json:"message"`
	Tree    []byte   `json:"tree"`
	Data    []byte   `json:"data"`
	AAD     []byte   `json:"aad"`
	Epoch   uint64   `json:"epoch"`
	Members []string `json:"members"`
}

func (p *Process) call(r request) (reply, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return reply{}, p.err
	}
	line, err := json.Marshal(r)
	if err != nil {
		return reply{}, err
	}
	watch := time.AfterFunc(answerWithin, func() { p.cmd.Process.Kill() })
	defer watch.Stop()
	var answer reply
	if _, err = p.in.Write(append(line, '\n')); err == nil {
		if line, err = p.out.ReadBytes('\n'); err == nil {
			err = json.Unmarshal(line, &answer)
		}
	}
	if err != nil {
		p.err = fmt.Errorf("the program has failed at %q: %w", r.Op, err)
		return reply{}, p.err
	}
	if answer.Error != "" {
		return reply{}, errors.New(answer.Error)
	}
	return answer, nil
}

type pipeClient struct {
	p  *Process
	id int
}

func (c *pipeClient) call(r request) (reply, error) {
	r.Client = c.id
	return c.p.call(r)
}

func (c *pipeClient) group(r reply, err error) (Group, error) {
	if err != nil {
		return nil, err
	}
	return &pipeGroup{c, r.ID}, nil
}

func (c *pipeClient) KeyPackage(suite uint16) ([]byte, error) {
	r, err := c.call(request{Op: "keyPackage", Suite: suite})
	return r.Message, err
}

func (c *pipeClient) StorePSK(id, secret []byte) error {
	_, err := c.call(request{Op: "storePSK", Key: id, Secret: secret})
	return err
}

func (c *pipeClient) Create(suite uint16, groupID []byte, ext []Extension) (Group, error) {
	return c.group(c.call(request{Op: "create", Suite: suite, Key: groupID, Extensions: ext}))
}

func (c *pipeClient) Join(w Welcome, old Group) (Group, error) {
	r := request{Op: "join", Message: w.Message, Tree: w.Tree}
	if old != nil {
		r.Group = old.(*pipeGroup).id
	}
	return c.group(c.call(r))
}

func (c *pipeClient) JoinExternal(info, tree []byte, o ExternalJoin) (Group, []byte, error) {
	r, err := c.call(request{Op: "joinExternal", Message: info, Tree: tree, Join: &o})
	g, err := c.group(r, err)
	return g, r.Message, err
}

func (c *pipeClient) ProposeSelf(info []byte) ([]byte, error) {
	r, err := c.call(request{Op: "proposeSelf", Message: info})
	return r.Message, err
}

func (c *pipeClient) ExternalSender(suite uint16) ([]byte, error) {
	r, err := c.call(request{Op: "externalSender", Suite: suite})
	return r.Data, err
}

func (c *pipeClient) ProposeExternal(info, tree []byte, index uint32, p Proposal) ([]byte, error) {
	r, err := c.call(request{Op: "proposeExternal", Message: info, Tree: tree, N: int(index), Proposal: &p})
	return r.Message, err
}

func (c *pipeClient) Continue(old Group, s Successor) (Group, Welcome, error) {
	r, err := c.call(request{Op: "continue", Group: old.(*pipeGroup).id, Successor: &s})
	g, err := c.group(r, err)
	return g, Welcome{r.Message, r.Tree}, err
}

func (c *pipeClient) Close() error {
	_, err := c.call(request{Op: "close"})
	return err
}

type pipeGroup struct {
	c  *pipeClient
	id int
}

func (g *pipeGroup) call(r request) (reply, error) {
	r.Group = g.id
	return g.c.call(r)
}

func (g *pipeGroup) State() (State, error) {
	r, err := g.call(request{Op: "state"})
	return State{r.Message, r.Epoch, r.Data, r.Members}, err
}

func (g *pipeGroup) Export(label string, context []byte, n int) ([]byte, error) {
	r, err := g.call(request{Op: "export", Label: label, Data: context, N: n})
	return r.Data, err
}

func (g *pipeGroup) Protect(plaintext, aad []byte) ([]byte, error) {
	r, err := g.call(request{Op: "protect", Data: plaintext, AAD: aad})
	return r.Message, err
}

func (g *pipeGroup) Unprotect(message []byte) ([]byte, []byte, error) {
	r, err := g.call(request{Op: "unprotect", Message: message})
	return r.Data, r.AAD, err
}

func (g *pipeGroup) Propose(p Proposal) ([]byte, error) {
	r, err := g.call(request{Op: "propose", Proposal: &p})
	return r.Message, err
}

func (g *pipeGroup) Commit(o CommitOptions) ([]byte, error) {
	r, err := g.call(request{Op: "commit", Commit: &o})
	return r.Message, err
}

func (g *pipeGroup) Confirm() (Welcome, error) {
	r, err := g.call(request{Op: "confirm"})
	return Welcome{r.Message, r.Tree}, err
}

func (g *pipeGroup) Handle(message []byte) error {
	_, err := g.call(request{Op: "handle", Message: message})
	return err
}

func (g *pipeGroup) GroupInfo(external bool) ([]byte, []byte, error) {
	r, err := g.call(request{Op: "groupInfo", External: external})
	return r.Message, r.Tree, err
}
