package iso20022

import "github.com/parleypay/parley/payments"

// Elements that most messages share: agents, parties, addresses, accounts.

// old reports whether the message has the types of 2009 (pain.….03, camt.….02): BIC instead of BICFI.
func (x *codec) old() bool {
	switch x.def {
	case InitiationV3, InitiationReportV3:
		return true
	}
	return false
}

// agent is a BranchAndFinancialInstitutionIdentification. Passed over: LEI, Nm, PstlAdr, BrnchId.
func (x *codec) agent(name string, a *Agent) {
	if !x.reading {
		x.putAgent(name, a)
	} else if x.begin(name) {
		x.institution(a)
		x.pass("BrnchId")
		x.end()
	}
}

func (x *codec) requiredAgent(name string, a *Agent) {
	if !x.reading && *a == (Agent{}) {
		x.missing(name)
	}
	x.agent(name, a)
}

// agentOnce is an agent that may stand in the group header or in the transaction, not in both. It is written in one of them.
func (x *codec) agentOnce(name string, a *Agent) {
	x.once(name, *a != (Agent{}))
	x.agent(name, a)
}

// headerAgent reads an agent of the group header; agentOnce of the transaction writes it.
func (x *codec) headerAgent(name string, a *Agent) {
	if x.reading {
		x.agent(name, a)
	}
}

// institution reads FinInstnId with a BIC, or with a clearing system member id, not both. The check digit of a routing number is a rule
// of the rail.
func (x *codec) institution(a *Agent) {
	if !x.begin("FinInstnId") {
		return
	}
	bic := "BICFI"
	if x.old() {
		bic = "BIC"
	}
	if c, ok := x.take(bic); ok {
		a.ID = payments.AgentID(x.plainOf(c))
	}
	if a.ID != "" && x.is("ClrSysMmbId") {
		x.failAt(x.levels[x.depth-1].next, "model.agent", "both a BIC and a clearing system member id")
	}
	if x.begin("ClrSysMmbId") {
		x.onlyCode("ClrSysId", &a.System, 5)
		x.code("MmbId", (*string)(&a.ID), 35)
		if a.System == "" && a.ID.IsBIC() {
			x.fail("", "model.agent", "a clearing system member id in the form of a BIC, without its system")
		}
		x.end()
	}
	x.pass("LEI", "Nm", "PstlAdr")
	if a.ID == "" && !x.is("Othr") && !x.informal {
		x.fail("", "model.agent", "neither a BIC nor a clearing system member id")
	}
	x.end()
}

// putAgent writes an agent unless it is empty: by its member id if a system is named or the id is no BIC. A payment has four of them or
// more, so that they are written in few pieces.
func (x *codec) putAgent(name string, a *Agent) {
	if a.ID == "" && a.System == "" {
		return
	}
	b := append(append(x.b, '<'), name...)
	switch {
	case a.System != "":
		b = append(append(b, "><FinInstnId><ClrSysMmbId><ClrSysId><Cd>"...), a.System...)
		b = append(append(b, "</Cd></ClrSysId><MmbId>"...), a.ID...)
		b = append(b, "</MmbId></ClrSysMmbId></FinInstnId></"...)
		x.checkMember(name, a)
	case !a.ID.IsBIC():
		b = append(append(b, "><FinInstnId><ClrSysMmbId><MmbId>"...), a.ID...)
		b = append(b, "</MmbId></ClrSysMmbId></FinInstnId></"...)
		x.checkMember(name, a)
	case x.old():
		b = append(append(append(b, "><FinInstnId><BIC>"...), a.ID...), "</BIC></FinInstnId></"...)
	default:
		b = append(append(append(b, "><FinInstnId><BICFI>"...), a.ID...), "</BICFI></FinInstnId></"...)
	}
	x.b = append(append(b, name...), '>')
}

// checkMember refuses a clearing system member id that cannot be written.
func (x *codec) checkMember(name string, a *Agent) {
	const path = "/FinInstnId/ClrSysMmbId/"
	switch {
	case len(a.System) > 5 || !isCode(a.System):
		x.fail(name+path+"ClrSysId/Cd", "model.code", notCode)
	case a.ID == "":
		x.missing(name + path + "MmbId")
	case len(a.ID) > 35 || !isCode(string(a.ID)):
		x.fail(name+path+"MmbId", "model.code", notCode)
	}
}

// party is a debtor or creditor as a PartyIdentification; it is written even if it is empty.
func (x *codec) party(name string, p *Party) {
	if x.always(name) {
		x.identity(&p.Name, &p.Address, &p.ID)
		x.end()
	}
}

// someone is a party that is not demanded.
func (x *codec) someone(name string, p *Identity) {
	if x.begin(name) {
		x.identity(&p.Name, &p.Address, &p.ID)
		x.end()
	}
}

// initiator is InitgPty, which the schema demands, though it may be empty.
func (x *codec) initiator(p *Identity) {
	if x.always("InitgPty") {
		x.identity(&p.Name, &p.Address, &p.ID)
		x.end()
	}
}

// someoneOf is a debtor or creditor that is not demanded.
func (x *codec) someoneOf(name string, p *Party) {
	if x.begin(name) {
		x.identity(&p.Name, &p.Address, &p.ID)
		x.end()
	}
}

// partyChoice is a party as a Party40Choice, where the schema demands one. An agent is refused.
func (x *codec) partyChoice(name string, p *Party) {
	if x.begin(name) {
		x.party("Pty", p)
		x.end()
	}
}

// actor is a party or an agent (Party40Choice).
func (x *codec) actor(name string, a *Actor) {
	if !x.reading && a.Agent != (Agent{}) && a.Identity != (Identity{}) {
		x.fail(name, "model.choice", "both a party and an agent")
	}
	if x.begin(name) {
		x.someone("Pty", &a.Identity)
		x.agent("Agt", &a.Agent)
		x.end()
	}
}

