package backfill

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/reuna/reuna/benchmarks/folder"
	"github.com/reuna/reuna/identity/event"
)

// made stands beside a folder that was filled to its end.
type made struct {
	Version int `json:"version"` // of this program's way of filling
	Population
	Events int64 `json:"events"`
}

const (
	madeFile    = "made.json"
	madeVersion = 1
	// oldest is how long ago the last event of a folder may have been: the newest
	// month must still be full of them.
	oldest = 10 * 24 * time.Hour
)

// kept finds a folder made before that will do; nil when there is none.
func kept(dir string, p Population) (*made, error) {
	data, err := os.ReadFile(filepath.Join(dir, madeFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var m made
	if json.Unmarshal(data, &m) != nil || m.Version != madeVersion || m.Devices != p.Devices || m.Seed != p.Seed {
		return nil, nil
	}
	if end := time.UnixMilli(m.Begin).Add(visits * stretch); time.Since(end) > oldest {
		return nil, nil
	}
	return &m, nil
}

// fill makes a data folder, dir/data, whose key lies where a gateway looks for it.
func fill(ctx context.Context, dir string, p Population, progress func(string, ...any)) (m *made, err error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	w, err := folder.Open(filepath.Join(dir, "data"), p.Begin, time.Minute)
	if err != nil {
		return nil, err
	}
	defer w.Close(&err)
	t, err := newEvents(p)
	if err != nil {
		return nil, err
	}
	m = &made{Version: madeVersion, Population: p, Events: p.total()}
	for k := range visits {
		_, err := w.Bring(ctx, folder.Visits{
			Count: p.Devices, Most: mostEvents, New: k == 0, Seed: p.Seed, Stream: uint64(k),
			Make: func(place int, list []event.Event, r *rand.Rand) (int, int64) { return t.come(place, k, list, r) },
			Progress: func(n int64, rate float64) {
				progress("visit %d of %d: %d of about %d events, %.0f a second", k+1, visits, n, m.Events/visits, rate)
			},
		})
		if err != nil {
			return nil, err
		}
		if err := w.People.Checkpoint(); err != nil {
			return nil, err
		}
		progress("settling visit %d of %d", k+1, visits)
		if _, err := w.People.Settle(ctx, -time.Hour); err != nil {
			return nil, err
		}
	}
	text, err := json.Marshal(m)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, madeFile), append(text, '\n'), 0o600)
	}
	return m, err
}

// come makes the events of the visit of the device whose turn is at a place.
func (t *events) come(place, visit int, list []event.Event, r *rand.Rand) (n int, received int64) {
	v, at := t.turn(place), t.came(place, visit)
	n = t.eventsIn(v, visit)
	for i := range n {
		t.make(&list[i], v, visit, i, at+int64(i)*between, r)
	}
	return n, at + mostEvents*between // all of the visit at once
}
