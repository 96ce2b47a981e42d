package main

import (
	"errors"
	"net"
	"net/http"
	"net/http/pprof"
	"time"
)

// debugHeaderLimit bounds a slow client of the debug port.
const debugHeaderLimit = 5 * time.Second

// listenDebug serves pprof on its own loopback port, if asked to.
func (n *node) listenDebug() error {
	if n.config.debug == "" {
		return nil
	}
	listener, err := net.Listen("tcp", n.config.debug)
	if err != nil {
		return faultf(exitAddress, "listen on %s: %w", n.config.debug, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	n.debug = &http.Server{Handler: mux, ReadHeaderTimeout: debugHeaderLimit}
	n.serving.Go(func() {
		if err := n.debug.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			n.around.log.Warn("the debug port failed", "error", err)
		}
	})
	return nil
}
