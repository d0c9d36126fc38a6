package verify_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/storage/definitions"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
	"github.com/reuna/reuna/storage/verify"
)

// defined gives a folder with something of all that is kept about definitions.
func defined(t *testing.T) *folder {
	t.Helper()
	db, v := openFolder(t, vfs.NewMem())
	log, err := eventlog.Open(db, v, eventlog.Options{MinFree: -1, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := definitions.Open(db, v)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Change(func(c *definitions.Change) error {
		for _, body := range []string{"1", "2", "3"} {
			if _, err := c.Put(definitions.Version{Kind: definitions.Trait, Name: "a", Source: definitions.API, Body: json.RawMessage(body)}); err != nil {
				return err
			}
		}
		for _, name := range []string{"a", "b"} {
			if _, err := c.Reserve(name); err != nil {
				return err
			}
			if _, err := c.Audience(name); err != nil {
				return err
			}
		}
		return c.Note(definitions.Job{Name: definitions.FillJob, IDs: []uint32{1, 2}})
	})
	if err != nil {
		t.Fatal(err)
	}
	return &folder{t: t, db: db, v: v}
}

// redefine writes another content to a record about definitions.
func (f *folder) redefine(k []byte, change func(plain []byte) []byte) {
	f.t.Helper()
	block, err := aes.NewCipher(f.v.Subkey("definitions"))
	if err != nil {
		f.t.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		f.t.Fatal(err)
	}
	bound := append([]byte("reuna definition "), k...)
	for _, p := range f.all(keyspace.Definition) {
		if string(p.k) == string(k) {
			plain, err := aead.Open(nil, nil, p.v[1:], bound)
			if err != nil {
				f.t.Fatal(err)
			}
			f.put(k, aead.Seal([]byte{1}, nil, change(plain), bound))
			return
		}
	}
	f.t.Fatalf("there is no record %x", k)
}

func TestDefinitionsThatDoNotAgreeAreFound(t *testing.T) {
	number := func(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
	series := func(n uint32) []byte { return keyspace.AppendDefinition(nil, keyspace.DefinitionSeries, number(n)) }
	counters := keyspace.AppendDefinition(nil, keyspace.DefinitionCounters, nil)
	version := func(f *folder, n uint32) []byte {
		h := f.v.HashKey("definition", definitions.Trait, "a")
		return keyspace.AppendDefinition(nil, keyspace.DefinitionVersion, append(h[:], number(n)...))
	}
	for name, c := range map[string]struct {
		says string
		do   func(f *folder)
	}{
		"nothing":                      {"", func(*folder) {}},
		"a version is gone":            {"behind version 1", func(f *folder) { f.drop(version(f, 2)) }},
		"a version is another's":       {"does not open", func(f *folder) { f.put(version(f, 4), []byte{1, 2, 3}) }},
		"a version is of a newer":      {"version 9", func(f *folder) { f.put(version(f, 3), []byte{9}) }},
		"a version says another":       {"not what its key says", func(f *folder) { f.redefine(version(f, 3), func(p []byte) []byte { p[len(p)-5]++; return p }) }},
		"a version is cut short":       {"malformed", func(f *folder) { f.redefine(version(f, 3), func(p []byte) []byte { return p[:len(p)-1] }) }},
		"the numbers given are gone":   {"is in use", func(f *folder) { f.drop(counters) }},
		"the numbers given went back":  {"is in use", func(f *folder) { f.redefine(counters, func([]byte) []byte { return []byte{1, 2} }) }},
		"a series says another number": {"says that it is number 7", func(f *folder) { f.redefine(series(1), func(p []byte) []byte { p[0] = 7; return p }) }},
		"a series in no state":         {"in state 9", func(f *folder) { f.redefine(series(1), func(p []byte) []byte { p[3] = 9; return p }) }},
		"a series is there twice": {"the second", func(f *folder) {
			f.redefine(series(2), func(p []byte) []byte { return append(record.AppendString(p[:1], "a"), p[3:]...) })
		}},
		"a job is another's": {"another name's key", func(f *folder) {
			h := f.v.HashKey("definition job", definitions.FillJob)
			f.redefine(keyspace.AppendDefinition(nil, keyspace.DefinitionJob, h[:]), func(p []byte) []byte { p[1] ^= 1; return p })
		}},
		"a kind that never was": {"is not one of space 0x16", func(f *folder) { f.put([]byte{byte(keyspace.Definition), 'x'}, nil) }},
	} {
		f := defined(t)
		c.do(f)
		r, err := verify.Run(context.Background(), verify.Options{DB: f.db, Vault: f.v, NoAudit: true})
		switch {
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case c.says == "" && !r.OK():
			t.Errorf("%s: %v", name, r.Err())
		case c.says != "" && (r.OK() || !strings.Contains(r.Err().Error(), c.says)):
			t.Errorf("%s: %v, want %q", name, r.Err(), c.says)
		}
		if err := f.db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
