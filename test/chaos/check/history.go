package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

const (
	format       = "kvorum-history"
	version      = 4
	lineBytesMax = 64 << 20
)

// header is the first line of a history; test/chaos/model/format.ts writes it.
type header struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Seed    uint64 `json:"seed"`
	Round   int    `json:"round"`
}

// operation is one call of a client and what became of it. Times are monotonic, in microseconds.
type operation struct {
	ID     uint64 `json:"id"`
	Client string `json:"client"`
	Key    string `json:"key"`
	// Op is get, put, delete, append, compare-and-set, increment or touch; of a group of accounts, transfer or balances.
	Op    string `json:"op"`
	Value string `json:"value"`
	// IfVersion makes a put or delete conditional; 0: only if the key is absent.
	IfVersion *uint64 `json:"ifVersion"`
	// Expected is the value that a compare-and-set asks for; nil: the key must be absent.
	Expected *string `json:"expected"`
	// By is what an increment adds, and a transfer moves: From one account To another. Expected is the balance that it asks for.
	By   int64 `json:"by"`
	From int   `json:"from"`
	To   int   `json:"to"`
	// TTLMS is how long a put or touch has the key live; 0: for ever. model/mortal.ts judges how long it did.
	TTLMS uint64 `json:"ttlMs"`
	// StaleMS is the bound of a get that any replica may have answered; model/stale.ts judges those.
	StaleMS uint32 `json:"staleMs"`
	Call    int64  `json:"call"`
	// Return is nil when nobody knows whether it has happened, or will.
	Return  *int64  `json:"return"`
	Outcome outcome `json:"outcome"`
	// What the client was told; nil where its way does not say.
	Got     *string `json:"got"`
	Version *uint64 `json:"version"`
	Length  *uint64 `json:"length"`
	Existed *bool   `json:"existed"`
	// Sum is that of an increment.
	Sum *int64 `json:"sum"`
	// Succeeded says whether the condition of a transfer held; Balances are those after it, nil for an account that is not there.
	Succeeded bool     `json:"succeeded"`
	Balances  []*int64 `json:"balances"`
	// Previous is what a put or delete has replaced, if Returned says that it was told; nil: nothing.
	Returned bool    `json:"returned"`
	Previous *string `json:"previous"`
	// Fault names a fault: such a line is no operation.
	Fault string `json:"fault"`
}

type outcome string

const (
	succeeded  outcome = "ok"
	notApplied outcome = "not-applied"
	// applied: it has happened, and what it answered was lost.
	applied outcome = "applied"
	unknown outcome = "unknown"
	// precondition: it was refused because the key has another version, and says which.
	precondition outcome = "precondition"
)

type history struct {
	header header
	// keys in the order of their first operation.
	keys       []string
	operations map[string][]operation
	faults     []operation
}

func readHistory(from io.Reader) (*history, error) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, lineBytesMax)
	read := &history{operations: map[string][]operation{}}
	if !lines.Scan() {
		return nil, errors.Join(errors.New("the history is empty"), lines.Err())
	}
	if err := json.Unmarshal(lines.Bytes(), &read.header); err != nil {
		return nil, fmt.Errorf("line 1: %w", err)
	}
	if read.header.Format != format || read.header.Version != version {
		return nil, fmt.Errorf("this reads %s version %d, not %q version %d",
			format, version, read.header.Format, read.header.Version)
	}
	for number := 2; lines.Scan(); number++ {
		if err := read.take(lines.Bytes()); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
	}
	return read, lines.Err()
}

func (h *history) take(line []byte) error {
	var op operation
	if err := json.Unmarshal(line, &op); err != nil {
		return err
	}
	if op.Fault != "" {
		h.faults = append(h.faults, op)
		return nil
	}
	if err := op.check(); err != nil {
		return err
	}
	if _, known := h.operations[op.Key]; !known {
		h.keys = append(h.keys, op.Key)
	}
	h.operations[op.Key] = append(h.operations[op.Key], op)
	return nil
}

func (o *operation) check() error {
	switch o.Op {
	case "get", "put", "delete", "append", "compare-and-set", "increment", "touch":
	case "transfer", "balances":
		if err := o.checkTransfer(); err != nil {
			return err
		}
	default:
		return fmt.Errorf("no operation is called %q", o.Op)
	}
	switch o.Outcome {
	case succeeded, notApplied, applied, precondition:
		if o.Return == nil || *o.Return < o.Call {
			return fmt.Errorf("operation %d is %s and does not return after its call", o.ID, o.Outcome)
		}
	case unknown:
	default:
		return fmt.Errorf("no outcome is called %q", o.Outcome)
	}
	return nil
}
