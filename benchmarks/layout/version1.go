package main

import (
	"encoding/binary"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/wire"
)

// version1 writes an entry as programs did before record version 2: times as
// differences to receipt, then every text behind its length, absent ones too. It
// had no language, time zone and screen, which a page's context tells anyway.
func version1(entry []byte) ([]byte, error) {
	const kind = 2 // the entry's kind and flag
	var e event.Event
	if err := event.Decode(&e, string(entry[kind:])); err != nil {
		return nil, err
	}
	dst := append([]byte(nil), entry[:kind]...)
	dst = append(dst, 1, byte(e.Type), byte(e.Source), byte(e.Trust), 0)
	if e.Bot.Is {
		dst[len(dst)-1] = 1
	}
	dst = binary.AppendVarint(dst, e.ReceivedAt)
	for _, t := range [...]int64{e.Timestamp, e.OriginalTimestamp, e.SentAt} {
		if t == 0 {
			dst = append(dst, 0)
			continue
		}
		d := t - e.ReceivedAt
		dst = binary.AppendUvarint(dst, uint64(d<<1^d>>63)+1)
	}
	dst = binary.AppendUvarint(dst, uint64(e.Geo.ASN))
	for _, s := range [...]string{
		e.Site, e.Name, e.Category, e.MessageID, e.AnonymousID, e.UserID, e.PreviousID, e.GroupID,
		string(e.Properties), string(e.Traits), string(e.Context), string(e.Integrations),
		e.IP, e.Device.Type, e.Device.OS, e.Device.OSVersion, e.Device.Browser, e.Device.BrowserVersion, e.Device.Vendor, e.Device.Model,
		e.Geo.Country, e.Geo.Region, e.Geo.City, e.Geo.Postcode, e.Geo.Timezone, e.Geo.ASOrg,
		e.Traffic.Channel, e.Traffic.Source, e.Traffic.Medium, e.Traffic.Campaign, e.Traffic.Term, e.Traffic.Content,
		e.Traffic.ClickID, e.Traffic.ClickType, e.Traffic.Referrer,
		e.Bot.Class, e.Bot.Name, e.Bot.Reason,
	} {
		dst = wire.AppendText(dst, s)
	}
	return dst, nil
}
