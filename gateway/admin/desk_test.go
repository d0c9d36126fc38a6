package admin_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/gateway/admin"
	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/audit"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/erasure"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/people"
	"github.com/reuna/reuna/storage/vault"
)

const key = "test-admin-key-0123456789"

// desk is a desk on a real listener before a real store.
type desk struct {
	*testing.T
	store *world
	base  string // http://127.0.0.1:port
	log   *lockedBuffer
	doc   *document

	mu  sync.Mutex
	now time.Time
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// world is a store with all that stands on it.
type world struct {
	*people.Store
	audit    *audit.Log
	erasures *erasure.Worker
	public   []byte
}

func openStore(t *testing.T) *world {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	dir := t.TempDir()
	db, err := engine.Open(engine.Options{Dir: dir + "/data", Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(db, bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	log, err := eventlog.Open(db, v, eventlog.Options{MinFree: -1, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{public: v.PublicKey()}
	if w.audit, err = audit.Open(audit.Options{DB: db, Keys: v, HeadFile: dir + "/audit-head", Logger: quiet}); err != nil {
		t.Fatal(err)
	}
	w.Store, err = people.Open(people.Options{DB: db, Vault: v, Log: log, Types: id.Default(), Every: time.Hour, Logger: quiet}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.erasures = erasure.Open(erasure.Options{People: w.Store, Vault: v, Ledger: dir + "/erasures", Logger: quiet})
	t.Cleanup(func() {
		for _, end := range []func() error{w.erasures.Close, w.Store.Close, w.audit.Close, log.Close, db.Close} {
			if err := end(); err != nil {
				t.Error(err)
			}
		}
	})
	return w
}

// options are those of a desk before this world.
func (w *world) options() admin.Options {
	return admin.Options{Keys: []string{"another-admin-key-9876543210", key}, People: w.Store, Activity: w.audit, Erasures: w.erasures, Jobs: &works{}, State: &works{}, Sites: &works{}}
}

// newDesk opens a desk; change may change its options.
func newDesk(t *testing.T, change func(*admin.Options)) *desk {
	t.Helper()
	d := &desk{T: t, store: openStore(t), log: &lockedBuffer{}, doc: readDocument(t), now: time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)}
	o := d.store.options()
	o.Version, o.Now = "1.2.3", d.clock
	o.Logger = slog.New(slog.NewTextHandler(d.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if change != nil {
		change(&o)
	}
	s, err := admin.New(o)
	if err != nil {
		t.Fatal(err)
	}
	var hs fasthttp.Server
	s.Configure(&hs)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d.base = "http://" + l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- hs.Serve(l) }()
	t.Cleanup(func() {
		if err := hs.Shutdown(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return d
}

func (d *desk) clock() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}

func (d *desk) pass(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = d.now.Add(by)
}

// ask is one request; the zero value of each member is what curl would send
// with the right key.
type ask struct {
	method, path, host, from string
	body                     string
	authorization            string // "-": none
	contentType              string
}

type answer struct {
	*testing.T
	status int
	header http.Header
	body   string
}

// do sends a request. Every answer of a route is held against the document, and
// every body that one takes.
func (d *desk) do(a ask) answer {
	d.Helper()
	req, err := http.NewRequest(a.method, d.base, strings.NewReader(a.body))
	if err != nil {
		d.Fatal(err)
	}
	req.URL.Opaque, req.URL.RawQuery, _ = strings.Cut(a.path, "?") // as it is, well-formed or not
	switch a.authorization {
	case "":
		req.Header.Set("Authorization", "Bearer "+key)
	case "-":
	default:
		req.Header.Set("Authorization", a.authorization)
	}
	if a.contentType != "" {
		req.Header.Set("Content-Type", a.contentType)
	}
	req.Host = a.host
	dialer := net.Dialer{}
	if a.from != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(a.from)}
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, addr)
	}}
	res, err := (&http.Client{Transport: transport, Timeout: time.Minute}).Do(req)
	if err != nil {
		d.Fatalf("%+v: %v", a, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		d.Fatalf("%+v: %v", a, err)
	}
	if a.method != "HEAD" {
		d.doc.check(d.T, cmp.Or(a.method, "GET"), req.URL.Opaque, res.StatusCode, res.Header.Get("Content-Type"), string(body))
	}
	if (a.method == "POST" || a.method == "PUT") && strings.HasPrefix(a.body, "{") && res.StatusCode < 300 {
		d.doc.checkSent(d.T, a.method, req.URL.Opaque, a.body)
	}
	return answer{d.T, res.StatusCode, res.Header, string(body)}
}

func (d *desk) get(path string) answer {
	d.Helper()
	return d.do(ask{path: path})
}

func (d *desk) post(path, body string) answer {
	d.Helper()
	return d.do(ask{method: "POST", path: path, body: body})
}

// ok reads an answer of 200 into v.
func (a answer) ok(v any) {
	a.Helper()
	if a.status != 200 {
		a.Fatalf("status %d: %s", a.status, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		a.Fatalf("%v in %s", err, a.body)
	}
}

type errorBody struct {
	Error struct{ Code, Message, Field string }
}

// fails demands an error in the house's envelope.
func (a answer) fails(status int, code string) (e errorBody) {
	a.Helper()
	if a.status != status {
		a.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &e); err != nil {
		a.Fatalf("%v in %s", err, a.body)
	}
	if e.Error.Code != code || e.Error.Message == "" {
		a.Fatalf("error %+v, want code %s", e.Error, code)
	}
	if got := a.header.Get("Content-Type"); got != "application/json" {
		a.Errorf("content type %q", got)
	}
	return e
}

// send does with events what a request does with them.
func (d *desk) send(events ...event.Event) { d.Helper(); d.take(false, events) }

// take takes events in, or those of robots that are kept out of profiles.
func (d *desk) take(excluded bool, events []event.Event) {
	d.Helper()
	items := make([]people.Item, len(events))
	for i := range events {
		d.store.Prepare(&items[i], &events[i], false)
		if excluded {
			items[i].Exclude()
		}
	}
	tx, err := d.store.Begin(items, "", false)
	if err != nil {
		d.Fatal(err)
	}
	for i := range items {
		tx.Resolve(&items[i])
		tx.Fold(&items[i], tx.Append(&items[i]))
	}
	if err := tx.End().Wait(); err != nil {
		d.Fatal(err)
	}
}

func (d *desk) refuse(x people.Refused) {
	d.Helper()
	tx, err := d.store.Begin(nil, "", false)
	if err != nil {
		d.Fatal(err)
	}
	tx.Refuse(&x)
	if err := tx.End().Wait(); err != nil {
		d.Fatal(err)
	}
}

const day = int64(1_700_000_000_000) // 2023-11-14T22:13:20Z

// msg is message n, a second after the one before.
func msg(n int, kind event.Type, anonymous, user string) event.Event {
	at := day + int64(n)*1000
	return event.Event{Type: kind, Source: event.FromServer, Site: "shop", Trust: id.Verified, MessageID: fmt.Sprint("m", n),
		AnonymousID: anonymous, UserID: user, Timestamp: at, ReceivedAt: at}
}

func claimed(e event.Event) event.Event {
	e.Trust, e.Source = id.Claimed, event.FromTag
	return e
}

func (d *desk) personID(typ, value string) string {
	d.Helper()
	name, err := d.store.PersonID(id.ID{Type: typ, Value: value})
	if err != nil {
		d.Fatal(err)
	}
	return name
}

func mustNotContain(t *testing.T, where, text string, secrets ...string) {
	t.Helper()
	// A person's id is random letters, which may spell anything.
	text = regexp.MustCompile(`p_[a-z2-7]{26}`).ReplaceAllString(text, "p_…")
	for _, x := range secrets {
		if strings.Contains(text, x) {
			t.Errorf("%s holds %q:\n%s", where, x, text)
		}
	}
}
