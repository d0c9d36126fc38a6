package facet

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/wire"
)

// codecVersion is the first byte of a facet's record; a new layout takes a new
// number and Decode keeps reading the old ones.
const (
	codecVersion = 4
	// Version 3 and before kept the series of computed traits by their names, of two
	// kinds only. They are passed over: a fill makes them anew from the log.
	namedVersion = 3
	// Version 2 had one count of page views and one of visits for people and robots,
	// counted robots' events among all, kept no touch and less of a device.
	togetherVersion = 2
	oneLogVersion   = 1 // and this no origin: all was of the first
)

// ErrCorrupt says that bytes are not an encoded facet.
var ErrCorrupt = errors.New("facet: encoded facet is corrupt")

// AppendBinary appends the facet's record. Maps are written in the order of
// their keys, so equal facets give equal bytes.
func (f *Facet) AppendBinary(dst []byte) []byte {
	dst = append(dst, codecVersion, byte(f.Key.Trust))
	dst = wire.AppendText(dst, f.Key.AnonymousID)
	dst = wire.AppendText(dst, f.Key.UserID)
	dst = wire.AppendUint(dst, uint64(f.Key.Origin))
	for _, n := range [...]int64{f.First, f.Last, f.Events, f.Pageviews, f.BotEvents, f.BotPageviews, f.Visits.Older} {
		dst = wire.AppendInt(dst, n)
	}
	dst = append(dst, flag(f.Earlier))
	dst = wire.AppendUint(dst, uint64(len(f.Visits.Spans)))
	prev := int64(0)
	for _, s := range f.Visits.Spans {
		dst = wire.AppendInt(dst, s.Start-prev)
		dst = wire.AppendInt(dst, s.End-s.Start)
		prev = s.End
	}
	dst = wire.AppendUint(dst, uint64(len(f.Traits)))
	for _, name := range slices.Sorted(maps.Keys(f.Traits)) {
		t := f.Traits[name]
		dst = wire.AppendText(dst, name)
		dst = wire.AppendText(dst, string(t.Value))
		dst = appendStamp(dst, t.At)
		dst = append(dst, byte(t.Trust), byte(t.Source))
		dst = wire.AppendText(dst, t.Site)
	}
	dst = wire.AppendUint(dst, uint64(len(f.Orders)))
	for _, k := range slices.Sorted(maps.Keys(f.Orders)) {
		o := f.Orders[k]
		dst = wire.AppendText(dst, k)
		dst = appendStamp(dst, o.At)
		dst = wire.AppendInt(dst, o.Micros)
		dst = wire.AppendText(dst, o.Currency)
	}
	dst = appendLast(dst, &f.Device, deviceTexts)
	dst = appendLast(dst, &f.Geo, geoTexts)
	dst = wire.AppendUint(dst, uint64(f.Geo.Value.ASN))
	dst = appendLast(dst, &f.Traffic, trafficTexts)
	dst = appendLast(dst, &f.Touch, trafficTexts)
	dst = appendLast(dst, &f.Arrival, trafficTexts)
	dst = appendLast(dst, &f.Site, itself)
	dst = wire.AppendInt(dst, f.Returns)
	dst = wire.AppendUint(dst, uint64(len(f.Consent)))
	for _, c := range f.Consent {
		dst = append(wire.AppendText(dst, c.Purpose), flag(c.Granted))
		dst = appendStamp(dst, c.At)
	}
	dst = wire.AppendUint(dst, uint64(len(f.Seen)))
	for i := range f.Seen {
		dst = f.Seen[i].append(dst)
	}
	dst = wire.AppendUint(dst, uint64(f.Computed.Len()))
	for i := range f.Computed.Len() {
		dst = f.Computed.at(i).append(dst, f.Last)
	}
	return dst
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func itself(s *string) texts { return texts{s} }

func appendStamp(dst []byte, s Stamp) []byte {
	return wire.AppendUint(wire.AppendInt(dst, s.Time), s.Tie)
}

func appendLast[T comparable](dst []byte, l *Last[T], of func(*T) texts) []byte {
	if !l.Set {
		return append(dst, 0)
	}
	dst = appendStamp(append(dst, 1), l.At)
	for _, s := range of(&l.Value) {
		if s != nil {
			dst = wire.AppendText(dst, *s)
		}
	}
	return dst
}

func (x *Exposure) append(dst []byte) []byte {
	dst = wire.AppendText(wire.AppendText(dst, x.Placement), x.Variant)
	dst = append(dst, flag(x.Holdout))
	dst = wire.AppendInt(wire.AppendInt(dst, x.First), x.Count)
	return appendTimes(dst, x.Times)
}

func appendTimes(dst []byte, list []int64) []byte {
	dst = wire.AppendUint(dst, uint64(len(list)))
	prev := int64(0)
	for _, t := range list {
		dst = wire.AppendInt(dst, t-prev)
		prev = t
	}
	return dst
}

func readTimes(r *wire.Reader, most int) []int64 {
	n := r.Count()
	if n > most {
		r.Fail()
	}
	if n == 0 || r.Bad() {
		return nil
	}
	list := make([]int64, n)
	prev := int64(0)
	for i := range list {
		if list[i] = prev + r.Int(); i > 0 && list[i] <= prev {
			r.Fail()
		}
		prev = list[i]
	}
	return list
}

// AppendBinary appends the series' record: equal series give equal bytes, in
// whatever pieces they are kept. The slot is the Set's and not written.
func (s Series) AppendBinary(dst []byte) []byte { return s.append(dst, 0) }

// How a series is kept stands in one byte with its form.
const (
	formBits    = 7
	isFilled    = 1 << 3
	isInSeconds = 1 << 4 // the window is of whole seconds, and so told
	isUsual     = 1 << 5 // the width is what usualWidth says of the window
	knownBits   = formBits | isFilled | isInSeconds | isUsual
)

// usualWidth is a 96th of the window, in ms, but a second at least.
func usualWidth(window int64) int64 { return max(1000, window/96+min(1, window%96)) }

// append writes the newest contribution's time by how far it is before the time near.
func (s Series) append(dst []byte, near int64) []byte {
	how, back := byte(s.Form()), s.words[window]
	if s.Filled() {
		how |= isFilled
	}
	if back%1000 == 0 {
		how, back = how|isInSeconds, back/1000
	}
	usual := s.width() == usualWidth(s.words[window])
	if usual {
		how |= isUsual
	}
	dst = append(wire.AppendUint(dst, uint64(s.ID)), how)
	dst = wire.AppendUint(dst, uint64(back))
	if !usual {
		dst = wire.AppendUint(dst, uint64(s.width()))
	}
	dst = wire.AppendUint(dst, uint64(s.most()))
	dst = wire.AppendInt(dst, near-s.words[last])
	switch s.Form() {
	case Total:
		t := s.tally()
		return t.append(dst)
	case Tallies:
		return s.appendTallies(dst)
	case Recent:
		return s.appendRecent(dst)
	case Newest, Oldest:
		return s.appendValues(dst)
	case Moments:
		return s.appendMoments(dst)
	}
	panic("facet: a series without a form")
}

// Decode reads a record that AppendBinary made. The facet's texts are windows
// into record.
func Decode(record string) (*Facet, error) {
	f := new(Facet)
	if err := DecodeInto(f, record); err != nil {
		return nil, err
	}
	return f, nil
}

// DecodeInto is Decode for who reads many records and keeps none: into the memory of a
// facet that nobody has any more, nor a profile of it. After an error there is nothing
// in it but that memory.
func DecodeInto(f *Facet, record string) error {
	f.empty()
	r := wire.NewReader(record)
	version := r.Byte()
	if version < oneLogVersion || version > codecVersion {
		return fmt.Errorf("%w: version %d; this program reads versions %d to %d", ErrCorrupt, version, oneLogVersion, codecVersion)
	}
	kept := f.Computed
	f.Computed, f.Key.Origin = nil, 1
	f.Key.Trust = id.Trust(r.Byte())
	f.Key.AnonymousID, f.Key.UserID = r.Text(), r.Text()
	if version > oneLogVersion {
		origin := r.Uint()
		if f.Key.Origin = uint16(origin); uint64(f.Key.Origin) != origin {
			return ErrCorrupt
		}
	}
	for _, n := range [...]*int64{&f.First, &f.Last, &f.Events, &f.Pageviews, &f.BotEvents} {
		*n = r.Int()
	}
	if version > togetherVersion {
		f.BotPageviews = r.Int()
	}
	f.Visits.Older = r.Int()
	if version > togetherVersion {
		f.Earlier = r.Byte() == 1
	}
	prev := int64(0)
	for range r.Count() {
		start := prev + r.Int()
		prev = start + r.Int()
		f.Visits.Spans = append(f.Visits.Spans, Span{start, prev})
	}
	if n := r.Count(); n > 0 {
		if f.Traits == nil {
			f.Traits = make(map[string]Trait, n)
		}
		for range n {
			name := r.Text()
			t := Trait{Value: event.Value(r.Text()), At: readStamp(r)}
			t.Trust, t.Source = id.Trust(r.Byte()), event.Source(r.Byte())
			t.Site = r.Text()
			f.Traits[name] = t
		}
	}
	if n := r.Count(); n > 0 {
		if f.Orders == nil {
			f.Orders = make(map[string]Order, n)
		}
		for range n {
			k := r.Text()
			f.Orders[k] = Order{At: readStamp(r), Micros: r.Int(), Currency: r.Text()}
		}
	}
	device := deviceTexts
	if version <= togetherVersion {
		device = deviceTexts2
	}
	readLast(r, &f.Device, device)
	readLast(r, &f.Geo, geoTexts)
	f.Geo.Value.ASN = uint32(r.Uint())
	readLast(r, &f.Traffic, trafficTexts)
	if version > togetherVersion {
		readLast(r, &f.Touch, trafficTexts)
	}
	readLast(r, &f.Arrival, trafficTexts)
	readLast(r, &f.Site, itself)
	if version > namedVersion {
		f.readFour(r, kept)
	} else {
		for range r.Count() {
			passSeries3(r)
		}
	}
	if !r.Done() {
		return ErrCorrupt
	}
	if version <= togetherVersion {
		f.upgrade()
	}
	return nil
}

// empty takes all out of a facet, but leaves the memory that the next one may use.
func (f *Facet) empty() {
	const usual = 64 // entries of a map; clearing a large one takes long
	was := *f
	*f = Facet{Visits: Visits{Spans: was.Visits.Spans[:0]}, Consent: was.Consent[:0], Seen: was.Seen[:0]}
	if len(was.Traits) <= usual && !was.lent {
		clear(was.Traits)
		f.Traits = was.Traits
	}
	if len(was.Orders) <= usual {
		clear(was.Orders)
		f.Orders = was.Orders
	}
	if k := was.Computed; k != nil && k.out.Load() == 0 {
		k.index, k.words, k.texts, k.hashes = k.index[:0], k.words[:0], k.texts[:0], k.hashes[:0]
		f.Computed = k
	}
}

// upgrade makes the best of a facet of version 2. Of a facet that only people or
// only robots contributed to nothing is lost, nor of a touch that is the latest.
func (f *Facet) upgrade() {
	f.Events -= f.BotEvents
	switch {
	case f.Events == 0:
		f.BotPageviews, f.Pageviews, f.Visits = f.Pageviews, 0, Visits{}
	case f.BotEvents > 0:
		f.Earlier = true
	}
	if !f.Traffic.Set || f.Traffic.Value.Channel != event.Direct {
		f.Touch = f.Traffic
		return
	}
	f.Earlier = true
	if f.Arrival.Value.Channel != event.Direct { // the one other that is known
		f.Touch = f.Arrival
	}
}

func readStamp(r *wire.Reader) Stamp { return Stamp{Time: r.Int(), Tie: r.Uint()} }

func readLast[T comparable](r *wire.Reader, l *Last[T], of func(*T) texts) {
	if r.Byte() != 1 {
		return
	}
	l.Set, l.At = true, readStamp(r)
	for _, s := range of(&l.Value) {
		if s != nil {
			*s = r.Text()
		}
	}
}

// readFour reads what version 4 brought.
func (f *Facet) readFour(r *wire.Reader, kept *Kept) {
	f.Returns = r.Int()
	if n := min(r.Count(), maxPurposes); n > 0 {
		f.Consent = slices.Grow(f.Consent, n)
		for i := range n {
			c := Choice{Purpose: r.Text(), Granted: r.Byte() == 1, At: readStamp(r)}
			if i > 0 && f.Consent[i-1].Purpose >= c.Purpose {
				r.Fail()
			}
			f.Consent = append(f.Consent, c)
		}
	}
	if n := min(r.Count(), maxExposures); n > 0 {
		f.Seen = slices.Grow(f.Seen, n)
		for i := range n {
			x := Exposure{Placement: r.Text(), Variant: r.Text(), Holdout: r.Byte() == 1, First: r.Int(), Count: r.Int(), Times: readTimes(r, maxExposureTimes)}
			if i > 0 && f.Seen[i-1].compare(&x) >= 0 {
				r.Fail()
			}
			f.Seen = append(f.Seen, x)
		}
	}
	if n := r.Count(); n > 0 {
		f.Computed = readKept(r, n, f.Last, kept)
	}
}

// readKept reads n series, into the memory of an empty k if there is one.
func readKept(r *wire.Reader, n int, near int64, k *Kept) *Kept {
	if k == nil {
		k = &Kept{index: make([]indexed, 0, min(n, MaxComputed)), words: make([]int64, 0, 16*min(n, MaxComputed))}
	}
	for i := range n {
		k.readSeries(r, i, near)
		if r.Bad() || i > 0 && k.index[i-1].id >= k.index[i].id {
			r.Fail()
			return nil
		}
	}
	k.tidied = len(k.texts)
	return k
}

// readSeries reads the i-th series, behind all others.
func (k *Kept) readSeries(r *wire.Reader, i int, near int64) {
	num, how := r.Uint(), r.Byte()
	form, back := Form(how&formBits), r.Uint()
	if how&isInSeconds != 0 && back <= math.MaxInt64/1000 {
		back *= 1000
	}
	breadth := usualWidth(int64(back))
	if how&isUsual == 0 {
		breadth = int64(r.Uint())
	}
	most, newest := r.Uint(), near-r.Int()
	if form < Total || form > Moments || num > math.MaxUint32 || most > math.MaxUint16 || int64(back) < 0 || breadth < 0 || how&^knownBits != 0 {
		r.Fail()
		form = Total
	}
	k.begin(i, uint32(num), form)
	w := k.at(i).words
	w[head] |= int64(uint16(most)) << mostShift
	if how&isFilled != 0 {
		w[head] |= isFilledBit
	}
	w[last], w[window], w[width] = newest, int64(back), breadth
	switch form {
	case Total:
		k.at(i).addTotal(readTally(r))
	case Tallies:
		k.readTallies(r, i)
	case Recent:
		k.readRecent(r, i)
	case Newest, Oldest:
		k.readValues(r, i)
	case Moments:
		k.readMoments(r, i)
	}
	k.index[i].used = uint32(len(k.words)) - k.index[i].at
}

// passSeries3 reads over a series of version 3 and before: its name, width, number
// of buckets, and by key the buckets with what was counted in them.
func passSeries3(r *wire.Reader) {
	r.Text()
	r.Int()
	r.Int()
	for range r.Count() {
		r.Text()
		for range r.Count() {
			r.Int()
			r.Int()
		}
	}
}
