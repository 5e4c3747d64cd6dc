package vop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/connector"
)

// ErrNotListed means that the directory does not have the payee's bank.
var ErrNotListed = errors.New("vop: the bank is not in the directory")

// Client asks other banks. It implements connector.PayeeChecker; all methods may be called concurrently.
type Client struct {
	agent     payments.AgentID
	directory map[payments.AgentID]string
	http      *http.Client
	now       func() time.Time
}

// ClientConfig configures a Client. Agent is required.
type ClientConfig struct {
	Agent     payments.AgentID            // who asks
	Directory map[payments.AgentID]string // base URL by bank, such as "https://vop.example.net/vop"
	HTTP      *http.Client                // carries the client certificate; nil means one without
	Now       func() time.Time            // nil means time.Now
}

// NewClient checks the directory's addresses.
func NewClient(cfg ClientConfig) (*Client, error) {
	if cfg.Agent == "" {
		return nil, errors.New("vop: Agent is required")
	}
	c := &Client{agent: cfg.Agent, directory: map[payments.AgentID]string{}, now: cfg.Now, http: &http.Client{}}
	if c.now == nil {
		c.now = time.Now
	}
	if cfg.HTTP != nil {
		*c.http = *cfg.HTTP
	} else { // as many connections are kept as there are checks at once, else most checks would open one of their own
		tr := http.DefaultTransport.(*http.Transport).Clone()
		tr.MaxIdleConnsPerHost = 64
		c.http.Transport = tr
	}
	// A redirect would hand a name and an account to an address that is not in the directory.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for id, base := range cfg.Directory {
		u, err := url.Parse(base)
		if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil {
			return nil, fmt.Errorf("vop: directory: the address of %s is not an http or https URL", id)
		}
		c.directory[id] = u.JoinPath(Path).String()
	}
	return c, nil
}

// CheckPayee asks the payee's bank. An error means that there is no answer, which counts as NOAP; it holds no name and no account.
func (c *Client) CheckPayee(ctx context.Context, q connector.PayeeQuery) (connector.PayeeAnswer, error) {
	var none connector.PayeeAnswer
	address, ok := c.directory[q.Agent]
	if !ok {
		return none, ErrNotListed
	}
	body, err := json.Marshal(wireRequest{Party: wireParty{q.Name.Reveal()}, PartyAccount: accountOf(q.Account), PartyAgent: agentOf(q.Agent), RequestingAgent: agentOf(c.agent)})
	if err != nil {
		return none, fmt.Errorf("vop: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return none, fmt.Errorf("vop: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set(headerID, newRequestID())
	req.Header.Set(headerTime, c.now().UTC().Format(timeLayout))
	resp, err := c.http.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return none, fmt.Errorf("vop: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		var refused wireError
		if decode(resp.Body, &refused) == nil && len(refused.Code) <= 35 {
			return none, fmt.Errorf("vop: refused with HTTP status %d, %q", resp.StatusCode, refused.Code)
		}
		return none, fmt.Errorf("vop: HTTP status %d", resp.StatusCode)
	}
	var answer wireAnswer
	if err := decode(resp.Body, &answer); err != nil {
		return none, err
	}
	return answer.answer()
}
