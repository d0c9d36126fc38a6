package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
	"regexp"
)

// texts is how many texts an event record has, in a fixed order.
const texts = 38

// slim writes an event record in the way that a second version could: without
// the time of receipt, which the chunk says already, with a map of the texts
// that are there, and, by ids, with UUIDs as 16 bytes: 1 those that are a whole
// text, 2 also those inside of one. It is for measuring and cannot be read back.
func slim(record []byte, ids int) ([]byte, error) {
	const head = 7 // kind, flag, version, type, source, trust, bot
	out := append([]byte(nil), record[:head]...)
	at := head
	number := func() uint64 {
		v, n := binary.Uvarint(record[at:])
		at += max(n, 0)
		return v
	}
	number() // the time of receipt
	for range 4 {
		out = binary.AppendUvarint(out, number())
	}
	var there uint64
	var rest []byte
	for i := range texts {
		size := int(number())
		if size < 0 || size > len(record)-at {
			return nil, fmt.Errorf("text %d of a record has %d bytes, %d are left", i, size, len(record)-at)
		}
		text := record[at : at+size]
		at += size
		if size == 0 {
			continue
		}
		there |= 1 << i
		if ids >= 1 && size == 36 && uuidText.Match(text) {
			rest = append(append(rest, 0), uuidBytes(text)...)
			continue
		}
		if ids >= 2 {
			text = uuidText.ReplaceAllFunc(text, func(id []byte) []byte { return append([]byte{1}, uuidBytes(id)...) })
		}
		rest = append(binary.AppendUvarint(rest, uint64(len(text))), text...)
	}
	if at != len(record) {
		return nil, fmt.Errorf("%d bytes of a record are left over", len(record)-at)
	}
	for range (texts + 7) / 8 {
		out = append(out, byte(bits.Reverse8(byte(there))))
		there >>= 8
	}
	return append(out, rest...), nil
}

var uuidText = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

func uuidBytes(text []byte) []byte {
	digits := make([]byte, 0, 32)
	for _, c := range text {
		if c != '-' {
			digits = append(digits, c)
		}
	}
	out, err := hex.AppendDecode(nil, digits)
	if err != nil {
		panic("layout: not a UUID: " + string(text)) // the pattern lets only digits in
	}
	return out
}