func (x *codec) requiredActor(name string, a *Actor) {
	if !x.reading && *a == (Actor{}) {
		x.missing(name)
	}
	x.actor(name, a)
}

// identity is the content of a PartyIdentification. Passed over: CtryOfRes, CtctDtls, and the parts of an address that Address does
// not hold.
func (x *codec) identity(name *payments.Name, address *Address, id *PartyID) {
	x.partyName("Nm", name)
	x.address("PstlAdr", address)
	x.partyID(id)
	x.pass("CtryOfRes", "CtctDtls")
}

func (x *codec) partyName(name string, v *payments.Name) {
	if !x.reading {
		x.putText(name, v.Reveal(), 140)
	} else if c, ok := x.take(name); ok {
		n, err := payments.ParseName(x.textOf(c))
		if err != nil && !x.informal {
			x.failAt(c, "model.name", "space at an end, a control character, or too long")
		}
		*v = n
	}
}

func (x *codec) address(name string, a *Address) {
	if !x.reading && *a == (Address{}) || !x.begin(name) {
		return
	}
	x.pass("AdrTp", "Dept", "SubDept")
	x.text("StrtNm", &a.Street, 70)
	x.text("BldgNb", &a.Building, 16)
	x.pass("BldgNm", "Flr", "PstBx", "Room")
	x.text("PstCd", &a.PostCode, 16)
	x.text("TwnNm", &a.Town, 35)
	x.pass("TwnLctnNm", "DstrctNm")
	x.text("CtrySubDvsn", &a.Region, 35)
	if c := a.Country; c != "" && (len(c) != 2 || c[0] < 'A' || c[0] > 'Z' || c[1] < 'A' || c[1] > 'Z') {
		x.fail("Ctry", "model.country", "not two capital letters")
	}
	x.code("Ctry", &a.Country, 2)
	x.pass("AdrLine")
	x.end()
}

// partyID is the Id of a party: what identifies an organisation, or one document of a person. Passed over: DtAndPlcOfBirth, and
// every Othr after the first.
func (x *codec) partyID(id *PartyID) {
	if !x.reading && *id == (PartyID{}) || !x.begin("Id") {
		return
	}
	x.validate = true
	if (x.reading || !id.Private) && x.begin("OrgId") {
		bic := "AnyBIC"
		if x.old() {
			bic = "BICOrBEI"
		}
		x.code(bic, &id.BIC, 11)
		x.code("LEI", &id.LEI, 20)
		x.other(id)
		x.end()
	}
	if (x.reading || id.Private) && x.always("PrvtId") {
		id.Private = true
		if !x.reading && id.BIC+id.LEI != "" {
			x.fail("", "model.choice", "a BIC or LEI of a person")
		}
		x.pass("DtAndPlcOfBirth")
		x.other(id)
		x.end()
	}
	x.end()
}

// other is Othr of an identification; the second and further ones are passed over.
func (x *codec) other(id *PartyID) {
	if x.begin("Othr") {
		x.id("Id", &id.Other, 35)
		x.choice("SchmeNm", &id.Scheme, 4, &id.SchemePrtry)
		x.id("Issr", &id.Issuer, 35)
		x.end()
	}
	x.pass("Othr")
}

// account is the account of a party, perhaps with its currency. Between banks an account in another currency than that of the payment
// is refused, which must be known then.
func (x *codec) account(name string, p *Party, payment payments.Currency) {
	x.accountIn(name, &p.Account, &p.AccountCurrency)
	if payment != "" && p.AccountCurrency != "" && p.AccountCurrency != payment && (x.reading || !x.keep) {
		x.fail(name, "model.currency", "the account is in another currency than the payment")
	}
}

// accountIn is a CashAccount: an IBAN, with right check digits, or another account number without scheme or issuer. Passed over: Tp,
// Nm, Prxy.
func (x *codec) accountIn(name string, a *payments.Account, currency *payments.Currency) {
	if !x.reading && *a == (payments.Account{}) {
		if *currency != "" {
			x.fail(name, "model.missing", "a currency without an account")
		}
		return
	}
	if !x.reading {
		x.putAccount(name, *a, *currency)
		return
	}
	if !x.begin(name) {
		return
	}
	if x.begin("Id") {
		x.accountNumber("IBAN", a, true)
		if x.begin("Othr") {
			x.accountNumber("Id", a, false)
			x.end()
		}
		x.end()
	}
	x.pass("Tp")
	x.currency("Ccy", currency)
	if x.reading && x.informal && *a == (payments.Account{}) {
		*currency = ""
	}
	x.pass("Nm", "Prxy")
	x.end()
}

// putAccount writes an account, in few pieces.
func (x *codec) putAccount(name string, a payments.Account, currency payments.Currency) {
	b := append(append(x.b, '<'), name...)
	if a.IsIBAN() {
		b = append(append(append(b, "><Id><IBAN>"...), a.Reveal()...), "</IBAN></Id>"...)
	} else {
		b = append(append(append(b, "><Id><Othr><Id>"...), a.Reveal()...), "</Id></Othr></Id>"...)
	}
	x.b = b
	x.currency("Ccy", &currency)
	x.endTag(name)
}

// accountNumber reads a number.
func (x *codec) accountNumber(name string, a *payments.Account, iban bool) {
	c, ok := x.take(name)
	if !ok {
		return
	}
	number, err := payments.ParseAccount(x.plainOf(c))
	switch {
	case err == nil && number.IsIBAN() == iban:
		*a = number
	case !x.informal:
		x.failAt(c, "model.account", "not an account number, an IBAN with wrong check digits, or an IBAN in the wrong place")
	}
}
