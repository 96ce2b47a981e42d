package server

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	kvorumv1 "kvorum/node/gen/kvorum/v1"
)

// streams bounds the data streams of a node (lanes and unary calls, over all connections) before anything of them is
// received: each may hold a window and a message that nobody has looked at yet. Whoever runs the node is not counted, so
// that a node that is overloaded can be looked at.
type streams struct {
	open atomic.Int32
	max  int32
	// watches are bounded by themselves.
	watches    atomic.Int32
	maxWatches int32
}

var dataMethods = "/" + kvorumv1.KV_ServiceDesc.ServiceName + "/"

var errTooManyStreams = status.Error(codes.ResourceExhausted, "the node serves as many data streams as it may: try again later")

// tap is asked when the headers of a stream have come. The stream's context ends with it.
func (s *streams) tap(ctx context.Context, info *tap.Info) (context.Context, error) {
	if !strings.HasPrefix(info.FullMethodName, dataMethods) {
		return ctx, nil
	}
	open, most := &s.open, s.max
	if info.FullMethodName == kvorumv1.KV_Watch_FullMethodName {
		open, most = &s.watches, s.maxWatches
	}
	if open.Add(1) > most {
		open.Add(-1)
		return nil, errTooManyStreams
	}
	context.AfterFunc(ctx, func() { open.Add(-1) })
	return ctx, nil
}

// boundedListener closes connections above a number at once. One costs buffers and goroutines even if it is silent.
type boundedListener struct {
	net.Listener
	open atomic.Int32
	max  int32
}

func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= l.max {
			return &countedConn{Conn: conn, listener: l}, nil
		}
		l.open.Add(-1)
		conn.Close()
	}
}

type countedConn struct {
	net.Conn
	listener *boundedListener
	once     sync.Once
}

func (c *countedConn) Close() error {
	c.once.Do(func() { c.listener.open.Add(-1) })
	return c.Conn.Close()
}
