package people_test

import (
	"bytes"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/people"
	"github.com/reuna/reuna/storage/vault"
)

// world is a store on a file system in memory that can lose its power.
type world struct {
	t     *testing.T
	fs    *vfs.MemFS
	hold  int
	clock *int64 // ms; shared by what is compared
	now   func() int64
	seed  uint64
	tune  func(*people.Options) // nil: as they are

	options people.Options

	db  *engine.DB
	log *eventlog.Log
	*people.Store
}

var (
	seeds     = flag.Int("seeds", 20, "how many seeds TestPowerCutsLoseNothing runs")
	firstSeed = flag.Uint64("seed", 0, "the first of them")
)

var master = bytes.Repeat([]byte{7}, 32)

func open(t *testing.T, fs *vfs.MemFS, hold int) *world {
	t.Helper()
	now := time.Now().UnixMilli()
	return openAt(t, fs, hold, &now)
}

func openAt(t *testing.T, fs *vfs.MemFS, hold int, clock *int64) *world {
	t.Helper()
	w := &world{t: t, fs: fs, hold: hold, clock: clock, now: func() int64 { return atomic.LoadInt64(clock) }}
	return w.openIn(fs, "data")
}

// openTuned is open with other options.
func openTuned(t *testing.T, fs *vfs.MemFS, hold int, clock *int64, tune func(*people.Options)) *world {
	t.Helper()
	w := &world{t: t, fs: fs, hold: hold, clock: clock, now: func() int64 { return atomic.LoadInt64(clock) }, tune: tune}
	return w.openIn(fs, "data")
}

func (w *world) openIn(fs vfs.FS, dir string) *world {
	t := w.t
	t.Helper()
	now := func() time.Time { return time.UnixMilli(w.now()) }
	quiet := slog.New(slog.DiscardHandler)
	var err error
	if w.db, err = engine.Open(engine.Options{Dir: dir, FS: fs, Logger: quiet}); err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(w.db, master)
	if err != nil {
		t.Fatal(err)
	}
	if w.log, err = eventlog.Open(w.db, v, eventlog.Options{MinFree: -1, Logger: quiet, Now: now, MaxBlock: 2000}); err != nil {
		t.Fatal(err)
	}
	w.options = people.Options{
		DB: w.db, Vault: v, Log: w.log, Types: id.Default(), Hold: w.hold, Every: time.Hour, Logger: quiet,
		Now: now, SettleEvery: -1, SliceBytes: 3000, ChunkBytes: 700,
		Rules: facet.Rules{Contribute: func(e *event.Event, _ uint64, add func(*facet.Contribution)) {
			add(&facet.Contribution{Spec: &facet.Spec{ID: 1, Form: facet.Tallies, Window: 90e9, Width: 1e9}, At: e.Timestamp, Key: e.Type.String(), Tally: facet.Tally{N: 1}})
		}},
	}
	if w.tune != nil {
		w.tune(&w.options)
	}
	w.Store, err = people.Open(w.options, nil)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// close ends the world in order.
func (w *world) close() {
	w.t.Helper()
	for _, end := range []func() error{w.Store.Close, w.log.Close, w.db.Close} {
		if err := end(); err != nil {
			w.t.Fatal(err)
		}
	}
}

// crash gives the world that a power cut leaves: what was synced, and of the
// rest what chance keeps. The old one is then closed for the sake of its
// goroutines.
func (w *world) crash(r *rand.Rand) *world {
	w.t.Helper()
	after := w.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: r.IntN(101), RNG: r})
	w.close()
	x := openTuned(w.t, after, w.hold, w.clock, w.tune)
	x.seed = w.seed
	return x
}

// excluded is the class of robots whose events these tests keep out of profiles.
const excluded = "excluded"

// send does what a request does with its events; it says which were new.
func (w *world) send(events ...event.Event) (fresh int) {
	items := make([]people.Item, len(events))
	for i := range events {
		if w.Prepare(&items[i], &events[i], false); events[i].Bot.Class == excluded {
			items[i].Exclude()
		}
	}
	tx, err := w.Begin(items, "", false)
	if err != nil {
		w.t.Error(err)
		return 0
	}
	for i := range items {
		if tx.Duplicate(&items[i]) {
			continue
		}
		fresh++
		tx.Resolve(&items[i])
		tx.Fold(&items[i], tx.Append(&items[i]))
	}
	if err := tx.End().Wait(); err != nil {
		w.t.Error(err)
	}
	return fresh
}

