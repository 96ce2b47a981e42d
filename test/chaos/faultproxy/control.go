package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// maxOrderBytes bounds an order.
const maxOrderBytes = 1 << 20

// control takes orders, as JSON over HTTP on loopback:
//
//	POST   /routes       RouteOrder -> {"address": "127.0.0.1:20001"}; 409 if the address is taken
//	PUT    /faults/{id}  Fault; begins it or changes it
//	DELETE /faults/{id}  heals it; without an id all of them, or with ?party= those of one party alone
//	GET    /state        State
//	GET    /life         an answer that goes on until the proxy ends, so that whoever depends on it is told
//
// An order holds when it is answered.
func control(h *hub) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /routes", func(w http.ResponseWriter, r *http.Request) {
		var order RouteOrder
		if !read(w, r, &order) {
			return
		}
		address, err := h.open(order)
		if err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
		answer(w, map[string]string{"address": address})
	})
	mux.HandleFunc("PUT /faults/{id}", func(w http.ResponseWriter, r *http.Request) {
		var fault Fault
		if read(w, r, &fault) {
			h.rules.set(r.PathValue("id"), fault)
			answer(w, struct{}{})
		}
	})
	mux.HandleFunc("DELETE /faults/{id}", func(w http.ResponseWriter, r *http.Request) {
		h.rules.heal(r.PathValue("id"))
		answer(w, struct{}{})
	})
	mux.HandleFunc("DELETE /faults", func(w http.ResponseWriter, r *http.Request) {
		party := r.URL.Query().Get("party")
		h.rules.healThose(func(_ string, fault Fault) bool { return party == "" || fault.isOf(party) })
		answer(w, struct{}{})
	})
	mux.HandleFunc("GET /state", func(w http.ResponseWriter, _ *http.Request) { answer(w, h.state()) })
	mux.HandleFunc("GET /life", func(w http.ResponseWriter, r *http.Request) {
		// Whoever asked may have gone, and then this ends as well.
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	return mux
}

// read takes no order with a word that it does not know: a fault that does nothing would prove nothing.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOrderBytes))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if fault, ok := into.(*Fault); ok && err == nil {
		err = fault.check()
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
	return err == nil
}

var errFault = errors.New("not a fault")

func (f Fault) check() error {
	rule := f.Rule
	switch {
	case len(f.Links) == 0:
		return fmt.Errorf("%w: it has no links", errFault)
	case rule == Rule{}:
		return fmt.Errorf("%w: its rule does nothing", errFault)
	case rule.Loss < 0 || rule.Loss > 1 || rule.DelayMs < 0 || rule.JitterMs < 0 || rule.BytesPerSecond < 0 || f.ForMs < 0:
		return fmt.Errorf("%w: %+v is out of range", errFault, f)
	}
	return nil
}

func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	// Whoever asked may have gone.
	_ = json.NewEncoder(w).Encode(value)
}
