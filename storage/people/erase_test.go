package people_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/people"
)

// all is an age beyond which everything settles.
const all = -1 << 60

func (w *world) settle() people.Settled {
	w.t.Helper()
	w.must(w.Checkpoint())
	done, err := w.Settle(context.Background(), all)
	w.must(err)
	return done
}

func (w *world) erase(x id.ID) *people.Erasure {
	w.t.Helper()
	e, err := w.Erase(x, people.EraseRequest{View: id.AllView, Requested: *w.clock, Reason: "art. 17"})
	w.must(err)
	return e
}

func (w *world) refuse(raw string) {
	w.t.Helper()
	tx, err := w.Begin(nil, "", false)
	w.must(err)
	tx.Refuse(&people.Refused{Site: "shop", ReceivedAt: *w.clock, Code: "invalid_type", Raw: raw})
	w.must(tx.End().Wait())
}

// stored gives every key and value.
func (w *world) stored() map[string]string {
	w.t.Helper()
	list := map[string]string{}
	w.must(w.db.Iter(nil, nil, func(k, v []byte) (bool, error) {
		list[string(k)] = string(v)
		return true, nil
	}))
	return list
}

// files gives everything that is in the folder.
func (w *world) files() map[string]string {
	w.t.Helper()
	names, err := w.fs.List("data")
	w.must(err)
	list := map[string]string{}
	for _, name := range names {
		f, err := w.fs.Open(w.fs.PathJoin("data", name))
		if err != nil {
			continue // it went since
		}
		text, err := io.ReadAll(f)
		w.must(errors.Join(err, f.Close()))
		list[name] = string(text)
	}
	return list
}

// life is a crowd with u1 in the middle: a1 is hers, a2 she shares with u2.
func life(w *world, from int) {
	w.t.Helper()
	login := msg(from+2, event.Identify, "a1", "u1")
	login.Traits = `{"email":"ada@lovelace.example","name":"Ada"}`
	w.send(msg(from, event.Page, "a1", ""), msg(from+1, event.Track, "a1", ""), login)
	w.send(msg(from+3, event.Page, "a2", ""), msg(from+4, event.Identify, "a2", "u1"), msg(from+5, event.Identify, "a2", "u2"), msg(from+6, event.Track, "a3", "u2"))
	tx, err := w.Begin(nil, "a2", false)
	w.must(err)
	tx.SetSession("a2", people.Session{User: "u1", Until: *w.clock + 1e6}, *w.clock)
	w.must(tx.End().Wait())
	w.refuse(fmt.Sprintf(`{"type":"Identify","traits":{"email":"ADA@lovelace.example"},"n":%d}`, from))
	w.refuse(fmt.Sprintf(`{"type":"nonsense","userId":"u2","n":%d}`, from))
}