func msg(n int, kind event.Type, anonymous, user string) event.Event {
	at := int64(1_700_000_000_000 + n*1000)
	return event.Event{Type: kind, Site: "shop", Trust: id.Verified, MessageID: fmt.Sprint("m", n), AnonymousID: anonymous, UserID: user,
		Timestamp: at, ReceivedAt: at}
}

func user(u string) id.ID   { return id.ID{Type: id.UserID, Value: u} }
func device(a string) id.ID { return id.ID{Type: id.AnonymousID, Value: a} }

func (w *world) person(x id.ID) *people.Person {
	w.t.Helper()
	p, err := w.Person(x, id.VerifiedView)
	if err != nil {
		w.t.Fatalf("person %v: %v", x, err)
	}
	return p
}

// name is the public id that x would have as a representative.
func (w *world) name(x id.ID) string {
	w.t.Helper()
	name, err := w.PersonID(x)
	if err != nil {
		w.t.Fatal(err)
	}
	return name
}

func (w *world) timeline(p *people.Person) (ids []string) {
	w.t.Helper()
	var before people.Place
	for {
		next, err := w.Timeline(p.Facets, before, 3, func(_ people.Place, e *event.Event) error {
			ids = append(ids, e.MessageID)
			return nil
		})
		if err != nil {
			w.t.Fatal(w.seed, err)
		}
		if next == (people.Place{}) {
			slices.Reverse(ids)
			return ids
		}
		before = next
	}
}

func TestADeviceBecomesAUsers(t *testing.T) {
	w := open(t, vfs.NewMem(), 0)
	defer func() { w.close() }()
	w.send(msg(1, event.Page, "a1", ""), msg(2, event.Page, "a2", ""))
	w.send(msg(3, event.Identify, "a1", "u1"))
	w.send(msg(4, event.Identify, "a2", "u1"))
	if n := w.send(msg(4, event.Identify, "a2", "u1"), msg(4, event.Identify, "a2", "u1")); n != 0 {
		t.Errorf("a message that came again counted %d times more", n)
	}
	for _, restart := range []bool{false, true} {
		if restart {
			w.close()
			w = open(t, w.fs, 0)
		}
		p := w.person(user("u1"))
		if p.Profile.Events != 4 || p.Profile.Pageviews != 2 || len(p.Cluster.Members) != 3 {
			t.Errorf("restart %v: %+v of %v", restart, p.Profile, p.Cluster.Members)
		}
		for _, x := range []id.ID{device("a1"), device("a2")} {
			if q := w.person(x); q.ID != p.ID {
				t.Errorf("%v is %s, u1 is %s", x, q.ID, p.ID)
			}
		}
		if got := w.timeline(p); !slices.Equal(got, []string{"m1", "m2", "m3", "m4"}) {
			t.Errorf("timeline %v", got)
		}
		x, err := w.Named(p.ID)
		if err != nil || x != user("u1") {
			t.Errorf("%s names %v, %v", p.ID, x, err)
		}
		old, err := w.Named(w.name(device("a1")))
		if err != nil || w.person(old).ID != p.ID {
			t.Errorf("the id from before the login leads to %v, %v", old, err)
		}
		// The page of a1 without a session sees what it did anonymously.
		d, err := w.Device("a1")
		if err != nil || d.Profile.Events != 1 {
			t.Errorf("device sees %+v, %v", d, err)
		}
	}
	if _, err := w.Person(user("nobody"), id.AllView); err != people.ErrUnknown {
		t.Errorf("nobody: %v", err)
	}
	if _, err := w.Named("p_nonsense"); err != people.ErrUnknown {
		t.Errorf("nonsense: %v", err)
	}
}

func TestSessionsAndTokensOutliveACrash(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	w := open(t, vfs.NewCrashableMem(), 0)
	set := func(x people.Session) {
		tx, err := w.Begin(nil, "v1", false)
		if err != nil {
			t.Fatal(err)
		}
		tx.SetSession("v1", x, 1000)
		if err := tx.End().Wait(); err != nil {
			t.Fatal(err)
		}
	}
	token := w.TokenHash("shop", "j1")
	if ok, err := w.Redeem(token, 900); !ok || err != nil {
		t.Fatal(ok, err)
	}
	w.Unredeem(token) // the request was refused: the token is as good as before
	if ok, err := w.Redeem(token, 1000); !ok || err != nil {
		t.Fatal(ok, err)
	}
	set(people.Session{User: "u1", Until: 5000, Token: token})
	for range 3 {
		w = w.crash(r)
		x, err := w.Session("v1", false)
		if err != nil || x.Live(4999) != "u1" || x.Live(5000) != "" {
			t.Fatalf("session %+v, %v", x, err)
		}
		if ok, err := w.Redeem(token, 2000); ok || err != nil {
			t.Fatalf("a token was used twice: %v, %v", ok, err)
		}
		if err := w.Checkpoint(); err != nil {
			t.Fatal(err)
		}
	}
	set(people.Session{Revoked: true})
	w = w.crash(r)
	if x, _ := w.Session("v1", false); x.Live(2000) != "" || !x.Revoked {
		t.Errorf("after the reset: %+v", x)
	}
	w.close()
}

