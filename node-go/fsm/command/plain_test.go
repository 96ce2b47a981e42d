package command

import (
	"bytes"
	"encoding/hex"
	"runtime"
	"testing"
	"weak"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	pb "kvorum/node/gen/command"
)

// requirePlainAgrees holds what plain gives against proto.Unmarshal, and says whether it gives anything.
func requirePlainAgrees(t rapid.TB, d *Decoder, data []byte) bool {
	t.Helper()
	plain := d.plain(data)
	if plain == nil {
		return false
	}
	want := new(pb.Command)
	if err := proto.Unmarshal(data, want); err != nil {
		t.Fatalf("%x is plain, and is no command: %v", data, err)
	}
	if !proto.Equal(plain, want) {
		t.Fatalf("%x is read as\n%v, and is\n%v", data, plain, want)
	}
	if got, reason := unsupportedPlain(plain), unsupportedKind(want); got != reason {
		t.Fatalf("%x is refused because of %q, and should be because of %q", data, got, reason)
	}
	return true
}

// What a leader proposes all day is what the fast way is for.
func TestUsualEntriesArePlain(t *testing.T) {
	for name, isPlain := range map[string]bool{"writes": true, "session": true, "conditional": true, "no write": true, "expiry": false, "move": false} {
		data, err := hex.DecodeString(goldens()[name].golden)
		if err != nil {
			t.Fatal(err)
		}
		if got := requirePlainAgrees(t, new(Decoder), data); got != isPlain {
			t.Errorf("%s: plain is %v", name, got)
		}
	}
	if data := marshal(t, putsInSessions(100, 10)); !requirePlainAgrees(t, new(Decoder), data) {
		t.Error("puts in sessions are not plain")
	}
	// Each by itself, as a batch has others read by proto.Unmarshal.
	all, id := proto.Uint64(300), make([]byte, LeaseIDBytes)
	for _, write := range []*pb.Write{
		{Kind: &pb.Write_Put{Put: &pb.Put{Key: id, Value: id, IfVersion: all, ReturnPrevious: true, TtlMs: 300, Lease: id}}},
		{Kind: &pb.Write_Delete{Delete: &pb.Delete{Key: id, IfVersion: all, ReturnPrevious: true}}},
		{Kind: &pb.Write_Append{Append: &pb.Append{Key: id, Value: id, Limit: 300}}},
	} {
		write.Session, write.Sequence = 300, 300
		data, err := proto.Marshal(write)
		if err != nil {
			t.Fatal(err)
		}
		got := new(pb.Write)
		if !new(Decoder).decodeWrite(data, got, 1) || !proto.Equal(got, write) {
			t.Errorf("%v is read as %v", write, got)
		}
	}
}

// Forms that proto.Unmarshal merges, replaces or keeps as unknown.
func TestUnusualFormsAgree(t *testing.T) {
	one := marshal(t, inSession())
	usual := func(write ...byte) []byte { return delimit(3, delimit(1, write)) }
	for name, data := range map[string][]byte{
		"two commands":               append(bytes.Clone(one), one...),
		"two batches":                append(marshal(t, writes(put("k", "v", nil))), one...),
		"two kinds of a command":     append(bytes.Clone(one), marshal(t, freeze())...),
		"two puts in a write":        usual(append(delimit(1, delimit(1, []byte("k"))), delimit(1, delimit(2, []byte("v")))...)...),
		"a put, then a delete":       usual(append(delimit(1, delimit(1, []byte("k"))), delimit(2, delimit(1, []byte("k")))...)...),
		"two keys of a put":          usual(delimit(1, append(delimit(1, []byte("k")), delimit(1, []byte("l"))...))...),
		"a session of more bits":     usual(0x28, 0x81, 0x80, 0x80, 0x80, 0x10),
		"a limit of more bits":       usual(delimit(3, []byte{0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})...),
		"a flag that is neither":     usual(delimit(1, []byte{0x20, 0x02})...),
		"a long number":              usual(0x28, 0x81, 0x80, 0x00),
		"a number that is too long":  usual(0x30, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01),
		"a key that is a number":     usual(delimit(1, []byte{0x08, 0x01})...),
		"a long tag":                 usual(delimit(1, []byte{0x8a, 0x00, 0x01, 'k'})...),
		"a write that ends too soon": usual(0x0a, 0x05, 0x0a),
		"a tag at the end":           usual(0x28),
		"a group":                    usual(0x0b, 0x0c),
	} {
		t.Run(name, func(t *testing.T) {
			requirePlainAgrees(t, new(Decoder), data)
			requireSameAnswer(t, data)
		})
	}
}

// requireSameAnswer holds Decode against what it is defined as.
func requireSameAnswer(t rapid.TB, data []byte) {
	t.Helper()
	want := new(pb.Command)
	known := proto.Unmarshal(data, want) == nil && unknownFormat(want.GetFormat(), Format) == "" && unsupportedKind(want) == ""
	got, err := Decode(data, Format)
	if (err == nil) != known || known && !proto.Equal(got, want) {
		t.Fatalf("%x is decoded as %v (%v), and is %v (%v)", data, got, err, want, known)
	}
}

func delimit(number protowire.Number, message []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), message)
}

