package app

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reuna/reuna/identity/token"
)

// saltName is the file in the data folder that holds the day's salt. It is no
// part of the store, so no backup has it.
const saltName = "daily.salt"

// salts keep the salt of the day, by which visitors without a cookie are told
// apart within it.
//
// Invariants: a salt is on disk before it is used, so a crash does not make two
// visitors of one; there is never more than one, and with the end of its day (UTC)
// it is overwritten and gone, with or without anybody asking; a clock that is
// set back brings no salt back.
type salts struct {
	path string
	log  *slog.Logger
	now  func() time.Time

	mu    sync.Mutex // held while a salt is made
	today atomic.Pointer[daySalt]
	timer *time.Timer
	done  bool
}

type daySalt struct {
	day  string // 2026-01-31
	salt token.Salt
}

// openSalts reads the day's salt, or makes it.
func openSalts(dir string, now func() time.Time, log *slog.Logger) (*salts, error) {
	s := &salts{path: filepath.Join(dir, saltName), now: now, log: log}
	text, err := os.ReadFile(s.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if kept, ok := parseSalt(string(text)); ok {
		s.today.Store(&kept)
	}
	if _, err := s.of(now()); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer = time.AfterFunc(untilMidnight(now()), s.turn)
	return s, nil
}

// DailyID makes salts the pipeline's Counter.
func (s *salts) DailyID(site string, client netip.Addr, userAgent string, now time.Time) (string, error) {
	salt, err := s.of(now)
	if err != nil {
		return "", err
	}
	return token.DailyID(salt, site, client, userAgent), nil
}

// of gives the salt of a time's day.
func (s *salts) of(now time.Time) (token.Salt, error) {
	day := now.UTC().Format(time.DateOnly)
	if x := s.today.Load(); x != nil && x.day >= day {
		return x.salt, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.today.Load(); x != nil && x.day >= day {
		return x.salt, nil
	}
	x := &daySalt{day: day}
	rand.Read(x.salt[:]) // never fails: the runtime ends the program instead
	if err := s.write(x); err != nil {
		return token.Salt{}, err
	}
	s.today.Store(x)
	return x.salt, nil
}

// turn replaces the salt at the day's end, and tries again when it cannot.
func (s *salts) turn() {
	wait := time.Minute
	_, err := s.of(s.now())
	if err == nil {
		wait = untilMidnight(s.now())
	} else {
		s.log.Error("yesterday's salt for counting without cookies could not be replaced; trying again", "err", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.done {
		s.timer = time.AfterFunc(wait, s.turn)
	}
}

// untilMidnight is how long the day goes on (UTC), and a moment more.
func untilMidnight(now time.Time) time.Duration {
	return now.UTC().Truncate(24 * time.Hour).Add(24*time.Hour + time.Millisecond).Sub(now)
}

// write puts a salt in the place of the one before, whose bytes are overwritten
// first: a file that is only replaced leaves them on the disk.
func (s *salts) write(x *daySalt) error {
	part := s.path + ".part"
	if err := writeSynced(part, os.O_TRUNC|os.O_CREATE, x.day+" "+hex.EncodeToString(x.salt[:])+"\n"); err != nil {
		return err
	}
	if info, err := os.Stat(s.path); err == nil {
		if err := writeSynced(s.path, 0, strings.Repeat("0", int(min(info.Size(), 4096)))); err != nil {
			return err
		}
	}
	if err := os.Rename(part, s.path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(s.path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func writeSynced(path string, flags int, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|flags, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}

// parseSalt reads what write wrote; anything else is no salt, and the day gets
// another.
func parseSalt(text string) (x daySalt, ok bool) {
	day, digits, found := strings.Cut(strings.TrimSuffix(text, "\n"), " ")
	salt, err := hex.DecodeString(digits)
	if _, terr := time.Parse(time.DateOnly, day); !found || err != nil || terr != nil || len(salt) != len(x.salt) {
		return x, false
	}
	return daySalt{day, token.Salt(salt)}, true
}

func (s *salts) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = true
	s.timer.Stop()
	return nil
}

func (a *App) openSalts() (err error) {
	if a.salts, err = openSalts(a.cfg.DataDir, time.Now, a.log); err != nil {
		return fmt.Errorf("%w; %s in the data folder holds the day's salt for counting without cookies", err, saltName)
	}
	a.opened("salt", a.salts.Close)
	return nil
}

// openLinks makes what carries visitors between domains. It outlives a reload:
// what was used stays used.
func (a *App) openLinks() (err error) {
	a.links, err = token.NewLinks(a.vault.Subkey("links between domains"), time.Now())
	return err
}
