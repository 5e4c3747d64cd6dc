// Package connector runs a bank's end of payments: mandate to checks to journal to rail to receipt, and the answer to what comes in.
//
// It decides in a pure core, Step, which has no I/O, clock, goroutine or random source; the Engine reads, writes and sends around it.
// It holds no message format (package rail's), no storage (package journal's), no chat and no core banking system: those are ports.
//
// # Trace events
//
// For a person or a test to follow a payment, the Engine emits these names to its trace.Sink, after what they say is durable:
//
//	request verified   the payee's signed request was checked and stored      debtor's bank
//	payee check        the name was compared, the signed answer is queued     debtor's bank
//	mandate verified   the payer's mandate passed every check                 debtor's bank
//	journaled          execution, reservation and exact bytes are durable     debtor's bank
//	pacs.008 sent      the rail's transport took the transfer                 debtor's bank
//	pacs.002 received  a status about our transfer, or our answer, came in    both
//	admi.002 received  the rail refused the message of our transfer           debtor's bank
//	unknown            no answer, or an ambiguous one: the money may move     debtor's bank
//	pacs.028 sent      the rail was asked what became of the transfer         debtor's bank
//	pacs.008 sent again  the transfer was repeated, as this rail wants it     debtor's bank
//	payer restored     the payer's hold was given back, the outcome is open   debtor's bank
//	settled, rejected, declined, expired, cancelled                           the outcome, Detail has the reason code
//	pacs.008 received  an incoming transfer was checked and journaled         creditor's bank
//	pacs.002 sent      the rail's transport took our answer                   creditor's bank
//	credited           the payee's account was credited                       creditor's bank
//	receipt sent, notice sent, refusal sent                                   what the customer's chat got
//	case opened        something that a person has to look at                 both
//	message refused    a bad message from the rail or a chat was recorded     both
package connector
