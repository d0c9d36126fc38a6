package event

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/wire"
)

// codecVersion is the first byte of every encoded event. A change of the layout
// takes a new number, and Decode keeps reading the old ones.
const codecVersion = 3

// ErrCorrupt says that bytes are not an encoded event.
var ErrCorrupt = errors.New("event: encoded event is corrupt")

// The second byte of a record: the type in its low three bits, and these.
const (
	typeMask      = 1<<3 - 1
	flagBot       = 1 << 3
	flagTimestamp = 1 << 4 // this and the two above it: the time is there
	flagOriginal  = 1 << 5
	flagSent      = 1 << 6
	flagUnknown   = 1 << 7
)

// AppendBinary appends the event's record. It is laid out for a compressor that
// sees one visitor's records after each other: what is new in every event comes
// first, then what goes with its kind, then what the visitor's events have in
// common; so a match runs on from field to field.
//
//	version · type and flags · v receivedAt · v each further time that is there
//	u lengths of properties, traits and context, 0 when absent
//	u length of the message id · message id
//	source · trust · map of packed texts · map of texts, 6, lowest bit first
//	texts that are there: u length (but for those three) · text
//	u ASN if it is there
//
// A time is a difference to what is expected of it: timestamp to receipt, the
// original one to timestamp, sentAt to receipt by the device's clock. Texts
// that have ids in them are packed as ids.go tells. Equal events give equal bytes.
func (e *Event) AppendBinary(dst []byte) []byte {
	flags := byte(e.Type) & typeMask
	if e.Bot.Is {
		flags |= flagBot
	}
	if e.Timestamp != 0 {
		flags |= flagTimestamp
	}
	if e.OriginalTimestamp != 0 {
		flags |= flagOriginal
	}
	if e.SentAt != 0 {
		flags |= flagSent
	}
	dst = append(dst, codecVersion, flags)
	dst = binary.AppendVarint(dst, e.ReceivedAt)
	if e.Timestamp != 0 {
		dst = binary.AppendVarint(dst, e.Timestamp-e.ReceivedAt)
	}
	if e.OriginalTimestamp != 0 {
		dst = binary.AppendVarint(dst, e.OriginalTimestamp-e.Timestamp)
	}
	if e.SentAt != 0 {
		dst = binary.AppendVarint(dst, e.SentAt-e.expectedSentAt())
	}

	var ids idList
	var packed byte
	var size [packables]int
	clock := e.deviceTime()
	for i, s := range e.packable() {
		before := ids.n
		size[i] = ids.find(*s, i, clock)
		if ids.n > before {
			packed |= 1 << i
		}
	}
	for i := range firstID {
		dst = binary.AppendUvarint(dst, uint64(size[i]))
	}
	dst = binary.AppendUvarint(dst, uint64(size[firstID]))
	dst = ids.append(dst, e.MessageID, firstID)
	dst = append(dst, byte(e.Source), byte(e.Trust), packed)
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0, 0, 0)
	var there uint64
	for i, s := range e.texts() {
		if *s == "" {
			continue
		}
		there |= 1 << i
		p := packedAs(i)
		if p < 0 {
			dst = wire.AppendText(dst, *s)
			continue
		}
		if p > firstID {
			dst = binary.AppendUvarint(dst, uint64(size[p]))
		}
		dst = ids.append(dst, *s, p)
	}
	if e.Geo.ASN != 0 {
		there |= 1 << asnBit
		dst = binary.AppendUvarint(dst, uint64(e.Geo.ASN))
	}
	for i := range mapBytes {
		dst[at+i] = byte(there >> (8 * i))
	}
	return dst
}

// expectedSentAt is what SentAt would be if the message had taken no time on
// its way and the device's clock were as wrong as the timestamps say.
func (e *Event) expectedSentAt() int64 {
	if e.OriginalTimestamp == 0 {
		return e.ReceivedAt
	}
	return e.ReceivedAt + e.OriginalTimestamp - e.Timestamp
}

