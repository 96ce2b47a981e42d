package command

import (
	"fmt"
	"testing"

	pb "kvorum/node/gen/command"
)

// putsInSessions is an entry as a busy leader makes it: puts of several sessions.
func putsInSessions(count, valueBytes int) *pb.Command {
	list := make([]*pb.Write, count)
	sessions := make([]*pb.Session, 4)
	for i := range sessions {
		sessions[i] = &pb.Session{Id: fmt.Appendf(nil, "session-%08d", i), Floor: 1_000_000}
	}
	for i := range list {
		list[i] = put(fmt.Sprintf("key-%016d", i), string(make([]byte, valueBytes)), nil)
		list[i].Session, list[i].Sequence = uint32(i%len(sessions)+1), uint64(1_000_000+i)
	}
	c := writes(list...)
	c.GetWrite().Sessions = sessions
	return c
}

func BenchmarkDecode(b *testing.B) {
	data, err := Encode(putsInSessions(16, 256), Format)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	d := new(Decoder)
	for b.Loop() {
		if _, err := d.Decode(data, Format); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	c := putsInSessions(16, 256)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Encode(c, Format); err != nil {
			b.Fatal(err)
		}
	}
}
