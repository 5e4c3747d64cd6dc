package isotool

import (
	"strings"

	"github.com/parleypay/parley/payments/iso20022/codes"
)

// codeText returns what a code means whose element has this type in ISO's schemas, and the set it was found in: ISO's text for an
// external code, ours for one of the lists inside the schemas; "" for an unknown code.
func codeText(typ, code string) (text, set string) {
	if c, ok := codes.Lookup(codes.Set(typ), code); ok {
		return c.Text, typ
	}
	base := strings.TrimRight(strings.TrimSuffix(typ, "Code"), "0123456789")
	if text, ok := enumerations.find(base + "." + code); ok {
		return text, typ
	}
	if outside, ok := externalised.find(base); ok {
		if c, ok := codes.Lookup(codes.Set(outside), code); ok {
			return c.Text, outside
		}
	}
	return "", ""
}

// externalised are lists in older schemas whose codes stand in an external set today.
const externalised dictionary = `
TransactionIndividualStatus ExternalPaymentTransactionStatus1Code
TransactionGroupStatus ExternalPaymentGroupStatus1Code
EntryStatus ExternalEntryStatus1Code
CancellationReason ExternalCancellationReason1Code
PaymentCancellationRejection ExternalPaymentCancellationRejection1Code
ModificationRejection ExternalPaymentModificationRejection1Code
InvestigationExecutionConfirmation ExternalInvestigationExecutionConfirmation1Code
CashAccountType ExternalCashAccountType1Code
ChargeType ExternalChargeType1Code
DocumentType ExternalDocumentType1Code
`

