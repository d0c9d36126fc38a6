package admin_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/reuna/reuna/gateway/admin"
	"github.com/reuna/reuna/identity/event"
)

func newShelf() *shelf {
	return &shelf{versions: map[string][]admin.DefinitionVersion{}, list: []admin.Definition{
		{Kind: admin.KindTrait, Name: "orders", Source: admin.SourceFile, State: admin.StateActive, Body: json.RawMessage(`{"name":"orders","kind":"count"}`), Backfill: admin.Backfill{State: admin.BackfillDone, Progress: 1, Left: -1}, UsedBy: []string{"segments/fans"}},
		{Kind: admin.KindTrait, Name: "returns", Source: admin.SourceProgram, State: admin.StateActive, Body: json.RawMessage(`{}`), Backfill: admin.Backfill{State: admin.BackfillWaiting, Left: -1}},
		{Kind: admin.KindSegment, Name: "demo-fans", Source: admin.SourceDemo, State: admin.StateRefused, Reason: "no such trait", Body: json.RawMessage(`{}`), Backfill: admin.Backfill{State: admin.BackfillFailed, Reason: "disk"}, Members: &admin.Estimate{Count: 5, Low: 5, High: 5}},
	}}
}

func newDefiningDesk(t *testing.T) (*desk, *shelf) {
	s := newShelf()
	return newDesk(t, func(o *admin.Options) { o.Knowledge = s }), s
}

func (d *desk) put(path, body string) answer {
	d.Helper()
	return d.do(ask{method: "PUT", path: path, body: body})
}

func (d *desk) noted() []string {
	d.Helper()
	var list struct {
		Entries []struct {
			Action, Object, Outcome, Actor string
			Detail                         json.RawMessage
		}
	}
	d.get("/admin/v1/audit?limit=1000").ok(&list)
	var lines []string
	for _, e := range list.Entries {
		if e.Action != "audit.read" {
			lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", e.Action, e.Object, e.Outcome, e.Detail)))
		}
	}
	return lines
}

const when = `{"when":"computed.orders >= 2"}`

// TestDefinitionsAreChanged goes the whole way: put, read, put again, read what
// was, take away.
func TestDefinitionsAreChanged(t *testing.T) {
	d, s := newDefiningDesk(t)
	a := d.put("/admin/v1/segments/fans", when)
	want := `{"kind":"segment","name":"fans","source":"api","version":1,"at":"2023-11-14T22:13:20.000Z","actor":"ACTOR","state":"pending","definition":{"when":"computed.orders >= 2"},
	 "backfill":{"state":"running","progress":0.42,"events":7,"begun":"2023-11-14T22:13:20.000Z","secondsLeft":12},"cost":12,"uses":["traits/orders"],"usedBy":[]}`
	var put struct{ Actor string }
	a.ok(&put)
	if put.Actor == "" || pretty(t, a.body) != pretty(t, strings.Replace(want, "ACTOR", put.Actor, 1)) {
		t.Errorf("put answers %s", a.body)
	}
	if got := d.get("/admin/v1/segments/fans"); got.body != a.body {
		t.Errorf("get answers %s", got.body)
	}
	b := d.do(ask{method: "PUT", path: "/admin/v1/segments/fans", body: "when: computed.orders >= 3\n", contentType: "application/yaml; charset=utf-8"})
	b.ok(&struct{}{})
	d.do(ask{method: "PUT", path: "/admin/v1/segments/fans", body: when, contentType: "application/json"}).ok(&struct{}{})
	var versions struct {
		Versions []struct {
			Version    int
			Deleted    bool
			Definition json.RawMessage
		}
	}
	d.get("/admin/v1/segments/fans/versions").ok(&versions)
	if len(versions.Versions) != 3 || versions.Versions[0].Version != 3 || string(versions.Versions[2].Definition) != when {
		t.Errorf("versions are %+v", versions)
	}
	gone := d.do(ask{method: "DELETE", path: "/admin/v1/segments/fans"})
	gone.ok(&struct{}{})
	if gone.body != `{"deleted":true,"kind":"segment","name":"fans","version":4}` {
		t.Errorf("delete answers %s", gone.body)
	}
	d.get("/admin/v1/segments/fans").fails(404, "unknown_definition")
	d.do(ask{method: "DELETE", path: "/admin/v1/segments/fans"}).fails(404, "unknown_definition")
	d.get("/admin/v1/segments/fans/versions").ok(&versions)
	if len(versions.Versions) != 4 || !versions.Versions[0].Deleted {
		t.Errorf("versions are %+v", versions)
	}
	wantAsked := []string{
		"define segment fans by " + put.Actor + " as : " + when,
		"define segment fans by " + put.Actor + " as yaml: when: computed.orders >= 3\n",
		"define segment fans by " + put.Actor + " as json: " + when,
		"undefine segment fans by " + put.Actor,
	}
	if fmt.Sprint(s.asked) != fmt.Sprint(wantAsked) {
		t.Errorf("asked %q", s.asked)
	}
	wantNoted := []string{
		`definition.delete segments/fans ok {"version":4}`, `definition.delete segments/fans begun`,
		`definition.put segments/fans ok {"version":3}`, `definition.put segments/fans begun`,
		`definition.put segments/fans ok {"version":2}`, `definition.put segments/fans begun`,
		`definition.put segments/fans ok {"version":1}`, `definition.put segments/fans begun`,
	}
	if got := d.noted(); fmt.Sprint(got) != fmt.Sprint(wantNoted) {
		t.Errorf("noted\n%s", strings.Join(got, "\n"))
	}
	text := d.get("/metrics").body
	for _, line := range []string{
		`reuna_desk_definition_changes_total{kind="segment",change="put",outcome="ok"} 3`,
		`reuna_desk_definition_changes_total{kind="segment",change="delete",outcome="unknown_definition"} 1`,
	} {
		if !strings.Contains(text, line) {
			t.Errorf("/metrics lacks %s", line)
		}
	}
}

