package command

import "bytes"

// The division of keys, exactly as Redis Cluster computes slots. Nothing of it can change without moving all data.
const (
	Slots      = 16384
	Partitions = 1024
)

const slotsPerPartition = Slots / Partitions

// Slot is CRC16 of the key's hash tag, or of the whole key if it has none, modulo Slots. The hash tag is what stands
// between the first '{' and the first '}' after it, if that is not empty.
func Slot(key []byte) uint16 { return crc16(hashTag(key)) % Slots }

// Partition is the unit of ownership that the key belongs to: 16 neighbouring slots.
func Partition(key []byte) uint16 { return Slot(key) / slotsPerPartition }

func hashTag(key []byte) []byte {
	open := bytes.IndexByte(key, '{')
	if open < 0 {
		return key
	}
	tag := key[open+1:]
	length := bytes.IndexByte(tag, '}')
	if length <= 0 {
		return key
	}
	return tag[:length]
}

// crc16 is CRC-16/XMODEM: polynomial 0x1021, no reflection, starts at 0.
func crc16(data []byte) uint16 {
	var sum uint16
	for _, b := range data {
		sum = sum<<8 ^ crcTable[byte(sum>>8)^b]
	}
	return sum
}

var crcTable = makeCRCTable(0x1021)

func makeCRCTable(polynomial uint16) (table [256]uint16) {
	for i := range table {
		sum := uint16(i) << 8
		for range 8 {
			carry := sum&0x8000 != 0
			sum <<= 1
			if carry {
				sum ^= polynomial
			}
		}
		table[i] = sum
	}
	return table
}
