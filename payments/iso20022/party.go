package iso20022

import "github.com/parleypay/parley/payments"

// Elements that several messages share: agents, parties, addresses, accounts.

// agent writes a BranchAndFinancialInstitutionIdentification, nothing if it is zero.
func (e *encoder) agent(name string, a Agent) {
	if a == (Agent{}) {
		return
	}
	e.begin(name)
	e.institution(a)
	e.end()
}

func (e *encoder) requiredAgent(name string, a Agent) {
	if a == (Agent{}) {
		e.fail(name, "model.missing", "required")
	}
	e.agent(name, a)
}

// institution writes FinInstnId with a BIC, or with a clearing system member id if a system is named or the id is no BIC.
func (e *encoder) institution(a Agent) {
	e.begin("FinInstnId")
	if a.System == "" && a.ID.IsBIC() {
		e.raw("BICFI", string(a.ID))
	} else {
		e.begin("ClrSysMmbId")
		if a.System != "" {
			e.begin("ClrSysId")
			e.code("Cd", a.System, 5)
			e.end()
		}
		if a.ID == "" {
			e.fail("MmbId", "model.missing", "required")
		}
		e.code("MmbId", string(a.ID), 35)
		e.end()
	}
	e.end()
}

// party writes a PartyIdentification: name and address.
func (e *encoder) party(name string, p *Party) {
	e.begin(name)
	e.text("Nm", p.Name.Reveal(), 140)
	if a := &p.Address; *a != (Address{}) {
		e.begin("PstlAdr")
		e.text("StrtNm", a.Street, 70)
		e.text("BldgNb", a.Building, 16)
		e.text("PstCd", a.PostCode, 16)
		e.text("TwnNm", a.Town, 35)
		e.text("CtrySubDvsn", a.Region, 35)
		if c := a.Country; c != "" && (len(c) != 2 || c[0] < 'A' || c[0] > 'Z' || c[1] < 'A' || c[1] > 'Z') {
			e.fail("Ctry", "model.country", "not two capital letters")
		}
		e.text("Ctry", a.Country, 2)
		e.end()
	}
	e.end()
}

// account writes a CashAccount, nothing if it is zero.
func (e *encoder) account(name string, a payments.Account) {
	if a == (payments.Account{}) {
		return
	}
	e.begin(name)
	e.begin("Id")
	if a.IsIBAN() {
		e.raw("IBAN", a.Reveal())
	} else {
		e.begin("Othr")
		e.raw("Id", a.Reveal())
		e.end()
	}
	e.end()
	e.end()
}

// agent reads a BranchAndFinancialInstitutionIdentification with a BIC or a clearing system member id, not both. The check digit of
// a routing number is a rule of the rail. Passed over: LEI, Nm, PstlAdr, BrnchId.
func (d *decoder) agent(i uint32) (a Agent) {
	for c, name := range d.children(i) {
		switch name {
		case "FinInstnId":
			a = d.institution(c)
		case "BrnchId":
		default:
			d.outside(c)
		}
	}
	return a
}

func (d *decoder) institution(i uint32) (a Agent) {
	for c, name := range d.children(i) {
		switch name {
		case "BICFI":
			a.ID = payments.AgentID(d.plain(c))
		case "ClrSysMmbId":
			if a.ID != "" {
				d.fail(c, "model.agent", "both a BIC and a clearing system member id")
				return a
			}
			a = d.member(c)
		case "LEI", "Nm", "PstlAdr":
		default:
			d.outside(c)
		}
	}
	if a.ID == "" {
		d.fail(i, "model.agent", "neither a BIC nor a clearing system member id")
	}
	return a
}

func (d *decoder) member(i uint32) (a Agent) {
	for c, name := range d.children(i) {
		switch name {
		case "ClrSysId":
			k, kind := d.only(c)
			if kind != "Cd" {
				d.outside(k)
			}
			a.System = d.code(k)
		case "MmbId":
			a.ID = payments.AgentID(d.code(c))
		default:
			d.outside(c)
		}
	}
	if a.System == "" && a.ID.IsBIC() {
		d.fail(i, "model.agent", "a clearing system member id in the form of a BIC, without its system")
	}
	return a
}

// party reads name and address. Passed over: Id, CtryOfRes, CtctDtls, and the parts of an address that Address does not hold.
func (d *decoder) party(i uint32, p *Party) {
	for c, name := range d.children(i) {
		switch name {
		case "Nm":
			n, err := payments.ParseName(d.text(c))
			if err != nil {
				d.fail(c, "model.name", "space at an end, a control character, or too long")
			}
			p.Name = n
		case "PstlAdr":
			p.Address = d.address(c)
		case "Id", "CtryOfRes", "CtctDtls":
		default:
			d.outside(c)
		}
	}
}

func (d *decoder) address(i uint32) (a Address) {
	for c, name := range d.children(i) {
		switch name {
		case "StrtNm":
			a.Street = d.text(c)
		case "BldgNb":
			a.Building = d.text(c)
		case "PstCd":
			a.PostCode = d.text(c)
		case "TwnNm":
			a.Town = d.text(c)
		case "CtrySubDvsn":
			a.Region = d.text(c)
		case "Ctry":
			a.Country = d.code(c)
		case "AdrTp", "Dept", "SubDept", "BldgNm", "Flr", "PstBx", "Room", "TwnLctnNm", "DstrctNm", "AdrLine":
		default:
			d.outside(c)
		}
	}
	return a
}

// account reads an IBAN, with right check digits, or another account number without scheme or issuer. An account in another
// currency than that of the payment is refused. Passed over: Tp, Nm, Prxy.
func (d *decoder) account(i uint32, currency payments.Currency) (a payments.Account) {
	for c, name := range d.children(i) {
		switch name {
		case "Id":
			k, kind := d.only(c)
			for o, name := range d.children(k) { // of Othr
				if kind = name; name != "Id" {
					d.outside(o)
				}
				k = o
			}
			var err error
			if a, err = payments.ParseAccount(d.plain(k)); err != nil || a.IsIBAN() != (kind == "IBAN") {
				d.fail(k, "model.account", "not an account number, an IBAN with wrong check digits, or an IBAN in the wrong place")
			}
		case "Ccy":
			if d.plain(c) != string(currency) {
				d.fail(c, "model.currency", "the account is in another currency than the payment")
			}
		case "Tp", "Nm", "Prxy":
		default:
			d.outside(c)
		}
	}
	return a
}
