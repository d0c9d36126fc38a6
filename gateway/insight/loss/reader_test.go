package loss

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/wire"
	"github.com/reuna/reuna/storage/readers"
	"github.com/reuna/reuna/storage/readers/readerstest"
)

// folder is an open data folder.
type folder struct{ *readerstest.Folder }

func openFolder(t *testing.T, dir string) *folder {
	t.Helper()
	return &folder{readerstest.Open(t, dir, nil)}
}

func (f *folder) reader(t *testing.T, now func() time.Time) *Reader {
	t.Helper()
	r, err := Open(Options{DB: f.DB, Log: f.Log, Keys: f.Vault, Now: now, Logger: readerstest.Quiet, Every: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// has waits until the reader has everything, and compares its figures.
func (f *folder) has(t *testing.T, r *Reader, want ...string) {
	t.Helper()
	f.Wait(t, r.follower.UpTo)
	r.mu.Lock()
	defer r.mu.Unlock()
	if got := rows(r.book, 0); got != strings.Join(want, "\n") {
		t.Errorf("the figures are\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

// send has a page's message stand in the log.
func (f *folder) send(t *testing.T, context string, source event.Source, now int64) {
	t.Helper()
	e := event.Event{Type: event.Page, Source: source, MessageID: fmt.Sprint(f.Log.LastSeq()), AnonymousID: "a", ReceivedAt: now, Timestamp: now,
		Site: "shop", Context: event.Value(context), Device: event.Device{Browser: "Chrome"}}
	f.Append(t, e.AppendBinary([]byte{1, 0}), now)
}

// refuse has a refused message stand in it, as storage/FORMAT.md lays it out.
func (f *folder) refuse(t *testing.T, run, raw string, now int64) {
	t.Helper()
	entry := wire.AppendInt([]byte{2, 2, byte(event.FromTag)}, now)
	for _, s := range []string{"shop", "code", "", "message", raw, run} {
		entry = wire.AppendText(entry, s)
	}
	f.Append(t, entry, now)
}

func page(run string, seq int, path, more string) string {
	return fmt.Sprintf(`{"page":{"path":%q},"run":%q,"seq":%d%s}`, path, run, seq, more)
}

func TestReaderGoesOnWhereItWas(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	one, two := runID(begin, "one"), runID(begin+1, "two")
	now := func() time.Time { return at(begin + 1000) }
	f := openFolder(t, dir)
	f.send(t, page(one, 1, "/", ""), event.FromTag, begin)
	f.send(t, page(one, 2, "/", ""), event.FromSDK, begin) // no tag of ours
	f.Append(t, []byte{0}, begin)                          // erased
	f.refuse(t, one, `{"type":"nonsense","context":{"seq":3}}`, begin)
	r := f.reader(t, now)
	f.has(t, r, "shop Chrome / 3 2")
	f.send(t, page(two, 1, "/cart", fmt.Sprintf(`,"runs":[[%q,5,"/"],["bad"],7,[%q,"x"]]`, one, one)), event.FromTag, begin)
	f.has(t, r, "shop Chrome / 5 2", "shop Chrome /cart 1 1")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	f.Close(t)

	f = openFolder(t, dir)
	r = f.reader(t, now)
	f.has(t, r, "shop Chrome / 5 2", "shop Chrome /cart 1 1")
	f.send(t, page(one, 5, "/", ""), event.FromTag, begin)
	f.has(t, r, "shop Chrome / 5 3", "shop Chrome /cart 1 1")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	// What cannot be read begins anew, from the log.
	state, err := readers.Open(f.DB, f.Log, f.Vault, ReaderName)
	if err != nil {
		t.Fatal(err)
	}
	w := state.Begin()
	w.Set("b", []byte{99})
	if err := w.Commit(f.Log.Durable()); err != nil {
		t.Fatal(err)
	}
	state.Close()
	r = f.reader(t, now)
	f.has(t, r, "shop Chrome / 5 3", "shop Chrome /cart 1 1")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	f.Close(t)
}

// TestReaderThatWasAway: what the log gave up meanwhile is not taken for lost.
func TestReaderThatWasAway(t *testing.T) {
	f := openFolder(t, filepath.Join(t.TempDir(), "data"))
	now := func() time.Time { return at(begin + 10*slotMs) }
	old, young := runID(begin, "old"), runID(begin+5*slotMs, "young")
	f.send(t, page(old, 1, "/", ""), event.FromTag, begin)
	r := f.reader(t, now)
	f.has(t, r, "shop Chrome / 1 1")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for n := range 50 {
		f.send(t, page(old, 2+n, "/", ""), event.FromTag, begin+1000)
	}
	end := f.Log.Durable()
	f.send(t, page(old, 60, "/", ""), event.FromTag, begin+5*slotMs)
	f.send(t, page(young, 1, "/", ""), event.FromTag, begin+5*slotMs)
	if head, err := f.Log.Trim(end); err != nil || head < 10 {
		t.Fatalf("the log begins at %d, %v", head, err)
	}
	r = f.reader(t, now)
	f.has(t, r, "shop Chrome / 1 1")
	if r.State().Unjudged == 0 {
		t.Error("the old run was judged")
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	f.Close(t)
}

func TestReadReports(t *testing.T) {
	var list []string
	for i := range 2 * MaxReports {
		list = append(list, fmt.Sprintf(`["run%d",%d,"/"]`, i, i+1))
	}
	read := func(context string) []Report {
		var s Seen
		Read(&s, &event.Event{Source: event.FromTag, Context: event.Value(context)})
		return s.Reports
	}
	if got := read(`{"runs":[` + strings.Join(list, ",") + `]}`); len(got) != MaxReports || got[0] != (Report{"run0", 1, "/"}) {
		t.Errorf("%d reports, first %v", len(got), got[0])
	}
	for context, want := range map[string][]Report{
		`{}`:                                   nil,
		`{"runs":{}}`:                          nil,
		`{"runs":"x"}`:                         nil,
		`{"runs":[[],["a"],["a",0],["a",-1]]}`: nil,
		`{"runs":[["a",1.5],["a","1"],[1,1]]}`: nil,
		`{"runs":[["a",2],["b",3,4,5,[]]]}`:    {{"a", 2, ""}, {"b", 3, ""}},
		`{"runs":[["a",1e99]]}`:                {{"a", MaxSeq + 1, ""}},
	} {
		if got := read(context); !slices.Equal(got, want) {
			t.Errorf("%s gives %v, want %v", context, got, want)
		}
	}
}

// FuzzRead: whatever stands in a context or a refused message, the labels are
// plain text and the counts keep.
func FuzzRead(f *testing.F) {
	f.Add(page(runID(begin, "x"), 1, "/a", `,"runs":[["`+runID(begin, "y")+`",3,"/b"]]`), "Chrome")
	f.Add(`{"run":1,"seq":"x","page":[],"runs":[[[]]]}`, "")
	f.Fuzz(func(t *testing.T, text, browser string) {
		v, err := event.Check(text)
		if err != nil {
			return
		}
		var s Seen
		b := NewBook(10)
		if Read(&s, &event.Event{Source: event.FromTag, Site: "shop", ReceivedAt: begin, Context: v, Device: event.Device{Browser: browser}}) {
			b.Take(&s)
		}
		if ReadRefused(&s, "shop", event.FromTag, begin, runID(begin, "x"), text) {
			b.Take(&s)
		}
		for _, r := range b.Rows(at(0)) {
			if r.Received > r.Made || r.Browser != browserLabel(r.Browser) || strings.Trim(r.Page, "/abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.*") != "" {
				t.Errorf("row %v", r)
			}
		}
	})
}
