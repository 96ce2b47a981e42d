package main

import (
	"fmt"
	"strings"

	"github.com/anishathalye/porcupine"
)

// accounts of one hash tag, between which transactions transfer (test/chaos/model/balances.ts). They are one state: who sees some
// of a transfer sees none of these.
const accounts = 4

type bank struct {
	found    [accounts]bool
	balances [accounts]int64
}

// banking is what a group of accounts may do. The version of an account is not looked at: its balance says as much.
var banking = porcupine.NondeterministicModel{
	Init: func() []any { return []any{bank{}} },
	Step: func(before, input, _ any) []any {
		after, possible := before.(bank).step(input.(*operation))
		if !possible {
			return nil
		}
		return []any{after}
	},
	Equal:             func(a, b any) bool { return a == b },
	DescribeOperation: func(input, _ any) string { return input.(*operation).describeTransfer() },
	DescribeState:     func(s any) string { return s.(bank).describe() },
}

// step: a transfer gives every balance as it leaves them, whether it took place or its condition did not hold.
func (b bank) step(op *operation) (bank, bool) {
	after, took := b, false
	if op.Op == "transfer" && b.holds(op) {
		after.add(op.From, -op.By)
		after.add(op.To, op.By)
		took = true
	}
	if op.Outcome != succeeded {
		return after, true
	}
	return after, (op.Op == "balances" || op.Succeeded == took) && after.looks(op.Balances)
}

// holds: the balance of the account that gives is the expected one. Without that there is no condition.
func (b bank) holds(op *operation) bool {
	return op.Expected == nil || b.found[op.From] && fmt.Sprint(b.balances[op.From]) == *op.Expected
}

func (b *bank) add(account int, amount int64) {
	b.found[account] = true
	b.balances[account] += amount
}

func (b bank) looks(told []*int64) bool {
	for i := range b.balances {
		if (told[i] != nil) != b.found[i] || b.found[i] && *told[i] != b.balances[i] {
			return false
		}
	}
	return true
}

func (b bank) describe() string {
	var text strings.Builder
	for i, balance := range b.balances {
		if b.found[i] {
			fmt.Fprintf(&text, "%d ", balance)
		} else {
			text.WriteString("- ")
		}
	}
	return text.String()
}

func (o *operation) describeTransfer() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s", o.Client, o.Op)
	if o.Op == "transfer" {
		fmt.Fprintf(&text, "(%d from %d to %d", o.By, o.From, o.To)
		if o.Expected != nil {
			fmt.Fprintf(&text, " if %s", *o.Expected)
		}
		text.WriteString(")")
	}
	if o.Outcome != succeeded {
		fmt.Fprintf(&text, ": %s", o.Outcome)
		return text.String()
	}
	fmt.Fprintf(&text, ": %t", o.Succeeded)
	for _, balance := range o.Balances {
		if balance == nil {
			text.WriteString(" -")
		} else {
			fmt.Fprintf(&text, " %d", *balance)
		}
	}
	return text.String()
}

// checkTransfer is for lines that a transfer needs, and others do not have.
func (o *operation) checkTransfer() error {
	known := func(account int) bool { return account >= 0 && account < accounts }
	if o.Op == "transfer" && (!known(o.From) || !known(o.To)) {
		return fmt.Errorf("operation %d transfers between accounts that there are not", o.ID)
	}
	if o.Outcome == succeeded && len(o.Balances) != accounts {
		return fmt.Errorf("operation %d was told of %d accounts", o.ID, len(o.Balances))
	}
	return nil
}

// modelOf is the one for a key, or for the hash tag that stands for a group of accounts.
func modelOf(known []*operation) porcupine.Model {
	for _, op := range known {
		if op.isBanking() {
			return banking.ToModel()
		}
	}
	return register.ToModel()
}

func (o *operation) isBanking() bool { return o.Op == "transfer" || o.Op == "balances" }
