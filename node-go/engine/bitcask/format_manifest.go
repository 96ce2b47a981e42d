package bitcask

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
)

// MANIFEST is the root of all: what it lists is the engine's content. It is only ever replaced in one step.
//
//	0          8        12        16        24        28         32      36
//	| KVMANIFT | format | next id | applied | head id | head end | count | count * { id | bytes } | crc |
//	| 8        | 4      | 4       | 8       | 4       | 4        | 4     | 4 + 4                   | 4   |
//
// The listed segments are complete and fsynced, in the order in which their records supersede each other. The head comes
// after them: it is fsynced up to head end, where the applied index is `applied`; what follows there, and in log segments
// with an id of at least next id that continue it, was never promised to anybody. Head end 0: the head need not exist.
const (
	manifestMagic      = "KVMANIFT"
	manifestFormat     = 1
	manifestFixedBytes = 36
	// manifestBytesMax is far above what any disk holds: 8 M segments.
	manifestBytesMax = 64 << 20
)

type manifestSegment struct {
	id    uint32
	bytes uint32
}

type manifest struct {
	nextID  uint32
	applied uint64
	headID  uint32
	headEnd uint32
	sealed  []manifestSegment
}

func (m *manifest) encode() []byte {
	to := make([]byte, 0, manifestFixedBytes+8*len(m.sealed)+4)
	to = append(to, manifestMagic...)
	to = binary.LittleEndian.AppendUint32(to, manifestFormat)
	to = binary.LittleEndian.AppendUint32(to, m.nextID)
	to = binary.LittleEndian.AppendUint64(to, m.applied)
	to = binary.LittleEndian.AppendUint32(to, m.headID)
	to = binary.LittleEndian.AppendUint32(to, m.headEnd)
	to = binary.LittleEndian.AppendUint32(to, uint32(len(m.sealed)))
	for _, s := range m.sealed {
		to = binary.LittleEndian.AppendUint32(to, s.id)
		to = binary.LittleEndian.AppendUint32(to, s.bytes)
	}
	return appendSum(to)
}

// decodeManifest returns a reason when the bytes are no good manifest.
func decodeManifest(from []byte) (*manifest, string) {
	if len(from) < manifestFixedBytes+4 || string(from[:8]) != manifestMagic {
		return nil, "no manifest"
	}
	body := from[:len(from)-4]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(from[len(body):]) {
		return nil, "checksum of the manifest"
	}
	if format := binary.LittleEndian.Uint32(from[8:]); format != manifestFormat {
		return nil, fmt.Sprintf("manifest format %d is unknown", format)
	}
	m := &manifest{
		nextID:  binary.LittleEndian.Uint32(from[12:]),
		applied: binary.LittleEndian.Uint64(from[16:]),
		headID:  binary.LittleEndian.Uint32(from[24:]),
		headEnd: binary.LittleEndian.Uint32(from[28:]),
	}
	list := body[manifestFixedBytes:]
	if uint64(len(list)) != 8*uint64(binary.LittleEndian.Uint32(from[32:])) {
		return nil, "length of the manifest"
	}
	for ; len(list) > 0; list = list[8:] {
		m.sealed = append(m.sealed, manifestSegment{
			id:    binary.LittleEndian.Uint32(list),
			bytes: binary.LittleEndian.Uint32(list[4:]),
		})
	}
	return m, m.fault()
}

// fault names a rule that a manifest with a good checksum breaks all the same.
func (m *manifest) fault() string {
	seen := map[uint32]bool{m.headID: true}
	for _, s := range m.sealed {
		if seen[s.id] {
			return fmt.Sprintf("segment %d is listed twice", s.id)
		}
		seen[s.id] = true
		if s.bytes < segmentHeaderBytes {
			return fmt.Sprintf("segment %d is listed without content", s.id)
		}
	}
	if m.headEnd != 0 && m.headEnd < segmentHeaderBytes {
		return "end of the head inside its header"
	}
	return ""
}

func (m *manifest) equal(o *manifest) bool {
	return m.nextID == o.nextID && m.applied == o.applied && m.headID == o.headID && m.headEnd == o.headEnd &&
		slices.Equal(m.sealed, o.sealed)
}
