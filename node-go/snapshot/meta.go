package snapshot

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/hashicorp/raft"

	errpb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// source says where a snapshot's content is.
type source uint32

const (
	// inEngine: the engine holds it, durably.
	inEngine source = iota + 1
	// inStream: it was received into a stream file, and nobody has seen a restore of it succeed.
	inStream
)

// record is one snapshot as its metadata file describes it.
type record struct {
	id   string
	seq  uint64
	raft raft.SnapshotMeta // without ID and Size
	// needs is the index that an engine must have applied to hold the snapshot: of the last command at or below the
	// snapshot's own index, for what follows are entries that no engine sees; or of a stream's view, which is often newer.
	needs  uint64
	source source
	// streamBytes is the size of the stream file, 0 without one.
	streamBytes int64
}

// A metadata file, all numbers little-endian:
//
//	0          8        12            16      24     32              40      48       52             60         64
//	| magic    | format | raft format | index | term | configuration | needs | source | stream bytes | length   |
//	| KVSNAPSH | 4      | 4           | 8     | 8    | index, 8      | 8     | 4      | 8            | 4        |
//
//	64                             64+length
//	| configuration, as raft packs | crc: bytes 0 to here, CRC-32C |
//	|                              | 4                             |
const (
	metaMagic     = "KVSNAPSH"
	metaFormat    = 1
	metaHeadBytes = 64
	metaSumBytes  = 4
	// metaBytesMax is far above any configuration.
	metaBytesMax = 1 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (r *record) encode() []byte {
	configuration := raft.EncodeConfiguration(r.raft.Configuration)
	to := make([]byte, 0, metaHeadBytes+len(configuration)+metaSumBytes)
	to = append(to, metaMagic...)
	to = binary.LittleEndian.AppendUint32(to, metaFormat)
	to = binary.LittleEndian.AppendUint32(to, uint32(r.raft.Version))
	to = binary.LittleEndian.AppendUint64(to, r.raft.Index)
	to = binary.LittleEndian.AppendUint64(to, r.raft.Term)
	to = binary.LittleEndian.AppendUint64(to, r.raft.ConfigurationIndex)
	to = binary.LittleEndian.AppendUint64(to, r.needs)
	to = binary.LittleEndian.AppendUint32(to, uint32(r.source))
	to = binary.LittleEndian.AppendUint64(to, uint64(r.streamBytes))
	to = binary.LittleEndian.AppendUint32(to, uint32(len(configuration)))
	to = append(to, configuration...)
	return binary.LittleEndian.AppendUint32(to, crc32.Checksum(to, castagnoli))
}

// decode fills everything but id and seq, which are in the file's name. path is for the error.
func (r *record) decode(path string, data []byte) error {
	bad := func(reason string) error { return &CorruptError{Path: path, Reason: reason} }
	if len(data) < metaHeadBytes+metaSumBytes || string(data[:8]) != metaMagic {
		return bad("not a snapshot's metadata")
	}
	body, sum := data[:len(data)-metaSumBytes], data[len(data)-metaSumBytes:]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(sum) {
		return bad("checksum of a snapshot's metadata")
	}
	if format := binary.LittleEndian.Uint32(data[8:]); format != metaFormat {
		return kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_UNSUPPORTED,
			"%s has format %d, this node knows %d: upgrade it", path, format, metaFormat)
	}
	r.raft.Version = raft.SnapshotVersion(binary.LittleEndian.Uint32(data[12:]))
	r.raft.Index = binary.LittleEndian.Uint64(data[16:])
	r.raft.Term = binary.LittleEndian.Uint64(data[24:])
	r.raft.ConfigurationIndex = binary.LittleEndian.Uint64(data[32:])
	r.needs = binary.LittleEndian.Uint64(data[40:])
	r.source = source(binary.LittleEndian.Uint32(data[48:]))
	r.streamBytes = int64(binary.LittleEndian.Uint64(data[52:]))
	configuration := body[metaHeadBytes:]
	if int(binary.LittleEndian.Uint32(data[60:])) != len(configuration) {
		return bad("length of the configuration")
	}
	if r.source != inEngine && r.source != inStream {
		return bad("source of the content")
	}
	r.raft.Configuration = raft.DecodeConfiguration(configuration) // panics on bad bytes, which the checksum rules out
	return nil
}

// meta is the snapshot as raft sees it.
func (r *record) meta(size int64) *raft.SnapshotMeta {
	m := r.raft
	m.ID, m.Size, m.Configuration = r.id, size, r.raft.Configuration.Clone()
	return &m
}
