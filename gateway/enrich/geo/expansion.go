package geo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// A record may point into others, and they on into more, so that a file of a
// few megabytes could unfold into hours of work (as XML's "billion laughs"
// did). maxminddb bounds what one record unfolds into, but not all of them
// together, and its verifier unfolds each. So they are counted before: in the
// files of MaxMind, DB-IP, ipinfo and ip-location-db the records unfold into
// 2 to 30 times the bytes they are written in.
const (
	maxUnfold     = 128     // times the bytes of the data section
	maxRecord     = 2 << 20 // bytes that one record unfolds into; maxminddb allows the same of texts
	maxNesting    = 32      // levels; a MaxMind record has four
	sampleRecords = 4096
)

var (
	errNesting = errors.New("a record nests or points deeper than any real one (is it a loop?)")
	errCutOff  = errors.New("a record reaches over the end of the data")
)

// expansion walks the data section of a database once and counts what its
// records unfold into, in time linear to its size. It gives the offsets of the
// first few records.
func expansion(data []byte, nodes, recordSize uint) (sample []uintptr, err error) {
	end := bytes.LastIndex(data, []byte("\xAB\xCD\xEFMaxMind.com"))
	start := uint64(nodes)*uint64(recordSize/4) + 16
	if end < 0 || start > uint64(end) {
		return nil, errCutOff // the library opens no such file
	}
	u := unfolder{data: data[start:end], pointed: map[uint32]uint32{}}
	limit := uint64(len(u.data))*maxUnfold + 16<<20
	var total uint64
	for at := 0; at < len(u.data); {
		if len(sample) < sampleRecords {
			sample = append(sample, uintptr(at))
		}
		size, next, err := u.value(at, 0)
		if err != nil {
			return nil, fmt.Errorf("at byte %d of its data: %w", at, err)
		}
		if total += uint64(size); total > limit {
			return nil, fmt.Errorf("its records point into each other so that %d bytes unfold into more than %d, which is no database of places", len(u.data), limit)
		}
		at = next
	}
	return sample, nil
}

// unfolder measures values. The format is that of
// https://maxmind.github.io/MaxMind-DB/, "Output Data Section".
type unfolder struct {
	data    []byte
	pointed map[uint32]uint32 // what the maps and lists that are pointed to unfold into
}

// Types of the format.
const (
	typeExtended = 0
	typePointer  = 1
	typeMap      = 7
	typeArray    = 11
	typeBool     = 14
)

// perValue is what one value costs beside its bytes.
const perValue = 8

// value is what a value unfolds into, and where the next one begins.
func (u *unfolder) value(at, depth int) (size uint32, next int, err error) {
	if depth > maxNesting {
		return 0, 0, errNesting
	}
	kind, n, at, err := u.control(at)
	if err != nil {
		return 0, 0, err
	}
	switch kind {
	case typePointer:
		size, err := u.target(n, depth)
		return size, at, err
	case typeBool:
		return perValue, at, nil
	case typeMap, typeArray:
		if kind == typeMap {
			n *= 2
		}
		if n > len(u.data)-at { // each member takes a byte at least
			return 0, 0, errCutOff
		}
		size := uint32(perValue)
		for range n {
			inner, next, err := u.value(at, depth+1)
			if err != nil {
				return 0, 0, err
			}
			if size += inner; size > maxRecord {
				return 0, 0, fmt.Errorf("a record unfolds into more than %d bytes", maxRecord)
			}
			at = next
		}
		return size, at, nil
	}
	if n > len(u.data)-at {
		return 0, 0, errCutOff
	}
	if n > maxRecord {
		return 0, 0, fmt.Errorf("a value has %d bytes, and at most %d are read", n, maxRecord)
	}
	return uint32(n) + perValue, at + n, nil
}

// target is what the value that is pointed to unfolds into.
func (u *unfolder) target(at, depth int) (uint32, error) {
	if at >= len(u.data) {
		return 0, errCutOff
	}
	if size, ok := u.pointed[uint32(at)]; ok {
		return size, nil
	}
	size, _, err := u.value(at, depth+1)
	if kind := u.data[at] >> 5; err == nil && (kind == typeMap || kind == typeExtended || kind == typePointer) {
		u.pointed[uint32(at)] = size // a plain value is measured as quickly as it is looked up
	}
	return size, err
}

// control reads a value's head: its type, its size (of a pointer: the target)
// and where its bytes begin.
func (u *unfolder) control(at int) (kind, n, next int, err error) {
	d := u.data
	if at >= len(d) {
		return 0, 0, 0, errCutOff
	}
	c := d[at]
	at++
	kind, n = int(c>>5), int(c&31)
	if kind == typePointer {
		width := n>>3 + 1
		if width > len(d)-at {
			return 0, 0, 0, errCutOff
		}
		var b [4]byte
		copy(b[4-width:], d[at:at+width])
		if width < 4 {
			b[3-width] = byte(n & 7)
		}
		return kind, int(binary.BigEndian.Uint32(b[:])) + [...]int{0, 2048, 526336, 0}[width-1], at + width, nil
	}
	if kind == typeExtended {
		if at >= len(d) {
			return 0, 0, 0, errCutOff
		}
		kind = int(d[at]) + 7
		at++
	}
	if n >= 29 {
		width := n - 28
		if width > len(d)-at {
			return 0, 0, 0, errCutOff
		}
		var b [4]byte
		copy(b[4-width:], d[at:at+width])
		n = int(binary.BigEndian.Uint32(b[:])) + [...]int{29, 285, 65821}[width-1]
		at += width
	}
	return kind, n, at, nil
}
