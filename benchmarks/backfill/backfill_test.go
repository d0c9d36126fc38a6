package backfill

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/benchmarks/folder"
	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/people"
)

func small(t *testing.T, devices int) Population {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return Population{Devices: devices, Seed: seed, Begin: time.Now().Add(-visits*stretch - time.Hour).UnixMilli()}
}

// Each device has one turn in a stretch, whatever their number.
func TestEverybodyComesOnce(t *testing.T) {
	for _, n := range []int{2, 3, 1000, 1001, 4096, 99_999} {
		p, seen := Population{Devices: n}, make([]bool, n)
		for place := range n {
			seen[p.turn(place)] = true
		}
		if i := slices.Index(seen, false); i >= 0 {
			t.Errorf("of %d devices, %d never comes", n, i)
		}
	}
}

// What the store finds in a folder is what the population says of itself: each
// event at its time, and the audience that follows from them.
func TestTheFolderHasWhatThePopulationSays(t *testing.T) {
	p := small(t, 200)
	dir := filepath.Join(t.TempDir(), "folder")
	m, err := fill(t.Context(), dir, p, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := kept(dir, Population{Devices: p.Devices, Seed: p.Seed}); err != nil || again == nil || *again != *m {
		t.Fatalf("%+v, %v: expected %+v to be found again", again, err, m)
	}
	work := t.TempDir()
	if err := folder.Fork(dir, work); err != nil {
		t.Fatal(err)
	}
	w, err := folder.Open(filepath.Join(work, "data"), time.Now().UnixMilli(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if w.Close(&err); err != nil {
			t.Error(err)
		}
	}()
	now := time.Now().UnixMilli()
	persons, events := map[string]int{}, int64(0)
	for v := range p.Devices {
		person, err := w.People.Person(id.ID{Type: id.AnonymousID, Value: p.anonymous(v)}, id.VerifiedView)
		if err != nil {
			t.Fatalf("device %d: %v", v, err)
		}
		if _, seen := persons[person.ID]; seen {
			continue
		}
		persons[person.ID] = 0
		_, err = w.People.Timeline(person.Facets, people.Place{}, 1000, func(_ people.Place, e *event.Event) error {
			events++
			if e.Name == eventName && strings.Contains(string(e.Properties), `"list":"autumn"`) && e.Timestamp > now-stretch.Milliseconds() && e.Timestamp <= now {
				persons[person.ID]++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	size := 0
	for _, n := range persons {
		if n >= atLeast {
			size++
		}
	}
	if len(persons) != p.Persons() || events != p.total() || size != p.Audience(now) {
		t.Errorf("%d persons, %d events, %d of them in the audience: expected %d, %d, %d", len(persons), events, size, p.Persons(), p.total(), p.Audience(now))
	}
	if size == 0 || size == len(persons) {
		t.Errorf("%d of %d persons are in the audience: expected some but not all", size, len(persons))
	}
}

func TestAFolderOfAnotherKindIsNotTaken(t *testing.T) {
	p := small(t, 100)
	good := made{Version: madeVersion, Population: p, Events: 7}
	for name, change := range map[string]func(*made){
		"":                 func(*made) {},
		"another version":  func(m *made) { m.Version++ },
		"another size":     func(m *made) { m.Devices++ },
		"another seed":     func(m *made) { m.Seed++ },
		"too long ago":     func(m *made) { m.Begin -= (oldest + time.Hour).Milliseconds() },
		"not quite so old": func(m *made) { m.Begin -= (oldest - 2*time.Hour).Milliseconds() },
	} {
		m, dir := good, t.TempDir()
		change(&m)
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, madeFile), text, 0o600); err != nil {
			t.Fatal(err)
		}
		want := name == "" || strings.HasPrefix(name, "not")
		if got, err := kept(dir, p); err != nil || (got != nil) != want {
			t.Errorf("%q: %+v, %v", name, got, err)
		}
	}
	if got, err := kept(filepath.Join(t.TempDir(), "none"), p); got != nil || err != nil {
		t.Errorf("no folder: %+v, %v", got, err)
	}
}
