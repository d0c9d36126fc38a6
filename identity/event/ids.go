package event

import (
	"encoding/binary"
	"strings"
	"unsafe"
)

// Ids are random bytes in a costume of text. In a packed text each id that is
// found stands as marker · u (difference·8 | kind) · bytes, where the
// difference, zigzag-coded, is of the id's time to the device's. What would not
// come back byte for byte is left as it is: capitals, other alphabets, bits set
// behind the last byte. A text that has the marker itself is not packed.
const marker = 0xff // in no UTF-8 text

// Kinds of ids.
const (
	idUUID    = iota // 36 characters, RFC 9562, lower case: 16 bytes
	idTimed          // a UUID that begins with a time near the event's, as version 7 does: its last 10 bytes
	idDated          // milliseconds in 13 digits, "-", UUID, as Segment's libraries make them: 16 bytes
	idVisitor        // "v_" and 26 characters of base32, as the visitor's cookie gives: 16 bytes
	idHex            // 32 hexadecimal digits, the whole text: 16 bytes
)

const (
	uuidLength    = 36
	datedLength   = 13 + 1 + uuidLength
	visitorLength = 2 + 26
	hexLength     = 32
	timeBytes     = 6 // of a UUID, that are milliseconds

	// maxIDs is how many ids of an event are packed: what there is room for on
	// the stack. More stay text.
	maxIDs = 16
	// near is the largest difference, in ms, that is shorter than what it stands for.
	near = 1 << 24
)

// idList is the ids of one event, in the order of its packable texts.
type idList struct {
	n   int
	ids [maxIDs]foundID
}

type foundID struct {
	at    int // offset in the text
	tag   uint64
	text  byte // which packable text
	kind  byte
	bytes [16]byte
}

// find notes the ids in packable text i and gives the length of the text when packed.
func (l *idList) find(s string, i int, clock int64) int {
	size := len(s)
	before := l.n
	if i >= firstID {
		switch {
		case len(s) == visitorLength && strings.HasPrefix(s, "v_") && l.n < maxIDs && parseBase32(&l.ids[l.n].bytes, s[2:]):
			return l.note(0, i, idVisitor, 0, size)
		case len(s) == hexLength && l.n < maxIDs && parseHex(&l.ids[l.n].bytes, s, hexPlaces):
			return l.note(0, i, idHex, 0, size)
		}
	}
	for from, free := 0, 0; len(s)-free >= uuidLength && l.n < maxIDs; {
		dash := strings.IndexByte(s[from:], '-')
		if dash < 0 || from+dash+28 > len(s) {
			break
		}
		at := from + dash - 8
		from += dash + 1
		if at < free || !parseUUID(&l.ids[l.n].bytes, s[at:at+uuidLength]) {
			continue
		}
		from = at + uuidLength
		if ms, ok := parseMillis(s[free:at]); ok && isNear(ms-clock) {
			size = l.note(at-14, i, idDated, ms-clock, size)
		} else if ms := l.ids[l.n].millis(); isNear(ms - clock) {
			size = l.note(at, i, idTimed, ms-clock, size)
		} else {
			size = l.note(at, i, idUUID, 0, size)
		}
		free = from
	}
	if l.n > before && strings.IndexByte(s, marker) >= 0 {
		l.n = before
		return len(s)
	}
	return size
}

// note makes the next id one of text i. size is the text's length so far.
func (l *idList) note(at, i int, kind byte, difference int64, size int) int {
	f := &l.ids[l.n]
	l.n++
	f.at, f.text, f.kind = at, byte(i), kind
	f.tag = uint64(difference<<1^difference>>63)<<3 | uint64(kind)
	size -= textLength(kind) - 1 - 16
	if kind == idTimed {
		size -= timeBytes
	}
	for n := f.tag; ; n >>= 7 {
		size++
		if n < 0x80 {
			return size
		}
	}
}

func isNear(difference int64) bool { return -near < difference && difference < near }

// textLength is the length of an id as text; 0 when there is no such kind.
func textLength(kind byte) int {
	switch kind {
	case idUUID, idTimed:
		return uuidLength
	case idDated:
		return datedLength
	case idVisitor:
		return visitorLength
	case idHex:
		return hexLength
	}
	return 0
}

func (f *foundID) millis() int64 {
	return int64(binary.BigEndian.Uint64(f.bytes[:]) >> 16)
}

// append writes packable text i.
func (l *idList) append(dst []byte, s string, i int) []byte {
	from := 0
	for k := range l.n {
		f := &l.ids[k]
		if int(f.text) != i {
			continue
		}
		dst = append(dst, s[from:f.at]...)
		dst = binary.AppendUvarint(append(dst, marker), f.tag)
		if f.kind == idTimed {
			dst = append(dst, f.bytes[timeBytes:]...)
		} else {
			dst = append(dst, f.bytes[:]...)
		}
		from = f.at + textLength(f.kind)
	}
	return append(dst, s[from:]...)
}

// unpackIDs gives each text in the map its ids back. clock is the device's
// time. It is false where an id is none that was ever packed.
// room, behind its length, is where the texts are made, when it is large enough.
func unpackIDs(texts [packables]*string, packed byte, clock int64, room []byte) (made []byte, ok bool) {
	const longer = datedLength - 1 - 1 - 16 // what an id grows by at most
	size := 0
	for i, s := range texts {
		if packed&(1<<i) != 0 {
			size += len(*s) + longer*strings.Count(*s, string([]byte{marker}))
		}
	}
	if cap(room)-len(room) < size {
		room = append(make([]byte, 0, len(room)+size), room...)
	}
	for i, s := range texts {
		if packed&(1<<i) == 0 {
			continue
		}
		start := len(room)
		if room, ok = unpack(room, *s, clock); !ok {
			return room, false
		}
		text := room[start:]
		*s = unsafe.String(unsafe.SliceData(text), len(text)) // it is not written to again
	}
	return room, true
}

