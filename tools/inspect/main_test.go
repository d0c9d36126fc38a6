package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/backup"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/people"
	"github.com/reuna/reuna/storage/vault"
)

var quiet = slog.New(slog.DiscardHandler)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// dataFolder makes a folder as the gateway leaves it, with its keys beside it
// and a backup: three visitors, of whom one has a user and one was erased, and
// half of the entries settled.
func dataFolder(t *testing.T) (dir, backupDir string) {
	t.Helper()
	dir, backupDir = filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "backup")
	db, err := engine.Open(engine.Options{Dir: dir, Logger: quiet})
	must(t, err)
	keys, _, err := vault.OpenWithFile(db, filepath.Join(dir+".keys", "master.key"))
	must(t, err)
	clock := time.Now().Add(-time.Hour)
	now := func() time.Time { return clock }
	log, err := eventlog.Open(db, keys, eventlog.Options{MinFree: -1, Logger: quiet, Now: now, MaxBlock: 2000})
	must(t, err)
	store, err := people.Open(people.Options{
		DB: db, Vault: keys, Log: log, Types: id.Default(), Every: time.Hour, Logger: quiet, Now: now, SettleEvery: -1,
	}, nil)
	must(t, err)
	n := 0
	send := func(kind event.Type, a, u, traits string) {
		n++
		clock = clock.Add(time.Minute / 2)
		at := clock.UnixMilli()
		e := event.Event{Type: kind, Site: "shop", Trust: id.Verified, MessageID: fmt.Sprint("m", n), AnonymousID: a, UserID: u,
			Timestamp: at, ReceivedAt: at, Traits: event.Value(traits)}
		items := make([]people.Item, 1)
		store.Prepare(&items[0], &e, false)
		tx, err := store.Begin(items, "", false)
		must(t, err)
		defer tx.Release()
		tx.Resolve(&items[0])
		tx.Fold(&items[0], tx.Append(&items[0]))
		must(t, tx.End().Wait())
	}
	for round := range 10 {
		send(event.Page, "a1", "", "")
		send(event.Identify, "a1", "ada", `{"email":"ada@example.com"}`)
		send(event.Page, "a2", "", "")
		send(event.Identify, "a3", "bob", "")
		if round == 5 {
			e, err := store.Erase(id.ID{Type: id.UserID, Value: "bob"}, people.EraseRequest{View: id.AllView})
			must(t, err)
			must(t, store.Shred(context.Background(), e, nil))
			must(t, store.Finished(e, []byte("receipt")))
		}
	}
	tx, err := store.Begin(nil, "a1", false)
	must(t, err)
	tx.SetSession("a1", people.Session{User: "ada", Until: clock.Add(time.Hour).UnixMilli(), Token: [16]byte{1}}, clock.UnixMilli())
	must(t, tx.End().Wait())
	_, err = store.State(graph.Evidence{Kind: graph.Cut, A: id.ID{Type: id.UserID, Value: "ada"}, B: id.ID{Type: id.AnonymousID, Value: "a2"}, Trust: id.Admin})
	must(t, err)
	must(t, store.Checkpoint())
	_, err = store.Settle(context.Background(), 10*time.Minute)
	must(t, err)
	_, err = backup.Make(context.Background(), backup.Options{DB: db, Vault: keys, To: backupDir, LastSeq: log.Durable(), Origin: log.Origin(), Logger: quiet})
	must(t, err)
	must(t, errors.Join(store.Close(), log.Close(), db.Close()))
	return dir, backupDir
}

// inspect runs the program.
func inspect(args ...string) (status int, out, errs string) {
	var stdout, stderr bytes.Buffer
	status = run(context.Background(), args, &stdout, &stderr)
	return status, stdout.String(), stderr.String()
}