// deviceTime is when the event happened by the clock that dated its ids.
func (e *Event) deviceTime() int64 {
	if e.OriginalTimestamp != 0 {
		return e.OriginalTimestamp
	}
	if e.Timestamp != 0 {
		return e.Timestamp
	}
	return e.ReceivedAt
}

// Decode reads a record that AppendBinary made, in this version or any before.
// The event's strings are windows into record, which must not be written to
// afterwards; those that had ids packed in them are windows into one more
// string, the only thing that is allocated.
func Decode(e *Event, record string) error {
	_, err := DecodeInto(e, record, nil)
	return err
}

// DecodeInto is Decode for who reads many records in turn: the texts that had ids
// packed in them are made behind the length of room, which is returned with them, so
// that the same room, cut to nothing, serves the next record once e is done with.
func DecodeInto(e *Event, record string, room []byte) ([]byte, error) {
	d := wire.NewReader(record)
	switch v := d.Byte(); v {
	case 1:
		decode1(e, d)
	case 2:
		room = decode2(e, d, asnBit2, mapBytes2, room)
	case 3:
		room = decode2(e, d, asnBit, mapBytes, room)
	default:
		return room, fmt.Errorf("%w: version %d; this program reads versions 1 to %d", ErrCorrupt, v, codecVersion)
	}
	if !d.Done() || e.Type == 0 || int(e.Type) >= len(typeNames) {
		*e = Event{}
		return room, ErrCorrupt
	}
	return room, nil
}

// decode2 reads a record behind its version since version 2, of which each has
// had more texts than the one before: asn is behind their last.
func decode2(e *Event, d *wire.Reader, asn, size int, room []byte) []byte {
	flags := d.Byte()
	*e = Event{Type: Type(flags & typeMask)}
	e.Bot.Is = flags&flagBot != 0
	e.ReceivedAt = d.Int()
	if flags&flagTimestamp != 0 {
		e.Timestamp = e.ReceivedAt + d.Int()
	}
	if flags&flagOriginal != 0 {
		e.OriginalTimestamp = e.Timestamp + d.Int()
	}
	if flags&flagSent != 0 {
		e.SentAt = e.expectedSentAt() + d.Int()
	}
	var sizes [firstID]uint64
	for i := range sizes {
		sizes[i] = d.Uint()
	}
	e.MessageID = d.Text()
	e.Source, e.Trust = Source(d.Byte()), id.Trust(d.Byte())
	packed := d.Byte()
	var there uint64
	for i := range size {
		there |= uint64(d.Byte()) << (8 * i)
	}
	if there>>(asn+1) != 0 || flags&flagUnknown != 0 {
		d.Fail() // nobody has written these
	}
	texts := e.texts()
	for rest := there &^ (1 << asn); rest != 0 && !d.Bad(); rest &= rest - 1 {
		i := bits.TrailingZeros64(rest)
		if p := packedAs(i); p >= 0 && p < firstID {
			*texts[i] = nextText(d, sizes[p])
		} else {
			*texts[i] = d.Text()
		}
	}
	if there&(1<<asn) != 0 {
		e.Geo.ASN = uint32(d.Uint())
	}
	if packed != 0 && !d.Bad() {
		var ok bool
		if room, ok = unpackIDs(e.packable(), packed, e.deviceTime(), room); !ok {
			d.Fail()
		}
	}
	return room
}

// nextText takes n bytes.
func nextText(d *wire.Reader, n uint64) string {
	rest := d.Rest()
	if n > uint64(len(rest)) {
		d.Fail()
		return ""
	}
	*d = *wire.NewReader(rest[n:])
	return rest[:n]
}

// asnBit is the bit of the map of texts that says that the ASN is there, and
// mapBytes the size of that map; those of version 2 are beside them.
const (
	asnBit, mapBytes   = 41, 6
	asnBit2, mapBytes2 = 37, 5
)

