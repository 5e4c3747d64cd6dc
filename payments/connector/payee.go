package connector

import (
	"context"
	"errors"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/connector/namematch"
	"github.com/parleypay/parley/payments/intent"
)

// CheckPayee answers another bank's payee check about an account here, for package vop's server. An unknown, closed or blocked account
// is NOAP, as is everything that cannot be answered: the answer does not tell which accounts exist.
func (e *Engine) CheckPayee(ctx context.Context, q PayeeQuery) (PayeeAnswer, error) {
	if err := e.enter(); err != nil {
		return PayeeAnswer{Result: intent.NotApplicable}, err
	}
	defer e.calls.Done()
	if q.Agent != e.cfg.Agent {
		return PayeeAnswer{Result: intent.NotApplicable}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, e.cfg.CheckTimeout)
	defer cancel()
	return e.localPayee(ctx, q)
}

// localPayee compares a name with the holder of an account here.
func (e *Engine) localPayee(ctx context.Context, q PayeeQuery) (PayeeAnswer, error) {
	info, err := e.cfg.Core.LookUp(ctx, q.Account)
	var refused *CoreError
	switch {
	case errors.As(err, &refused), err == nil && info.Refuse != "":
		return PayeeAnswer{Result: intent.NotApplicable}, nil
	case err != nil:
		return PayeeAnswer{Result: intent.NotApplicable}, err
	}
	return matchNames(q.Name, info.Name), nil
}

func matchNames(given, holder payments.Name) PayeeAnswer {
	switch namematch.Compare(given.Reveal(), holder.Reveal()) {
	case namematch.Same:
		return PayeeAnswer{Result: intent.Match}
	case namematch.Close:
		return PayeeAnswer{Result: intent.CloseMatch, Matched: holder}
	}
	return PayeeAnswer{Result: intent.NoMatch}
}
