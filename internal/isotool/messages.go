package isotool

import "strings"

// messages are message definitions without their version: what ISO calls them, a tab, and what they are for in our words.
const messages dictionary = `
acmt.022 IdentificationModificationAdvice	tells that an account's identification has changed
acmt.023 IdentificationVerificationRequest	asks whether an account belongs to a name
acmt.024 IdentificationVerificationReport	answers whether an account belongs to a name
admi.002 MessageReject	the receiver could not even read a message
admi.004 SystemEventNotification	the system tells of an event, such as that it goes down, or asks for a sign of life
admi.006 ResendRequest	asks for messages again
admi.007 ReceiptAcknowledgement	a message has arrived, and what became of it
admi.011 SystemEventAcknowledgement	a system event has been heard
camt.025 Receipt	a request has arrived, and what became of it
camt.026 UnableToApply	money came that cannot be applied: something is missing or wrong
camt.028 AdditionalPaymentInformation	gives information that was missing in a payment
camt.029 ResolutionOfInvestigation	answers a recall or another case
camt.035 ProprietaryFormatInvestigation	an investigation in a format agreed between the parties
camt.052 BankToCustomerAccountReport	a bank tells a customer of movements during the day
camt.053 BankToCustomerStatement	a bank tells a customer the booked entries and balances of an account
camt.054 BankToCustomerDebitCreditNotification	a bank tells a customer of single credits and debits
camt.055 CustomerPaymentCancellationRequest	a customer asks its bank to cancel a payment
camt.056 FIToFIPaymentCancellationRequest	a bank asks another to cancel a payment or give its money back
camt.060 AccountReportingRequest	a customer asks for a statement
camt.087 RequestToModifyPayment	asks to change a payment that has been sent
camt.110 InvestigationRequest	asks what became of a payment
camt.111 InvestigationResponse	answers what became of a payment
head.001 BusinessApplicationHeader	says who sends which message to whom
pacs.002 FIToFIPaymentStatusReport	says what became of a payment between banks
pacs.003 FIToFICustomerDirectDebit	a bank collects from the customer of another bank
pacs.004 PaymentReturn	money comes back: a new payment that points to the old one
pacs.007 FIToFIPaymentReversal	the bank that collected gives the money back
pacs.008 FIToFICustomerCreditTransfer	a bank pays a customer of another bank, for a customer
pacs.009 FinancialInstitutionCreditTransfer	a bank pays another bank
pacs.010 FinancialInstitutionDirectDebit	a bank collects from another bank
pacs.028 FIToFIPaymentStatusRequest	asks what became of a payment between banks
pain.001 CustomerCreditTransferInitiation	a customer asks its bank to make payments
pain.002 CustomerPaymentStatusReport	a bank tells a customer what became of its payments
pain.007 CustomerPaymentReversal	a creditor gives back what it has collected
pain.008 CustomerDirectDebitInitiation	a creditor asks its bank to collect
pain.009 MandateInitiationRequest	asks for a direct debit mandate to be set up
pain.010 MandateAmendmentRequest	asks for a mandate to be changed
pain.011 MandateCancellationRequest	asks for a mandate to end
pain.012 MandateAcceptanceReport	says whether a mandate was accepted
pain.013 CreditorPaymentActivationRequest	a creditor asks a debtor to pay: a request to pay, which moves no money
pain.014 CreditorPaymentActivationRequestStatusReport	answers a request to pay; moves no money
pain.017 MandateCopyRequest	asks for a copy of a mandate
pain.018 MandateSuspensionRequest	asks for a mandate to be suspended
reda.066 RequestToPayCreditorEnrolmentRequest	a creditor wants to send requests to pay
reda.067 RequestToPayCreditorEnrolmentAmendmentRequest	changes what is known of such a creditor
reda.068 RequestToPayCreditorEnrolmentCancellationRequest	a creditor no longer sends requests to pay
reda.069 RequestToPayCreditorEnrolmentStatusReport	answers the three before
reda.070 RequestToPayDebtorActivationRequest	a debtor takes requests to pay of a creditor
reda.073 RequestToPayDebtorActivationStatusReport	answers that
remt.001 RemittanceAdvice	says what a payment is for, apart from the payment
remt.002 RemittanceLocationAdvice	says where to find what a payment is for
`

// aboutMessage returns ISO's name of a message definition and what it is for: of "pacs.008.001.08", of "pacs.008", and of a rail's own
// such as "pacs.008.spi.1.16".
func aboutMessage(def string) (name, purpose string, ok bool) {
	if len(def) < 8 || len(def) > 8 && def[8] != '.' {
		return "", "", false
	}
	text, ok := messages.find(def[:8])
	if !ok {
		return "", "", false
	}
	name, purpose, _ = strings.Cut(text, "\t")
	return name, purpose, true
}
