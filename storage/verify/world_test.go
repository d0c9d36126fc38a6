package verify_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/identity/trait/rule"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/people"
	"github.com/reuna/reuna/storage/vault"
	"github.com/reuna/reuna/storage/verify"
)

var (
	master = bytes.Repeat([]byte{7}, 32)
	quiet  = slog.New(slog.DiscardHandler)
)

// writer is a store that writes the folders of these tests.
type writer struct {
	t     testing.TB
	fs    *vfs.MemFS
	clock int64 // ms since 1970
	sent  int

	db    *engine.DB
	vault *vault.Vault
	log   *eventlog.Log
	*people.Store
}

const begin = int64(1_700_000_000_000) // 14 November 2023

func openFolder(t testing.TB, fs vfs.FS) (*engine.DB, *vault.Vault) {
	t.Helper()
	db, err := engine.Open(engine.Options{Dir: "data", FS: fs, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(db, master)
	if err != nil {
		t.Fatal(err)
	}
	return db, v
}

func openWriter(t testing.TB, fs *vfs.MemFS, clock int64) *writer {
	t.Helper()
	w := &writer{t: t, fs: fs, clock: clock}
	now := func() time.Time { return time.UnixMilli(w.clock) }
	w.db, w.vault = openFolder(t, fs)
	var err error
	w.log, err = eventlog.Open(w.db, w.vault, eventlog.Options{MinFree: -1, Logger: quiet, Now: now, MaxBlock: 2000})
	w.must(err)
	w.Store, err = people.Open(people.Options{
		DB: w.db, Vault: w.vault, Log: w.log, Types: id.Default(), Every: time.Hour, Logger: quiet,
		Now: now, SettleEvery: -1, SliceBytes: 3000, ChunkBytes: 700, Rules: facet.Rules{}, Judge: judge, JudgeByHand: true,
	}, nil)
	w.must(err)
	return w
}

// judge puts into audience 1 who did three things or more, and into 2 whose last was
// less than an hour ago.
func judge(x *people.Snapshot, now int64) *segment.Standing {
	st := &segment.Standing{Until: rule.Never}
	enter := func(a uint32) {
		m := segment.Member{Audience: a, Since: now}
		if since, ok := x.Standing.Since(a); ok {
			m.Since = since
		}
		st.In = append(st.In, m)
	}
	if x.Profile.Events > 2 {
		enter(1)
	}
	if end := x.Profile.Last + 3_600_000; now < end {
		enter(2)
		st.Until = end
	}
	return st
}

func (w *writer) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *writer) close() {
	w.t.Helper()
	for _, end := range []func() error{w.Store.Close, w.log.Close, w.db.Close} {
		w.must(end())
	}
}

// crash gives what a power cut leaves: what was synced, and of the rest what
// chance keeps.
func (w *writer) crash(r *rand.Rand) *writer {
	w.t.Helper()
	after := w.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: r.IntN(101), RNG: r})
	w.close()
	next := openWriter(w.t, after, w.clock)
	next.sent = w.sent
	return next
}

func (w *writer) send(kind event.Type, anonymous, user, traits string) {
	w.t.Helper()
	w.take(kind, anonymous, user, traits, event.Bot{}, false)
}

// robot sends what a robot did, which the site may keep out of profiles.
func (w *writer) robot(kind event.Type, anonymous, user string, excluded bool) {
	w.t.Helper()
	w.take(kind, anonymous, user, "", event.Bot{Is: true, Class: "headless"}, excluded)
}

func (w *writer) take(kind event.Type, anonymous, user, traits string, bot event.Bot, excluded bool) {
	w.t.Helper()
	w.sent++
	e := event.Event{
		Type: kind, Site: "shop", Trust: id.Verified, MessageID: fmt.Sprint("m", w.sent), AnonymousID: anonymous, UserID: user,
		Timestamp: w.clock, ReceivedAt: w.clock, Traits: event.Value(traits), Source: event.FromServer, Bot: bot,
	}
	items := make([]people.Item, 1)
	w.Prepare(&items[0], &e, false)
	if excluded {
		items[0].Exclude()
	}
	tx, err := w.Begin(items, "", false)
	w.must(err)
	defer tx.Release()
	if !tx.Duplicate(&items[0]) {
		tx.Resolve(&items[0])
		tx.Fold(&items[0], tx.Append(&items[0]))
	}
	w.must(tx.End().Wait())
}

func (w *writer) session(visitor, user string) {
	w.t.Helper()
	tx, err := w.Begin(nil, visitor, false)
	w.must(err)
	defer tx.Release()
	tx.SetSession(visitor, people.Session{User: user, Until: w.clock + 1e9, Token: [16]byte{1}}, w.clock)
	w.must(tx.End().Wait())
}

func (w *writer) refuse() {
	w.t.Helper()
	tx, err := w.Begin(nil, "", false)
	w.must(err)
	defer tx.Release()
	tx.Refuse(&people.Refused{Site: "shop", ReceivedAt: w.clock, Code: "bad", Message: "is bad", Raw: `{"userId":"nobody"}`})
	w.must(tx.End().Wait())
}

func (w *writer) erase(x id.ID) *people.Erasure {
	w.t.Helper()
	e, err := w.Erase(x, people.EraseRequest{View: id.AllView})
	w.must(err)
	return e
}

// minute moves the clock on.
func (w *writer) minutes(n int64) { w.clock += n * 60_000 }

// fill writes a folder that has something in every space: people with and
// without users, shared devices, sessions, refused messages, an operator's
// evidence, histories in two months, and somebody who was erased.
func (w *writer) fill() {
	w.t.Helper()
	for round := range 6 {
		if round == 3 {
			w.clock += 20 * 24 * 3_600_000 // into the next month
		}
		for n := range 8 {
			a, u := fmt.Sprint("a", n), fmt.Sprint("u", n)
			w.send(event.Page, a, "", "")
			w.minutes(3)
			if n%2 == 0 {
				w.send(event.Identify, a, u, fmt.Sprintf(`{"email":"%s@example.com"}`, u))
				w.session(a, u)
			}
			w.minutes(1)
			w.send(event.Track, a, "", "")
		}
		w.robot(event.Page, "a1", "", false)
		w.robot(event.Page, "a4", "u4", true)
		w.robot(event.Page, "r1", "", round%2 == 0)
		w.refuse()
		w.must(w.CatchUp(context.Background()))
		switch round {
		case 1:
			_, err := w.State(graph.Evidence{Kind: graph.Link, A: user("u0"), B: user("u2"), Trust: id.Admin})
			w.must(err)
		case 2:
			e := w.erase(user("u4"))
			w.must(w.Shred(context.Background(), e, nil))
			w.must(w.Finished(e, []byte("receipt")))
		case 4:
			w.must(w.Checkpoint())
			_, err := w.Settle(context.Background(), 30*time.Minute)
			w.must(err)
			_, err = w.State(graph.Evidence{Kind: graph.Cut, A: user("u0"), B: device("a1"), Trust: id.Admin})
			w.must(err)
		}
	}
}

func user(u string) id.ID   { return id.ID{Type: id.UserID, Value: u} }
func device(a string) id.ID { return id.ID{Type: id.AnonymousID, Value: a} }

// check verifies a folder that is open.
func check(t testing.TB, db *engine.DB, v *vault.Vault, clock int64, change func(*verify.Options)) verify.Report {
	t.Helper()
	o := verify.Options{DB: db, Vault: v, Types: id.Default(), Now: time.UnixMilli(clock)}
	if change != nil {
		change(&o)
	}
	report, err := verify.Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}
