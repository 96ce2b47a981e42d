package command

import (
	"google.golang.org/protobuf/proto"

	pb "kvorum/node/gen/command"
)

// Decoder decodes one entry after the other in the same memory, for one goroutine.
type Decoder struct {
	command  pb.Command
	write    pb.Command_Write
	batch    pb.WriteBatch
	writes   slab[pb.Write]
	sessions slab[plainSession]
	puts     slab[plainPut]
	deletes  slab[plainDelete]
	appends  slab[plainAppend]
}

// plain reads what nearly every entry is: a batch of writes, most of them puts, deletes and appends, as an encoder writes them.
// It takes a fraction of the time and of the objects that proto.Unmarshal does, and gives exactly what that would. What is not plain
// is nil here, and proto.Unmarshal's to read or to refuse; a single write that is not plain is read by it alone. A field that is not
// known is not plain, wherever it is: what comes out of here needs unsupportedPlain only.
//
// Messages are the decoder's, to be used again: nobody keeps one for longer than its entry is being applied. Keys and values are
// kept, by the changes that watchers are shown, which are counted by the bytes of their own keys and values (watch.Ring). So the
// bytes of each write are memory of their own, which is never used again: whoever keeps the key of a put keeps its value too, and neither
// the entry nor the data.
func (d *Decoder) plain(data []byte) *pb.Command {
	d.reset()
	at := cursor{rest: data}
	for at.more() {
		switch at.tag() {
		case 1<<3 | varint:
			d.command.Format = at.uint32()
		case 2<<3 | varint:
			d.command.StampMs = at.uint64()
		case 3<<3 | delimited:
			// A second batch would be merged into the first.
			if d.command.Kind != nil || !d.decodeBatch(at.bytes()) {
				return nil
			}
			d.write.Write = &d.batch
			d.command.Kind = &d.write
		default:
			return nil
		}
	}
	if at.lost || d.command.Kind == nil {
		return nil
	}
	return &d.command
}

func (d *Decoder) reset() {
	d.command.Reset()
	d.batch.Reset()
	d.writes.reset()
	d.sessions.reset()
	d.puts.reset()
	d.deletes.reset()
	d.appends.reset()
}

// unsupportedPlain is unsupportedKind for what `plain` gives.
func unsupportedPlain(c *pb.Command) string {
	return misplacedWrites(c.GetWrite(), c.GetFormat())
}

type plainSession struct {
	session pb.Session
	id      [SessionIDBytes]byte
}

type plainPut struct {
	kind      pb.Write_Put
	put       pb.Put
	ifVersion uint64
}

type plainDelete struct {
	kind      pb.Write_Delete
	remove    pb.Delete
	ifVersion uint64
}

type plainAppend struct {
	kind pb.Write_Append
	add  pb.Append
}

func (d *Decoder) decodeBatch(data []byte) bool {
	writes, sessions, plain := countBatch(data)
	if !plain {
		return false
	}
	if writes > 0 {
		d.batch.Writes = make([]*pb.Write, 0, writes)
	}
	if sessions > 0 {
		d.batch.Sessions = make([]*pb.Session, 0, sessions)
	}
	for at := (cursor{rest: data}); at.more(); {
		if at.tag() == 1<<3|delimited {
			write := d.writes.next(writes)
			if one := at.bytes(); !d.decodeWrite(one, write, writes) && !otherWrite(one, write) {
				return false
			}
			d.batch.Writes = append(d.batch.Writes, write)
			continue
		}
		one := d.sessions.next(sessions)
		if !one.decode(at.bytes()) {
			return false
		}
		d.batch.Sessions = append(d.batch.Sessions, &one.session)
	}
	return true
}

// otherWrite reads a write that is not plain, if all of it is known.
func otherWrite(data []byte, into *pb.Write) bool {
	return proto.Unmarshal(data, into) == nil && unknownWrite(into) == ""
}

