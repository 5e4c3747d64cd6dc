package railsim

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"
)

// BenchmarkPayment is one payment through the rail in process: pacs.008 in, settled by a simulated bank, pacs.002 out and acknowledged.
func BenchmarkPayment(b *testing.B) {
	for name, r := range banksOf {
		b.Run(name, func(b *testing.B) {
			cfg := testConfig(name)
			cfg.MagicAmounts = false
			cfg.Participants[0].Prefunded = "100000000.00"
			cfg.Participants[2].AnswerAfter = 0
			sim := must(New(cfg))
			defer sim.Close()
			p := sim.Profile()
			tr := must(sim.Transport(r.banks[0]))
			in := rail.TransferInput{
				EndToEndID: "E", UETR: payments.NewUETR("x", "y"), Amount: payments.Amount{Minor: 100, Currency: p.Currency},
				Debtor:      iso20022.Party{Name: must(payments.ParseName("Example")), Account: must(payments.ParseAccount(r.debtor)), Agent: p.Agent(r.banks[0])},
				Creditor:    iso20022.Party{Name: must(payments.ParseName("Example")), Account: must(payments.ParseAccount(r.creditor)), Agent: p.Agent(r.banks[2])},
				Participant: r.banks[0],
			}
			b.ReportAllocs()
			after, n := uint64(0), 0
			for b.Loop() {
				n++
				in.Suffix, in.Now = fmt.Sprint(n), time.Now()
				wire := must(p.Encode(must(p.NewTransfer(in))))
				if err := tr.Send(context.Background(), wire); err != nil {
					b.Fatal(err)
				}
				ds := must(tr.Receive(context.Background(), after, 10))
				after = ds[len(ds)-1].Seq
			}
		})
	}
}
