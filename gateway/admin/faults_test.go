package admin_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/gateway/admin"
	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/people"
)

// broken is a store of which one part fails.
type broken struct {
	admin.People
	part string
}

var errDisk = errors.New("read /srv/secret-place/000012.sst: input/output error")

func (b *broken) Person(x id.ID, v id.View) (*people.Person, error) {
	if b.part == "person" {
		return nil, errDisk
	}
	return b.People.Person(x, v)
}

func (b *broken) Explain(x id.ID, v id.View) ([]graph.Reason, error) {
	if b.part == "explain" {
		return nil, errDisk
	}
	return b.People.Explain(x, v)
}

func (b *broken) Named(p string) (id.ID, error) {
	if b.part == "named" {
		return id.ID{}, errDisk
	}
	return b.People.Named(p)
}

// Timeline breaks in the middle of a page.
func (b *broken) Timeline(k []facet.Key, before people.Place, limit int, fn func(people.Place, *event.Event) error) (people.Place, error) {
	next, err := b.People.Timeline(k, before, limit, fn)
	if b.part == "timeline" {
		return people.Place{}, errDisk
	}
	return next, err
}

func (b *broken) Quarantine(before uint64, limit int) ([]people.Refused, error) {
	if b.part == "quarantine" {
		return nil, errDisk
	}
	return b.People.Quarantine(before, limit)
}

// TestStoreThatFails: the caller hears that it failed, the log hears why, and
// no half answer leaves.
func TestStoreThatFails(t *testing.T) {
	b := &broken{}
	d := newDesk(t, func(o *admin.Options) { b.People, o.People = o.People, b })
	d.send(msg(1, event.Identify, "a1", "u1"), msg(2, event.Identify, "a1", "u2"))
	for n, c := range []struct{ part, path string }{
		{"person", persons + "user_id:u1"}, {"named", persons + "person:" + d.personID("user_id", "u1")},
		{"explain", persons + "user_id:u1/identities"}, {"explain", persons + "anonymous_id:a1"},
		{"timeline", persons + "user_id:u1/events"}, {"quarantine", "/admin/v1/quarantine"},
	} {
		b.part = c.part
		a := d.get(c.path)
		a.fails(500, "internal")
		mustNotContain(t, c.part, a.body, "secret-place", "events\"", "u1")
		if got := strings.Count(d.log.String(), "secret-place"); got != n+1 {
			t.Errorf("%s: the log tells of %d of %d failures", c.part, got, n+1)
		}
		b.part = ""
		if a := d.get(c.path); a.status == 500 {
			t.Errorf("%s: %d when it works again", c.path, a.status)
		}
	}
}

func TestComputedThatCannotBeWritten(t *testing.T) {
	d := newDesk(t, func(o *admin.Options) {
		o.Derive = func(*people.Person, time.Time) (map[string]any, []string) {
			return map[string]any{"fine": 1, "score": math.NaN()}, nil
		}
	})
	d.send(msg(1, event.Page, "a1", ""))
	d.get(persons+"anonymous_id:a1").fails(500, "internal")
	if !strings.Contains(d.log.String(), `computed trait \"score\"`) {
		t.Errorf("the log does not name the trait:\n%s", d.log)
	}
}

// TestAFloodOfClaims: a user_id that thousands claim to be is answered with as many
// of the claims as an answer holds, and their number; the archive has all.
func TestAFloodOfClaims(t *testing.T) {
	d := newDesk(t, nil)
	const claims = 14_000
	long := strings.Repeat("x", 480)
	d.send(msg(0, event.Identify, "a1", "victim"))
	for i := 0; i < claims; i += 2000 {
		var list []event.Event
		for j := range 2000 {
			list = append(list, claimed(msg(1+i+j, event.Identify, fmt.Sprint(long, i+j), "victim")))
		}
		d.send(list...)
	}
	var g struct {
		graphBody
		PairCount int
	}
	const victim = persons + "user_id:victim"
	if d.get(victim + "/identities?view=verified").ok(&g); g.PairCount != claims+1 || len(g.Pairs) >= claims || len(g.Pairs) < 1000 || len(g.Members) != 2 {
		t.Errorf("%d of %d pairs, %d members", len(g.Pairs), g.PairCount, len(g.Members))
	}
	var archive struct{ Identities graphBody }
	if d.post("/admin/v1/subjects/access", `{"type":"user_id","value":"victim","view":"verified"}`).ok(&archive); len(archive.Identities.Pairs) != claims+1 {
		t.Errorf("the archive has %d pairs", len(archive.Identities.Pairs))
	}
}

// TestPagesThatEndEarly: an answer looks at so many events and holds so many
// bytes, and then says where to go on; nothing is lost by it.
func TestPagesThatEndEarly(t *testing.T) {
	d := newDesk(t, nil)
	first := msg(0, event.Track, "a1", "")
	first.Name = "Rare"
	d.send(first)
	const pages, step = 10_500, 500
	for i := 0; i < pages; i += step {
		var list []event.Event
		for j := range step {
			list = append(list, msg(1+i+j, event.Page, "a1", ""))
		}
		d.send(list...)
	}
	path := persons + "anonymous_id:a1/events"
	ids, sizes := d.pages(path, map[string][]string{"event": {"Rare"}})
	if len(ids) != 1 || ids[0] != "m0" || len(sizes) != 2 || sizes[0] != 0 {
		t.Errorf("rare events %v on pages of %v", ids, sizes)
	}
	big := event.Quote(strings.Repeat("x", 30_000))
	const want = 400
	var list []event.Event
	for i := range want {
		e := msg(i, event.Track, "a2", "")
		e.MessageID, e.Properties = fmt.Sprint("big", i), `{"text":`+big+`}`
		list = append(list, e)
	}
	d.send(list...)
	ids, sizes = d.pages(persons+"anonymous_id:a2/events", map[string][]string{"limit": {"1000"}})
	if len(ids) != want || len(sizes) < 2 {
		t.Errorf("%d of %d large events on pages of %v", len(ids), want, sizes)
	}
	seen := map[string]bool{}
	for _, x := range ids {
		seen[x] = true
	}
	if len(seen) != want {
		t.Errorf("%d different ones", len(seen))
	}
}

// A request that stops half-way is told that it came too late, not that it is
// malformed.
func TestARequestThatDoesNotArrive(t *testing.T) {
	s, err := admin.New(openStore(t).options())
	if err != nil {
		t.Fatal(err)
	}
	var hs fasthttp.Server
	s.Configure(&hs)
	hs.ReadTimeout = time.Second // long enough for what was written to be there on a busy machine
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- hs.Serve(l) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("GET /healthz HTTP/1.1\r\nHost: de")); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 408 ") || !strings.Contains(string(got), `"code":"timeout"`) {
		t.Errorf("answered %q, %v", got, err)
	}
	if err := errors.Join(conn.Close(), hs.Shutdown(), <-served); err != nil {
		t.Error(err)
	}
}