// unpack appends a packed text as it was.
func unpack(dst []byte, s string, clock int64) ([]byte, bool) {
	for {
		at := strings.IndexByte(s, marker)
		if at < 0 {
			return append(dst, s...), true
		}
		dst = append(dst, s[:at]...)
		s = s[at+1:]
		var tag uint64
		for shift := 0; ; shift += 7 {
			if s == "" || shift > 28 {
				return dst, false
			}
			c := s[0]
			s = s[1:]
			tag |= uint64(c&0x7f) << shift
			if c < 0x80 {
				break
			}
		}
		kind := byte(tag & 7)
		tag >>= 3
		ms := clock + (int64(tag>>1) ^ -int64(tag&1))
		var raw [16]byte
		n := len(raw)
		if kind == idTimed {
			n -= timeBytes
		}
		if len(s) < n {
			return dst, false
		}
		copy(raw[16-n:], s)
		s = s[n:]
		var text [datedLength]byte
		switch kind {
		case idUUID:
			putUUID(text[:], &raw)
		case idTimed:
			if ms < 0 || ms >= 1<<48 {
				return dst, false
			}
			binary.BigEndian.PutUint16(raw[:], uint16(ms>>32))
			binary.BigEndian.PutUint32(raw[2:], uint32(ms))
			putUUID(text[:], &raw)
		case idDated:
			if ms < 1e12 || ms >= 1e13 {
				return dst, false
			}
			for i := 12; i >= 0; i-- {
				text[i] = byte('0' + ms%10)
				ms /= 10
			}
			text[13] = '-'
			putUUID(text[14:], &raw)
		case idVisitor:
			text[0], text[1] = 'v', '_'
			putBase32(text[2:visitorLength], &raw)
		case idHex:
			for i, c := range raw {
				text[2*i], text[2*i+1] = hexDigits[c>>4], hexDigits[c&15]
			}
		default:
			return dst, false
		}
		dst = append(dst, text[:textLength(kind)]...)
	}
}

// parseMillis reads 13 digits and "-" off the end of s, milliseconds since 1970.
func parseMillis(s string) (ms int64, ok bool) {
	const n = 14
	if len(s) < n || s[len(s)-1] != '-' || s[len(s)-n] == '0' {
		return 0, false
	}
	for _, c := range []byte(s[len(s)-n : len(s)-1]) {
		if c < '0' || c > '9' {
			return 0, false
		}
		ms = ms*10 + int64(c-'0')
	}
	return ms, true
}

// uuidPlaces is where each byte of a UUID stands in its text.
const (
	uuidPlaces = "\x00\x02\x04\x06\x09\x0b\x0e\x10\x13\x15\x18\x1a\x1c\x1e\x20\x22"
	hexPlaces  = "\x00\x02\x04\x06\x08\x0a\x0c\x0e\x10\x12\x14\x16\x18\x1a\x1c\x1e"
)

// parseUUID reads 36 characters.
func parseUUID(dst *[16]byte, s string) bool {
	return s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' && parseHex(dst, s[:uuidLength], uuidPlaces)
}

func putUUID(dst []byte, b *[16]byte) {
	dst = dst[:uuidLength]
	dst[8], dst[13], dst[18], dst[23] = '-', '-', '-', '-'
	for i, c := range b {
		at := uuidPlaces[i]
		dst[at], dst[at+1] = hexDigits[c>>4], hexDigits[c&15]
	}
}

// parseHex reads 16 bytes of two lower-case digits each, which stand at places.
func parseHex(dst *[16]byte, s, places string) bool {
	bad := byte(0)
	places = places[:len(dst)]
	for i := range dst {
		at := places[i]
		a, b := s[at], s[at+1]
		hi, lo := digitValues[a&0x7f], digitValues[b&0x7f]
		dst[i] = hi<<4 | lo&15
		bad |= hi | lo | (a|b)&0x80
	}
	return bad&0xf0 == 0
}

// digitValues is the value of each lower-case hexadecimal digit, 0xff for any
// other ASCII character.
const digitValues = "" +
	"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" +
	"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" +
	"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" +
	"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\xff\xff\xff\xff\xff\xff" +
	"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" +
	"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" +
	"\xff\x0a\x0b\x0c\x0d\x0e\x0f\xff\xff\xff\xff\xff\xff\xff\xff\xff" +
	"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"

const base32Digits = "abcdefghijklmnopqrstuvwxyz234567"

// parseBase32 reads 26 characters of RFC 4648's base32 in lower case; the last
// two bits, which are of no byte, must be 0.
func parseBase32(dst *[16]byte, s string) bool {
	var bits, n uint
	k := 0
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z':
			c -= 'a'
		case c >= '2' && c <= '7':
			c -= '2' - 26
		default:
			return false
		}
		bits, n = bits<<5|uint(c), n+5
		if n >= 8 {
			n -= 8
			dst[k] = byte(bits >> n)
			k++
		}
	}
	return k == len(dst) && bits&3 == 0
}

func putBase32(dst []byte, b *[16]byte) {
	var bits, n uint
	k := 0
	for _, c := range b {
		bits, n = bits<<8|uint(c), n+8
		for n >= 5 {
			n -= 5
			dst[k] = base32Digits[bits>>n&31]
			k++
		}
	}
	dst[k] = base32Digits[bits<<2&31]
}