func TestInspect(t *testing.T) {
	dir, backups := dataFolder(t)
	empty := t.TempDir()
	key := filepath.Join(dir+".keys", "master.key")
	other := filepath.Join(t.TempDir(), "other.key")
	must(t, os.WriteFile(other, []byte(strings.Repeat("ab", 32)), 0o600))
	text, err := os.ReadFile(key)
	must(t, err)
	t.Setenv("REUNA_TEST_MASTER", string(text))
	for _, x := range []struct {
		name   string
		args   []string
		status int
		says   []string // on the output, or on the other one when it cannot be shown
	}{
		{"the folder", []string{"-data", dir}, exitOK, []string{"format 2", "people", "history", "histories", "log blocks", "Erasures", "done", "Where the bytes are", "####"}},
		{"verified", []string{"-data", dir, "-verify"}, exitOK, []string{"All records agree", "counted event by event"}},
		{"in several passes", []string{"-data", dir, "-verify", "-facts", "5"}, exitOK, []string{"All records agree"}},
		{"with a key from the environment", []string{"-data", dir, "-key", "env:REUNA_TEST_MASTER", "-verify"}, exitOK, []string{"All records agree"}},
		{"a backup", []string{"-snapshot", backups, "-key", key, "-verify"}, exitOK, []string{"snapshot", "All records agree"}},
		{"a person", []string{"-data", dir, "-person", "email:Ada@Example.com"}, exitOK,
			[]string{"user_id:ada", "anonymous_id:a1", "email:ada@example.com", "10 events", "chunk 20", "Sessions", "cut by an operator", "Stored:"}},
		{"a person in the other view", []string{"-data", dir, "-person", "user_id:ada", "-view", "all"}, exitOK, []string{"in the all view", "device a1 user ada"}},
		{"one who came back", []string{"-data", dir, "-person", "user_id:bob"}, exitOK, []string{"and came back", "4 events"}},
		{"nobody", []string{"-data", dir, "-person", "user_id:nobody"}, exitUsage, []string{"nothing is stored about user_id"}},
		{"a type that is none", []string{"-data", dir, "-person", "crm_id:7"}, exitUsage, []string{"anonymous_id, email, phone, user_id", "-config"}},
		{"a person without a type", []string{"-data", dir, "-person", "ada"}, exitUsage, []string{"expected TYPE:VALUE"}},
		{"another's key", []string{"-data", dir, "-key", other, "-verify"}, exitUsage, []string{"start with the key file that belongs to the folder"}},
		{"a key that is not there", []string{"-data", dir, "-key", "env:REUNA_TEST_NONE", "-verify"}, exitUsage, []string{"the environment has no REUNA_TEST_NONE"}},
		{"no folder", []string{"-data", filepath.Join(empty, "none")}, exitUsage, []string{"there is no folder"}},
		{"an empty folder", []string{"-data", empty}, exitUsage, []string{"holds no store"}},
		{"a file", []string{"-data", key}, exitUsage, []string{"is a file"}},
		{"a folder that is no backup", []string{"-snapshot", empty}, exitUsage, []string{"backup"}},
		{"nothing", nil, exitUsage, []string{"-data is missing"}},
		{"both", []string{"-data", dir, "-snapshot", backups}, exitUsage, []string{"both given"}},
		{"a backup without a key", []string{"-snapshot", backups, "-verify"}, exitUsage, []string{"-key is missing"}},
		{"a view that is none", []string{"-data", dir, "-view", "mine"}, exitUsage, []string{"expected verified or all"}},
		{"an argument", []string{"-data", dir, "more"}, exitUsage, []string{`unexpected argument "more"`}},
		{"a picture that cannot be written", []string{"-data", dir, "-svg", filepath.Join(empty, "a", "b")}, exitUsage, []string{"-svg"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			status, out, errs := inspect(x.args...)
			if status != x.status {
				t.Fatalf("status %d, want %d\n%s%s", status, x.status, out, errs)
			}
			shown := out
			if status == exitUsage {
				shown = errs
			}
			for _, want := range x.says {
				if !strings.Contains(shown, want) {
					t.Errorf("%q is not in:\n%s", want, shown)
				}
			}
		})
	}
}

// Nothing personal is shown unless a person is asked for.
func TestNobodyIsShownUnasked(t *testing.T) {
	dir, _ := dataFolder(t)
	_, out, errs := inspect("-data", dir, "-verify")
	for _, canary := range []string{"ada", "example.com", "bob", "a1"} {
		for _, word := range strings.FieldsFunc(out+errs, func(r rune) bool { return strings.ContainsRune(" :,;/\n", r) }) {
			if word == canary {
				t.Errorf("%q is in:\n%s%s", canary, out, errs)
			}
		}
	}
}