// TestTheErasedAreGone holds row 19 of identity.md, and that nothing that was
// sealed for the erased is left in any file.
func TestTheErasedAreGone(t *testing.T) {
	clock := int64(1_700_000_000_000 + 1_000_000)
	w := openAt(t, vfs.NewMem(), 0, &clock)
	life(w, 0)
	w.settle()
	life(w, 100) // and this stays in the tail
	_, err := w.State(graph.Evidence{Kind: graph.Cut, Trust: id.Admin, A: user("u1"), B: user("u2"), Reason: "two people"})
	w.must(err)
	w.must(w.Checkpoint())

	before := w.stored()
	oldName, oldOther := w.person(user("u1")).ID, w.person(user("u2"))
	otherEvents := w.timeline(oldOther)
	e := w.erase(user("u1"))
	if c := e.Counts; c.Facets != 3 || c.Events != 8 || c.Refused != 2 || c.Evidence == 0 {
		t.Errorf("counts %+v", c)
	}
	if len(e.Identifiers) != 3 { // u1, a1, the e-mail
		t.Errorf("%d identifiers", len(e.Identifiers))
	}
	check := func(when string) {
		t.Helper()
		for _, x := range []id.ID{user("u1"), device("a1"), {Type: id.Email, Value: "ada@lovelace.example"}} {
			if p, err := w.Person(x, id.AllView); !errors.Is(err, people.ErrUnknown) {
				t.Errorf("%s: %v is %+v, %v", when, x, p, err)
			}
		}
		if _, err := w.Named(oldName); !errors.Is(err, people.ErrUnknown) {
			t.Errorf("%s: the old id leads somewhere: %v", when, err)
		}
		// a2 is nobody else's now, and what it did anonymously becomes u2's.
		p := w.person(user("u2"))
		got := w.timeline(p)
		for _, m := range []string{"m3", "m103"} {
			got = slices.DeleteFunc(got, func(s string) bool { return s == m })
		}
		if p.ID != oldOther.ID || !slices.Equal(got, otherEvents) {
			t.Errorf("%s: u2 is %s with %v, was %s with %v", when, p.ID, got, oldOther.ID, otherEvents)
		}
		if x, err := w.Session("a2", false); err != nil || x.User != "" {
			t.Errorf("%s: the session of the device that stays is %+v, %v", when, x, err)
		}
		list, err := w.Quarantine(0, 10)
		if err != nil || len(list) != 2 || strings.Contains(list[0].Raw+list[1].Raw, "ADA") {
			t.Errorf("%s: quarantine %+v, %v", when, list, err)
		}
	}
	check("decided")
	w.must(w.Shred(context.Background(), e, nil))
	w.must(w.Finished(e, []byte("signed")))
	check("shredded")

	after := w.stored()
	files := w.files()
	gone := 0
	for k, v := range before {
		if now, still := after[k]; still && now == v || len(v) < 20 {
			continue // somebody else's, or nothing that could be found
		}
		gone++
		for name, text := range files {
			if strings.Contains(text, v[10:]) {
				t.Errorf("%s still holds the value of key %x", name, k)
			}
		}
	}
	if gone < 15 {
		t.Errorf("only %d values went: the test looks at too little", gone)
	}
	w.close()
	w = openAt(t, w.fs, 0, &clock)
	check("after a restart")
	w.rebuilt()

	// What comes late is dropped, and who comes back is somebody new.
	late := msg(50, event.Page, "a1", "")
	late.MessageID = "late"
	if n := w.send(late); n != 0 || w.Stats().Late != 1 {
		t.Errorf("an event from before the erasure was taken")
	}
	atomic.AddInt64(&clock, 60_000)
	fresh := msg(1060+60, event.Page, "a1", "u1")
	if n := w.send(fresh); n != 1 {
		t.Error("an event from after the erasure was not taken")
	}
	p := w.person(user("u1"))
	if p.ID == oldName || p.Profile.Events != 1 || len(p.Cluster.Members) != 2 {
		t.Errorf("the new u1 is %s (was %s) with %d events, %v", p.ID, oldName, p.Profile.Events, p.Cluster.Members)
	}
	if x, err := w.Named(p.ID); err != nil || x != user("u1") {
		t.Errorf("the new id leads to %v, %v", x, err)
	}
	// And erased again, somebody newer still.
	e = w.erase(device("a1"))
	w.must(w.Shred(context.Background(), e, nil))
	atomic.AddInt64(&clock, 60_000)
	w.send(msg(1060+180, event.Page, "a1", "u1"))
	if q := w.person(user("u1")); q.ID == p.ID || q.ID == oldName {
		t.Errorf("the third u1 is %s again", q.ID)
	}
	if _, err := w.Named(p.ID); !errors.Is(err, people.ErrUnknown) {
		t.Errorf("the second id leads somewhere: %v", err)
	}
	w.close()
}

