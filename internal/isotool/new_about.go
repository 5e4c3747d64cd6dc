package isotool

import (
	"errors"
	"time"

	"github.com/parleypay/parley/payments/rail"
)

// about returns the fields with which a message names another one, that it answers, asks after, recalls or returns: what --about says of it.
func about(def string, e *event, p *rail.Profile) ([][2]string, error) {
	created := ""
	if !e.at.IsZero() && !e.zoneless {
		created = e.at.Format(time.RFC3339Nano)
	}
	plain := p != nil && p.OriginalByEndToEnd // Pix names nothing else
	if plain {
		e.messageID, e.message, created, e.tx, e.instr, e.uetr = "", "", "", "", "", ""
	}
	switch messageName(def) {
	case "pacs.002", "pacs.028":
		sender := e.creditor
		if messageName(def) == "pacs.028" {
			sender = e.debtor
		}
		return [][2]string{{"originalMessageId", e.messageID}, {"originalMsgName", e.message}, {"originalCreated", created}, {"originalInstruction", e.instr},
			{"originalEndToEnd", e.endToEnd}, {"originalTransaction", e.tx}, {"originalUetr", e.uetr}, {"instructing.id", sender}}, nil
	case "pacs.004", "camt.056", "camt.055", "camt.029", "pain.014":
		list := [][2]string{{"original.messageId", e.messageID}, {"original.messageName", e.message}, {"original.created", created}, {"original.instructionId", e.instr},
			{"original.endToEndId", e.endToEnd}, {"original.uetr", e.uetr}}
		switch messageName(def) {
		case "pacs.004":
			list = append(list, [2]string{"original.transactionId", e.tx}, [2]string{"amount", e.amount}, [2]string{"instructing.id", e.creditor})
			if plain {
				list = append(list, [2]string{"details.debtor.agent.id", e.debtor}, [2]string{"details.creditor.agent.id", e.creditor})
			} else {
				list = append(list, [2]string{"debtor.agent.id", e.creditor}, [2]string{"creditor.agent.id", e.debtor})
			}
		case "camt.056":
			list = append(list, [2]string{"original.transactionId", e.tx}, [2]string{"case.assigner.agent.id", e.debtor}, [2]string{"case.assignee.agent.id", e.creditor})
		case "camt.055":
			list = append(list, [2]string{"original.paymentInfoId", e.batch})
		case "camt.029":
			list = append(list, [2]string{"original.transactionId", e.tx}, [2]string{"case.assigner.agent.id", e.creditor}, [2]string{"case.assignee.agent.id", e.debtor})
		case "pain.014":
			list = append(list, [2]string{"original.paymentInfoId", e.batch}, [2]string{"debtor.id", e.debtor}, [2]string{"creditor.id", e.creditor})
		}
		return list, nil
	}
	return nil, errors.New("this message is about no other one")
}

// readAbout reads the one payment that a file tells of.
func readAbout(name string, open func() ([]byte, error)) (*event, error) {
	b, err := open()
	if err != nil {
		return nil, err
	}
	tree, err := diffLimits.Inspect(b)
	if err != nil {
		return nil, err
	}
	events := readEvents(name, takeApart(tree))
	if len(events) != 1 {
		return nil, errors.New("not a message about one payment")
	}
	return &events[0], nil
}
