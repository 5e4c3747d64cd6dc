// Package vop speaks verification of payee between banks: HTTP and JSON in the shape of the EPC's inter-PSP API (EPC103-24).
//
// It compares no names: the answering bank does. The scheme's directory, its certificates (QWAC) and the full YAML are not public in a
// form that we could check against, so base paths come from configuration, and mutual TLS from the http.Client and http.Server used.
package vop

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/connector"
	"github.com/parleypay/parley/payments/intent"
)

// Path is where verifications are posted, under the base of a directory entry.
const Path = "/v1/payee-verifications"

// Headers of the API.
const (
	headerID   = "X-Request-ID"        // UUID
	headerTime = "X-Request-Timestamp" // UTC with milliseconds
)

const (
	bodyMax    = 8 << 10
	timeLayout = "2006-01-02T15:04:05.000Z"
	clockSkew  = 5 * time.Minute // how far the asker's clock may be off (TIMESTAMP_INVALID)
)

// requestID is the form of a UUID of any version, in either case.
var requestID = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// newRequestID returns a random UUID (RFC 9562 §5.4).
func newRequestID() string {
	var u [16]byte
	rand.Read(u[:]) // never fails (crypto/rand)
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// Error codes of the API.
const (
	codeFormat    = "FORMAT_ERROR"
	codeClient    = "CLIENT_INVALID"      // the asker is not one of ours
	codeMismatch  = "CLIENT_INCONSISTENT" // the asker is another than it says
	codeTimestamp = "TIMESTAMP_INVALID"
)

// wireRequest and wireAnswer are the bodies. Names of members are the API's.
type wireRequest struct {
	Party           wireParty   `json:"party"`
	PartyAccount    wireAccount `json:"partyAccount"`
	PartyAgent      wireAgent   `json:"partyAgent"`
	RequestingAgent wireAgent   `json:"requestingAgent"`
}

type wireParty struct {
	Name string `json:"name"`
}

// wireAccount has an IBAN; other is ours, for accounts on rails that have none.
type wireAccount struct {
	IBAN  string `json:"iban,omitempty"`
	Other string `json:"other,omitempty"`
}

// wireAgent has a BIC; memberId is ours, for routing numbers.
type wireAgent struct {
	ID wireAgentID `json:"financialInstitutionId"`
}

type wireAgentID struct {
	BICFI    string `json:"bicfi,omitempty"`
	MemberID string `json:"memberId,omitempty"`
}

type wireAnswer struct {
	Match intent.MatchResult `json:"partyNameMatch"`
	Name  string             `json:"matchedName,omitempty"`
}

type wireError struct {
	Code string `json:"code"`
	Text string `json:"text,omitempty"`
}

func agentOf(id payments.AgentID) wireAgent {
	if id.IsBIC() {
		return wireAgent{wireAgentID{BICFI: string(id)}}
	}
	return wireAgent{wireAgentID{MemberID: string(id)}}
}

func (a wireAgent) agent() (payments.AgentID, error) {
	if (a.ID.BICFI == "") == (a.ID.MemberID == "") {
		return "", errors.New("agent needs bicfi or memberId")
	}
	id, err := payments.ParseAgentID(a.ID.BICFI + a.ID.MemberID)
	if err == nil && id.IsBIC() != (a.ID.BICFI != "") {
		err = errors.New("agent id is in the wrong member")
	}
	return id, err
}

func accountOf(a payments.Account) wireAccount {
	if a.IsIBAN() {
		return wireAccount{IBAN: a.Reveal()}
	}
	return wireAccount{Other: a.Reveal()}
}

func (w wireAccount) account() (payments.Account, error) {
	if (w.IBAN == "") == (w.Other == "") {
		return payments.Account{}, errors.New("account needs iban or other")
	}
	a, err := payments.ParseAccount(w.IBAN + w.Other)
	if err == nil && a.IsIBAN() != (w.IBAN != "") {
		err = errors.New("account is in the wrong member")
	}
	return a, err
}

// query reads a request body strictly. The error names a member and never repeats its value.
func (w wireRequest) query() (q connector.PayeeQuery, from payments.AgentID, err error) {
	if q.Name, err = payments.ParseName(w.Party.Name); err != nil {
		return q, "", errors.New("party.name is not a name")
	}
	if q.Account, err = w.PartyAccount.account(); err != nil {
		return q, "", errors.New("partyAccount is not an account")
	}
	if q.Agent, err = w.PartyAgent.agent(); err != nil {
		return q, "", errors.New("partyAgent is not an agent")
	}
	if from, err = w.RequestingAgent.agent(); err != nil {
		return q, "", errors.New("requestingAgent is not an agent")
	}
	return q, from, nil
}

// answer reads an answer strictly.
func (w wireAnswer) answer() (connector.PayeeAnswer, error) {
	a := connector.PayeeAnswer{Result: w.Match}
	switch w.Match {
	case intent.CloseMatch:
		name, err := payments.ParseName(w.Name)
		if err != nil {
			return connector.PayeeAnswer{}, errors.New("vop: a close match without a name")
		}
		a.Matched = name
	case intent.Match, intent.NoMatch, intent.NotApplicable:
		if w.Name != "" {
			return connector.PayeeAnswer{}, errors.New("vop: a name with another result than a close match")
		}
	default:
		return connector.PayeeAnswer{}, errors.New("vop: unknown result")
	}
	return a, nil
}

// decode reads one JSON object of at most bodyMax bytes into v: no unknown members, none twice or in another case, nothing behind it.
func decode(r io.Reader, v any) error {
	body, err := io.ReadAll(io.LimitReader(r, bodyMax+1))
	if err != nil {
		return err
	}
	if len(body) > bodyMax {
		return fmt.Errorf("vop: body is over %d bytes", bodyMax)
	}
	if err := exactMembers(body); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return errors.New("vop: body is not the JSON object expected")
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("vop: something follows the body")
	}
	return nil
}

// members are the names used anywhere in the bodies: encoding/json ignores case, this does not.
var members = map[string]bool{"party": true, "name": true, "partyAccount": true, "iban": true, "other": true, "partyAgent": true,
	"requestingAgent": true, "financialInstitutionId": true, "bicfi": true, "memberId": true, "partyNameMatch": true, "matchedName": true,
	"code": true, "text": true}

// exactMembers refuses members that are unknown or stand twice in one object, and arrays.
func exactMembers(body []byte) error {
	d := json.NewDecoder(bytes.NewReader(body))
	var seen []map[string]bool // of the objects that are open
	key := false               // whether a member's name is next
	for {
		t, err := d.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return errors.New("vop: body is not JSON")
		}
		switch x := t.(type) {
		case json.Delim:
			switch {
			case x == '[' || x == ']' || len(seen) > 4:
				return errors.New("vop: body has an array or is nested too deeply")
			case x == '{':
				seen, key = append(seen, map[string]bool{}), true
			default:
				seen, key = seen[:len(seen)-1], true
			}
			continue
		case string:
			if key && len(seen) > 0 {
				if !members[x] || seen[len(seen)-1][x] {
					return errors.New("vop: a member is unknown or stands twice")
				}
				seen[len(seen)-1][x] = true
				key = false
				continue
			}
		}
		key = len(seen) > 0
	}
}
