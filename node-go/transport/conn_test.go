package transport

import (
	"net"
	"slices"
	"testing"
	"time"

	"kvorum/node/clock/clocktest"
)

// recorder is a connection that always has bytes, and notes the deadline under which each call happened.
type recorder struct {
	net.Conn
	read, write time.Time
	calls       []string
	now         func() time.Time
}

func (r *recorder) SetReadDeadline(t time.Time) error  { r.read = t; return nil }
func (r *recorder) SetWriteDeadline(t time.Time) error { r.write = t; return nil }
func (r *recorder) SetDeadline(t time.Time) error      { r.read, r.write = t, t; return nil }
func (r *recorder) Read(p []byte) (int, error)         { return r.note("read", r.read, len(p)) }
func (r *recorder) Write(p []byte) (int, error)        { return r.note("write", r.write, len(p)) }

func (r *recorder) note(call string, deadline time.Time, n int) (int, error) {
	limit := "for ever"
	if !deadline.IsZero() {
		limit = deadline.Sub(r.now()).String()
	}
	r.calls = append(r.calls, call+" "+limit)
	return n, nil
}

func TestDeadlinesInTheMiddleOfMessages(t *testing.T) {
	manual := clocktest.New()
	buffer := make([]byte, 8)
	for _, test := range []struct {
		name    string
		inbound bool
		use     func(c *peerConn)
		want    []string
	}{
		{"accepted: waiting for a request has no limit, the rest of it has", true, func(c *peerConn) {
			c.Read(buffer)
			c.Read(buffer)
			c.Write(buffer)
			c.Read(buffer)
			c.Write(buffer)
			c.Read(buffer)
		}, []string{"read for ever", "read 1s", "write 1s", "read for ever", "write 1s", "read for ever"}},
		{"accepted: each part has the whole limit", true, func(c *peerConn) {
			c.Read(buffer)
			c.Read(buffer)
			manual.Advance(900 * time.Millisecond)
			c.Read(buffer)
		}, []string{"read for ever", "read 1s", "read 1s"}},
		{"dialled: Raft's deadline if it is sooner", false, func(c *peerConn) {
			c.SetDeadline(manual.Now().Add(300 * time.Millisecond))
			c.Write(buffer)
			c.Read(buffer)
		}, []string{"write 300ms", "read 300ms"}},
		{"dialled: a long stream must move, its answer may take Raft's time", false, func(c *peerConn) {
			c.SetDeadline(manual.Now().Add(time.Hour))
			c.Write(buffer)
			c.Write(buffer)
			c.Read(buffer)
		}, []string{"write 1s", "write 1s", "read 1h0m0s"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn := &recorder{now: manual.Now}
			test.use(&peerConn{Conn: conn, inbound: test.inbound, clock: manual, progress: time.Second})
			if !slices.Equal(conn.calls, test.want) {
				t.Errorf("got  %q\nwant %q", conn.calls, test.want)
			}
		})
	}
}
