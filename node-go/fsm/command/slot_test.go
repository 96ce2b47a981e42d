package command

import (
	"encoding/json"
	"os"
	"testing"
)

// The same file is read by the TypeScript side: both must put a key into the same slot.
func TestSlotGolden(t *testing.T) {
	data, err := os.ReadFile("../../../test/golden/slots.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Key  string
		Slot uint16
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) < 40 {
		t.Fatalf("only %d vectors", len(vectors))
	}
	for _, v := range vectors {
		if got := Slot([]byte(v.Key)); got != v.Slot {
			t.Errorf("slot of %q is %d, want %d", v.Key, got, v.Slot)
		}
		if got := Partition([]byte(v.Key)); got != v.Slot/16 {
			t.Errorf("partition of %q is %d, want %d", v.Key, got, v.Slot/16)
		}
	}
}

func TestSlotOfTheStandardVector(t *testing.T) {
	if got := Slot([]byte("123456789")); got != 0x31C3 {
		t.Fatalf("slot is %#x, CRC-16/XMODEM says 0x31C3", got)
	}
}

func TestSlotOfBytesThatAreNoText(t *testing.T) {
	if Slot([]byte{0xff, '{', 0x80, '}', 1}) != Slot([]byte{0x80}) {
		t.Fatal("the hash tag is bytes, not text")
	}
}

func TestEveryPartitionIsReached(t *testing.T) {
	var seen [Partitions]bool
	for i := range 1 << 16 {
		seen[Partition([]byte{byte(i >> 8), byte(i)})] = true
	}
	for number, ok := range seen {
		if !ok {
			t.Errorf("no key of two bytes is in partition %d", number)
		}
	}
}

func BenchmarkSlot(b *testing.B) {
	key := []byte("a key of an ordinary length {tag} 40 byte")
	for b.Loop() {
		Slot(key)
	}
}
