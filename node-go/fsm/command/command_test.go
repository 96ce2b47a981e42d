package command

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

func TestGolden(t *testing.T) {
	for name, c := range goldens() {
		t.Run(name, func(t *testing.T) {
			data, err := Encode(c.command, c.format)
			if err != nil {
				t.Fatal(err)
			}
			if got := hex.EncodeToString(data); got != c.golden {
				t.Errorf("encoded as %s, want %s", got, c.golden)
			}
			golden, _ := hex.DecodeString(c.golden)
			decoded, err := Decode(golden, Format)
			if err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(decoded, c.command) {
				t.Errorf("decoded as %v, want %v", decoded, c.command)
			}
		})
	}
}

// A replica must stop at whatever it does not understand in full.
func TestDecodeRefusesTheUnknown(t *testing.T) {
	for name, c := range map[string]*pb.Command{
		"no kind":                   {Format: Format},
		"newer format":              {Format: Format + 1, Kind: writes().Kind},
		"format 0":                  {Kind: writes().Kind},
		"write of no kind":          {Format: Format, Kind: writes(&pb.Write{}).Kind},
		"session that is not there": changed(func(b *pb.WriteBatch) { b.Writes[0].Session = 2 }),
		"no sequence number":        changed(func(b *pb.WriteBatch) { b.Writes[0].Sequence = 0 }),
		"sequence of no session":    changed(func(b *pb.WriteBatch) { b.Writes[0].Session = 0 }),
		"short session id":          changed(func(b *pb.WriteBatch) { b.Sessions[0].Id = b.Sessions[0].Id[1:] }),
		"opened in a session":       changed(func(b *pb.WriteBatch) { b.Writes[1].Session, b.Writes[1].Sequence = 1, 1 }),
		"condition without operand": altered(func(t *pb.Transaction) { t.Conditions[0].Operand = nil }),
		"unknown comparison":        altered(func(t *pb.Transaction) { t.Conditions[0].Comparison = 5 }),
		"no comparison":             altered(func(t *pb.Transaction) { t.Conditions[0].Comparison = 0 }),
		"a lesser value":            altered(func(t *pb.Transaction) { t.Conditions[1].Comparison = pb.Condition_COMPARISON_LESS }),
		"more existence":            altered(func(t *pb.Transaction) { t.Conditions[2].Comparison = pb.Condition_COMPARISON_GREATER }),
		"operation of no kind":      altered(func(t *pb.Transaction) { t.Otherwise[0].Kind = nil }),
		"a previous value of a put": altered(func(t *pb.Transaction) { t.Then[1].GetPut().ReturnPrevious = true }),
		"and of a delete":           altered(func(t *pb.Transaction) { t.Then[2].GetDelete().ReturnPrevious = true }),
		"raise in format 1":         {Format: 1, Kind: &pb.Command_Raise{Raise: &pb.RaiseFormat{Format: 1}}},
		"raise to another format":   {Format: 2, Kind: &pb.Command_Raise{Raise: &pb.RaiseFormat{Format: 1}}},
		"no step":                   {Format: Format, Kind: &pb.Command_Move{Move: &pb.MovePartitions{Epoch: 1}}},
		"unknown step":              {Format: Format, Kind: &pb.Command_Move{Move: &pb.MovePartitions{Epoch: 1, Step: 7}}},
	} {
		t.Run(name, func(t *testing.T) { requireUnsupported(t, marshal(t, c)) })
	}
	t.Run("garbage", func(t *testing.T) { requireUnsupported(t, []byte{0xff, 0xff}) })
	t.Run("nothing", func(t *testing.T) { requireUnsupported(t, nil) })
}

