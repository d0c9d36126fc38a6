package facet

import (
	"fmt"
	"testing"

	"github.com/reuna/reuna/identity/event"
)

// shop are fifty series such as a shop has, and an event that adds to twenty of them.
func shop() (rules *Rules, e *event.Event) {
	categories := []string{"thrillers", "crime", "fantasy", "cooking", "travel", "poetry"}
	var list []*Spec
	for i := range 50 {
		s := &Spec{ID: uint32(i + 1), Slot: uint16(i), Form: Tallies, Window: 30 * day, Width: usualWidth(30 * day), Most: 128}
		switch i % 10 {
		case 5:
			s.Form, s.Window, s.Width, s.Most = Total, 0, 0, 0
		case 6:
			s.Form, s.Width, s.Most = Newest, 0, 10
		case 7:
			s.Form, s.Width, s.Most = Recent, 0, 20
		case 8:
			s.Width, s.Most = day, 0
		case 9:
			s.Form, s.Window, s.Width = Moments, 0, 0
		}
		list = append(list, s)
	}
	n := 0
	rules = &Rules{Contribute: func(e *event.Event, _ uint64, add func(*Contribution)) {
		n++
		c := Contribution{At: e.Timestamp, Mark: e.Timestamp}
		for i, s := range list {
			if (n+i/5)%5 > 1 {
				continue
			}
			c.Spec, c.Key, c.Tally = s, "", Tally{N: 1}
			switch i % 10 {
			case 3:
				c.Tally = One(int64(n) * 990_000)
			case 4, 6, 7, 8:
				c.Key = categories[n%len(categories)]
			}
			add(&c)
		}
	}}
	return rules, &event.Event{Type: event.Track, Name: "Product Viewed", Timestamp: 1_700_000_000_000, MessageID: "m", Device: event.Device{Type: "mobile"}}
}

func visited(events int) (*Facet, *Rules, *event.Event) {
	rules, e := shop()
	f := &Facet{}
	for i := range events {
		e.Timestamp += 20_000 + int64(i%7)*9_000
		f.Fold(e, 1, rules)
	}
	return f, rules, e
}

// BenchmarkSeries folds events into fifty series, twenty an event, with as many events
// between the profiles that share them.
func BenchmarkSeries(b *testing.B) {
	for _, every := range []int{1, 20, 1 << 60} {
		b.Run(fmt.Sprint("joined every ", every), func(b *testing.B) {
			f, rules, e := visited(100)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				e.Timestamp += 20_000
				f.Fold(e, 1, rules)
				if i%every == every-1 {
					Join([]*Facet{f})
				}
			}
		})
	}
}

func BenchmarkAppendBinary(b *testing.B) {
	f, _, _ := visited(100)
	buf := f.AppendBinary(nil)
	b.ReportAllocs()
	for b.Loop() {
		buf = f.AppendBinary(buf[:0])
	}
	b.ReportMetric(float64(len(buf)), "B/record")
}

func BenchmarkDecode(b *testing.B) {
	f, _, _ := visited(100)
	record := string(f.AppendBinary(nil))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(record); err != nil {
			b.Fatal(err)
		}
	}
}