// TestSettling: the same timelines before and after, one place instead of two,
// and no key left of the log's.
func TestSettling(t *testing.T) {
	clock := int64(1_700_000_000_000 + 1_000_000)
	w := openAt(t, vfs.NewMem(), 0, &clock)
	for i := range 20 {
		life(w, i*10)
	}
	everybody := []id.ID{user("u1"), user("u2"), device("a2"), device("a3")}
	timelines := func() (list [][]string) {
		for _, x := range everybody {
			p, err := w.Person(x, id.AllView)
			w.must(err)
			list = append(list, w.timeline(p))
		}
		return list
	}
	before := timelines()
	done := w.settle()
	if done.Events != 140 || done.UpTo != w.log.Durable() || done.Head != w.log.Durable()+1 {
		t.Errorf("settled %+v of %d", done, w.log.Durable())
	}
	for k := range w.stored() {
		if k[0] == 0x02 || k[0] == 0x07 {
			t.Errorf("key %x is left", k)
		}
	}
	if after := timelines(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("timelines\n%v\nwere\n%v", after, before)
	}
	life(w, 500)
	w.settle()
	life(w, 600)
	for i := range before {
		got := timelines()[i]
		if len(got) <= len(before[i]) || !slices.Equal(got[:len(before[i])], before[i]) {
			t.Errorf("%v: %v does not go on from %v", everybody[i], got, before[i])
		}
	}
	w.rebuilt()
	if list, err := w.Quarantine(0, 100); err != nil || len(list) != 44 {
		t.Errorf("%d refused messages, %v", len(list), err)
	}
	w.close()
	w = openAt(t, w.fs, 0, &clock)
	if got := timelines(); len(got[0]) <= len(before[0]) {
		t.Error("after a restart:", got)
	}
	w.close()
}

// TestNothingLeaksIntoTheFolder: no text of an event is in any file.
func TestNothingLeaksIntoTheFolder(t *testing.T) {
	clock := int64(1_700_000_000_000 + 1_000_000)
	w := openAt(t, vfs.NewMem(), 0, &clock)
	e := msg(1, event.Identify, "CANARY-device", "CANARY-user")
	e.Name, e.Traits, e.Properties, e.Context = "CANARY-name", `{"email":"canary-mail@canary.example","x":"CANARY-trait"}`, `{"p":"CANARY-property"}`, `{"ip":"CANARY-ip"}`
	e.MessageID, e.IP = "CANARY-message", "CANARY-address"
	w.send(e)
	w.refuse(`{"CANARY-refused":1}`)
	_, err := w.State(graph.Evidence{Kind: graph.Link, Trust: id.Admin, A: user("CANARY-user"), B: device("CANARY-other"), Reason: "CANARY-reason"})
	w.must(err)
	look := func(when string) {
		t.Helper()
		for name, text := range w.files() {
			if low := bytes.ToLower([]byte(text)); bytes.Contains(low, []byte("canary")) {
				t.Errorf("%s: %s holds a canary", when, name)
			}
		}
	}
	look("in the log")
	w.must(w.Checkpoint())
	w.must(w.db.Flush())
	look("written")
	w.settle()
	w.must(w.db.Flush())
	look("settled")
	w.must(w.Shred(context.Background(), w.erase(user("CANARY-user")), nil))
	look("erased")
	w.close()
	look("closed")
}

// TestEventsExpireByMonth: what is too old goes, what it led to stays.
func TestEventsExpireByMonth(t *testing.T) {
	clock := int64(1_700_000_000_000 + 1_000_000)
	w := openAt(t, vfs.NewMem(), 0, &clock)
	life(w, 0)                                // November 2023
	life(w, 3*30*24*3600)                     // February 2024
	atomic.AddInt64(&clock, 200*24*3600*1000) // in summer
	w.settle()
	p := w.person(user("u2"))
	n := len(w.timeline(p))
	w.must(w.Expire(time.UnixMilli(1_700_000_000_000), time.Time{}))
	if got := w.timeline(p); len(got) != n {
		t.Errorf("%d of %d events while their month is young", len(got), n)
	}
	w.must(w.Expire(time.UnixMilli(1_700_000_000_000+40*24*3600*1000), time.UnixMilli(clock+1)))
	if got := w.timeline(p); len(got) != n/2 || got[0] == "m5" {
		t.Errorf("timeline %v of %d", got, n)
	}
	if list, err := w.Quarantine(0, 10); err != nil || len(list) != 0 {
		t.Errorf("%d refused messages stay, %v", len(list), err)
	}
	if q := w.person(user("u2")); q.Profile.Events != p.Profile.Events {
		t.Errorf("%d events are counted, were %d", q.Profile.Events, p.Profile.Events)
	}
	w.rebuilt()
	w.close()
	w = openAt(t, w.fs, 0, &clock)
	if got := w.timeline(p); len(got) != n/2 {
		t.Errorf("after a restart: %v", got)
	}
	w.close()
}
