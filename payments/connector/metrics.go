package connector

import "time"

// Names of counters, with their labels, for Metrics.Count.
const (
	MetricState   = "payments_total"      // label: the state entered, with its side: "debtor.settled"
	MetricRefused = "refused_total"       // label: the reason of a refusal to a customer
	MetricRail    = "rail_messages_total" // label: kind and result: "pacs.008.sent", "pacs.008.retry", "pacs.002.received", "bad"
	MetricCore    = "core_calls_total"    // label: call and result: "reserve.ok", "reserve.refused", "reserve.retry"
	MetricChat    = "chat_messages_total" // label: "sent", "retry"
	MetricCase    = "cases_total"         // label: the kind of case
	MetricPayee   = "payee_checks_total"  // label: the result
	MetricError   = "errors_total"        // label: where: an error that needs an operator
	MetricReceive = "rail_receive_total"  // label: "ok", "error"
	MetricDropped = "repeats_total"       // label: "chat", "rail": messages seen before
)

// Names of durations, for Metrics.Observe.
const (
	LegVerify  = "verify_seconds"  // verification of a mandate
	LegJournal = "journal_seconds" // one durable step
	LegCheck   = "check_seconds"   // payee check, the other bank's answer included
	LegReserve = "reserve_seconds" // mandate accepted to submitting
	LegAnswer  = "answer_seconds"  // submitting to the rail's final answer
	LegSend    = "send_seconds"    // one message to the rail's transport
	LegChat    = "chat_seconds"    // one message to a chat
	LegTotal   = "payment_seconds" // mandate accepted to the final answer
	LegCredit  = "credit_seconds"  // incoming transfer to the payee's credit
)

type noMetrics struct{}

func (noMetrics) Count(string, string)          {}
func (noMetrics) Observe(string, time.Duration) {}
