package app

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) at() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *clock) set(t time.Time) { c.mu.Lock(); defer c.mu.Unlock(); c.now = t }

func saltIn(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, saltName))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestSaltOfTheDay(t *testing.T) {
	dir := t.TempDir()
	day := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
	c := &clock{now: day}
	var s *salts
	open := func() {
		t.Helper()
		if s != nil {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		var err error
		if s, err = openSalts(dir, c.at, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
	}
	who := func() string {
		t.Helper()
		x, err := s.DailyID("shop", netip.MustParseAddr("203.0.113.7"), "Firefox", c.at())
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	open()
	first, text := who(), saltIn(t, dir)
	if info, err := os.Stat(filepath.Join(dir, saltName)); err != nil || info.Mode().Perm() != 0o600 || !strings.HasPrefix(text, "2026-11-22 ") || len(text) != 11+32+1 {
		t.Errorf("%q with mode %v (%v)", text, info.Mode(), err)
	}
	c.set(day.Add(9*time.Hour - time.Millisecond))
	if who() != first {
		t.Error("another visitor at 23:59:59.999")
	}
	open() // as after a crash: nothing is written when it closes
	if who() != first || saltIn(t, dir) != text {
		t.Error("another visitor after a restart on the same day")
	}
	c.set(day.Add(9 * time.Hour))
	second := who()
	if second == first || strings.Contains(saltIn(t, dir), text[11:]) {
		t.Error("the same visitor on another day")
	}
	// A clock that is set back does not bring yesterday's visitors back, nor does it
	// make others.
	c.set(day)
	if who() != second {
		t.Error("another visitor after the clock was set back")
	}
	// A gateway that was off at midnight destroys the salt when it starts.
	c.set(day.Add(48 * time.Hour))
	before := saltIn(t, dir)
	open()
	if after := saltIn(t, dir); strings.Contains(after, before[11:43]) || !strings.HasPrefix(after, "2026-11-24 ") {
		t.Errorf("%q became %q", before, after)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v (%v)", entries, err)
	}
	// A file that is none gets another one.
	for _, text := range []string{"", "2026-11-24", strings.Repeat("0", 44), "2026-11-24 xyz\n", "2026-13-24 " + strings.Repeat("a", 32)} {
		if err := os.WriteFile(filepath.Join(dir, saltName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		open()
		if _, ok := parseSalt(saltIn(t, dir)); !ok {
			t.Errorf("%q stayed", text)
		}
	}
}

// The salt goes at midnight though nobody asks for it, and its bytes go from the
// file that held it.
func TestSaltIsDestroyedAtMidnight(t *testing.T) {
	dir := t.TempDir()
	midnight := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	c := &clock{now: midnight.Add(-30 * time.Millisecond)}
	s, err := openSalts(dir, c.at, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	file, err := os.Open(filepath.Join(dir, saltName))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	c.set(midnight.Add(time.Millisecond))
	for deadline := time.Now().Add(20 * time.Second); !strings.HasPrefix(saltIn(t, dir), "2026-11-23 "); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("at midnight the file holds %q", saltIn(t, dir))
		}
	}
	left := make([]byte, 100)
	n, err := file.ReadAt(left, 0) // of the file that is no more
	if bytes.Trim(left[:n], "0") != nil && len(bytes.Trim(left[:n], "0")) > 0 {
		t.Errorf("yesterday's file still holds %q (%v)", left[:n], err)
	}
}

// While the disk refuses a new salt nobody is counted by the old one.
func TestSaltThatCannotBeWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	c := &clock{now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	s, err := openSalts(dir, c.at, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	c.set(c.at().Add(24 * time.Hour))
	if id, err := s.DailyID("shop", netip.Addr{}, "", c.at()); err == nil {
		t.Errorf("counted as %s", id)
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	if _, err := s.DailyID("shop", netip.Addr{}, "", c.at()); err != nil {
		t.Error(err)
	}
}

// Everybody who comes at midnight is counted by one salt.
func TestSaltAtOnce(t *testing.T) {
	c := &clock{now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	s, err := openSalts(t.TempDir(), c.at, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c.set(c.at().Add(24 * time.Hour))
	ids := make([]string, 16)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			id, err := s.DailyID("shop", netip.Addr{}, "", c.at())
			ids[i] = fmt.Sprint(id, err)
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("%v", ids)
		}
	}
}

func FuzzSalt(f *testing.F) {
	f.Add("2026-11-22 " + hex.EncodeToString(make([]byte, 16)) + "\n")
	f.Add("2026-11-22 \n")
	f.Fuzz(func(t *testing.T, text string) {
		x, ok := parseSalt(text)
		if !ok {
			return
		}
		if again, ok := parseSalt(x.day + " " + hex.EncodeToString(x.salt[:]) + "\n"); !ok || again != x {
			t.Errorf("%q is read as %v and back as %v", text, x, again)
		}
	})
}
