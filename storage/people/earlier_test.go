package people_test

import (
	"bytes"
	"context"
	"log/slog"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/people"
	"github.com/reuna/reuna/storage/record"
	"github.com/reuna/reuna/storage/verify"
)

// rewrite stores each facet with what change makes of it.
func (w *world) rewrite(change func(f *facet.Facet)) {
	w.t.Helper()
	packer, err := record.NewPacker()
	w.must(err)
	b := w.db.NewBatch()
	lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.Facet))
	w.must(w.db.Iter(lower, upper, func(k, v []byte) (bool, error) {
		k = bytes.Clone(k)
		key, err := w.options.Vault.FacetKey([16]byte(k[1:17]), false, nil)
		w.must(err)
		plain, err := key.Open(nil, v, k)
		w.must(err)
		f, applied, err := verify.ReadFacet(packer, plain)
		w.must(err)
		change(f)
		b.Set(k, key.Seal(nil, f.AppendBinary(record.AppendUvarint([]byte{1}, applied)), k))
		return true, nil
	}))
	w.must(b.Commit(true))
}

// TestFacetsOfAnEarlierVersion: what it did not keep apart is no difference, and
// is put right when asked for; what it counted wrongly is one.
func TestFacetsOfAnEarlierVersion(t *testing.T) {
	clock := int64(1_700_000_000_000 + 1_000_000)
	w := openAt(t, vfs.NewCrashableMem(), 0, &clock)
	robot := msg(2, event.Page, "a1", "")
	robot.Bot.Is = true
	mail := msg(0, event.Page, "a1", "")
	mail.Traffic = event.Traffic{Channel: "Email", Source: "news"}
	direct := msg(3, event.Page, "a1", "")
	direct.Traffic.Channel = event.Direct
	w.send(mail, msg(1, event.Page, "a1", ""), robot, direct, msg(4, event.Page, "a2", ""))
	w.must(w.Checkpoint())
	rebuild := func(replace bool) *people.Rebuilt {
		t.Helper()
		scratch, err := engine.Open(engine.Options{Dir: "scratch", FS: vfs.NewMem(), Logger: slog.New(slog.DiscardHandler)})
		w.must(err)
		r, err := people.Rebuild(context.Background(), people.RebuildOptions{Options: w.options, Scratch: scratch, Replace: replace})
		w.must(err)
		w.must(scratch.Close())
		return r
	}
	old := func(more int64) {
		w.rewrite(func(f *facet.Facet) {
			if f.BotEvents == 0 {
				return
			}
			f.Pageviews, f.BotPageviews, f.Earlier = f.Pageviews+f.BotPageviews+more, 0, true
			f.Visits.Add(robot.Timestamp)
			f.Touch = facet.Last[event.Traffic]{}
		})
	}
	old(0)
	w.verified()
	if r := rebuild(false); r.Total != 0 || r.Earlier != 1 || r.Replaced != 0 {
		t.Errorf("%+v", r)
	}
	if r := rebuild(true); r.Total != 0 || r.Earlier != 1 || r.Replaced != 1 {
		t.Errorf("replacing: %+v", r)
	}
	if r := rebuild(false); r.Total != 0 || r.Earlier != 0 {
		t.Errorf("after it: %+v", r)
	}
	w = w.crash(rand.New(rand.NewPCG(1, 4)))
	if p := w.person(device("a1")).Profile; p.Pageviews != 3 || p.BotPageviews != 1 || p.LastTouch.Source != "news" {
		t.Errorf("%+v", p)
	}
	old(1)
	if r := rebuild(false); r.Total != 1 || r.Earlier != 0 {
		t.Errorf("one page view more: %+v", r)
	}
}
