package facet

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/wire"
)

// older is a facet as the programs before version 3 had it: one count of events
// and one of page views for people and robots, visits of both, no touch.
func older(events []event.Event) *Facet {
	f := fold(events)
	f.Events, f.Pageviews, f.Visits = 0, 0, Visits{}
	for i := range events {
		e := &events[i]
		f.Events++
		if e.Type == event.Page || e.Type == event.Screen {
			f.Pageviews++
		}
		f.Visits.Add(e.Timestamp)
	}
	return f
}

// appendOld writes version 1 or 2, as programs did before version 3.
func (f *Facet) appendOld(version byte) []byte {
	dst := append([]byte{version}, byte(f.Key.Trust))
	dst = wire.AppendText(dst, f.Key.AnonymousID)
	dst = wire.AppendText(dst, f.Key.UserID)
	if version > 1 {
		dst = wire.AppendUint(dst, uint64(f.Key.Origin))
	}
	for _, n := range [...]int64{f.First, f.Last, f.Events, f.Pageviews, f.BotEvents, f.Visits.Older} {
		dst = wire.AppendInt(dst, n)
	}
	dst = wire.AppendUint(dst, uint64(len(f.Visits.Spans)))
	prev := int64(0)
	for _, s := range f.Visits.Spans {
		dst = wire.AppendInt(wire.AppendInt(dst, s.Start-prev), s.End-s.Start)
		prev = s.End
	}
	dst = wire.AppendUint(dst, uint64(len(f.Traits)))
	for _, name := range slices.Sorted(maps.Keys(f.Traits)) {
		t := f.Traits[name]
		dst = wire.AppendText(wire.AppendText(dst, name), string(t.Value))
		dst = append(appendStamp(dst, t.At), byte(t.Trust), byte(t.Source))
		dst = wire.AppendText(dst, t.Site)
	}
	dst = wire.AppendUint(dst, uint64(len(f.Orders)))
	for _, k := range slices.Sorted(maps.Keys(f.Orders)) {
		o := f.Orders[k]
		dst = appendStamp(wire.AppendText(dst, k), o.At)
		dst = wire.AppendText(wire.AppendInt(dst, o.Micros), o.Currency)
	}
	dst = appendLast(dst, &f.Device, deviceTexts2)
	dst = appendLast(dst, &f.Geo, geoTexts)
	dst = wire.AppendUint(dst, uint64(f.Geo.Value.ASN))
	dst = appendLast(dst, &f.Traffic, trafficTexts)
	dst = appendLast(dst, &f.Arrival, trafficTexts)
	dst = appendLast(dst, &f.Site, itself)
	// A count of two buckets and an affinity without any, as they were until version 3.
	dst = wire.AppendUint(dst, 2)
	dst = append(dst, "\x08n@123456\x02\x04\x01\x00\x02\x02\x02\x02\x06"+"\x08a@123456\x02\x04\x00"...)
	return dst
}

func decode(t *testing.T, record []byte) *Facet {
	t.Helper()
	f, err := Decode(string(record))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestOldRecords: what a version wrote stays readable for ever, and of what only
// people or only robots sent, the record of before says all that ours does.
func TestOldRecords(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 8))
		events := history(r, "a1", "u1", id.Verified, 1+r.IntN(20))
		for i := range events {
			e := &events[i]
			e.Device.Language, e.Device.Timezone, e.Device.Screen = "", "", ""
			switch seed % 3 {
			case 0:
				e.Bot = event.Bot{}
			case 1:
				e.Bot = event.Bot{Is: true}
			}
		}
		want := fold(events)
		want.Computed = nil // it is made anew from the log
		for version := byte(1); version <= 2; version++ {
			got := decode(t, older(events).appendOld(version))
			direct := want.Traffic.Value.Channel == event.Direct
			mixed := want.Events > 0 && want.BotEvents > 0
			if got.Earlier != (direct || mixed) {
				t.Fatalf("seed %d, version %d: earlier %v of %+v", seed, version, got.Earlier, want)
			}
			if got.Events != want.Events || got.BotEvents != want.BotEvents || got.Pageviews+got.BotPageviews != want.Pageviews+want.BotPageviews {
				t.Fatalf("seed %d, version %d: counts %+v\nwant %+v", seed, version, got, want)
			}
			if direct { // the touch may be another one, but is never none when there was one first
				if got.Touch.Value.Channel == event.Direct || got.Arrival.Value.Channel != event.Direct && got.Touch != got.Arrival {
					t.Fatalf("seed %d, version %d: touch %+v", seed, version, got.Touch)
				}
				got.Touch = want.Touch
			}
			if mixed {
				got.Pageviews, got.BotPageviews, got.Visits = want.Pageviews, want.BotPageviews, want.Visits
			}
			got.Earlier = false
			if !bytes.Equal(got.AppendBinary(nil), want.AppendBinary(nil)) {
				t.Fatalf("seed %d, version %d: reads as\n%+v\nwant\n%+v", seed, version, got, want)
			}
		}
	}
}

