package experiment

import (
	"bytes"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/trait/rule"
	"github.com/reuna/reuna/identity/wire"
	"github.com/reuna/reuna/storage/people"
	"github.com/reuna/reuna/storage/readers"
	"github.com/reuna/reuna/storage/readers/readerstest"
)

const begin = int64(1_790_000_000_000)

// hero is measured by orders of more than 10 within a day.
func hero(version int) Definition {
	return Definition{Placement: "hero", Version: version, Variants: []string{"plain", "thrillers"},
		Goal: Goal{Event: "Order Completed", Where: "properties.revenue > 10.0", Value: "properties.revenue", Within: 24 * time.Hour}}
}

// folder is an open data folder.
type folder struct {
	*readerstest.Folder
	n int

	mu sync.Mutex // guards what follows
	// same says who is whom: the identifiers of one person have the same name.
	same map[string]string
	def  Definition
}

func openFolder(t testing.TB, dir string) *folder {
	t.Helper()
	return &folder{Folder: readerstest.Open(t, dir, nil), same: map[string]string{}, def: hero(1)}
}

// whose gives everybody who has the same name as the event's device, that one's
// namesake first.
func (f *folder) whose(dst []people.Hash, e *event.Event, most int) ([]people.Hash, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	hash := func(s string) people.Hash { return f.Vault.Hash("anonymous_id", s) }
	name, ok := f.same[e.AnonymousID]
	if !ok {
		return append(dst, hash(e.AnonymousID)), nil
	}
	dst = append(dst, hash(name))
	for x, n := range f.same {
		if n == name && x != name && len(dst) < most {
			dst = append(dst, hash(x))
		}
	}
	return dst, nil
}

func (f *folder) options() Options {
	return Options{DB: f.DB, Log: f.Log, Keys: f.Vault, Person: f.whose, Logger: readerstest.Quiet, Every: time.Hour,
		Definition: func(_, placement string) (Definition, bool) {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.def, placement == "hero"
		}}
}

// one makes identifiers one person's, whose name is the last.
func (f *folder) one(identifiers ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range identifiers {
		f.same[x] = identifiers[len(identifiers)-1]
	}
}

// define puts a definition in the place of the one before.
func (f *folder) define(d Definition) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.def = d
}

