package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

/*
A handshake is one hello and one answer, before any byte of Raft:

	 0               8       10                      10+n    14+n
	+---------------+-------+-----------------------+-------+
	| magic         | n     | body                  | crc   |
	+---------------+-------+-----------------------+-------+

magic is "KVRAFT01"; its last two digits are the version of the handshake and of what follows. n is 16 bits, crc the
CRC-32C of the body; numbers are big-endian, a string is its length in 16 bits and its bytes.

	body of a hello:   shard u32 | cluster | node that dials | node that is looked for | address of the node that dials
	body of an answer: reason u8 | shard u32 | cluster | node that answers

The answer carries its sender's identity also when it accepts: the dialler checks it too.
*/

const (
	magic        = "KVRAFT01"
	maxBodyBytes = 1024
	frameHeader  = len(magic) + 2
	frameFooter  = 4
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)

	errBadFrame = errors.New("not a handshake of this version")
)

// hello is what the dialling node says.
type hello struct {
	from Identity
	to   string
}

// answer is what the accepting node says.
type answer struct {
	reason Reason
	from   Identity
}

func (h hello) encode() []byte {
	body := binary.BigEndian.AppendUint32(nil, h.from.Shard)
	body = appendString(body, h.from.ClusterID)
	body = appendString(body, h.from.NodeID)
	body = appendString(body, h.to)
	return frame(appendString(body, h.from.Address))
}

func (a answer) encode() []byte {
	body := binary.BigEndian.AppendUint32([]byte{byte(a.reason)}, a.from.Shard)
	body = appendString(body, a.from.ClusterID)
	return frame(appendString(body, a.from.NodeID))
}

func decodeHello(body []byte) (hello, error) {
	d := decoder{rest: body}
	var h hello
	h.from.Shard = d.uint32()
	h.from.ClusterID = d.string()
	h.from.NodeID = d.string()
	h.to = d.string()
	h.from.Address = d.string()
	if err := d.finish(); err != nil {
		return hello{}, err
	}
	if err := h.from.validate(); err != nil {
		return hello{}, fmt.Errorf("%w: %w", errBadFrame, err)
	}
	return h, nil
}

func decodeAnswer(body []byte) (answer, error) {
	d := decoder{rest: body}
	a := answer{reason: Reason(d.byte())}
	a.from.Shard = d.uint32()
	a.from.ClusterID = d.string()
	a.from.NodeID = d.string()
	return a, d.finish()
}

func frame(body []byte) []byte {
	framed := make([]byte, 0, frameHeader+len(body)+frameFooter)
	framed = append(framed, magic...)
	framed = binary.BigEndian.AppendUint16(framed, uint16(len(body)))
	framed = append(framed, body...)
	return binary.BigEndian.AppendUint32(framed, crc32.Checksum(body, castagnoli))
}

// readMagic and readBody read one frame between them, and not a byte more, because what follows is Raft's. They are two
// because the connection may be wrapped after the magic.
func readMagic(r io.Reader) error {
	var got [len(magic)]byte
	if _, err := io.ReadFull(r, got[:]); err != nil {
		return err
	}
	if string(got[:]) != magic {
		return errBadFrame
	}
	return nil
}

// readBody allocates at most maxBodyBytes.
func readBody(r io.Reader) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint16(length[:]))
	if size > maxBodyBytes {
		return nil, fmt.Errorf("%w: body of %d bytes, at most %d", errBadFrame, size, maxBodyBytes)
	}
	rest := make([]byte, size+frameFooter)
	if _, err := io.ReadFull(r, rest); err != nil {
		return nil, err
	}
	body, sum := rest[:size], binary.BigEndian.Uint32(rest[size:])
	if crc32.Checksum(body, castagnoli) != sum {
		return nil, fmt.Errorf("%w: checksum does not match", errBadFrame)
	}
	return body, nil
}

func appendString(to []byte, s string) []byte {
	to = binary.BigEndian.AppendUint16(to, uint16(len(s)))
	return append(to, s...)
}

// decoder reads a body; after the first fault it gives zeros, and finish reports the fault.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) take(n int) []byte {
	if d.bad || len(d.rest) < n {
		d.bad = true
		return nil
	}
	taken := d.rest[:n]
	d.rest = d.rest[n:]
	return taken
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uint32() uint32 {
	if b := d.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) string() string {
	b := d.take(2)
	if b == nil {
		return ""
	}
	return string(d.take(int(binary.BigEndian.Uint16(b))))
}

func (d *decoder) finish() error {
	if d.bad || len(d.rest) > 0 {
		return fmt.Errorf("%w: body is malformed", errBadFrame)
	}
	return nil
}
