package interop

import "errors"

// Client is one user's end of one implementation. All messages are MLSMessage encodings (RFC 9420 §6). A Client and its Groups are
// used by one goroutine at a time.
type Client interface {
	// KeyPackage makes a key package for a suite and keeps its private part for one Join.
	KeyPackage(suite uint16) ([]byte, error)
	// StorePSK keeps an external pre-shared key for all groups of the client.
	StorePSK(id, secret []byte) error
	// Create makes a group with this client as its only member.
	Create(suite uint16, groupID []byte, ext []Extension) (Group, error)
	// Join enters a group by a Welcome for a key package of this client. The group that it continues is old, or nil.
	Join(w Welcome, old Group) (Group, error)
	// JoinExternal enters a group by an external commit (§12.4.3.2). The group is already in its new epoch.
	JoinExternal(info, tree []byte, o ExternalJoin) (g Group, commit []byte, err error)
	// ProposeSelf makes a key package and asks, as new_member_proposal, to be added (§12.1.8).
	ProposeSelf(info []byte) (proposal []byte, err error)
	// ExternalSender returns an ExternalSender structure for a fresh key, with which ProposeExternal then signs (§12.1.8.1).
	ExternalSender(suite uint16) ([]byte, error)
	// ProposeExternal signs a proposal as the external sender with that index.
	ProposeExternal(info, tree []byte, index uint32, p Proposal) (proposal []byte, err error)
	// Continue makes the group that follows old: its reinitialisation (§11.2) or a branch of it (§11.3).
	Continue(old Group, s Successor) (Group, Welcome, error)
	// Close frees what the client holds.
	Close() error
}

// Group is a client's view of one group.
type Group interface {
	State() (State, error)
	Export(label string, context []byte, n int) ([]byte, error)
	Protect(plaintext, aad []byte) (message []byte, err error)
	Unprotect(message []byte) (plaintext, aad []byte, err error)
	// Propose makes a proposal and remembers it for the next commit.
	Propose(Proposal) (message []byte, err error)
	// Commit covers every proposal that the group has seen, and those of the options by value. It is only staged (§14).
	Commit(CommitOptions) (message []byte, err error)
	// Confirm makes the staged commit the state of the group and tells how those that it adds get in.
	Confirm() (Welcome, error)
	// Handle takes in a proposal or a commit of another sender.
	Handle(message []byte) error
	// GroupInfo returns a signed GroupInfo fit for an external join. With external, the tree is beside it instead of inside.
	GroupInfo(external bool) (info, tree []byte, err error)
}

// State is what all members of an epoch must agree upon.
type State struct {
	GroupID       []byte
	Epoch         uint64
	Authenticator []byte   // epoch_authenticator (§8.7)
	Members       []string // identities in the order of the leaves
}

// Extension is an Extension of RFC 9420 §13 as it stands on the wire.
type Extension struct {
	Type uint16 `json:"type"`
	Data []byte `json:"data"`
}

// Proposal is one proposal as the scripts describe it. Only the fields of its type are set.
type Proposal struct {
	Type       ProposalType `json:"type"`
	KeyPackage []byte       `json:"keyPackage,omitempty"` // add
	Removed    string       `json:"removed,omitempty"`    // remove: identity of the member
	PSK        []byte       `json:"psk,omitempty"`        // externalPSK: its id
	Epoch      uint64       `json:"epoch,omitempty"`      // resumptionPSK: an epoch of the same group
	GroupID    []byte       `json:"groupID,omitempty"`    // reinit
	Suite      uint16       `json:"suite,omitempty"`      // reinit
	Extensions []Extension  `json:"extensions,omitempty"` // groupContextExtensions, reinit
}

// ProposalType is a proposal's name in the scripts.
type ProposalType string

// The types of proposals in the scripts, and Update.
const (
	Add                    ProposalType = "add"
	Remove                 ProposalType = "remove"
	Update                 ProposalType = "update"
	ExternalPSK            ProposalType = "externalPSK"
	ResumptionPSK          ProposalType = "resumptionPSK"
	GroupContextExtensions ProposalType = "groupContextExtensions"
	ReInit                 ProposalType = "reinit"
)

// CommitOptions says what a commit holds beside the proposals that were sent before.
type CommitOptions struct {
	ByValue      []Proposal `json:"byValue,omitempty"`
	ForcePath    bool       `json:"forcePath,omitempty"`
	ExternalTree bool       `json:"externalTree,omitempty"` // the Welcome is without tree
}

// Welcome is what those who join get.
type Welcome struct {
	Message []byte // nil if nobody joins
	Tree    []byte // ratchet tree, if it was asked to be outside the Welcome
}

// ExternalJoin are the options of an external commit.
type ExternalJoin struct {
	PSKs        [][]byte `json:"psks,omitempty"`
	RemovePrior bool     `json:"removePrior,omitempty"` // removes the leaf with the joiner's own identity
}

// Successor describes a group that continues another.
type Successor struct {
	Branch       bool        `json:"branch,omitempty"` // else a reinitialisation
	GroupID      []byte      `json:"groupID"`
	Suite        uint16      `json:"suite"`
	Extensions   []Extension `json:"extensions,omitempty"`
	KeyPackages  [][]byte    `json:"keyPackages"`
	ForcePath    bool        `json:"forcePath,omitempty"`
	ExternalTree bool        `json:"externalTree,omitempty"`
}

// Implementation makes clients.
type Implementation struct {
	Name   string
	Suites []uint16
	New    func(Profile) (Client, error)
	// Lacks lists what the implementation cannot do; the runner leaves those parts to other members.
	Lacks Lack
}

// Profile is who a client is and how it sends.
type Profile struct {
	Identity string
	Private  bool // handshakes as PrivateMessage (§6.3), where the sender is a member
	Unpadded bool // no padding of private messages
}

// Lack is a set of abilities that an implementation does not have.
type Lack uint

// What implementations lack. A role that needs one of the first group goes to another implementation; where the second group is
// lacked in a cast, the script is changed (see Script.Without).
const (
	LackExternalPSK      Lack = 1 << iota // PSKs in an external commit
	LackResync                            // removal of the own prior leaf in an external commit
	LackBranch                            // subgroups
	LackReInit                            // reinitialisation
	LackExternalSenders                   // the extension external_senders, for any member of the group
	LackResumptionPSK                     // resumption PSKs as a proposal
	LackProposeSelf                       // new_member_proposal
	LackCommitExtensions                  // as committer: the path that GroupContextExtensions require, or the right keys for it
	LackMixedPSKs                         // as committer: PSKs by reference and by value in one commit
	LackOutsidePSK                        // taking in a PreSharedKey or ReInit of an external sender, or being one that sends it

	LackTreeBeside      // join with a tree outside the Welcome: it goes into the Welcome
	LackPadding         // read handshakes that are padded: nobody pads
	LackFirstInfo       // a GroupInfo of epoch 0 that others can read: a commit comes first
	LackEmptyExtensions // GroupContextExtensions that leave no extension: they leave required_capabilities without a requirement
)

// ErrLacks is returned by operations that an implementation does not have.
var ErrLacks = errors.New("interop: the implementation has no such operation")