func TestAFolderInUseIsLeftAlone(t *testing.T) {
	dir, _ := dataFolder(t)
	db, err := engine.Open(engine.Options{Dir: dir, Logger: quiet})
	must(t, err)
	defer db.Close()
	status, _, errs := inspect("-data", dir)
	if status != exitUsage || !strings.Contains(errs, "stop the gateway, or make a backup at its desk and show that with -snapshot") {
		t.Errorf("status %d: %s", status, errs)
	}
}

// Looking changes no byte of what a table or a log holds.
func TestNothingIsWritten(t *testing.T) {
	dir, _ := dataFolder(t)
	before := contents(t, dir)
	if status, out, errs := inspect("-data", dir, "-verify", "-person", "user_id:ada"); status != exitOK {
		t.Fatal(out, errs)
	}
	after := contents(t, dir)
	for name, content := range before {
		if after[name] != content {
			t.Errorf("%s was changed", name)
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d files, before %d", len(after), len(before))
	}
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	list, err := os.ReadDir(dir)
	must(t, err)
	for _, x := range list {
		if x.IsDir() {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, x.Name()))
		must(t, err)
		all[x.Name()] = string(content)
	}
	return all
}

func TestFaultsAreTold(t *testing.T) {
	dir, _ := dataFolder(t)
	db, err := engine.Open(engine.Options{Dir: dir, Logger: quiet})
	must(t, err)
	var key []byte
	lower, upper := keyspace.Bounds([]byte{byte(keyspace.Facet)})
	must(t, db.Iter(lower, upper, func(k, _ []byte) (bool, error) { key = bytes.Clone(k); return false, nil }))
	b := db.NewBatch()
	b.Delete(key)
	must(t, errors.Join(b.Commit(true), db.Close()))
	status, out, _ := inspect("-data", dir, "-verify")
	if status != exitFaults || !strings.Contains(out, "Not all records agree") || !strings.Contains(out, "facets "+hex.EncodeToString(key)+": is missing") {
		t.Errorf("status %d:\n%s", status, out)
	}
}

func TestJSONAndPicture(t *testing.T) {
	dir, _ := dataFolder(t)
	picture := filepath.Join(t.TempDir(), "bytes.svg")
	status, out, errs := inspect("-data", dir, "-json", "-verify", "-person", "user_id:ada", "-svg", picture)
	if status != exitOK {
		t.Fatal(errs)
	}
	var a struct {
		Overview overview
		Person   person
		Verified struct{ FaultCount, Events int }
	}
	must(t, json.Unmarshal([]byte(out), &a))
	if a.Overview.Format != engine.FormatVersion || len(a.Overview.Spaces) < 10 || a.Person.Asked != "user_id:ada" || len(a.Person.Facets) == 0 || a.Verified.Events == 0 {
		t.Errorf("%s", out)
	}
	content, err := os.ReadFile(picture)
	must(t, err)
	d := xml.NewDecoder(bytes.NewReader(content))
	d.Strict = true
	var words []string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		if text, ok := token.(xml.CharData); ok {
			words = append(words, strings.TrimSpace(string(text)))
		}
	}
	for _, want := range []string{"log blocks", "facets"} {
		if !strings.Contains(strings.Join(words, "\n"), want) {
			t.Errorf("the picture does not name %q", want)
		}
	}
	for _, loads := range []string{"href", "url(", "<script", "<image", "@import"} {
		if bytes.Contains(content, []byte(loads)) {
			t.Errorf("the picture has %q: it should stand alone", loads)
		}
	}
}

func TestUnits(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 B", 999: "999 B", 1000: "1.00 kB", 12_345: "12.3 kB", 999_499: "999 kB", 999_999: "1.00 MB", 5_400_000_000: "5.40 GB", 3e15: "3000 TB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1_234_567: "1,234,567"} {
		if got := number(n); got != want {
			t.Errorf("number(%d) = %q, want %q", n, got, want)
		}
	}
	for _, x := range []struct {
		n, most uint64
		want    string
	}{{0, 8, ""}, {8, 8, "████"}, {1, 8, "▌"}, {3, 8, "█▌"}, {1, 1 << 20, "▏"}} {
		if got := fullBlocks.bar(x.n, x.most, 4); got != x.want {
			t.Errorf("bar(%d, %d) = %q, want %q", x.n, x.most, got, x.want)
		}
	}
	if a, b := asciiBlocks.bar(8, 8, 4), asciiBlocks.bar(1, 1000, 4); a != "####" || b != "." {
		t.Errorf("%q, %q", a, b)
	}
}
