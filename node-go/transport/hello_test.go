package transport

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

var ann = Identity{ClusterID: "c", Shard: 7, NodeID: "ann", Address: "h:1"}

// The bytes on the wire must not change within a version of the magic.
func TestHandshakeGolden(t *testing.T) {
	for _, test := range []struct {
		name   string
		framed []byte
		want   string
	}{
		{"hello", hello{from: ann, to: "bob"}.encode(), "4b56524146543031" + "0016" +
			"00000007" + "000163" + "0003616e6e" + "0003626f62" + "0003683a31"},
		{"answer", answer{reason: WrongShard, from: ann}.encode(), "4b56524146543031" + "000d" +
			"02" + "00000007" + "000163" + "0003616e6e"},
	} {
		got := hex.EncodeToString(test.framed[:len(test.framed)-frameFooter])
		if got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, test.want)
		}
	}
}

func TestHandshakeRoundTrip(t *testing.T) {
	want := hello{from: ann, to: "bob"}
	got, err := decodeHello(unframe(t, want.encode()))
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	said := answer{reason: WrongNode, from: Identity{ClusterID: "c", Shard: 7, NodeID: "ann"}}
	heard, err := decodeAnswer(unframe(t, said.encode()))
	if err != nil || heard != said {
		t.Errorf("got %+v, %v", heard, err)
	}
}

func TestHelloIsRefusedWhenDamaged(t *testing.T) {
	whole := hello{from: ann, to: "bob"}.encode()
	for i := range whole {
		for bit := range 8 {
			framed := bytes.Clone(whole)
			framed[i] ^= 1 << bit
			if h, err := readHello(framed); err == nil {
				t.Fatalf("bit %d of byte %d flipped: accepted as %+v", bit, i, h)
			}
		}
	}
	for n := range whole {
		if _, err := readHello(whole[:n]); err == nil {
			t.Fatalf("cut at %d: accepted", n)
		}
	}
}

func TestHelloIsBounded(t *testing.T) {
	long := ann
	long.Address = strings.Repeat("a", maxAddressBytes+1)
	if _, err := readHello(hello{from: long, to: "bob"}.encode()); !errors.Is(err, errBadFrame) {
		t.Errorf("long address: %v", err)
	}
	long.Address = strings.Repeat("a", maxBodyBytes)
	if _, err := readHello(hello{from: long, to: "bob"}.encode()); !errors.Is(err, errBadFrame) {
		t.Errorf("long body: %v", err)
	}
}

func FuzzHello(f *testing.F) {
	f.Add(hello{from: ann, to: "bob"}.encode())
	f.Add(answer{reason: SameNode, from: ann}.encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		body, err := readBody(bytes.NewReader(data))
		if err != nil {
			body = data
		}
		if h, err := decodeHello(body); err == nil && !bytes.Equal(h.encode(), frame(body)) {
			t.Errorf("%+v has two encodings", h)
		}
		if a, err := decodeAnswer(body); err == nil && !bytes.Equal(a.encode(), frame(body)) {
			t.Errorf("%+v has two encodings", a)
		}
	})
}

func readHello(framed []byte) (hello, error) {
	r := bytes.NewReader(framed)
	if err := readMagic(r); err != nil {
		return hello{}, err
	}
	body, err := readBody(r)
	if err != nil {
		return hello{}, err
	}
	return decodeHello(body)
}

func unframe(t *testing.T, framed []byte) []byte {
	t.Helper()
	r := bytes.NewReader(framed)
	if err := readMagic(r); err != nil {
		t.Fatal(err)
	}
	body, err := readBody(r)
	if err != nil || r.Len() > 0 {
		t.Fatalf("%d bytes left, %v", r.Len(), err)
	}
	return body
}
