package eventlog

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/vault"
)

var master = bytes.Repeat([]byte{7}, 32)

type store struct {
	db  *engine.DB
	v   *vault.Vault
	log *Log
}

func openStore(t testing.TB, fs vfs.FS, o Options) store {
	t.Helper()
	s, err := tryOpen(t, fs, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func tryOpen(t testing.TB, fs vfs.FS, o Options) (s store, err error) {
	t.Helper()
	s.db, err = engine.Open(engine.Options{Dir: "data", FS: fs, CacheBytes: 1 << 20, Exit: func(int) {}})
	if err != nil {
		return s, err
	}
	if s.v, err = vault.Open(s.db, master); err == nil {
		s.log, err = Open(s.db, s.v, o)
	}
	if err != nil {
		if cerr := s.db.Close(); cerr != nil {
			t.Error(cerr)
		}
	}
	return s, err
}

func (s store) close(t testing.TB) {
	t.Helper()
	if err := s.log.Close(); err != nil {
		t.Error(err)
	}
	if err := s.db.Close(); err != nil {
		t.Error(err)
	}
}

func entryText(i uint64) string {
	return fmt.Sprintf("entry-%d-%s", i, bytes.Repeat([]byte("x"), int(i%97)))
}

func TestAppendReadReopen(t *testing.T) {
	fs := vfs.NewMem()
	s := openStore(t, fs, Options{MaxBlock: 1000})
	for i := uint64(1); i <= 500; i++ {
		seq, _ := s.log.Append([]byte(entryText(i)), int64(i*10))
		if seq != i {
			t.Fatalf("seq %d, want %d", seq, i)
		}
	}
	if err := s.log.Barrier().Wait(); err != nil {
		t.Fatal(err)
	}
	check := func(l *Log) {
		t.Helper()
		if l.Durable() != 500 || l.LastSeq() != 500 {
			t.Fatalf("durable %d, last %d", l.Durable(), l.LastSeq())
		}
		want := uint64(37)
		err := l.Read(37, func(seq uint64, at int64, entry []byte) (bool, error) {
			if seq != want || at != int64(seq*10) || string(entry) != entryText(seq) {
				t.Fatalf("got %d at %d: %q", seq, at, entry)
			}
			want++
			return true, nil
		})
		if err != nil || want != 501 {
			t.Fatalf("read to %d: %v", want, err)
		}
		for _, ms := range []int64{-5, 0, 10, 11, 2500, 2501, 5000, 5001} {
			seq, err := l.SeekTime(ms)
			if want := uint64(max((ms+9)/10, 1)); err != nil || seq != want {
				t.Errorf("SeekTime(%d) = %d, %v; want %d", ms, seq, err, want)
			}
		}
	}
	check(s.log)
	s.close(t)
	s = openStore(t, fs, Options{})
	check(s.log)
	s.close(t)
}
