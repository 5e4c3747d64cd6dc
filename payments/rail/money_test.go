package rail

import "testing"

// Each pair of what was known and what is said, one by one.
func TestMoneyAfter(t *testing.T) {
	const no = Money(99) // a contradiction
	want := map[Kind][7]Money{
		//                unknown        refused       settled        credited       held           blocked        returned
		Ignored:         {MoneyUnknown, MoneyRefused, MoneySettled, MoneyCredited, MoneyHeld, MoneyBlocked, MoneyReturned},
		Waiting:         {MoneyUnknown, MoneyRefused, MoneySettled, MoneyCredited, MoneyHeld, MoneyBlocked, MoneyReturned},
		NotFound:        {MoneyUnknown, MoneyRefused, MoneySettled, MoneyCredited, MoneyHeld, MoneyBlocked, MoneyReturned},
		Accepted:        {MoneyUnknown, no, MoneySettled, MoneyCredited, MoneyHeld, MoneyBlocked, MoneyReturned},
		Settled:         {MoneySettled, no, MoneySettled, MoneyCredited, MoneyHeld, MoneyBlocked, MoneyReturned},
		SettledCredited: {MoneyCredited, no, MoneyCredited, MoneyCredited, MoneyCredited, MoneyCredited, MoneyReturned},
		SettledPending:  {MoneyHeld, no, MoneySettled, MoneyCredited, MoneyHeld, MoneyBlocked, MoneyReturned},
		Rejected:        {MoneyRefused, MoneyRefused, no, no, MoneyHeld, no, no},
		Blocked:         {no, no, MoneyBlocked, no, MoneyBlocked, MoneyBlocked, no},
	}
	for kind, row := range want {
		for before, after := range row {
			got, ok := Money(before).After(kind)
			if after == no {
				if ok || got != Money(before) {
					t.Errorf("%v after %v is %v, want a contradiction", kind, Money(before), got)
				}
				continue
			}
			if !ok || got != after {
				t.Errorf("%v after %v is %v (%v), want %v", kind, Money(before), got, ok, after)
			}
			if settled := Money(before) != MoneyUnknown && Money(before) != MoneyRefused; settled && (got == MoneyUnknown || got == MoneyRefused) {
				t.Errorf("%v undoes a settlement", kind)
			}
			if Money(before).Returning(kind) != (Money(before) == MoneyHeld && kind == Rejected) {
				t.Errorf("%v after %v: returning", kind, Money(before))
			}
		}
	}
	if len(want) != int(NotFound)+1 {
		t.Error("a kind is missing")
	}
}