// countBatch says how many writes and sessions there are, if there is nothing else.
func countBatch(data []byte) (writes, sessions int, plain bool) {
	at := cursor{rest: data}
	for at.more() {
		switch at.tag() {
		case 1<<3 | delimited:
			writes++
		case 2<<3 | delimited:
			sessions++
		default:
			return 0, 0, false
		}
		at.bytes()
	}
	return writes, sessions, !at.lost
}

func (s *plainSession) decode(data []byte) bool {
	at := cursor{rest: data}
	for at.more() {
		switch at.tag() {
		case 1<<3 | delimited:
			id := at.bytes()
			if len(id) != len(s.id) {
				return false
			}
			s.id = [SessionIDBytes]byte(id)
			s.session.Id = s.id[:]
		case 2<<3 | varint:
			s.session.Floor = at.uint64()
		default:
			return false
		}
	}
	return !at.lost && s.session.Id != nil
}

// decodeWrite fills in a plain one, of so many in the batch. Of any other it says so, and may have filled in some of it.
func (d *Decoder) decodeWrite(data []byte, into *pb.Write, writes int) bool {
	at := cursor{rest: data}
	for at.more() {
		switch tag := at.tag(); tag {
		case 5<<3 | varint:
			into.Session = at.uint32()
		case 6<<3 | varint:
			into.Sequence = at.uint64()
		default:
			// A second kind would replace the first, or be merged into it.
			if into.Kind != nil || !d.decodeKind(tag, at.bytes(), into, writes) {
				return false
			}
		}
	}
	return !at.lost && into.Kind != nil
}

func (d *Decoder) decodeKind(tag byte, data []byte, into *pb.Write, writes int) bool {
	switch tag {
	case 1<<3 | delimited:
		one := d.puts.next(writes)
		one.kind.Put, into.Kind = &one.put, &one.kind
		return one.decode(data)
	case 2<<3 | delimited:
		one := d.deletes.next(writes)
		one.kind.Delete, into.Kind = &one.remove, &one.kind
		return one.decode(data)
	case 3<<3 | delimited:
		one := d.appends.next(writes)
		one.kind.Append, into.Kind = &one.add, &one.kind
		return one.decode(data)
	default:
		return false
	}
}

func (p *plainPut) decode(data []byte) bool {
	at, into := cursor{rest: data}, &p.put
	for at.more() {
		switch at.tag() {
		case 1<<3 | delimited:
			into.Key = at.bytes()
		case 2<<3 | delimited:
			into.Value = at.bytes()
		case 3<<3 | varint:
			p.ifVersion = at.uint64()
			into.IfVersion = &p.ifVersion
		case 4<<3 | varint:
			into.ReturnPrevious = at.bool()
		case 5<<3 | varint:
			into.TtlMs = at.uint64()
		case 6<<3 | delimited:
			into.Lease = at.bytes()
		default:
			return false
		}
	}
	own(&into.Key, &into.Value, &into.Lease)
	return !at.lost
}

func (d *plainDelete) decode(data []byte) bool {
	at, into := cursor{rest: data}, &d.remove
	for at.more() {
		switch at.tag() {
		case 1<<3 | delimited:
			into.Key = at.bytes()
		case 2<<3 | varint:
			d.ifVersion = at.uint64()
			into.IfVersion = &d.ifVersion
		case 3<<3 | varint:
			into.ReturnPrevious = at.bool()
		default:
			return false
		}
	}
	own(&into.Key)
	return !at.lost
}

func (a *plainAppend) decode(data []byte) bool {
	at, into := cursor{rest: data}, &a.add
	for at.more() {
		switch at.tag() {
		case 1<<3 | delimited:
			into.Key = at.bytes()
		case 2<<3 | delimited:
			into.Value = at.bytes()
		case 3<<3 | varint:
			into.Limit = at.uint32()
		default:
			return false
		}
	}
	// Apart: the key is kept beside the value that the append has made, and not beside what it has added.
	own(&into.Key)
	own(&into.Value)
	return !at.lost
}
