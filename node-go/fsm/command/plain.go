package command

import (
	"google.golang.org/protobuf/proto"

	pb "kvorum/node/gen/command"
)

// decodePlain reads what nearly every entry is: a batch of writes, most of them puts, deletes and appends, as an encoder writes them.
// It takes a fraction of the time and of the objects that proto.Unmarshal does, and gives exactly what that would. What is not plain
// is nil here, and proto.Unmarshal's to read or to refuse; a single write that is not plain is read by it alone. A field that is not
// known is not plain, wherever it is: what comes out of here needs unsupportedPlain only.
//
// Messages are elements of slabs, and live as long as any one of them: nobody keeps a message for longer than its entry is being
// applied. Keys and values are kept, by the changes that watchers are shown, which are counted by the bytes of their own keys and
// values (watch.Ring). So the bytes of each write are memory of their own: whoever keeps one of its keys and values keeps the
// others of that write, and neither the entry nor the data.
func decodePlain(data []byte) *pb.Command {
	whole := &struct {
		command pb.Command
		write   pb.Command_Write
		batch   pb.WriteBatch
	}{}
	at := cursor{rest: data}
	for at.more() {
		switch at.tag() {
		case 1<<3 | varint:
			whole.command.Format = at.uint32()
		case 2<<3 | varint:
			whole.command.StampMs = at.uint64()
		case 3<<3 | delimited:
			// A second batch would be merged into the first.
			if whole.command.Kind != nil || !decodeBatch(at.bytes(), &whole.batch) {
				return nil
			}
			whole.write.Write = &whole.batch
			whole.command.Kind = &whole.write
		default:
			return nil
		}
	}
	if at.lost || whole.command.Kind == nil {
		return nil
	}
	return &whole.command
}

// unsupportedPlain is unsupportedKind for what decodePlain gives.
func unsupportedPlain(c *pb.Command) string {
	return misplacedWrites(c.GetWrite(), c.GetFormat())
}

// batchDecoder has the memory that the writes and sessions of a batch are made of.
type batchDecoder struct {
	writes   []pb.Write
	sessions []plainSession
	puts     slab[plainPut]
	deletes  slab[plainDelete]
	appends  slab[plainAppend]
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

func decodeBatch(data []byte, batch *pb.WriteBatch) bool {
	writes, sessions, plain := countBatch(data)
	if !plain {
		return false
	}
	d := batchDecoder{writes: make([]pb.Write, writes), sessions: make([]plainSession, sessions)}
	if writes > 0 {
		batch.Writes = make([]*pb.Write, 0, writes)
	}
	if sessions > 0 {
		batch.Sessions = make([]*pb.Session, 0, sessions)
	}
	for at := (cursor{rest: data}); at.more(); {
		if at.tag() == 1<<3|delimited {
			write := &d.writes[0]
			if one := at.bytes(); !d.write(one, write) && !otherWrite(one, write) {
				return false
			}
			d.writes = d.writes[1:]
			batch.Writes = append(batch.Writes, write)
			continue
		}
		one := &d.sessions[0]
		if !one.decode(at.bytes()) {
			return false
		}
		d.sessions = d.sessions[1:]
		batch.Sessions = append(batch.Sessions, &one.session)
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

// write fills in a plain one. Of any other it says so, and may have filled in some of it.
func (d *batchDecoder) write(data []byte, into *pb.Write) bool {
	at := cursor{rest: data}
	for at.more() {
		switch tag := at.tag(); tag {
		case 5<<3 | varint:
			into.Session = at.uint32()
		case 6<<3 | varint:
			into.Sequence = at.uint64()
		default:
			// A second kind would replace the first, or be merged into it.
			if into.Kind != nil || !d.kind(tag, at.bytes(), into) {
				return false
			}
		}
	}
	return !at.lost && into.Kind != nil
}

func (d *batchDecoder) kind(tag byte, data []byte, into *pb.Write) bool {
	switch tag {
	case 1<<3 | delimited:
		one := d.puts.next(len(d.writes))
		one.kind.Put, into.Kind = &one.put, &one.kind
		return one.decode(data)
	case 2<<3 | delimited:
		one := d.deletes.next(len(d.writes))
		one.kind.Delete, into.Kind = &one.remove, &one.kind
		return one.decode(data)
	case 3<<3 | delimited:
		one := d.appends.next(len(d.writes))
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
	own(&into.Key, &into.Value)
	return !at.lost
}