// texts lists the text fields behind a record's head, in their order. Another
// order, or one more, is a new codecVersion; more go to the end, so that older
// versions' are the first of them.
func (e *Event) texts() [asnBit]*string {
	return [...]*string{
		&e.Name, &e.Category, (*string)(&e.Properties), (*string)(&e.Traits),
		&e.Traffic.Channel, &e.Traffic.Source, &e.Traffic.Medium, &e.Traffic.Campaign, &e.Traffic.Term, &e.Traffic.Content,
		&e.Traffic.ClickID, &e.Traffic.ClickType, &e.Traffic.Referrer,
		&e.Bot.Class, &e.Bot.Name, &e.Bot.Reason, &e.PreviousID, &e.GroupID,
		(*string)(&e.Context), (*string)(&e.Integrations),
		&e.Device.Type, &e.Device.OS, &e.Device.OSVersion, &e.Device.Browser, &e.Device.BrowserVersion, &e.Device.Vendor, &e.Device.Model,
		&e.Geo.Country, &e.Geo.Region, &e.Geo.City, &e.Geo.Postcode, &e.Geo.Timezone, &e.Geo.ASOrg,
		&e.IP, &e.AnonymousID, &e.UserID, &e.Site,
		&e.Device.Language, &e.Device.Timezone, &e.Device.Screen, &e.Bot.Operator,
	}
}

// packable lists the texts that may have ids in them: first those whose length
// stands in the head, then, from firstID on, those that are ids.
func (e *Event) packable() [packables]*string {
	return [...]*string{
		(*string)(&e.Properties), (*string)(&e.Traits), (*string)(&e.Context),
		&e.MessageID, &e.AnonymousID, &e.UserID, &e.PreviousID, &e.GroupID,
	}
}

const (
	packables = 8
	firstID   = 3
)

// packedAs is the place among the packable of text i; -1 when it has none.
func packedAs(i int) int {
	switch i {
	case 2:
		return 0
	case 3:
		return 1
	case 18:
		return 2
	case 34:
		return 4
	case 35:
		return 5
	case 16:
		return 6
	case 17:
		return 7
	}
	return -1
}

// decode1 reads a record of version 1 behind its version: type, source, trust,
// bot, times as differences to receivedAt, then all texts behind their lengths.
func decode1(e *Event, d *wire.Reader) {
	*e = Event{Type: Type(d.Byte()), Source: Source(d.Byte()), Trust: id.Trust(d.Byte())}
	e.Bot.Is = d.Byte() == 1
	e.ReceivedAt = d.Int()
	for _, t := range [...]*int64{&e.Timestamp, &e.OriginalTimestamp, &e.SentAt} {
		// One more than the zigzag of the difference; 0 is "not said".
		if z := d.Uint(); z != 0 {
			z--
			*t = e.ReceivedAt + (int64(z>>1) ^ -int64(z&1))
		}
	}
	e.Geo.ASN = uint32(d.Uint())
	for _, s := range e.texts1() {
		*s = d.Text()
	}
}

// texts1 lists the text fields in the order of version 1.
func (e *Event) texts1() [38]*string {
	return [...]*string{
		&e.Site, &e.Name, &e.Category, &e.MessageID, &e.AnonymousID, &e.UserID, &e.PreviousID, &e.GroupID,
		(*string)(&e.Properties), (*string)(&e.Traits), (*string)(&e.Context), (*string)(&e.Integrations),
		&e.IP, &e.Device.Type, &e.Device.OS, &e.Device.OSVersion, &e.Device.Browser, &e.Device.BrowserVersion, &e.Device.Vendor, &e.Device.Model,
		&e.Geo.Country, &e.Geo.Region, &e.Geo.City, &e.Geo.Postcode, &e.Geo.Timezone, &e.Geo.ASOrg,
		&e.Traffic.Channel, &e.Traffic.Source, &e.Traffic.Medium, &e.Traffic.Campaign, &e.Traffic.Term, &e.Traffic.Content,
		&e.Traffic.ClickID, &e.Traffic.ClickType, &e.Traffic.Referrer,
		&e.Bot.Class, &e.Bot.Name, &e.Bot.Reason,
	}
}
