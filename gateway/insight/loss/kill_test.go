package loss

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/storage/people"
	"github.com/reuna/reuna/storage/readers/readerstest"
)

// killed names the folder for the process that is to be killed.
const killed = "REUNA_LOSS_KILLED"

// TestKill kills a process that writes events and counts them, again and again.
// After each the figures must be what the log says, read once by the definition.
func TestKill(t *testing.T) {
	if dir := os.Getenv(killed); dir != "" {
		live(t, dir)
		return
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	dir := filepath.Join(t.TempDir(), "data")
	var resumed, entries uint64
	for range 8 {
		c := exec.Command(os.Args[0], "-test.run=^TestKill$", "-test.timeout=1m")
		c.Env = append(os.Environ(), killed+"="+dir)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(150+r.IntN(250)) * time.Millisecond) // its life
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := c.Wait(); err == nil {
			t.Fatal("the process ended by itself")
		}

		f := openFolder(t, dir)
		o := oracle{}
		var e event.Event
		var x people.Refused
		if err := f.Log.Read(1, func(_ uint64, _ int64, entry []byte) (bool, error) {
			var s Seen
			if _, err := people.ReadEntry(entry, &e, &x); err != nil {
				return false, err
			}
			Read(&s, &e)
			o.take(&s)
			return true, nil
		}); err != nil {
			t.Fatal(err)
		}
		c2, err := f.Log.Cursor(ReaderName)
		if err != nil {
			t.Fatal(err)
		}
		rd := f.reader(t, func() time.Time { return at(begin + hourMs) })
		if want := o.rows(0); want != "" {
			f.has(t, rd, want)
		}
		if c2.Seq > 0 && c2.Seq < f.Log.Durable() {
			resumed++
		}
		entries = f.Log.Durable()
		if err := rd.Close(); err != nil {
			t.Error(err)
		}
		f.Close(t)
	}
	t.Logf("%d entries; %d of 8 kills were between a save and the log's end", entries, resumed)
	if resumed == 0 {
		t.Error("no kill was between a save and the log's end: nothing was tried")
	}
}

// live writes and counts until it is killed.
func live(t *testing.T, dir string) {
	f := openFolder(t, dir)
	began := time.Now()
	now := func() time.Time { return at(begin + hourMs).Add(time.Since(began)) }
	if _, err := Open(Options{DB: f.DB, Log: f.Log, Keys: f.Vault, Now: now, Logger: readerstest.Quiet, Every: 3 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(rand.Uint64(), 0))
	for {
		run := runID(begin+int64(r.IntN(40))*slotMs/2, "x")
		more := ""
		if r.IntN(3) == 0 {
			more = fmt.Sprintf(`,"runs":[[%q,%d,"/reported"]]`, runID(begin+int64(r.IntN(40))*slotMs/2, "x"), 1+r.IntN(40))
		}
		f.send(t, page(run, 1+r.IntN(40), "/", more), event.FromTag, begin+hourMs)
	}
}
