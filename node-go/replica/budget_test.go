package replica

import "testing"

func TestABudgetIsNeverExceededAndGivenBackOnceAndAnswersLeaveAQuarter(t *testing.T) {
	budget := NewBudget(100)
	hold := budget.Reserve(60)
	if hold == nil || budget.Reserve(41) != nil || budget.Free() != 40 {
		t.Fatalf("%d bytes are free", budget.Free())
	}
	if hold.Grow(16) || !hold.Grow(15) || budget.Free() != 25 {
		t.Fatalf("%d bytes are free", budget.Free())
	}
	hold.Retain()
	hold.Release()
	if budget.Free() != 25 {
		t.Fatal("given back while an owner is left")
	}
	hold.Release()
	if budget.Free() != 100 {
		t.Fatalf("%d bytes are free", budget.Free())
	}
}
