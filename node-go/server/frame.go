package server

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	protobuf "google.golang.org/protobuf/proto"

	kvorumv1 "kvorum/node/gen/kvorum/v1"
)

// frame is a message of a Batch stream as its bytes. A message of small operations is many times larger once it is
// decoded, so whether there is room for it is decided before; and a refusal is the same result many times, so it is
// encoded once.
type frame struct {
	buffer mem.Buffer
}

// rawCodec is gRPC's own, but for frames.
type rawCodec struct{ encoding.CodecV2 }

func newRawCodec() rawCodec { return rawCodec{encoding.GetCodecV2(proto.Name)} }

func (c rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	if f, ok := v.(*frame); ok {
		f.buffer = data.MaterializeToBuffer(mem.DefaultBufferPool())
		return nil
	}
	return c.CodecV2.Unmarshal(data, v)
}

func (c rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	if f, ok := v.(*frame); ok {
		return mem.BufferSlice{f.buffer}, nil
	}
	return c.CodecV2.Marshal(v)
}

func (f *frame) size() int { return f.buffer.Len() }

// free gives the bytes back to gRPC's pool. Once, and nobody may look at them afterwards.
func (f *frame) free() { f.buffer.Free() }

// encode gives the bytes of a message that is to be sent, in memory of gRPC's pool.
func encode(m protobuf.Message) (*[]byte, error) {
	data := mem.DefaultBufferPool().Get(protobuf.Size(m))
	if _, err := (protobuf.MarshalOptions{UseCachedSize: true}).MarshalAppend((*data)[:0], m); err != nil {
		mem.DefaultBufferPool().Put(data)
		return nil, err
	}
	return data, nil
}

// sentPool is gRPC's pool that also says when memory comes back to it.
type sentPool struct{ sent func() }

func (sentPool) Get(length int) *[]byte { return mem.DefaultBufferPool().Get(length) }

func (p sentPool) Put(data *[]byte) {
	mem.DefaultBufferPool().Put(data)
	p.sent()
}

func (f *frame) decode() (*kvorumv1.BatchRequest, error) {
	request := &kvorumv1.BatchRequest{}
	if err := protobuf.Unmarshal(f.buffer.ReadOnlyData(), request); err != nil {
		return nil, errMalformed
	}
	return request, nil
}

// outline is what a message says of itself without being decoded.
type outline struct {
	id         uint64
	operations int
	// writes counts operations that do not begin as a read: an encoder writes the kind first.
	writes   int
	sessions int
	// parts are the conditions and operations of transactions: each is an object, as an operation is.
	parts int
	size  int
}

// Numbers of fields in kv.proto.
const (
	fieldID         = 1
	fieldOperations = 4
	fieldSessions   = 5
	fieldGet        = 1
	// fieldTransaction is its number in an Operation.
	fieldTransaction = 10
	fieldTtlOf       = 12
	fieldPage        = 16
)

var errMalformed = status.Error(codes.InvalidArgument, "a message that is no kvorum.v1.BatchRequest")

func (f *frame) outline() (outline, error) {
	rest := f.buffer.ReadOnlyData()
	o := outline{size: len(rest)}
	for len(rest) > 0 {
		number, kind, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return o, errMalformed
		}
		rest = rest[n:]
		size := protowire.ConsumeFieldValue(number, kind, rest)
		if size < 0 {
			return o, errMalformed
		}
		switch {
		case number == fieldID && kind == protowire.VarintType:
			o.id, _ = protowire.ConsumeVarint(rest)
		case number == fieldOperations && kind == protowire.BytesType:
			o.operations++
			beginsAsRead, parts := lookInto(rest[:size])
			if !beginsAsRead {
				o.writes++
			}
			o.parts += parts
		case number == fieldSessions:
			o.sessions++
		}
		rest = rest[size:]
	}
	return o, nil
}

// lookInto looks at the tags of a length-delimited operation, and of a transaction in it.
func lookInto(field []byte) (beginsAsRead bool, parts int) {
	operation, n := protowire.ConsumeBytes(field)
	if n < 0 {
		return false, 0
	}
	first := true
	fields(operation, func(number protowire.Number, value []byte) {
		beginsAsRead = beginsAsRead || first && (number == fieldGet || number == fieldTtlOf || number == fieldPage)
		first = false
		if number != fieldTransaction {
			return
		}
		if transaction, n := protowire.ConsumeBytes(value); n >= 0 {
			fields(transaction, func(protowire.Number, []byte) { parts++ })
		}
	})
	return beginsAsRead, parts
}

// fields calls fn with each field of a message, its value as it is there, as far as they can be read: the rest ends with decoding.
func fields(message []byte, fn func(number protowire.Number, value []byte)) {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return
		}
		size := protowire.ConsumeFieldValue(number, kind, message[n:])
		if size < 0 {
			return
		}
		fn(number, message[n:n+size])
		message = message[n+size:]
	}
}

// weight is what the message holds while it is worked on.
func (o outline) weight() int64 {
	return int64(o.size) + int64(o.operations+o.sessions+o.parts)*operationOverhead
}

// encodeResult encodes it as the only one of an answer without an id.
func encodeResult(result *kvorumv1.Result) []byte {
	one, err := protobuf.Marshal(&kvorumv1.BatchResponse{Results: []*kvorumv1.Result{result}})
	if err != nil {
		// A message made here can be encoded; without results the client breaks the stream, as it must.
		return nil
	}
	return one
}

// sameForAll is the answer that gives every operation of the message one result, which is encoded already.
func (o outline) sameForAll(one []byte) []byte {
	data := make([]byte, 0, len(one)*o.operations+protowire.SizeTag(fieldID)+protowire.SizeVarint(o.id))
	data = protowire.AppendTag(data, fieldID, protowire.VarintType)
	data = protowire.AppendVarint(data, o.id)
	for range o.operations {
		data = append(data, one...)
	}
	return data
}