// TestDefinitionsAreListed: each kind with its own, whatever their source.
func TestDefinitionsAreListed(t *testing.T) {
	d, _ := newDefiningDesk(t)
	for path, want := range map[string]string{
		"traits":     `{"limit":256,"traits":[{"kind":"trait","name":"orders","source":"file","version":0,"state":"active","definition":{"name":"orders","kind":"count"},"backfill":{"state":"done","progress":1,"events":0},"uses":[],"usedBy":["segments/fans"]},{"kind":"trait","name":"returns","source":"program","version":0,"state":"active","definition":{},"backfill":{"state":"waiting","progress":0,"events":0},"uses":[],"usedBy":[]}]}`,
		"segments":   `{"limit":1000,"segments":[{"kind":"segment","name":"demo-fans","source":"demo","version":0,"state":"refused","reason":"no such trait","definition":{},"backfill":{"state":"failed","progress":0,"events":0,"reason":"disk"},"members":{"estimate":5,"low":5,"high":5},"uses":[],"usedBy":[]}]}`,
		"placements": `{"limit":200,"placements":[]}`,
	} {
		if got := d.get("/admin/v1/" + path); got.status != 200 || got.body != want {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	if a := d.get("/admin/v1/definitions"); a.status != 200 || a.body != "segments:\n  - name: a\n" || a.header.Get("Content-Type") != "application/yaml" {
		t.Errorf("%+v", a)
	}
	if noted := d.noted(); len(noted) != 0 {
		t.Errorf("reading definitions, which are about nobody, is noted: %q", noted)
	}
}

// TestWrongDefinitions: every fault is told with its place, and nothing stays.
func TestWrongDefinitions(t *testing.T) {
	d, s := newDefiningDesk(t)
	a := d.put("/admin/v1/segments/fans", `{"when":"wrong"}`)
	e := a.fails(422, "invalid_definition")
	if e.Error.Field != "when" || e.Error.Message != "there is no computed.favorite (and one more fault)" {
		t.Errorf("error %+v", e)
	}
	var faults struct{ Faults json.RawMessage }
	if err := json.Unmarshal([]byte(a.body), &faults); err != nil {
		t.Fatal(err)
	}
	if got := string(faults.Faults); got != `[{"field":"when","line":1,"column":10,"message":"there is no computed.favorite","suggestion":"favourite"},{"field":"segments[3].when","message":"reads it"}]` {
		t.Errorf("faults %s", got)
	}
	d.get("/admin/v1/segments/fans").fails(404, "unknown_definition")
	if got := d.noted(); fmt.Sprint(got) != `[definition.put segments/fans refused {"code":"invalid_definition"} definition.put segments/fans begun]` {
		t.Errorf("noted %q", got)
	}
	for _, c := range []struct {
		method, path, code string
		status             int
	}{
		{"PUT", "traits/orders", "defined_in_file", 409},
		{"DELETE", "traits/orders", "defined_in_file", 409},
		{"PUT", "segments/demo-fans", "defined_by_demo", 409},
		{"DELETE", "traits/returns", "built_in", 409},
		{"DELETE", "traits/nothing", "unknown_definition", 404},
		{"PUT", "segments/a%20b", "invalid_definition", 422},
		{"PUT", "segments/" + strings.Repeat("a", 65), "invalid_definition", 422},
		{"DELETE", "segments/a%20b", "unknown_definition", 404},
		{"GET", "segments/%zz", "unknown_definition", 404},
		{"GET", "segments/x/versions", "unknown_definition", 404},
		{"GET", "placements/x/results", "unknown_definition", 404},
		{"GET", "traits/demo-fans", "unknown_definition", 404},
	} {
		a := ask{method: c.method, path: "/admin/v1/" + c.path}
		if c.method == "PUT" {
			a.body = when
		}
		d.do(a).fails(c.status, c.code)
	}
	d.put("/admin/v1/traits/returns", `{"kind":"count"}`).ok(&struct{}{}) // stands in the place of what is built in
	s.err = &admin.Refusal{Status: 503, Code: "draining", Message: "stopping"}
	d.put("/admin/v1/segments/fans", when).fails(503, "draining")
	s.err = errors.New("a secret path")
	a = d.get("/admin/v1/segments")
	a.fails(500, "internal")
	mustNotContain(t, "the answer", a.body, "secret")
}

// TestBoundsOfDefinitions: one more than there may be is refused, another
// version of what is there is not.
func TestBoundsOfDefinitions(t *testing.T) {
	for kind, most := range map[string]int{admin.KindTrait: admin.MaxTraits, admin.KindSegment: admin.MaxSegments, admin.KindPlacement: admin.MaxPlacements} {
		d, s := newDefiningDesk(t)
		s.list = nil
		for i := range most - 1 {
			s.list = append(s.list, admin.Definition{Kind: kind, Name: fmt.Sprint("d", i), Source: admin.SourceAPI, State: admin.StateActive, Body: json.RawMessage(`{}`), Backfill: admin.Backfill{State: admin.BackfillDone}})
		}
		body := map[string]string{admin.KindTrait: `{"kind":"count"}`, admin.KindSegment: when, admin.KindPlacement: `{"variants":[{"name":"a"}]}`}[kind]
		path := "/admin/v1/" + kind + "s/"
		// Many at once: one finds room.
		var wg sync.WaitGroup
		statuses := make([]int, 4)
		for i := range statuses {
			wg.Go(func() { statuses[i] = d.put(fmt.Sprint(path, "new", i), body).status })
		}
		wg.Wait()
		taken := 0
		for _, status := range statuses {
			if status == 200 {
				taken++
			} else if status != 409 {
				t.Errorf("%s: status %d", kind, status)
			}
		}
		if taken != 1 {
			t.Errorf("%s: %d of %d were taken: %v", kind, taken, len(statuses), statuses)
		}
		d.put(path+"another", body).fails(409, "too_many_definitions")
		d.put(path+"d0", body).ok(&struct{}{})
	}
}

// TestSizeOfBodies: what is larger than any definition is refused unread.
func TestSizeOfBodies(t *testing.T) {
	d, s := newDefiningDesk(t)
	d.put("/admin/v1/segments/fans", `{"when":"`+strings.Repeat("a", 250<<10)+`"}`).ok(&struct{}{})
	s.asked = nil
	d.put("/admin/v1/segments/fans", `{"when":"`+strings.Repeat("a", 256<<10)+`"}`).fails(413, "body_too_large")
	if len(s.asked) != 0 {
		t.Errorf("asked %.100q", s.asked)
	}
}

// TestWithoutDefinitions: a desk that has none says so.
func TestWithoutDefinitions(t *testing.T) {
	d := newDesk(t, nil)
	d.send(msg(0, event.Page, "a1", ""))
	for _, r := range admin.Table() {
		if !isDefining(r.Path) {
			continue
		}
		a := ask{method: r.Method, path: strings.NewReplacer("{name}", "x", "{identifier}", "anonymous_id:a1").Replace(r.Path)}
		if r.Method == "PUT" || r.Method == "POST" {
			a.body = when
		}
		got := d.do(a)
		if got.fails(503, "definitions_unavailable"); got.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", r.Path)
		}
	}
}

func isDefining(path string) bool {
	for _, part := range []string{"/traits", "/segments", "/placements", "/definitions", "/explain", "/history"} {
		if strings.Contains(path, part) {
			return true
		}
	}
	return false
}

// TestUnwrittenChanges: nothing is defined, and nobody told, that the activity
// log does not have.
func TestUnwrittenChanges(t *testing.T) {
	s := newShelf()
	s.members = []admin.AudienceMember{{Person: "p_aaaaaaaaaaaaaaaaaaaaaaaaaa", Since: day}}
	m := &mute{}
	d := newDesk(t, func(o *admin.Options) { o.Knowledge, m.Activity, o.Activity = s, o.Activity, m })
	d.send(msg(0, event.Page, "a1", ""))
	m.silent.Store(true)
	for _, a := range []ask{
		{method: "PUT", path: "/admin/v1/segments/fans", body: when},
		{method: "POST", path: "/admin/v1/segments/preview", body: when},
		{path: "/admin/v1/segments/fans/members"},
		{path: persons + "anonymous_id:a1/explain?segment=fans"},
		{path: persons + "anonymous_id:a1/history"},
	} {
		got := d.do(a)
		got.fails(503, "audit_unavailable")
		mustNotContain(t, a.path, got.body, "p_aaaa")
	}
	for _, x := range s.asked {
		if !strings.HasPrefix(x, "members") { // whose names are read before they are noted
			t.Errorf("asked %q", x)
		}
	}
}
