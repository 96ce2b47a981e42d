package fsm

import (
	"bytes"
	"strconv"
)

// numberBytesMax is the length of the smallest int64.
const numberBytesMax = 20

// parseNumber reads a number as formatNumber writes it, and nothing else: no sign before a positive one, no zeros in front, no
// spaces. So a number has one text, and whoever compares values compares numbers.
func parseNumber(value []byte) (int64, bool) {
	if len(value) > numberBytesMax {
		return 0, false
	}
	number, err := strconv.ParseInt(string(value), 10, 64)
	return number, err == nil && bytes.Equal(formatNumber(number), value)
}

func formatNumber(number int64) []byte { return strconv.AppendInt(nil, number, 10) }
