package railsim

import (
	"fmt"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"
)

// This file writes the two messages of a rail that package rail has no type for yet: pacs.004, money coming back, and admi.004, the
// rail speaking of itself. They are made of our own identifiers and of amounts only, so plain formatting cannot make them invalid.

const msgEvent = "admi.004.001.02"

// sendBack moves the money of a settled payment back and sends the pacs.004 to the debtor's bank.
func (c *core) sendBack(now time.Time, p *payment) {
	t, prof := p.m.Transfer, c.set.profile
	if p.returned || p.executions == 0 || c.members[p.creditor].available < t.Amount.Minor {
		c.note(event{"unreturned", ""})
		return
	}
	c.members[p.creditor].available -= t.Amount.Minor
	c.members[p.debtor].available += t.Amount.Minor
	p.returned = true
	id := c.serviceID(now)
	created := now.UTC().Truncate(prof.TimeResolution)
	system := "<Cd>" + t.ClrSysCode + "</Cd>"
	if t.ClrSysCode == "" {
		system = "<Prtry>" + t.ClrSysPrtr + "</Prtry>"
	}
	optional := func(name, text string) string {
		if text == "" {
			return ""
		}
		return "<" + name + ">" + text + "</" + name + ">"
	}
	doc := fmt.Appendf(nil, `<Document xmlns="%s"><PmtRtr><GrpHdr><MsgId>%s</MsgId><CreDtTm>%s</CreDtTm><NbOfTxs>1</NbOfTxs>`+
		`<SttlmInf><SttlmMtd>CLRG</SttlmMtd><ClrSys>%s</ClrSys></SttlmInf></GrpHdr><TxInf><RtrId>%s</RtrId>`+
		`<OrgnlGrpInf><OrgnlMsgId>%s</OrgnlMsgId><OrgnlMsgNmId>%s</OrgnlMsgNmId><OrgnlCreDtTm>%s</OrgnlCreDtTm></OrgnlGrpInf>%s%s%s%s`+
		`<RtrdIntrBkSttlmAmt Ccy="%s">%s</RtrdIntrBkSttlmAmt><IntrBkSttlmDt>%s</IntrBkSttlmDt><ChrgBr>SLEV</ChrgBr>`+
		`<InstgAgt>%s</InstgAgt><InstdAgt>%s</InstdAgt><RtrRsnInf><Rsn><Cd>AC04</Cd></Rsn></RtrRsnInf></TxInf></PmtRtr></Document>`,
		iso20022.Namespace(prof.ReturnDef), id, created.Format(time.RFC3339Nano), system, id,
		escape(t.MessageID), rail.MsgTransfer, t.Created.Format(time.RFC3339Nano),
		optional("OrgnlInstrId", escape(t.InstructionID)), optional("OrgnlEndToEndId", escape(string(t.EndToEndID))),
		optional("OrgnlTxId", escape(t.TransactionID)), optional("OrgnlUETR", string(t.UETR)),
		t.Amount.Currency, t.Amount.Text(), created.Format(time.DateOnly), agent(prof, t.Instructed.ID), agent(prof, t.Instructing.ID))
	h := prof.NewHeader(prof.Service, c.members[p.debtor].ID, prof.ReturnDef, id, now)
	wire, err := prof.Wrap(&h, doc)
	if err != nil {
		c.note(event{"unsendable", prof.ReturnDef})
		return
	}
	c.enqueue(p.debtor, wire, Document{At: now, Dir: rail.FromService, Participant: c.members[p.debtor].ID, MsgDef: prof.ReturnDef, EndToEndID: t.EndToEndID})
	c.note(event{"returned", ""})
}

// broadcast tells every participant that the rail goes DOWN or is UP.
func (c *core) broadcast(now time.Time, word string) {
	prof := c.set.profile
	code := map[string]string{"DOWN": "DOWN", "UP": "OPEN"}[word]
	for i := range c.members {
		h := prof.NewHeader(prof.Service, c.members[i].ID, msgEvent, c.serviceID(now), now)
		doc := fmt.Appendf(nil, `<Document xmlns="%s"><SysEvtNtfctn><EvtInf><EvtCd>%s</EvtCd><EvtTm>%s</EvtTm></EvtInf></SysEvtNtfctn></Document>`,
			iso20022.Namespace(msgEvent), code, now.UTC().Truncate(prof.TimeResolution).Format(time.RFC3339Nano))
		wire, err := prof.Wrap(&h, doc)
		if err != nil {
			c.note(event{"unsendable", msgEvent})
			continue
		}
		c.enqueue(i, wire, Document{At: now, Dir: rail.FromService, Participant: c.members[i].ID, MsgDef: msgEvent})
	}
}

// agent writes FinInstnId of an agent.
func agent(p *rail.Profile, id payments.AgentID) string {
	if a := p.Agent(id); a.System != "" {
		return "<FinInstnId><ClrSysMmbId><ClrSysId><Cd>" + a.System + "</Cd></ClrSysId><MmbId>" + string(id) + "</MmbId></ClrSysMmbId></FinInstnId>"
	}
	return "<FinInstnId><BICFI>" + string(id) + "</BICFI></FinInstnId>"
}

// escape writes text as character data.
func escape(s string) string {
	var b []byte
	for i := range len(s) {
		switch s[i] {
		case '&':
			b = append(b, "&amp;"...)
		case '<':
			b = append(b, "&lt;"...)
		case '>':
			b = append(b, "&gt;"...)
		default:
			b = append(b, s[i])
		}
	}
	return string(b)
}
