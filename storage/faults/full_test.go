package faults

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/people"
	"github.com/reuna/reuna/storage/smalldisk"
)

func isFull(err error) bool {
	var full eventlog.ErrDiskFull
	return errors.As(err, &full)
}

// within gives do's error, or one when it takes too long.
func within(d time.Duration, what string, do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	case <-time.After(d):
		return fmt.Errorf("%s does not come back", what)
	}
}

// until waits for a condition.
func until(what string, is func() bool) error {
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("waited 30 s in vain until %s", what)
		}
	}
	return nil
}

// refusesEvents sends until the disk's want of room is the answer.
func (w *world) refusesEvents() error {
	return until("events are refused", func() bool {
		err := w.page(3)
		if err != nil && !isFull(err) {
			panic(err)
		}
		return err != nil
	})
}

// looks reads what a page or an operator reads.
func (w *world) looks() error {
	for p := range persons {
		if _, err := w.Person(device(p), id.AllView); err != nil && !errors.Is(err, people.ErrUnknown) {
			return err
		}
		if _, err := w.Device(device(p).Value); err != nil {
			return err
		}
		if _, err := w.Session(device(p).Value, false); err != nil {
			return err
		}
	}
	return w.log.Read(0, func(uint64, int64, []byte) (bool, error) { return true, nil })
}

// When little room is left events are refused, and everything else goes on, an
// erasure with all its rewriting too: that is what the room is kept for.
func TestLittleRoom(t *testing.T) {
	disk := smalldisk.New("data", 1<<30)
	c := newConfig(disk)
	c.minFree = 8 << 20
	w, err := open(c)
	must(t, err)
	w = life(w, func(step string, err error) bool { t.Fatalf("%s: %v", step, err); return false })
	for round := range 2 {
		disk.Leave(6 << 20)
		must(t, w.refusesEvents())
		if err := w.refuse(); !isFull(err) {
			t.Errorf("a refused message is kept: %v", err)
		}
		must(t, within(20*time.Second, "reading", w.judge))
		must(t, within(20*time.Second, "erasing", func() error {
			e, err := w.erase(6 + round)
			if err != nil {
				return err
			}
			return w.shred(e)
		}))
		must(t, within(20*time.Second, "settling", func() error { return w.settle(everything) }))
		must(t, w.judge())
		disk.Leave(1 << 30)
		must(t, until("events are taken", func() bool { return w.page(3) == nil }))
		must(t, w.again())
		must(t, w.judge())
	}
	if n := w.exits.Load(); n != 0 {
		t.Errorf("the program ended %d times", n)
	}
	must(t, w.end())
	must(t, sound(c, true))
}

// When there is no room at all nothing is acknowledged, senders are told, reads
// go on, an erasure waits; with room everything goes on by itself and what was
// sent is there once.
func TestNoRoom(t *testing.T) {
	disk := smalldisk.New("data", 1<<30)
	c := newConfig(disk)
	c.commitWait = 50 * time.Millisecond
	w, err := open(c)
	must(t, err)
	w = life(w, func(step string, err error) bool { t.Fatalf("%s: %v", step, err); return false })
	for round := range 2 {
		disk.Leave(20 << 10)
		must(t, w.noRoom(6+round, func() { disk.Leave(1 << 30) }))
	}
	must(t, w.end())
	must(t, sound(c, true))
}

// noRoom goes through a full disk until makeRoom has made room.
func (w *world) noRoom(p int, makeRoom func()) error {
	if err := w.refusesEvents(); err != nil {
		return err
	}
	if _, full := w.db.Full(); !full {
		return errors.New("events are refused and the store is not full")
	}
	for range 20 {
		if err := w.send(w.message(2, event.Track)); !isFull(err) {
			return fmt.Errorf("an event on a full disk: %w", err)
		}
	}
	erased := make(chan error, 1)
	go func() {
		e, err := w.erase(p)
		if err == nil {
			err = w.shred(e)
		}
		erased <- err
	}()
	if err := within(20*time.Second, "reading", w.looks); err != nil {
		return err
	}
	select {
	case err := <-erased:
		return fmt.Errorf("an erasure ends without room: %w", err)
	default:
	}
	if err := w.db.Healthy(); err != nil {
		return err
	}
	makeRoom()
	if err := until("events are taken", func() bool { return w.page(3) == nil }); err != nil {
		return err
	}
	if err := within(30*time.Second, "erasing", func() error { return <-erased }); err != nil {
		return err
	}
	if err := errors.Join(w.again(), w.judge(), w.Checkpoint(), w.settle(everything), w.judge(), w.Healthy()); err != nil {
		return err
	}
	if n := w.exits.Load(); n != 0 {
		return fmt.Errorf("the program ended %d times", n)
	}
	return nil
}

// childDir tells the test's own program to be the child of TestRealNoRoom, and
// where.
const childDir = "REUNA_FAULTS_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := realNoRoom(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("all is well")
		return
	}
	os.Exit(m.Run())
}

// TestRealNoRoom is TestNoRoom on a file system of the kernel: a tmpfs of 24 MB
// in a mount namespace of its own, where the system allows that.
func TestRealNoRoom(t *testing.T) {
	dir := t.TempDir()
	const script = `mount -t tmpfs -o size=24m none "$1" && shift && exec "$@"`
	probe := exec.Command("unshare", "-rm", "sh", "-c", script, "sh", dir, "true")
	if out, err := probe.CombinedOutput(); err != nil {
		t.Logf("no tmpfs here (%v: %s): TestNoRoom stands for it", err, bytes.TrimSpace(out))
		return
	}
	cmd := exec.Command("unshare", "-rm", "sh", "-c", script, "sh", dir, os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	out, err := cmd.CombinedOutput()
	t.Logf("on a tmpfs of 24 MB: %s", bytes.TrimSpace(out))
	if err != nil {
		t.Error(err)
	}
}

func realNoRoom(dir string) error {
	c := newConfig(vfs.Default)
	c.dir = filepath.Join(dir, "data")
	c.commitWait = 50 * time.Millisecond
	w, err := open(c)
	if err != nil {
		return err
	}
	var failed error
	w = life(w, func(step string, err error) bool { failed = fmt.Errorf("%s: %w", step, err); return false })
	if failed != nil {
		return failed
	}
	ballast := filepath.Join(dir, "ballast")
	if err := fill(ballast); err != nil {
		return err
	}
	if err := w.noRoom(6, func() { _ = os.Remove(ballast) }); err != nil {
		return err
	}
	if err := w.end(); err != nil {
		return err
	}
	return sound(c, true)
}

// fill writes a file until the disk is full.
func fill(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	block := make([]byte, 4<<10)
	for err == nil {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}
