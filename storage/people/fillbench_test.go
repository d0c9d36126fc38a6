package people_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/trait"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/people"
	"github.com/reuna/reuna/storage/vault"
)

var (
	fillPersons = flag.Int("fill.persons", 5000, "persons in the store that BenchmarkFill fills")
	fillEvents  = flag.Int("fill.events", 20, "events of each of them")
	fillBuyers  = flag.Int("fill.buyers", 4, "one person in so many buys something")
	fillShare   = flag.Float64("fill.share", 0, "of one processor that the fill may use; 0: the default")
	fillIdle    = flag.Duration("fill.idle", time.Second, "for how long small commits are timed before the fill")
)

// shop is a store in a real folder.
type shop struct {
	*people.Store
	db  *engine.DB
	log *eventlog.Log
	now int64
}

func openShop(t testing.TB, dir string, now int64, rules facet.Rules) *shop {
	t.Helper()
	return openShopTuned(t, dir, now, func(o *people.Options) { o.Rules = rules })
}

func openShopTuned(t testing.TB, dir string, now int64, tune func(*people.Options)) *shop {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	d := &shop{now: now}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	d.db, err = engine.Open(engine.Options{Dir: dir, Logger: quiet})
	must(err)
	v, err := vault.Open(d.db, master)
	must(err)
	clock := func() time.Time { return time.UnixMilli(d.now) }
	d.log, err = eventlog.Open(d.db, v, eventlog.Options{MinFree: -1, Logger: quiet, Now: clock})
	must(err)
	o := people.Options{DB: d.db, Vault: v, Log: d.log, Types: id.Default(), Logger: quiet, Now: clock, SettleEvery: -1}
	tune(&o)
	d.Store, err = people.Open(o, nil)
	must(err)
	return d
}

func (d *shop) close(t testing.TB) {
	for _, end := range []func() error{d.Store.Close, d.log.Close, d.db.Close} {
		if err := end(); err != nil {
			t.Fatal(err)
		}
	}
}

// sendAll takes events as requests do, and waits once.
func (d *shop) sendAll(t testing.TB, events []event.Event) {
	items := make([]people.Item, len(events))
	for i := range events {
		d.Prepare(&items[i], &events[i], false)
	}
	for list := range slices.Chunk(items, 64) {
		var tx people.Tx
		for {
			var err error
			if tx, err = d.Begin(list, "", false); err == nil {
				break
			}
			if err := d.Checkpoint(); err != nil { // it fell behind
				t.Fatal(err)
			}
		}
		for i := range list {
			if it := &list[i]; !tx.Duplicate(it) {
				tx.Resolve(it)
				tx.Fold(it, tx.Append(it))
			}
		}
		tx.End()
	}
	if err := d.log.Barrier().Wait(); err != nil {
		t.Fatal(err)
	}
}

// shopper is event n of a person: pages, and of some the last one is an order.
func shopper(person, n, of, buyers int, begin int64) event.Event {
	at := begin + int64(n)*int64(20*24*time.Hour/time.Millisecond)/int64(of) + int64(person%1000)*60_000
	e := event.Event{Type: event.Page, Name: "Product", Source: event.FromTag, Site: "shop", Trust: id.Claimed, MessageID: fmt.Sprintf("ajs-next-%d-%d", person, n),
		AnonymousID: fmt.Sprintf("a%d", person), Timestamp: at, ReceivedAt: at, IP: "198.51.100.0",
		Properties: event.Value(fmt.Sprintf(`{"path":"/books/thrillers/%d","title":"A book about %d","url":"https://shop.example/books/thrillers/%d"}`, n, n, n)),
		Context:    event.Value(`{"library":{"name":"reuna","version":"1"},"page":{"path":"/books"},"locale":"en-GB"}`),
		Device:     event.Device{Type: "desktop", OS: "Windows", OSVersion: "10", Browser: "Chrome", BrowserVersion: "140"},
		Geo:        event.Geo{Country: "FI", Region: "Uusimaa", City: "Helsinki"}, Traffic: event.Traffic{Channel: "Organic Search", Source: "google", Medium: "organic"}}
	if n == of-1 && person%buyers == 0 {
		e.Type, e.Name = event.Track, "Order Completed"
		e.Properties = event.Value(fmt.Sprintf(`{"order_id":"o%d","total":19.9,"currency":"EUR","products":[{"category":"thrillers","price":19.9}],"category":"thrillers"}`, person))
	}
	return e
}

