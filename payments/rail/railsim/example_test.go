package railsim_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/railsim"
)

// A bank sends one payment to a bank that the rail plays, and reads the rail's answer.
func Example() {
	sim, err := railsim.New(railsim.Config{
		Rail: "sctinst",
		Participants: []railsim.Participant{
			{ID: "PAYRDEF0XXX", Token: "not a secret", Prefunded: "1000.00"},
			{ID: "SHOPFRP0", Simulated: true},
		},
		Rules: []railsim.Rule{{Match: railsim.Match{CreditorName: "Closed Shop"}, Action: railsim.Action{Do: "reject", Code: "AC04"}}},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer sim.Close()
	p := sim.Profile()
	transport, err := sim.Transport("PAYRDEF0XXX")
	if err != nil {
		log.Fatal(err)
	}

	var after uint64
	for i, shop := range []string{"Example Coffee", "Closed Shop"} {
		intent, err := payments.NewIntentID(time.Now(), nil)
		if err != nil {
			log.Fatal(err)
		}
		m, err := p.NewTransfer(rail.TransferInput{
			UETR: payments.NewUETR(intent, "PAYRDEF0XXX"), EndToEndID: intent.EndToEndID(),
			Amount:      payments.Amount{Minor: 450, Currency: "EUR"},
			Debtor:      party("Example Payer", "DE89370400440532013000", "PAYRDEF0XXX"),
			Creditor:    party(shop, "FR1420041010050500013M02606", "SHOPFRP0"),
			Participant: "PAYRDEF0XXX", Suffix: fmt.Sprint(i), Now: time.Now(),
		})
		if err != nil {
			log.Fatal(err)
		}
		wire, err := p.Encode(m)
		if err != nil {
			log.Fatal(err)
		}
		// A connector stores these bytes durably before this line.
		if err := transport.Send(context.Background(), wire); err != nil {
			log.Fatal(err)
		}
		deliveries, err := transport.Receive(context.Background(), after, 1)
		if err != nil {
			log.Fatal(err)
		}
		answer, err := p.Decode(deliveries[0].Wire, rail.FromService)
		if err != nil {
			log.Fatal(err)
		}
		after = deliveries[0].Seq
		meaning := p.Meaning(p.Sender(answer), answer.Status)
		fmt.Println(shop+":", meaning.Status, "means", meaning.Kind)
	}
	for _, p := range sim.Effects("", "").Positions {
		fmt.Println(p.Participant, p.Available)
	}
	// Output:
	// Example Coffee: ACCP means settled
	// Closed Shop: RJCT means rejected
	// PAYRDEF0XXX 995.50
	// SHOPFRP0 4.50
}

func party(name, account string, agent payments.AgentID) iso20022.Party {
	n, err := payments.ParseName(name)
	if err != nil {
		log.Fatal(err)
	}
	a, err := payments.ParseAccount(account)
	if err != nil {
		log.Fatal(err)
	}
	return iso20022.Party{Name: n, Account: a, Agent: iso20022.Agent{ID: agent}}
}
