package transport

import (
	"context"
	"net"
	"runtime"
	"testing"
)

// Whoever accepts the connection sees the address that was asked for.
func TestConnectionsLeaveFromTheGivenAddress(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has more than one loopback address without being told")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, from := range []string{"127.64.1.2", ""} {
		conn, err := Dialer(net.ParseIP(from)).DialContext(context.Background(), "tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		accepted, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer accepted.Close()
		want := from
		if want == "" {
			want = "127.0.0.1"
		}
		if got := accepted.RemoteAddr().(*net.TCPAddr).IP.String(); got != want {
			t.Errorf("it comes from %s, must be from %s", got, want)
		}
	}
}