func (f *folder) reader(t testing.TB, change ...func(*Options)) *Reader {
	t.Helper()
	o := f.options()
	for _, c := range change {
		c(&o)
	}
	r, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// read waits until the reader has everything.
func (f *folder) read(t *testing.T, r *Reader) *Reader {
	t.Helper()
	f.Wait(t, r.follower.UpTo)
	return r
}

func (f *folder) track(t *testing.T, who, name string, at int64, properties string, bot bool) {
	t.Helper()
	f.n++
	e := event.Event{Type: event.Track, Name: name, MessageID: fmt.Sprint(f.n), AnonymousID: who, ReceivedAt: begin, Timestamp: at,
		Site: "shop", Properties: event.Value(properties), Bot: event.Bot{Is: bot}}
	f.Append(t, e.AppendBinary([]byte{1, 0}), begin)
}

func (f *folder) show(t *testing.T, who, variant string, at int64) {
	t.Helper()
	f.track(t, who, EventName, at, fmt.Sprintf(`{"experiment_id":"hero","variation_id":%q,"holdout":false}`, variant), false)
}

func (f *folder) holdOut(t *testing.T, who, of string, at int64) {
	t.Helper()
	f.track(t, who, EventName, at, fmt.Sprintf(`{"experiment_id":"hero","variation_id":"default","holdout":true,"heldOutOf":%q}`, of), false)
}

func (f *folder) buy(t *testing.T, who string, at int64, revenue float64) {
	t.Helper()
	f.track(t, who, "Order Completed", at, fmt.Sprintf(`{"revenue":%g}`, revenue), false)
}

// figures are a placement's, in one line.
func figures(r *Reader) string {
	var b strings.Builder
	for _, x := range r.Results("", "hero") {
		fmt.Fprintf(&b, "v%d several %d", x.Version, x.Several)
		for _, v := range x.Variants {
			side := ""
			if v.HeldOut {
				side = " out"
			}
			fmt.Fprintf(&b, "; %s%s %d %d %g", v.Variant, side, v.Persons, v.Converted, v.Value)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func (f *folder) has(t *testing.T, r *Reader, want string) {
	t.Helper()
	if got := strings.TrimSpace(figures(f.read(t, r))); got != want {
		t.Errorf("the figures are\n%s\nwant\n%s", got, want)
	}
}

func shut(t *testing.T, r *Reader) {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

const hour = int64(time.Hour / time.Millisecond)

func TestReader(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	f := openFolder(t, dir)
	r := f.reader(t)
	f.buy(t, "a", begin-hour, 20) // before the show
	f.show(t, "a", "plain", begin)
	f.show(t, "a", "plain", begin+hour)
	f.show(t, "b", "thrillers", begin)
	f.holdOut(t, "c", "thrillers", begin)
	f.track(t, "robot", EventName, begin, `{"experiment_id":"hero","variation_id":"plain"}`, true)
	f.track(t, "d", EventName, begin, `{"experiment_id":"elsewhere","variation_id":"plain"}`, false)
	f.show(t, "d", "no such variant", begin)
	f.track(t, "d", EventName, begin, `{"experiment_id":7}`, false)
	f.has(t, r, "v1 several 0; plain 1 0 0; thrillers 1 0 0; thrillers out 1 0 0")
	f.buy(t, "a", begin+2*hour, 5)       // not what the goal asks for
	f.buy(t, "a", begin+24*hour, 20.25)  // the last moment
	f.buy(t, "a", begin+24*hour+1, 1000) // too late
	f.buy(t, "b", begin+hour, 30)
	f.buy(t, "b", begin+2*hour, 12)
	f.buy(t, "stranger", begin+hour, 30)
	f.track(t, "c", "Order Completed", begin+hour, `{"revenue":20,"order_id":"o1"}`, false)
	f.track(t, "c", "Order Completed", begin+hour, `{"revenue":20,"order_id":"o1"}`, false) // told by the server, too
	f.track(t, "b", "Order Completed", begin+hour, `{"revenue":20}`, true)
	f.has(t, r, "v1 several 0; plain 1 1 20.25; thrillers 1 1 42; thrillers out 1 1 20")
	if st := r.Stats(); st.Unknown != 3 || st.Shows != 3 || st.Goals != 4 {
		t.Errorf("%+v", st)
	}
	x := r.Results("", "hero")[0]
	if a := x.Variants[1].Against; a == nil || !a.HeldOut || a.Variant != "thrillers" || x.Variants[0].Against != nil || x.Variants[2].Against != nil {
		t.Errorf("compared: %+v", x.Variants)
	}
	if x.First.UnixMilli() != begin || len(r.Results("", "nowhere")) != 0 || len(r.Results("shop", "hero")) != 0 {
		t.Errorf("%+v", x)
	}
	if got, want := r.Arms("", "hero", 1), []Arm{{"plain", 1, 1}, {"thrillers", 1, 1}}; !slices.Equal(got, want) {
		t.Errorf("arms %v", got)
	}

	// A new version is counted by itself; what comes of the old one still is.
	f.define(hero(2))
	f.show(t, "a", "plain", begin+3*hour)
	f.show(t, "b", "plain", begin+3*hour)
	f.buy(t, "b", begin+4*hour, 100)
	const both = "v2 several 0; plain 2 1 100; thrillers 0 0 0\nv1 several 0; plain 1 1 20.25; thrillers 1 1 142; thrillers out 1 1 20"
	f.has(t, r, both)
	shut(t, r)
	f.Close(t)

	f = openFolder(t, dir)
	f.define(hero(2))
	r = f.reader(t)
	f.has(t, r, both)
	f.show(t, "b", "thrillers", begin+5*hour)
	f.has(t, r, "v2 several 1; plain 2 1 100; thrillers 1 0 0\nv1 several 0; plain 1 1 20.25; thrillers 1 1 142; thrillers out 1 1 20")
	shut(t, r)

	// What cannot be read begins anew, from the log: all of it by the present version.
	state, err := readers.Open(f.DB, f.Log, f.Vault, ReaderName)
	if err != nil {
		t.Fatal(err)
	}
	w := state.Begin()
	w.Set("t00000001", []byte{99})
	if err := w.Commit(f.Log.Durable()); err != nil {
		t.Fatal(err)
	}
	state.Close()
	r = f.reader(t)
	f.has(t, r, "v2 several 1; plain 2 2 120.25; thrillers 1 1 142; thrillers out 1 1 20")
	shut(t, r)
	f.Close(t)
}

// TestOnePerson: what was counted of two who turn out to be one becomes one, at
// their next show or goal, whichever of the two it is of.
func TestOnePerson(t *testing.T) {
	f := openFolder(t, filepath.Join(t.TempDir(), "data"))
	r := f.reader(t)
	f.show(t, "phone", "thrillers", begin)
	f.show(t, "laptop", "thrillers", begin+hour)
	f.show(t, "tablet", "plain", begin+hour)
	f.buy(t, "phone", begin+2*hour, 20)
	f.buy(t, "laptop", begin+2*hour, 30)
	f.has(t, r, "v1 several 0; plain 1 0 0; thrillers 2 2 50")
	shut(t, r)
	f.one("phone", "laptop", "tablet", "user")
	r = f.reader(t)
	f.has(t, r, "v1 several 0; plain 1 0 0; thrillers 2 2 50")
	f.buy(t, "user", begin+3*hour, 40)
	f.has(t, r, "v1 several 1; plain 1 1 40; thrillers 1 1 90")
	f.show(t, "laptop", "thrillers", begin+4*hour)
	f.buy(t, "laptop", begin+24*hour+1, 50) // a day after the first of the two shows
	f.has(t, r, "v1 several 1; plain 1 1 90; thrillers 1 1 90")
	if st := r.Stats(); st.Merged == 0 {
		t.Errorf("%+v", st)
	}
	shut(t, r)

	// Erased: nothing is left of them but the count, and coming back they are new.
	entry := wire.AppendInt([]byte{5, 1}, begin)
	entry = wire.AppendUint(entry, 4)
	for _, x := range []string{"phone", "laptop", "tablet", "user"} {
		h := f.Vault.Hash("anonymous_id", x)
		entry = append(entry, h[:]...)
	}
	entry = wire.AppendUint(entry, 0)
	entry = wire.AppendInt(append(entry, 0), begin)
	f.Append(t, wire.AppendText(entry, "asked"), begin)
	r = f.reader(t)
	f.has(t, r, "v1 several 1; plain 1 1 90; thrillers 1 1 90")
	f.buy(t, "user", begin+3*hour, 40)
	f.has(t, r, "v1 several 1; plain 1 1 90; thrillers 1 1 90")
	shut(t, r)
	state, err := readers.Open(f.DB, f.Log, f.Vault, ReaderName)
	if err != nil {
		t.Fatal(err)
	}
	if err := state.Each(personPart, func(part string, _ []byte) error { return fmt.Errorf("%x is left", part) }); err != nil {
		t.Error(err)
	}
	state.Close()
	f.Close(t)
}

// TestBounds: versions beyond the limit are given up, and persons are not held
// in memory.
func TestBounds(t *testing.T) {
	f := openFolder(t, filepath.Join(t.TempDir(), "data"))
	r := f.reader(t, func(o *Options) { o.MaxTrials, o.Every = 3, time.Millisecond })
	for v := 1; v <= 5; v++ {
		f.define(hero(v))
		f.show(t, "a", "plain", begin+int64(v))
		f.has(t, r, f.lastThree(v))
	}
	shut(t, r)
	r = f.reader(t)
	f.has(t, r, f.lastThree(5))
	f.buy(t, "a", begin+hour, 20)
	f.has(t, r, strings.ReplaceAll(f.lastThree(5), "plain 1 0 0", "plain 1 1 20"))
	shut(t, r)
	f.Close(t)
}

func (f *folder) lastThree(v int) string {
	var lines []string
	for ; v > 0 && len(lines) < 3; v-- {
		lines = append(lines, fmt.Sprintf("v%d several 0; plain 1 0 0; thrillers 0 0 0", v))
	}
	return strings.Join(lines, "\n")
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		g          Goal
		path, says string
	}{
		{Goal{}, "", ""},
		{hero(1).Goal, "", ""},
		{Goal{Event: "page"}, "", ""},
		{Goal{Where: "true"}, "p.goal.event", "expected the event"},
		{Goal{Event: "x", Where: "properties.a >"}, "p.goal.where", ""},
		{Goal{Event: "x", Value: "revenue"}, "p.goal.value", "properties.revenue"},
		{Goal{Event: "x", Value: "properties..a"}, "p.goal.value", "properties.revenue"},
		{Goal{Event: "x", Within: -1}, "p.goal.within", "up to 400d"},
		{Goal{Event: "x", Within: 401 * 24 * time.Hour}, "p.goal.within", "up to 400d"},
	} {
		faults := c.g.Check("p.goal")
		if c.path == "" && len(faults) == 0 {
			continue
		}
		if len(faults) != 1 || faults[0].Path != c.path || !strings.Contains(faults[0].Message, c.says) {
			t.Errorf("%+v: %v, want %s: %s", c.g, faults, c.path, c.says)
		}
	}
	var _ rule.Faults = (&Goal{}).Check("x")
}

func TestWorth(t *testing.T) {
	g := Goal{Value: "properties.total.net"}
	for properties, want := range map[string]int64{
		`{"total":{"net":12.345678}}`: 12_345_678, `{"total":{"net":"7.5"}}`: 7_500_000, `{"total":{"net":-3}}`: -3_000_000, `{"total":{"net":1e300}}`: 0,
		`{"total":{"net":null}}`: 0, `{"total":7}`: 0, `{}`: 0, `{"total":{"net":"much"}}`: 0, `{"total":{"net":true}}`: 0,
	} {
		if got := g.worth(&event.Event{Properties: event.Value(properties)}); got != want {
			t.Errorf("%s is worth %d, want %d", properties, got, want)
		}
	}
}

// FuzzRecords: what stands in the store is read or refused, and what is read is
// written the same.
func FuzzRecords(f *testing.F) {
	p := person{shows: []show{{trial: 1, cell: 0, first: begin, goals: 2, worth: 40, orders: []uint32{3, 9}}, {trial: 2, cell: 3, first: begin}}}
	f.Add(p.append(nil))
	t1, err := newTrial(1, hero(1))
	if err != nil {
		f.Fatal(err)
	}
	t1.cells[1] = cell{3, 2, 70, math.Pi}
	b, err := t1.append(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(bytes.Repeat([]byte{1, 255, 255, 255, 3}, 200_000))
	f.Fuzz(func(t *testing.T, record []byte) {
		if p, err := readPerson(string(record)); err == nil {
			again, err := readPerson(string(p.append(nil)))
			if err != nil || !bytes.Equal(again.append(nil), p.append(nil)) {
				t.Errorf("%x: %v", record, err)
			}
		}
		if x, err := readTrial(string(record)); err == nil {
			b, err := x.append(nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := readTrial(string(b)); err != nil {
				t.Errorf("%x: %v", record, err)
			}
		}
	})
}

// TestLastShown: a variant is shown to those who have seen it before, too.
func TestLastShown(t *testing.T) {
	f := openFolder(t, filepath.Join(t.TempDir(), "data"))
	r := f.reader(t)
	defer shut(t, r)
	f.show(t, "a", "plain", begin+hour)
	f.show(t, "a", "plain", begin+3*hour)
	f.show(t, "a", "plain", begin+2*hour)
	f.show(t, "a", "plain", begin) // late
	x := f.read(t, r).Results("", "hero")[0]
	if x.First.UnixMilli() != begin || x.Last.UnixMilli() != begin+3*hour || x.Variants[0].Persons != 1 {
		t.Errorf("%+v", x)
	}
}
