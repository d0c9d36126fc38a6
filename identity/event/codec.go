package event

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/wire"
)

// codecVersion is the first byte of every encoded event. A change of the layout
// takes a new number, and Decode keeps reading the old ones.
const codecVersion = 1

// ErrCorrupt says that bytes are not an encoded event.
var ErrCorrupt = errors.New("event: encoded event is corrupt")

// AppendBinary appends the event's record: version, type, source, trust, flags,
// times as deltas from receivedAt, then its strings, each behind its length, in
// the fixed order of fields. Equal events give equal bytes.
func (e *Event) AppendBinary(dst []byte) []byte {
	var bot byte
	if e.Bot.Is {
		bot = 1
	}
	dst = append(dst, codecVersion, byte(e.Type), byte(e.Source), byte(e.Trust), bot)
	dst = binary.AppendVarint(dst, e.ReceivedAt)
	for _, t := range [...]int64{e.Timestamp, e.OriginalTimestamp, e.SentAt} {
		if t == 0 {
			dst = append(dst, 0)
			continue
		}
		// One more than the zigzag of the delta, so that 0 is left for "not said".
		d := t - e.ReceivedAt
		dst = binary.AppendUvarint(dst, uint64(d<<1^d>>63)+1)
	}
	dst = binary.AppendUvarint(dst, uint64(e.Geo.ASN))
	for _, s := range e.strings() {
		dst = wire.AppendText(dst, *s)
	}
	return dst
}

// Decode reads a record that AppendBinary made. The event's strings are windows
// into record, which must not be written to afterwards.
func Decode(e *Event, record string) error {
	d := wire.NewReader(record)
	if v := d.Byte(); v != codecVersion {
		return fmt.Errorf("%w: version %d; this program reads version %d", ErrCorrupt, v, codecVersion)
	}
	*e = Event{Type: Type(d.Byte()), Source: Source(d.Byte()), Trust: id.Trust(d.Byte())}
	e.Bot.Is = d.Byte() == 1
	e.ReceivedAt = d.Int()
	for _, t := range [...]*int64{&e.Timestamp, &e.OriginalTimestamp, &e.SentAt} {
		if z := d.Uint(); z != 0 {
			z--
			*t = e.ReceivedAt + (int64(z>>1) ^ -int64(z&1))
		}
	}
	e.Geo.ASN = uint32(d.Uint())
	for _, s := range e.strings() {
		*s = d.Text()
	}
	if !d.Done() || e.Type == 0 || int(e.Type) >= len(typeNames) {
		*e = Event{}
		return ErrCorrupt
	}
	return nil
}

// strings lists the text fields in the order of the record. Adding one means a
// new codecVersion.
func (e *Event) strings() [38]*string {
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
