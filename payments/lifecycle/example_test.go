package lifecycle_test

import (
	"fmt"

	"github.com/parleypay/parley/payments/lifecycle"
)

func ExampleNext() {
	s := lifecycle.Submitted
	for _, t := range []lifecycle.Trigger{lifecycle.OnSilence, lifecycle.OnCancel, lifecycle.OnSettlement, lifecycle.OnRejection} {
		next, err := lifecycle.Next(s, t)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(s, "->", next, "final:", next.Terminal())
		s = next
	}
	// Output:
	// submitted -> unknown final: false
	// lifecycle: cancel is not possible in state unknown
	// unknown -> settled final: true
	// lifecycle: rejection is not possible in state settled
}
