package command

import (
	"testing"

	"google.golang.org/protobuf/proto"

	pb "kvorum/node/gen/command"
)

// ofLeases is everything about leases, each a command of format 3, with the part of it that came with them.
func ofLeases() map[string]func() (*pb.Command, proto.Message) {
	id, everywhere := make([]byte, LeaseIDBytes), make([]byte, PartitionSetBytes)
	one := func(w *pb.Write, part proto.Message) func() (*pb.Command, proto.Message) {
		return func() (*pb.Command, proto.Message) { return writes(w), part }
	}
	grant := &pb.GrantLease{Lease: id, TtlMs: 5, Partitions: everywhere}
	keep, revoke := &pb.KeepAlive{Lease: id, Partitions: everywhere}, &pb.RevokeLease{Lease: id, Partitions: everywhere}
	p, i, l := put("k", "v", nil), imported(), imported()
	p.GetPut().Lease = id
	i.GetImport().Records[0].Lease = id
	l.GetImport().Leases = []*pb.ImportedLease{{Lease: id, TtlMs: 5, LeftMs: 3, Partitions: everywhere}}
	e := &pb.Command{StampMs: 5, Kind: &pb.Command_Expire{Expire: &pb.Expire{Leases: true}}}
	return map[string]func() (*pb.Command, proto.Message){
		"grant":           one(&pb.Write{Kind: &pb.Write_GrantLease{GrantLease: grant}}, grant),
		"keep-alive":      one(&pb.Write{Kind: &pb.Write_KeepAlive{KeepAlive: keep}}, keep),
		"revocation":      one(&pb.Write{Kind: &pb.Write_RevokeLease{RevokeLease: revoke}}, revoke),
		"put":             one(p, p.GetPut()),
		"imported record": func() (*pb.Command, proto.Message) { return i, i.GetImport().GetRecords()[0] },
		"imported lease":  func() (*pb.Command, proto.Message) { return l, l.GetImport().GetLeases()[0] },
		"expiry":          func() (*pb.Command, proto.Message) { return e, e.GetExpire() },
	}
}

func TestLeasesAreOfFormat3(t *testing.T) {
	for name, make := range ofLeases() {
		c, _ := make()
		if data, err := Encode(c, 2); err == nil {
			t.Errorf("%s: encoded in format 2 as %x", name, data)
		}
		// As a version would that has forgotten to ask.
		c.Format = 2
		requireUnsupported(t, marshal(t, c))
		data, err := Encode(c, 3)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if decoded, err := Decode(data, Format); err != nil || !proto.Equal(decoded, c) {
			t.Errorf("%s: decoded as %v, error %v", name, decoded, err)
		}
	}
}

func TestUnknownFieldsOfLeasesAreRefused(t *testing.T) {
	for name, make := range ofLeases() {
		c, part := make()
		t.Run(name, func(t *testing.T) { requireFieldRefused(t, c, part) })
	}
}

func TestAPutIntoWhatIsNoLeaseIsRefused(t *testing.T) {
	short := put("k", "v", nil)
	short.GetPut().Lease = []byte{1}
	inside := &pb.Transaction{Then: []*pb.TransactionOperation{{Kind: &pb.TransactionOperation_Put{Put: short.GetPut()}}}}
	for _, w := range []*pb.Write{short, {Kind: &pb.Write_Transaction{Transaction: inside}}} {
		if data, err := Encode(writes(w), Format); err == nil {
			t.Errorf("encoded as %x", data)
		}
	}
}
