package workload

import "strconv"

// snowplowBody writes what Snowplow's browser tracker sends: payload_data with page views and
// structured events, whose values are all strings. The write key is the app id.
// https://docs.snowplow.io/docs/fundamentals/canonical-event/understanding-event-parameters/
func (s *Stream) snowplowBody(b []byte, v *visitor, t *traitsOf) []byte {
	now := s.now()
	b = append(b, `{"schema":"iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4","data":[`...)
	for i := range s.shape.Batch {
		if i > 0 {
			b = append(b, ',')
		}
		d := s.do(v, t)
		b = append(b, `{"e":"`...)
		if d.event == "" {
			b = append(b, `pv"`...)
		} else {
			b = append(b, `se","se_ca":"shop","se_ac":"`...)
			b = append(b, d.event...)
			b = append(b, `","se_la":"`...)
			b = append(b, d.label...)
			b = append(b, '"')
			if d.cents > 0 {
				b = append(b, `,"se_va":"`...)
				b = append(appendCents(b, d.cents), '"')
			}
		}
		b = append(b, `,"url":"`...)
		b = s.appendURL(append(b, s.origin...))
		b = append(b, `","page":"`...)
		b = s.appendTitle(b)
		b = append(b, '"')
		if s.at.inside || s.at.referrer != "" {
			b = append(b, `,"refr":"`...)
			b = append(s.appendReferrer(b), '"')
		}
		b = append(b, `,"tv":"js-4.6.8","tna":"sp","p":"web","cs":"UTF-8","cookie":"1","cd":"24","aid":`...)
		b = append(b, s.writeKey...)
		b = append(b, `,"lang":"`...)
		b = append(b, t.locale.tag...)
		size := t.size()
		b = append(b, `","res":"`...)
		b = append(b, size[0]...)
		b = append(b, 'x')
		b = append(b, size[1]...)
		b = append(b, `","duid":"`...)
		b = appendUUID(b, t.hash, mix(t.hash), 4)
		if v.user {
			b = append(b, `","uid":"u-`...)
			b = strconv.AppendUint(b, s.userNumber(), 10)
		}
		b = append(b, `","eid":"`...)
		at := len(b)
		b = appendUUID(b, s.ids.Uint64(), s.ids.Uint64(), 4)
		s.id = append(append(s.id, b[at:]...), '\n')
		b = append(b, `","dtm":"`...)
		b = strconv.AppendInt(b, now.UnixMilli(), 10)
		b = append(b, `","stm":"`...)
		b = strconv.AppendInt(b, now.UnixMilli(), 10)
		b = append(b, `"}`...)
	}
	return append(b, `]}`...)
}