// audienceTraits are what a new audience of buyers of the last 30 days needs.
func audienceTraits(t testing.TB, id uint32) *trait.Set {
	t.Helper()
	set, err := trait.Compile([]trait.Definition{{ID: id, Name: "orders", Kind: trait.Count, Event: "Order Completed", Where: "properties.category == 'thrillers'", Window: 30 * 24 * time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// BenchmarkFill fills one trait of a window of 30 days over settled histories and
// tells how quick that is, and how long small commits took meanwhile.
func BenchmarkFill(b *testing.B) {
	begin := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC).UnixMilli()
	dir := b.TempDir()
	d := openShop(b, dir, begin, facet.Rules{})
	var batch []event.Event
	for n := range *fillEvents { // as they come: everybody's first, then their second
		for person := range *fillPersons {
			if batch = append(batch, shopper(person, n, *fillEvents, *fillBuyers, begin)); len(batch) == 4096 {
				d.sendAll(b, batch)
				batch = batch[:0]
			}
		}
	}
	d.sendAll(b, batch)
	d.now = begin + int64(25*24*time.Hour/time.Millisecond)
	err := d.Checkpoint() // nothing settles that is not written
	if err == nil {
		_, err = d.Settle(context.Background(), time.Hour)
	}
	if err != nil {
		b.Fatal(err)
	}
	d.close(b)
	d = openShop(b, dir, d.now, facet.Rules{})
	defer func() { d.close(b) }()
	upTo := d.log.Durable()

	// Small commits, one after the other, at a fixed rate: who has to wait for the
	// fill shows here.
	stop, done := make(chan struct{}), make(chan []time.Duration)
	sent := atomic.Int64{}
	probe := func() {
		var took []time.Duration
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				done <- took
				return
			case due := <-tick.C:
				n := int(sent.Add(1))
				e := shopper(n%*fillPersons, 0, *fillEvents, *fillBuyers, d.now)
				e.MessageID = fmt.Sprint("live", n)
				d.sendAll(b, []event.Event{e})
				took = append(took, time.Since(due))
			}
		}
	}
	var idle, during []time.Duration
	events, spent := int64(0), time.Duration(0)
	for run := uint32(1); b.Loop(); run++ {
		b.StopTimer() // each run beside one of the same length without a fill
		go probe()
		time.Sleep(max(*fillIdle, spent/time.Duration(run)))
		stop <- struct{}{}
		idle = append(idle, <-done...)
		b.StartTimer()
		go probe()
		began, n := time.Now(), int64(0)
		err := d.Fill(context.Background(), people.FillOptions{Traits: audienceTraits(b, run), IDs: []uint32{run}, UpTo: upTo, Share: *fillShare,
			Progress: func(_ people.Hash, events int64, _ float64) error { n = events; return nil }})
		if err != nil {
			b.Fatal(err)
		}
		spent += time.Since(began)
		events += n
		stop <- struct{}{}
		during = append(during, <-done...)
	}
	b.ReportMetric(float64(events)/spent.Seconds(), "events/s")
	for name, list := range map[string][]time.Duration{"idle": idle, "fill": during} {
		slices.Sort(list)
		for _, p := range [...]int{50, 90, 99} {
			b.ReportMetric(float64(list[len(list)*p/100].Microseconds()), fmt.Sprintf("µs-p%d-%s", p, name))
		}
	}
}