func FuzzDecodePlain(f *testing.F) {
	for _, c := range goldens() {
		data, err := hex.DecodeString(c.golden)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(append(bytes.Clone(data), data...))
	}
	d := new(Decoder)
	f.Fuzz(func(t *testing.T, data []byte) {
		requirePlainAgrees(t, d, data)
		requireSameAnswer(t, data)
	})
}

// Whatever order, repetition and spelling the fields have, and whatever the decoder has read before.
func TestPlainAgreesWithProtobuf(t *testing.T) {
	plain, accepted, other := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		d := new(Decoder)
		for range 10 {
			data := drawCommand(t)
			if requirePlainAgrees(t, d, data) {
				plain++
			} else {
				other++
			}
			if _, err := Decode(data, Format); err == nil {
				accepted++
			}
			requireSameAnswer(t, data)
		}
	})
	if plain == 0 || accepted == 0 || other == 0 {
		t.Fatalf("%d were plain, %d were accepted, %d were not plain", plain, accepted, other)
	}
}

func drawCommand(t *rapid.T) []byte {
	tidy := rapid.Bool().Draw(t, "is tidy")
	if rapid.IntRange(0, 3).Draw(t, "is anything") == 0 {
		return drawMessage(t, (&pb.Command{}).ProtoReflect().Descriptor(), tidy)
	}
	batch := drawMessage(t, (&pb.WriteBatch{}).ProtoReflect().Descriptor(), tidy)
	return append([]byte{1<<3 | varint, Format}, delimit(3, batch)...)
}

// drawMessage is what the fields of a message may look like. One that is tidy names no field twice that is no list, and nothing unknown.
func drawMessage(t *rapid.T, of protoreflect.MessageDescriptor, tidy bool) []byte {
	var data []byte
	named := map[protoreflect.FullName]bool{}
	for range rapid.IntRange(0, 5).Draw(t, "fields") {
		// The first ones are the plain ones.
		last := rapid.SampledFrom([]int{2, 2, 2, 2, 99}).Draw(t, "last")
		field := of.Fields().Get(rapid.IntRange(0, min(last, of.Fields().Len()-1)).Draw(t, "field"))
		name := field.FullName()
		if one := field.ContainingOneof(); one != nil {
			name = one.FullName()
		}
		if tidy && named[name] && !field.IsList() {
			continue
		}
		named[name] = true
		number := field.Number()
		if !tidy && rapid.IntRange(0, 19).Draw(t, "is another") == 0 {
			number += 5
		}
		data = append(data, drawField(t, field, number, tidy)...)
	}
	if !tidy && len(data) > 0 && rapid.IntRange(0, 9).Draw(t, "is spoilt") == 0 {
		data[rapid.IntRange(0, len(data)-1).Draw(t, "where")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
	}
	return data
}

func drawField(t *rapid.T, field protoreflect.FieldDescriptor, number protowire.Number, tidy bool) []byte {
	switch field.Kind() {
	case protoreflect.MessageKind:
		return delimit(number, drawMessage(t, field.Message(), tidy))
	case protoreflect.BytesKind:
		size := rapid.SampledFrom([]int{SessionIDBytes, SessionIDBytes, 0, 1}).Draw(t, "size")
		return delimit(number, rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, "bytes"))
	case protoreflect.Fixed64Kind:
		return protowire.AppendFixed64(protowire.AppendTag(nil, number, protowire.Fixed64Type), 7)
	default:
		value := rapid.SampledFrom([]uint64{1, 1, 1, 0, 3, 300, 1 << 32, 1<<64 - 1}).Draw(t, "number")
		return protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), value)
	}
}

// A watcher is shown a key, and the ring counts the bytes of that write only.
func TestTheKeyOfAnAppendDoesNotKeepWhatItAdds(t *testing.T) {
	c, err := Decode(marshal(t, func() *pb.Command {
		c := writes(&pb.Write{Kind: &pb.Write_Append{Append: &pb.Append{Key: []byte("k"), Value: make([]byte, 1<<20), Limit: 1 << 21}}})
		c.Format = Format
		return c
	}()), Format)
	if err != nil {
		t.Fatal(err)
	}
	add := c.GetWrite().Writes[0].GetAppend()
	key, added := add.Key, weak.Make(&add.Value[0])
	runtime.KeepAlive(c)
	c, add = nil, nil
	runtime.GC()
	if added.Value() != nil {
		t.Error("what was added is kept")
	}
	runtime.KeepAlive(key)
}

func TestAKeyKeepsNoOtherWriteAlive(t *testing.T) {
	c, err := Decode(marshal(t, func() *pb.Command {
		c := writes(put("first", "1", nil), put("second", string(make([]byte, 1<<20)), nil))
		c.Format = Format
		return c
	}()), Format)
	if err != nil {
		t.Fatal(err)
	}
	key, other := c.GetWrite().Writes[0].GetPut().Key, weak.Make(&c.GetWrite().Writes[1].GetPut().Value[0])
	runtime.KeepAlive(c)
	c = nil
	runtime.GC()
	if other.Value() != nil {
		t.Error("the value of another write is kept")
	}
	runtime.KeepAlive(key)
}
