package growth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/reuna/reuna/benchmarks/folder"
	"github.com/reuna/reuna/identity/event"
)

// made stands beside a folder that was filled to its end.
type made struct {
	Version int `json:"version"` // of this program's way of filling
	Population
	Events int64 `json:"events"`
	// Cookies is the folder's key of visitor cookies. It opens nothing that the
	// master key beside it does not.
	Cookies []byte `json:"cookieKey"`
}

const (
	madeFile    = "made.json"
	madeVersion = 1
	// oldest is how long ago the last event of a folder may have been.
	oldest = 10 * 24 * time.Hour
	// cookieUse is what the gateway derives its cookie key for. (gateway/app)
	cookieUse = "visitor cookies"
)

// population finds a folder that will do, or fills one.
func (o *Options) population(ctx context.Context, persons int) (*made, string, error) {
	cache := o.Cache
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return nil, "", err
		}
		cache = filepath.Join(user, "reuna-growth")
	}
	at := filepath.Join(cache, strconv.Itoa(persons))
	p := Population{Persons: persons, Seed: o.Seed}
	m, err := kept(at, p)
	if err != nil || m != nil {
		return m, at, err
	}
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return nil, "", err
	}
	total := p.total()
	if err := folder.Enough(cache, total); err != nil {
		return nil, "", err
	}
	fmt.Fprintf(o.Log, "filling %s: %d persons, %d events\n", at, persons, total)
	p.Begin = time.Now().Add(-spread - time.Hour).UnixMilli()
	m, err = fill(ctx, at, p, total, func(format string, v ...any) { fmt.Fprintf(o.Log, "  "+format+"\n", v...) })
	return m, at, err
}

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
	if json.Unmarshal(data, &m) != nil || m.Version != madeVersion || m.Persons != p.Persons || m.Seed != p.Seed {
		return nil, nil
	}
	if time.Since(time.UnixMilli(m.Begin).Add(spread)) > oldest {
		return nil, nil
	}
	return &m, nil
}

// fill makes a data folder, dir/data, whose key lies where a gateway looks for it.
func fill(ctx context.Context, dir string, p Population, total int64, progress func(string, ...any)) (m *made, err error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	w, err := folder.Open(filepath.Join(dir, "data"), p.Begin, 0)
	if err != nil {
		return nil, err
	}
	m = &made{Version: madeVersion, Population: p, Events: total, Cookies: w.Vault.Subkey(cookieUse)}
	err = m.fill(ctx, w, progress)
	w.Close(&err)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(m)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, madeFile), append(text, '\n'), 0o600)
	}
	return m, err
}

// fill brings everybody, and settles what they did into histories: a gateway that
// starts on the folder has none of that left to do.
func (m *made) fill(ctx context.Context, w *folder.Store, progress func(string, ...any)) error {
	t, err := newEvents(m.Population, m.Cookies)
	if err != nil {
		return err
	}
	n, err := w.Bring(ctx, folder.Visits{
		Count: m.Persons, Most: mostEvents, New: true, Seed: m.Seed, Make: t.come,
		Progress: func(n int64, rate float64) { progress("%d of %d events, %.0f a second", n, m.Events, rate) },
	})
	if err != nil {
		return err
	}
	if n != m.Events {
		return fmt.Errorf("%d events were sent: expected %d", n, m.Events)
	}
	if err := w.People.Checkpoint(); err != nil {
		return err
	}
	progress("settling")
	_, err = w.People.Settle(ctx, -time.Hour)
	return err
}

// come makes all that the person did whose turn is at a place.
func (t *events) come(place int, list []event.Event, r *rand.Rand) (n int, received int64) {
	v, at := t.turn(place), t.came(place)
	n = t.eventsOf(v)
	for i := range n {
		t.make(&list[i], v, i, at+int64(i)*between, r)
	}
	return n, at + mostEvents*between // all of it at once
}