// A field that a newer version has added must not be ignored, wherever it is.
func TestDecodeRefusesUnknownFields(t *testing.T) {
	for name, part := range map[string]func(c *pb.Command) proto.Message{
		"command": func(c *pb.Command) proto.Message { return c },
		"batch":   func(c *pb.Command) proto.Message { return c.GetWrite() },
		"write":   func(c *pb.Command) proto.Message { return c.GetWrite().GetWrites()[1] },
		"put":     func(c *pb.Command) proto.Message { return c.GetWrite().GetWrites()[0].GetPut() },
		"delete":  func(c *pb.Command) proto.Message { return c.GetWrite().GetWrites()[1].GetDelete() },
	} {
		c := writes(put("k", "v", nil), remove("k", nil))
		t.Run(name, func(t *testing.T) { requireFieldRefused(t, c, part(c)) })
	}
	for name, part := range map[string]func(b *pb.WriteBatch) proto.Message{
		"session": func(b *pb.WriteBatch) proto.Message { return b.GetSessions()[0] },
		"append":  func(b *pb.WriteBatch) proto.Message { return b.GetWrites()[0].GetAppend() },
		"open":    func(b *pb.WriteBatch) proto.Message { return b.GetWrites()[1].GetOpen() },
	} {
		c := inSession()
		t.Run(name, func(t *testing.T) { requireFieldRefused(t, c, part(c.GetWrite())) })
	}
	for at, name := range []string{"compare-and-set", "increment"} {
		c := conditional()
		part := []proto.Message{c.GetWrite().Writes[1].GetCompareAndSet(), c.GetWrite().Writes[2].GetIncrement()}[at]
		t.Run(name, func(t *testing.T) { requireFieldRefused(t, c, part) })
	}
	for name, part := range map[string]func(t *pb.Transaction) proto.Message{
		"transaction":         func(t *pb.Transaction) proto.Message { return t },
		"condition":           func(t *pb.Transaction) proto.Message { return t.Conditions[0] },
		"operation":           func(t *pb.Transaction) proto.Message { return t.Then[0] },
		"get in one":          func(t *pb.Transaction) proto.Message { return t.Then[0].GetGet() },
		"put in one":          func(t *pb.Transaction) proto.Message { return t.Then[1].GetPut() },
		"delete in one":       func(t *pb.Transaction) proto.Message { return t.Then[2].GetDelete() },
		"append in one":       func(t *pb.Transaction) proto.Message { return t.Then[3].GetAppend() },
		"increment in `else`": func(t *pb.Transaction) proto.Message { return t.Otherwise[0].GetIncrement() },
	} {
		c := transaction()
		t.Run(name, func(t *testing.T) { requireFieldRefused(t, c, part(c.GetWrite().GetWrites()[0].GetTransaction())) })
	}
	for at, name := range []string{"touch", "imported record that lives for a time", "expiry"} {
		c := mortal()[at]
		part := map[int]func() proto.Message{
			0: func() proto.Message { return c.GetWrite().Writes[1].GetTouch() },
			1: func() proto.Message { return c.GetImport().GetRecords()[0] },
			2: func() proto.Message { return c.GetExpire() },
		}[at]()
		t.Run(name, func(t *testing.T) { requireFieldRefused(t, c, part) })
	}
	a := assign(1, &pb.PartitionRange{})
	t.Run("assignment", func(t *testing.T) { requireFieldRefused(t, a, a.GetAssign()) })
	a = assign(1, &pb.PartitionRange{})
	t.Run("range", func(t *testing.T) { requireFieldRefused(t, a, a.GetAssign().GetOwned()[0]) })
	for name, c := range map[string]*pb.Command{"move": freeze(), "moved range": freeze(), "import": imported(), "imported record": imported(),
		"imported partition": imported(), "sweep": swept(), "swept partitions": swept()} {
		part := map[string]func() proto.Message{
			"move":               func() proto.Message { return c.GetMove() },
			"moved range":        func() proto.Message { return c.GetMove().GetPartitions()[0] },
			"import":             func() proto.Message { return c.GetImport() },
			"imported record":    func() proto.Message { return c.GetImport().GetRecords()[0] },
			"imported partition": func() proto.Message { return c.GetImport().GetComplete()[0] },
			"sweep":              func() proto.Message { return c.GetSweep() },
			"swept partitions":   func() proto.Message { return c.GetSweep().GetSwept()[0] },
		}[name]()
		t.Run(name, func(t *testing.T) { requireFieldRefused(t, c, part) })
	}
}

func requireFieldRefused(t *testing.T, c *pb.Command, part proto.Message) {
	t.Helper()
	c.Format = Format
	if _, err := Decode(marshal(t, c), Format); err != nil {
		t.Fatalf("refused without the field: %v", err)
	}
	field := protowire.AppendTag(nil, 99, protowire.VarintType)
	part.ProtoReflect().SetUnknown(protowire.AppendVarint(field, 1))
	requireUnsupported(t, marshal(t, c))
}