// enumerations are codes of the lists inside the schemas, and of external sets that are not published with the others, in our words.
// The key is the type's name without number and "Code".
const enumerations dictionary = `
AddressType.ADDR postal address
AddressType.PBOX post office box
AddressType.HOME home
AddressType.BIZZ business
AddressType.MLTO mail to
AddressType.DLVY delivery
Authorisation.AUTH authorised before it was sent
Authorisation.FDET to be authorised, with all details shown
Authorisation.FSUM to be authorised by its sum
Authorisation.ILEV authorised by each level
BalanceType.OPBD opening balance, booked
BalanceType.CLBD closing balance, booked
BalanceType.ITBD interim balance, booked
BalanceType.PRCD closing balance of the statement before
BalanceType.OPAV opening balance, available
BalanceType.CLAV closing balance, available
BalanceType.ITAV interim balance, available
BalanceType.FWAV available on a later day
BalanceType.XPCD expected balance
BalanceType.INFO for information
ExternalBalanceType.OPBD opening balance, booked
ExternalBalanceType.CLBD closing balance, booked
ExternalBalanceType.ITBD interim balance, booked
ExternalBalanceType.PRCD closing balance of the statement before
ExternalBalanceType.OPAV opening balance, available
ExternalBalanceType.CLAV closing balance, available
ExternalBalanceType.ITAV interim balance, available
ExternalBalanceType.FWAV available on a later day
ExternalBalanceType.XPCD expected balance
ExternalBalanceType.INFO for information
CancellationIndividualStatus.ACCR cancellation accepted
CancellationIndividualStatus.PDCR cancellation pending
CancellationIndividualStatus.RJCR cancellation refused
GroupCancellationStatus.ACCR cancellation accepted
GroupCancellationStatus.PACR cancellation accepted in part
GroupCancellationStatus.PDCR cancellation pending
GroupCancellationStatus.RJCR cancellation refused
ChargeBearer.DEBT the debtor bears all charges
ChargeBearer.CRED the creditor bears all charges
ChargeBearer.SHAR each side bears its own charges
ChargeBearer.SLEV charges follow the rules of the service level
ClearingChannel.RTGS settled one by one in real time
ClearingChannel.RTNS settled net in real time
ClearingChannel.MPNS settled net in batches
ClearingChannel.BOOK within one bank
CopyDuplicate.CODU copy of a duplicate
CopyDuplicate.COPY copy, to somebody else than the receiver
CopyDuplicate.DUPL duplicate: the same message sent again
CreditDebit.CRDT credit: money in
CreditDebit.DBIT debit: money out
EntryStatus.BOOK booked
EntryStatus.PDNG pending: not booked yet
EntryStatus.INFO for information: nothing is booked
ExternalBankTransactionDomain.PMNT payments
ExternalBankTransactionDomain.CAMT cash management
ExternalBankTransactionDomain.ACMT account management
ExternalBankTransactionDomain.LDAS loans, deposits and syndications
ExternalBankTransactionDomain.SECU securities
ExternalBankTransactionDomain.FORX foreign exchange
ExternalBankTransactionDomain.TRAD trade services
ExternalBankTransactionDomain.XTND extended domain
ExternalBankTransactionFamily.RCDT credit transfer received
ExternalBankTransactionFamily.ICDT credit transfer sent
ExternalBankTransactionFamily.RRCT real-time credit transfer received
ExternalBankTransactionFamily.IRCT real-time credit transfer sent
ExternalBankTransactionFamily.RDDT direct debit received
ExternalBankTransactionFamily.IDDT direct debit sent
ExternalBankTransactionFamily.CCRD card
ExternalBankTransactionFamily.MCRD merchant card
ExternalBankTransactionFamily.RCHQ cheque received
ExternalBankTransactionFamily.ICHQ cheque issued
ExternalBankTransactionFamily.CNTR counter
ExternalBankTransactionFamily.MDOP various debits
ExternalBankTransactionFamily.MCOP various credits
ExternalBankTransactionFamily.NTAV not available
ExternalBankTransactionFamily.OTHR other
ExternalBankTransactionSubFamily.ESCT SEPA credit transfer
ExternalBankTransactionSubFamily.ESDD SEPA direct debit
ExternalBankTransactionSubFamily.BBDD SEPA business direct debit
ExternalBankTransactionSubFamily.DMCT domestic credit transfer
ExternalBankTransactionSubFamily.XBCT cross-border credit transfer
ExternalBankTransactionSubFamily.AUTT automatic transfer
ExternalBankTransactionSubFamily.BOOK within one bank
ExternalBankTransactionSubFamily.SALA salary
ExternalBankTransactionSubFamily.STDO standing order
ExternalBankTransactionSubFamily.RRTN return of a credit transfer
ExternalBankTransactionSubFamily.RPCR reversal after a cancellation
ExternalBankTransactionSubFamily.POSD point of sale
ExternalBankTransactionSubFamily.CHRG charges
ExternalBankTransactionSubFamily.COMM commission
ExternalBankTransactionSubFamily.FEES fees
ExternalBankTransactionSubFamily.INTR interest
ExternalBankTransactionSubFamily.VCOM credit transfer with a reference
ExternalBankTransactionSubFamily.NTAV not available
ExternalBankTransactionSubFamily.OTHR other
Frequency.ADHO when needed
Frequency.DAIL daily
Frequency.FRTN every two weeks
Frequency.INDA several times a day
Frequency.MIAN twice a year
Frequency.MNTH monthly
Frequency.NEVR never
Frequency.QURT quarterly
Frequency.RATE at a set rate
Frequency.WEEK weekly
Frequency.YEAR yearly
Instruction.CHQB pay the creditor by cheque only
Instruction.HOLD hold until the creditor identifies itself
Instruction.PHOA phone the next agent
Instruction.PHOB phone the creditor
Instruction.TELA telecommunicate with the next agent
Instruction.TELB telecommunicate with the creditor
MandateClassification.FIXE fixed amount
MandateClassification.USGB by usage
MandateClassification.VARI varying amount
NamePrefix.DOCT doctor
NamePrefix.MADM Mrs
NamePrefix.MISS Miss
NamePrefix.MIST Mr
NamePrefix.MIKS Mx
PaymentMethod.CHK cheque
PaymentMethod.DD direct debit
PaymentMethod.TRA transfer with advice
PaymentMethod.TRF credit transfer
Priority.URGT urgent
Priority.HIGH high
Priority.NORM normal
RegulatoryReportingType.BOTH concerns both sides
RegulatoryReportingType.CRED concerns the creditor
RegulatoryReportingType.DEBT concerns the debtor
RemittanceLocationMethod.EDIC by EDI
RemittanceLocationMethod.EMAL by e-mail
RemittanceLocationMethod.FAXI by fax
RemittanceLocationMethod.POST by post
RemittanceLocationMethod.SMSM by text message
RemittanceLocationMethod.URID at a web address
SequenceType.FNAL last of a series
SequenceType.FRST first of a series
SequenceType.OOFF one-off
SequenceType.RCUR recurring
SequenceType.RPRE presented again
ServiceRequestStatus.ACPT accepted
ServiceRequestStatus.RJCT refused
SettlementMethod.CLRG through a clearing system
SettlementMethod.COVE by a cover payment
SettlementMethod.INDA on an account at the instructed agent
SettlementMethod.INGA on an account at the instructing agent
TransactionIndividualStatus.ACCR cancellation accepted
UnableToApplyMissingInformation.NARR as the text says
UnableToApplyIncorrectInformation.NARR as the text says
`
