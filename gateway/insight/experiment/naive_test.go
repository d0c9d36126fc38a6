package experiment

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/storage/people"
)

// naive counts by the definition, over a list of what happened.
type naive struct {
	list []happened
}

type happened struct {
	who, what string // plain, thrillers, with "out " before them; or buy
	at        int64
	revenue   float64
}

func (n *naive) figures(version int) string {
	type key struct{ who, what string }
	first := map[key]int64{}
	worth := map[key]float64{}
	bought := map[key]bool{}
	for _, h := range n.list {
		if h.what != "buy" {
			k := key{h.who, h.what}
			if at, ok := first[k]; !ok || h.at < at {
				first[k] = h.at
			}
			continue
		}
		for k, at := range first {
			if k.who == h.who && h.revenue > 10 && h.at >= at && h.at <= at+24*hour {
				bought[k] = true
				worth[k] += h.revenue
			}
		}
	}
	cells := map[string]int{}
	sides := map[string]int{}
	several := 0
	for k := range first {
		cells[k.what]++
		if sides[k.who]++; sides[k.who] == 2 {
			several++
		}
	}
	text := fmt.Sprintf("v%d several %d", version, several)
	for _, what := range []string{"plain", "plain out", "thrillers", "thrillers out"} {
		if cells[what] == 0 && strings.HasSuffix(what, "out") {
			continue
		}
		c, v := 0, 0.0
		for k := range bought {
			if k.what == what {
				c++
				v += worth[k]
			}
		}
		text += fmt.Sprintf("; %s %d %d %g", what, cells[what], c, v)
	}
	return text
}

// random adds something that happened to the log and the list. Times only grow,
// so that a show is never moved before a goal that was read.
func (n *naive) random(t *testing.T, f *folder, r *rand.Rand, at int64, persons int) {
	h := happened{who: fmt.Sprint("p", r.IntN(persons)), at: at}
	device := fmt.Sprint(h.who, "/", r.IntN(3))
	f.one(h.who+"/1", h.who+"/2", h.who+"/0")
	variant := []string{"plain", "thrillers"}[r.IntN(2)]
	switch r.IntN(4) {
	case 0:
		h.what = variant
		f.show(t, device, variant, at)
	case 1:
		h.what = variant + " out"
		f.holdOut(t, device, variant, at)
	default:
		h.what, h.revenue = "buy", float64(r.IntN(40))
		f.buy(t, device, at, h.revenue)
	}
	n.list = append(n.list, h)
}

// TestAgainstTheDefinition: with little room in memory, closed and opened at
// random, the figures are what the definition says.
func TestAgainstTheDefinition(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 3))
	f := openFolder(t, filepath.Join(t.TempDir(), "data"))
	var n naive
	rd := f.reader(t)
	at := begin
	for range 1500 {
		at += int64(r.IntN(int(hour / 4)))
		n.random(t, f, r, at, 60)
		if r.IntN(150) == 0 {
			f.has(t, rd, n.figures(1))
			shut(t, rd)
			rd = f.reader(t)
		}
	}
	f.has(t, rd, n.figures(1))
	shut(t, rd)
	f.Close(t)
}

// killed names the folder for the process that is to be killed.
const killed = "REUNA_EXPERIMENT_KILLED"

// TestKill kills a process that writes events and counts them, again and again.
// After each the figures must be what the log says, by the definition.
func TestKill(t *testing.T) {
	if dir := os.Getenv(killed); dir != "" {
		live(t, dir)
		return
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	dir := filepath.Join(t.TempDir(), "data")
	resumed := 0
	for range 6 {
		c := exec.Command(os.Args[0], "-test.run=^TestKill$", "-test.timeout=1m")
		c.Env = append(os.Environ(), killed+"="+dir)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(150+r.IntN(200)) * time.Millisecond) // its life
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := c.Wait(); err == nil {
			t.Fatal("the process ended by itself")
		}

		f := openFolder(t, dir)
		var n naive
		var e event.Event
		var x people.Refused
		if err := f.Log.Read(1, func(_ uint64, _ int64, entry []byte) (bool, error) {
			if _, err := people.ReadEntry(entry, &e, &x); err != nil {
				return false, err
			}
			h := happened{who: e.AnonymousID, at: e.Timestamp, what: "buy"}
			if e.Name == EventName {
				h.what = strings.Clone(e.Properties.Get("variation_id").Text())
			} else {
				h.revenue, _ = e.Properties.Get("revenue").Number()
			}
			h.who = strings.Clone(h.who)
			n.list = append(n.list, h)
			return true, nil
		}); err != nil {
			t.Fatal(err)
		}
		cursor, err := f.Log.Cursor(ReaderName)
		if err != nil {
			t.Fatal(err)
		}
		if cursor.Seq > 0 && cursor.Seq < f.Log.Durable() {
			resumed++
		}
		rd := f.reader(t)
		if len(n.list) > 0 {
			f.has(t, rd, n.figures(1))
		}
		shut(t, rd)
		f.Close(t)
	}
	t.Logf("%d of 6 kills were between a save and the log's end", resumed)
	if resumed == 0 {
		t.Error("no kill was between a save and the log's end: nothing was tried")
	}
}

// live writes and counts until it is killed.
func live(t *testing.T, dir string) {
	f := openFolder(t, dir)
	f.reader(t, func(o *Options) { o.Every = 3 * time.Millisecond })
	r := rand.New(rand.NewPCG(rand.Uint64(), 0))
	for at := begin + int64(f.Log.LastSeq())*1000; ; at += 1000 {
		who := fmt.Sprint("p", r.IntN(200))
		switch r.IntN(3) {
		case 0:
			f.show(t, who, []string{"plain", "thrillers"}[r.IntN(2)], at)
		default:
			f.buy(t, who, at, float64(r.IntN(40)))
		}
	}
}