// TestEarlierLasts: that some counts are of both is not forgotten by writing.
func TestEarlierLasts(t *testing.T) {
	f := &Facet{Key: Key{"a", "u", id.Verified, 1}, Events: 3, BotEvents: 2, Pageviews: 3, Earlier: true}
	if got := decode(t, f.AppendBinary(nil)); !reflect.DeepEqual(got, f) {
		t.Errorf("reads back as %+v", got)
	}
	if got := decode(t, (&Facet{Events: 3, BotEvents: 2, Pageviews: 3}).appendOld(2)); !got.Earlier || got.Events != 1 || got.Pageviews != 3 {
		t.Errorf("reads as %+v", got)
	}
}

func TestOriginsAreWhatTheyCanBe(t *testing.T) {
	f := &Facet{Key: Key{"a", "u", id.Verified, 1}, Events: 7}
	now := f.AppendBinary(nil)
	at := len("\x04\x02\x01a\x01u") // version, trust, and each text after its length
	if now[0] != codecVersion || now[at] != 1 {
		t.Fatalf("record %q has no origin where it should be", now)
	}
	if _, err := Decode("\x04\x02\x01a\x01u\x80\x80\x04" + string(now[at+1:])); err == nil {
		t.Error("origin 65,536 was taken")
	}
	for _, version := range []byte{0, codecVersion + 1} {
		now[0] = version
		if _, err := Decode(string(now)); err == nil || !strings.Contains(err.Error(), fmt.Sprint("version ", version)) {
			t.Errorf("version %d: %v", version, err)
		}
	}
}

// TestACountIsSmall: a series of counts, in memory and in its record.
func TestACountIsSmall(t *testing.T) {
	const points, many, each = 20, 100, 20
	made := make([]Partial, many)
	var before, after runtime.MemStats
	add := func(p *Partial) {
		for i := range uint32(each) {
			spec := &Spec{ID: 200 + i, Form: Tallies, Window: 30 * day, Width: usualWidth(30 * day), Most: 128}
			for j := range int64(points) {
				p.Add(&Contribution{Spec: spec, At: 1_700_000_000_000 + j*60_000, Tally: Tally{N: 1}})
			}
		}
	}
	shared := new(copies)
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range made {
		made[i].copies = shared
		add(&made[i])
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if n := int64(after.HeapAlloc-before.HeapAlloc) / many / each; n > 400 {
		t.Errorf("%d bytes of memory", n)
	}
	if n := (int64(after.HeapObjects) - int64(before.HeapObjects)) / many; n > 4 {
		t.Errorf("%d objects", n)
	}
	f := &Facet{Last: made[0].kept.at(0).Last(), Computed: made[0].kept}
	if n := len(f.AppendBinary(nil)) - len((&Facet{Last: f.Last}).AppendBinary(nil)); n > each*(14+2*points) {
		t.Errorf("a record of %d bytes", n)
	}
	if got := decode(t, f.AppendBinary(nil)); !bytes.Equal(written(got.Computed.All()), written(f.Computed.All())) {
		t.Error("it does not come back")
	}
}
