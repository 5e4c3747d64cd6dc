package isotool

import (
	"iter"
	"strings"
	"unicode"
)

// dictionary is a list of lines "key text" between newlines: constant data, searched as it lies, so that it costs nothing at start-up.
type dictionary string

// find returns the text of a key.
func (d dictionary) find(key string) (string, bool) {
	if key == "" || strings.ContainsAny(key, " \n") {
		return "", false
	}
	at := strings.Index(string(d), "\n"+key+" ")
	if at < 0 {
		return "", false
	}
	text, _, _ := strings.Cut(string(d[at+len(key)+2:]), "\n")
	return strings.TrimSpace(text), true
}

// all iterates over keys and texts.
func (d dictionary) all() iter.Seq2[string, string] {
	return func(yield func(key, text string) bool) {
		for line := range strings.Lines(string(d)) {
			key, text, ok := strings.Cut(strings.TrimSpace(line), " ")
			if ok && !yield(key, strings.TrimSpace(text)) {
				return
			}
		}
	}
}

// label returns an element's or code set's name in words: "IntrBkSttlmAmt" is "interbank settlement amount". A piece that is no known
// abbreviation stays as it is.
func label(name string) string {
	if whole, ok := wholeNames.find(name); ok {
		return whole
	}
	var words []string
	for _, piece := range pieces(name) {
		word, ok := abbreviations.find(piece)
		if !ok {
			word = piece
			if strings.ToUpper(piece) != piece {
				word = strings.ToLower(piece)
			}
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// pieces takes a name in camel case apart: "OrgnlUETR" into "Orgnl" and "UETR".
func pieces(name string) (list []string) {
	class := func(r rune) int {
		switch {
		case unicode.IsUpper(r):
			return 0
		case unicode.IsDigit(r):
			return 2
		}
		return 1
	}
	runes := []rune(name)
	start := 0
	for i := 1; i <= len(runes); i++ {
		if i < len(runes) {
			before, here := class(runes[i-1]), class(runes[i])
			switch {
			case before == here && (here != 0 || i+1 == len(runes) || class(runes[i+1]) != 1):
				continue
			case before == 0 && here == 1:
				continue
			}
		}
		list = append(list, string(runes[start:i]))
		start = i
	}
	return list
}

// wholeNames are names that read better than the sum of their pieces.
const wholeNames dictionary = `
AppHdr application header
BICFI BIC
AnyBIC BIC
BICOrBEI BIC
Fr from
To to
BizMsgIdr business message id
MsgDefIdr message definition
BizSvc business service
IntrBkSttlmAmt interbank settlement amount
IntrBkSttlmDt interbank settlement date
TtlIntrBkSttlmAmt total interbank settlement amount
RtrdIntrBkSttlmAmt returned amount
OrgnlIntrBkSttlmAmt original settlement amount
OrgnlIntrBkSttlmDt original settlement date
EndToEndId end-to-end id
OrgnlEndToEndId original end-to-end id
InstdAmt instructed amount
InstgAgt instructing agent
InstdAgt instructed agent
AccptncDtTm acceptance time
CreDtTm created
CreDt created
ReqdExctnDt requested execution
FctvIntrBkSttlmDt effective settlement date
NbOfTxs number of transactions
CtrlSum control sum
SttlmMtd settlement method
ChrgBr charge bearer
Ustrd text
Strd structured
RmtInf remittance
AddtlInf additional information
StsRsnInf status reason
RtrRsnInf return reason
CxlRsnInf cancellation reason
CxlStsRsnInf cancellation status reason
TwnNm town
StrtNm street
BldgNb building
PstCd post code
CtrySubDvsn region
AdrLine address line
Dbtr debtor
Cdtr creditor
Sgntr signature
SplmtryData supplementary data
CdtTrfTxInf credit transfer
TxInfAndSts transaction and status
Undrlyg underlying
Assgnmt assignment
Assgnr assigner
Assgne assignee
Cretr creator
Conf confirmation
ClrSysMmbId clearing system member
MmbId member id
USABA US routing number
SchmeNm scheme
Prtry proprietary
CdtDbtInd credit or debit
BookgDt booked
ValDt value date
Ntry entry
NtryRef entry reference
AcctSvcrRef servicer's reference
BkTxCd bank transaction code
CpyDplct copy or duplicate
PssblDplct possible duplicate
NbOfNtries number of entries
AMLReq anti-money-laundering request
`

// abbreviations are the pieces of which ISO 20022 makes the names of elements, and what they stand for.
const abbreviations dictionary = `
Accptd accepted
Accptnc acceptance
Acct account
Ack acknowledgement
Actl actual
Actn action
Actvtn activation
Actvty activity
Addtl additional
Adjstmnt adjustment
Admstn administration
Admstr administrator
Adr address
Advc advice
Aggtd aggregated
Agrd agreed
Agt agent
Agts agents
Allwd allowed
Amdmnt amendment
Amt amount
Amtsd amortised
Anncd announced
Apld applied
Apprvl approval
Assgne assignee
Assgnmt assignment
Assgnr assigner
Attndnc attendance
Attndnt attendant
Authntcn authentication
Authrty authority
Authstn authorisation
Avlbty availability
Bal balance
Bdry boundary
Biz business
Bk bank
Bldg building
Bookg booking
Br bearer
Brnch branch
Brnd brand
Btch batch
Bx box
CLS CLS
CSC CSC
Ccy currency
Cd code
Cdt credit
Cdtr creditor
Cert certificate
Chanl channel
Char character
Chq cheque
Chrg charge
Chrgs charges
Clm claim
Clr clearing
Clssfctn classification
Cmon common
Cmpnt component
Cnt count
Cntr counter
Cntxt context
Colltn collection
Compstn compensation
Comssn commission
Cond condition
Conf confirmation
Confd confirmed
Corp corporate
Cpbl capable
Cpblties capabilities
Cpy copy
Crdhldr cardholder
Cre creation
Cretr creator
Crit criteria
Crrctd corrected
Crrctn correction
Csh cash
Cstmr customer
Ctct contact
Ctgy category
Ctrct contract
Ctrctl contractual
Ctrl control
Ctry country
Cur current
Cxl cancellation
Dbt debit
Dbtr debtor
Dcsn decision
Ddctd deducted
Def definition
Dely delay
Dept department
Desc description
Dgtl digital
Disp displayed
Dlvr deliver
Dlvrg delivering
Dlvry delivery
Dnmtn denomination
Doc document
Domn domain
Dplct duplicate
Dpst deposit
Drct direct
Drtn duration
Dscnt discount
Dstrct district
Dt date
Dtld detailed
Dtls details
Dts dates
Dvsn division
Elctrnc electronic
Enqry enquiry
Enrlmnt enrolment
Envlp envelope
Envt environment
Eqvt equivalent
Err error
Evt event
Exctn execution
FI financial institution
FX foreign exchange
Fcst forecast
Fctv effective
Fin financial
Fld field
Fllbck fallback
Flr floor
Fmly family
Fnl final
Fr from
Frms formalities
Frmt format
Frqcy frequency
Frst first
Fwdg forwarding
Grantd granted
Grnshee garnishee
Grnshmt garnishment
Grnted guaranteed
Grp group
Hdlg handling
Hdr header
Id id
Idr id
Imdt immediate
Incl included
Incrrct incorrect
Ind indicator
Indctn indication
Indv individual
Inf information
Infrstrctr infrastructure
Initg initiating
Initl initial
Initn initiation
Inpt input
Insrnc insurance
Instd instructed
Instg instructing
Instn institution
Instr instruction
Instrm instrument
Intr inter
Intrmy intermediary
Intrst interest
Invc invoice
Invcee invoicee
Invcr invoicer
Invstgtn investigation
Isse issue
Issg issuing
Issr issuer
Justfn justification
Lang language
Lcl local
Lctn location
Lgl legal
Lk link
Lmt limit
Lng long
Ltd limited
Lvl level
Manfctr manufacturer
Max maximum
Md mode
Mdcl medical
Mdl model
Measr measure
Mgmt management
Mkt market
Mmb member
Mndt mandate
Mob mobile
Mod modification
Modfy modify
Mplyee employee
Mrchnt merchant
Msg message
Mssng missing
Mtd method
Mtrty maturity
Nb number
Nclsd enclosed
Nclsr encloser
Nm name
Nrrtv narrative
Ntfctn notification
Ntries entries
Ntry entry
Ntty entity
Ntwk network
Nxt next
Ocrncs occurrences
Org organisation
Orgnl original
Orgtr originator
Othr other
Ownr owner
Param parameter
Pctg percentage
Pd period
Pdct product
Pg page
Pgntn pagination
Phne phone
Plc place
Pmt payment
Pnlty penalty
Poolg pooling
Pos position
Prcd proceeds
Prcg processing
Prctc practice
Prd period
Prefrd preferred
Pres present
Presntmnt presentment
Prfx prefix
Pric price
Prt print
Prtry proprietary
Prty priority
Prvc province
Prvdr provider
Prvs previous
Prvt private
Prxy proxy
Pssbl possible
Pst post
Pstl postal
Pstng posting
Pt point
Pth path
Pties parties
Pty party
Purp purpose
Pybl payable
Qry query
Qt quote
Qtd quoted
Qties quantities
Qtn quotation
Qty quantity
Rbt rebate
Rcncltn reconciliation
Rcpt receipt
Rcrd record
Rct receipt
Rcvg receiving
Rdng reading
Ref reference
Refs references
Regn registration
Regy registry
Reop reopen
Req request
Reqd requested
Res residence
Rfrd referred
Rg range
Rgltry regulatory
Rgnl regional
Rjct reject
Rjctd rejected
Rjctg rejecting
Rjctn rejection
Rltd related
Rmbrsmnt reimbursement
Rmt remittance
Rmtd remitted
Rpt report
Rptg reporting
Rqstr requester
Rslt result
Rsltn resolution
Rslvd resolved
Rsn reason
Rsnd resend
Rspn response
Rspndr responder
Rspnsblty responsibility
Rtr return
Rtrd returned
Rvsd reversed
Rvsl reversal
Sch search
Schme scheme
Scty security
Seq sequence
Sfkpg safekeeping
Sfx suffix
Sgntr signature
Shrt short
Sndr sender
Sol solution
Splmtry supplementary
Src source
Srl serial
Ssn session
Sspnsn suspension
Stmt statement
Strd structured
Strt street
Sts status
Sttlm settlement
Sub sub
Summry summary
Svc service
Svcr servicer
Sys system
Taxbl taxable
Tech technical
Termntn termination
Thrd third
Titl title
Tm time
Tp type
Trad trade
Tradg trading
Trck track
Trckg tracking
Trckr tracker
Trf transfer
Trgt target
Ttl total
Twn town
Tx transaction
Txs transactions
Ubl unable
Ultmt ultimate
Undrlyg underlying
Updtd updated
Ustrd unstructured
Val value
Valtn valuation
Vldtn validation
Vldty validity
Vrfctn verification
Vrsn version
Vsblty visibility
Wvr waiver
Xchg exchange
Xpctd expected
Xpry expiry
Yldd yielded
Yr year
Zn zone
`