// TestWritersTogether: many goroutines, checkpoints and evictions under them.
func TestWritersTogether(t *testing.T) {
	w := open(t, vfs.NewMem(), 8)
	defer w.close()
	const writers, each = 16, 60
	var all sync.WaitGroup
	for g := range writers {
		all.Go(func() {
			for i := range each {
				w.send(msg(g*1000+i, event.Page, fmt.Sprint("a", i%12), ""))
				if i%20 == 0 {
					if err := w.Checkpoint(); err != nil {
						t.Error(err)
					}
				}
				if _, err := w.Device(fmt.Sprint("a", i%12)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	var total int64
	for i := range 12 {
		total += w.person(device(fmt.Sprint("a", i))).Profile.Events
	}
	if total != writers*each {
		t.Errorf("%d events, want %d", total, writers*each)
	}
	if st := w.Stats(); st.Evictions == 0 {
		t.Error("nothing was ever evicted: the test is too small")
	}
}

// TestAPanicInsideAChangeDoesNotHang: the lock is given back, and nothing is
// acknowledged any more.
func TestAPanicInsideAChangeDoesNotHang(t *testing.T) {
	w := open(t, vfs.NewMem(), 0)
	e := msg(1, event.Page, "a1", "")
	func() {
		defer func() {
			if recover() == nil {
				t.Fatal("no panic to test with")
			}
		}()
		items := make([]people.Item, 1)
		w.Prepare(&items[0], &e, false)
		tx, err := w.Begin(items, "", false)
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Release()
		panic("a fault in folding")
	}()
	if err := w.Healthy(); err == nil {
		t.Error("the store believes that all is well")
	}
	if _, err := w.Begin(nil, "", false); err == nil {
		t.Error("the store takes more")
	}
}

// TestAKioskStaysQuick crosses the bound where indexes begin, with a restart in
// the middle.
func TestAKioskStaysQuick(t *testing.T) {
	w := open(t, vfs.NewMem(), 0)
	for i := range 120 {
		if i == 70 {
			w.close()
			w = open(t, w.fs, 0)
		}
		w.send(msg(2*i, event.Identify, "kiosk", fmt.Sprint("u", i)), msg(2*i+1, event.Page, "kiosk", fmt.Sprint("u", i)))
	}
	for i := range 120 {
		if p := w.person(user(fmt.Sprint("u", i))); p.Profile.Events != 2 || len(p.Cluster.Members) != 1 {
			t.Fatalf("u%d: %d events, %v", i, p.Profile.Events, p.Cluster.Members)
		}
	}
	if p := w.person(device("kiosk")); !p.Cluster.Ambiguous || p.Profile.Events != 0 {
		t.Errorf("the kiosk itself: %+v of %+v", p.Profile, p.Cluster)
	}
	w.close()
}

// TestReadersAndWritersOfOneFacet is for the race detector: what a view gave
// out must not be what a fold writes to. Person ids must be found all along.
func TestReadersAndWritersOfOneFacet(t *testing.T) {
	w := open(t, vfs.NewMem(), 0)
	defer func() { w.close() }()
	w.send(msg(0, event.Page, "a1", ""))
	name := w.name(device("a1"))
	var all sync.WaitGroup
	all.Go(func() {
		for i := range 300 {
			w.send(msg(i+1, event.Track, "a1", ""))
			if err := w.Checkpoint(); err != nil {
				t.Error(err)
			}
		}
	})
	all.Go(func() {
		for range 300 {
			d, err := w.Device("a1")
			if err != nil {
				t.Error(err)
			}
			for _, s := range d.Profile.Computed.All() {
				s.Scores(nil, 1_800_000_000_000, 1_000_000, 0.01)
			}
			if _, err := w.Named(name); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	all.Wait()
}
