package snapshot

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"reflect"
	"testing"

	"github.com/hashicorp/raft"

	errpb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

func golden() record {
	return record{
		raft:  raft.SnapshotMeta{Version: 1, Index: 0x102, Term: 3, ConfigurationIndex: 4, Configuration: configuration},
		needs: 0x105, source: inStream, streamBytes: 0x1000,
	}
}

// Disks hold these bytes across upgrades. A change here is a change of the format.
func TestMetaGolden(t *testing.T) {
	want := "4b56534e41505348" + "01000000" + "01000000" + "0201000000000000" + "0300000000000000" + "0400000000000000" +
		"0501000000000000" + "02000000" + "0010000000000000" + "3e000000" +
		"81a75365727665727392" + "83a741646472657373a161a24944a161a8537566667261676500" + "83a741646472657373a162a24944a162a8537566667261676501"
	r := golden()
	data := r.encode()
	body := data[:len(data)-metaSumBytes]
	if got := hex.EncodeToString(body); got != want {
		t.Errorf("encoded as\n%s, want\n%s", got, want)
	}
	if got := hex.EncodeToString(data[len(body):]); got != "5a38b107" {
		t.Errorf("checksum %s", got)
	}
	var back record
	if err := back.decode("file", data); err != nil || !reflect.DeepEqual(back, r) {
		t.Errorf("decoded as %+v, error %v, want %+v", back, err, r)
	}
}

func TestMetaRefusesEveryDamage(t *testing.T) {
	whole := golden()
	data := whole.encode()
	for i := range data {
		flipped := append([]byte{}, data...)
		flipped[i] ^= 1
		requireCorrupt(t, new(record).decode("file", flipped))
		requireCorrupt(t, new(record).decode("file", data[:i]))
	}
	requireCorrupt(t, new(record).decode("file", append(append([]byte{}, data...), 0)))
}

func TestMetaRefusesANewerFormat(t *testing.T) {
	r := golden()
	data := r.encode()
	data[8] = metaFormat + 1
	data = reseal(data)
	err := new(record).decode("file", data)
	if kverr.Of(err).Code != errpb.ErrorCode_ERROR_CODE_UNSUPPORTED {
		t.Fatal(err)
	}
	r.source = 3
	requireCorrupt(t, new(record).decode("file", r.encode()))
}

// reseal computes the checksum anew.
func reseal(data []byte) []byte {
	body := data[:len(data)-metaSumBytes]
	return binary.LittleEndian.AppendUint32(body, crc32.Checksum(body, castagnoli))
}

func requireCorrupt(t *testing.T, err error) {
	t.Helper()
	var corrupt *CorruptError
	if !errors.As(err, &corrupt) {
		t.Fatalf("error is %v, want *CorruptError", err)
	}
}

func FuzzMeta(f *testing.F) {
	r := golden()
	f.Add(r.encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		var r record
		if r.decode("file", data) == nil && string(r.encode()) != string(data) {
			t.Fatalf("accepted, but encoded as other bytes: %+v", r)
		}
	})
}