func marshal(t *testing.T, c *pb.Command) []byte {
	t.Helper()
	data, err := proto.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func requireUnsupported(t *testing.T, data []byte) {
	t.Helper()
	_, err := Decode(data, Format)
	var e *kverr.Error
	if !errors.As(err, &e) || e.Code != errpb.ErrorCode_ERROR_CODE_UNSUPPORTED {
		t.Fatalf("error is %v, want UNSUPPORTED", err)
	}
}

func TestEncodeRefusesWhatDecodeWould(t *testing.T) {
	if _, err := Encode(&pb.Command{}, Format); err == nil {
		t.Error("a command without a kind was encoded")
	}
	if _, err := Encode(writes(&pb.Write{}), Format); err == nil {
		t.Error("a write without a kind was encoded")
	}
}

// A node of the version before stops at what it does not know, and knows all that comes before.
func TestFormats(t *testing.T) {
	for name, c := range map[string]struct {
		command *pb.Command
		format  uint32
		// known is the oldest newest format with which the entry is understood.
		known uint32
	}{
		"first":            {writes(put("k", "v", nil)), 1, 1},
		"second":           {writes(put("k", "v", nil)), 2, 2},
		"raise":            {raised(2), 1, 2},
		"raise, once more": {raised(2), 2, 2},
		"third":            {conditional(), 3, 3},
		"a transaction":    {transaction(), 3, 3},
	} {
		data, err := Encode(c.command, c.format)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for newest := uint32(1); newest <= Format; newest++ {
			decoded, err := Decode(data, newest)
			if understood := err == nil; understood != (newest >= c.known) || understood && decoded.GetFormat() != c.known {
				t.Errorf("%s, by a node that knows %d: %v %v", name, newest, decoded, err)
			}
		}
	}
	for _, format := range []uint32{0, 1, Format + 1} {
		if data, err := Encode(raised(format), 2); err == nil {
			t.Errorf("a raise to %d was encoded as %x", format, data)
		}
	}
	for i, write := range append(conditional().GetWrite().Writes, transaction().GetWrite().Writes...) {
		c := writes(write)
		if data, err := Encode(c, 2); err == nil || FormatOf(write) != 3 {
			t.Errorf("write %d of format 3 was encoded in format 2 as %x", i, data)
		}
		// As a version would that has forgotten to ask.
		c.Format = 2
		requireUnsupported(t, marshal(t, c))
	}
	for i, c := range mortal() {
		if data, err := Encode(c, 2); err == nil {
			t.Errorf("time to live %d was encoded in format 2 as %x", i, data)
		}
		c.Format = 2
		requireUnsupported(t, marshal(t, c))
	}
	if data, err := Encode(writes(), Format+1); err == nil {
		t.Errorf("an unknown format was encoded: %x", data)
	}
}

func TestDecodeDoesNotReferToItsInput(t *testing.T) {
	data, err := Encode(writes(put("key", "value", nil)), Format)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Decode(data, Format)
	if err != nil {
		t.Fatal(err)
	}
	clear(data)
	if p := c.GetWrite().GetWrites()[0].GetPut(); string(p.Key) != "key" || string(p.Value) != "value" {
		t.Fatalf("put is %v after its input was overwritten", p)
	}
}

// Whatever Decode accepts, it understood: encoding it again gives a command with the same meaning.
func FuzzDecode(f *testing.F) {
	for _, c := range []*pb.Command{
		writes(put("k", "v", nil), remove("d", proto.Uint64(3))),
		assign(7, &pb.PartitionRange{First: 1, Last: 5}),
		writes(), freeze(), imported(), swept(), raised(2), conditional(), transaction(), inSession(), mortal()[0], mortal()[1], mortal()[2],
	} {
		data, err := Encode(c, Format)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte{0x08, 0x02})
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Decode(data, Format)
		if err != nil {
			requireUnsupported(t, data)
			return
		}
		again, err := Encode(proto.Clone(c).(*pb.Command), c.GetFormat())
		if err != nil {
			t.Fatalf("accepted, but cannot be encoded: %v", err)
		}
		back, err := Decode(again, Format)
		if err != nil || !proto.Equal(c, back) {
			t.Fatalf("changed by a round trip (%v):\n%v\n%v", err, c, back)
		}
		more, err := Encode(back, back.GetFormat())
		if err != nil || !bytes.Equal(again, more) {
			t.Fatalf("two encodings of one command: %v", err)
		}
	})
}

// What is refused here is what control tells a person of a move that does not get on.
func TestAnImportOfTimesToLiveSaysWhatToDo(t *testing.T) {
	mortal := &pb.ImportRecords{Epoch: 1, Records: []*pb.ImportedRecord{{Key: []byte("k"), TtlMs: 5}}}
	c := &pb.Command{Kind: &pb.Command_Import{Import: mortal}}
	_, err := Encode(c, Format-1)
	refused := kverr.Of(err)
	if err == nil || refused.Code != errpb.ErrorCode_ERROR_CODE_UNSUPPORTED || !strings.Contains(refused.Message, "kvorum restart --rolling") {
		t.Fatalf("%v", err)
	}
	if _, err := Encode(c, Format); err != nil {
		t.Fatal(err)
	}
}
