package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reuna/reuna/gateway/admin"
	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/storage/audit"
	"github.com/reuna/reuna/storage/people"
	"github.com/reuna/reuna/storage/receipt"
)

// entries reads the activity log, oldest first.
func (d *desk) entries() (list []audit.Record) {
	d.Helper()
	err := d.store.audit.Read(context.Background(), audit.Query{From: 1}, func(r audit.Record) (bool, error) {
		list = append(list, r)
		return true, nil
	})
	if err != nil {
		d.Fatal(err)
	}
	return list
}

func (a answer) accepted(v any) {
	a.Helper()
	if a.status != 202 {
		a.Fatalf("status %d: %s", a.status, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		a.Fatalf("%v in %s", err, a.body)
	}
}

type erasureBody struct {
	ID, State, Reason string
	Counts            map[string]int
	Receipt           json.RawMessage
}

// erased waits until an erasure is through.
func (d *desk) erased(name string) (e erasureBody) {
	d.Helper()
	deadline := time.After(20 * time.Second)
	for tick := time.NewTicker(5 * time.Millisecond); ; {
		d.get("/admin/v1/subjects/" + name).ok(&e)
		if e.State == "done" {
			tick.Stop()
			return e
		}
		select {
		case <-deadline:
			d.Fatalf("%+v is not done", e)
		case <-tick.C:
		}
	}
}

func TestErase(t *testing.T) {
	d := newDesk(t, nil)
	login := msg(1, event.Identify, "a1", "u1")
	login.Traits = `{"email":"ann@x.fi"}`
	d.send(login, msg(2, event.Page, "a1", "u1"), msg(3, event.Page, "a2", ""))
	person := d.personID("user_id", "u1")
	const path = "/admin/v1/subjects/"
	d.get(path+"erase-1").fails(404, "unknown_erasure")
	var e erasureBody
	a := d.post(path+"erase", `{"type":"email","value":"ANN@x.fi","reason":"ticket-7"}`)
	a.accepted(&e)
	if e.State == "done" || e.Reason != "ticket-7" || a.header.Get("Location") != path+e.ID {
		t.Errorf("%s %v", a.body, a.header)
	}
	for _, x := range []string{"user_id:u1", "anonymous_id:a1", "email:ann@x.fi", "person:" + person} {
		for _, tail := range []string{"", "/events", "/identities"} {
			d.get(persons+x+tail).fails(404, "unknown_person")
		}
	}
	d.post(path+"erase", `{"type":"user_id","value":"u1"}`).fails(404, "unknown_person")
	d.post(path+"access", `{"type":"user_id","value":"u1"}`).fails(404, "unknown_person")
	if a := d.get(persons + "anonymous_id:a2"); a.status != 200 {
		t.Errorf("somebody else is gone: %s", a.body)
	}
	e = d.erased(e.ID)
	if e.Counts["identifiers"] != 3 || e.Counts["events"] != 2 {
		t.Errorf("%+v", e)
	}
	r, err := receipt.VerifyErasure(d.store.public, e.Receipt)
	if err != nil || r.ID != e.ID || r.Reason != "ticket-7" || r.Events != 2 {
		t.Errorf("receipt %+v: %v", r, err)
	}
	a = d.get(path + e.ID + "/receipt")
	if _, err := receipt.VerifyErasure(d.store.public, []byte(a.body)); err != nil || !strings.Contains(a.header.Get("Content-Disposition"), e.ID+"-receipt.json") {
		t.Errorf("%v %v", err, a.header)
	}
	var all struct{ Erasures []erasureBody }
	if d.get("/admin/v1/subjects").ok(&all); len(all.Erasures) != 1 || all.Erasures[0].ID != e.ID || all.Erasures[0].Receipt != nil {
		t.Errorf("%+v", all)
	}
	for _, x := range []string{"erase-0", "erase-01", "erase-x", "erase--1", "erase-99999999999999999999"} {
		d.get(path+x).fails(400, "invalid_erasure")
	}
}

// TestErasuresInPages: all of them are listed, newest first.
func TestErasuresInPages(t *testing.T) {
	d := newDesk(t, nil)
	for i := range 5 {
		d.send(msg(i, event.Page, fmt.Sprint("a", i), ""))
		var e erasureBody
		d.post("/admin/v1/subjects/erase", fmt.Sprintf(`{"type":"anonymous_id","value":"a%d"}`, i)).accepted(&e)
	}
	var seen []string
	for next := ""; ; {
		var page struct {
			Erasures []erasureBody
			Next     string
		}
		d.get("/admin/v1/subjects?limit=2&before=" + next).ok(&page)
		for _, e := range page.Erasures {
			seen = append(seen, e.ID)
		}
		if next = page.Next; next == "" {
			break
		}
	}
	if strings.Join(seen, " ") != "erase-10 erase-8 erase-6 erase-4 erase-2" { // each behind its person's event
		t.Errorf("%v", seen)
	}
}

func TestNamingSomebody(t *testing.T) {
	d := newDesk(t, nil)
	d.send(msg(1, event.Identify, "a1", "u1"), msg(2, event.Identify, "a1", "u2"))
	for body, want := range map[string]struct {
		status int
		code   string
	}{
		``:                                {400, "missing_identifier"},
		`{"type":"user_id"}`:              {400, "missing_identifier"},
		`{"type":"shoe","value":"43"}`:    {400, "unknown_type"},
		`{"type":"email","value":"nope"}`: {400, "invalid_identifier"},
		`{"type":"user_id","value":"u1","view":"some"}`: {400, "invalid_view"},
		`{"person":"p_x"}`: {400, "invalid_identifier"},
		`{"person":"p_aaaaaaaaaaaaaaaaaaaaaaaaaa","type":"user_id","value":"u1"}`:     {400, "invalid_identifier"},
		`{"type":"user_id","value":"u1","reason":"a\nb"}`:                             {400, "invalid_reason"},
		`{"type":"user_id","value":"u1","reason":"` + strings.Repeat("x", 501) + `"}`: {400, "invalid_reason"},
		`{"type":7}`:         {400, "invalid_type"},
		`{"typ":"user_id"}`:  {400, "unknown_field"},
		`[]`:                 {400, "invalid_json"},
		`{"type":"user_id",`: {400, "invalid_json"},
		`{} {}`:              {400, "invalid_json"},
		"\xff":               {400, "invalid_json"},
		`{"person":"p_aaaaaaaaaaaaaaaaaaaaaaaaaa"}`: {404, "unknown_person"},
		`{"type":"user_id","value":"nobody"}`:       {404, "unknown_person"},
		`{"type":"anonymous_id","value":"a1"}`:      {409, "ambiguous_identifier"},
	} {
		for _, path := range []string{"erase", "access"} {
			d.post("/admin/v1/subjects/"+path, body).fails(want.status, want.code)
		}
	}
	for _, x := range []string{"erase", "access"} {
		if a := d.get("/admin/v1/subjects/" + x); a.fails(405, "method_not_allowed").Error.Code == "" || a.header.Get("Allow") != "POST" {
			t.Errorf("Allow %q", a.header.Get("Allow"))
		}
	}
	for _, x := range []string{"u1", "u2"} {
		if a := d.get(persons + "user_id:" + x); a.status != 200 {
			t.Errorf("%s: %s", x, a.body)
		}
	}
}

// TestAccess: the archive holds what the routes of a person say, and each event.
func TestAccess(t *testing.T) {
	d := newDesk(t, nil)
	login := msg(0, event.Identify, "a1", "u1")
	login.Traits = `{"plan":"pro"}`
	d.send(login)
	const events = 2*500 + 3
	var list []event.Event
	for i := 1; i < events; i++ {
		list = append(list, msg(i, event.Page, "a1", "u1"))
	}
	d.send(list...)
	for i, raw := range []string{`{"type":"sneeze","userId":"u1"}`, `{"type":"sneeze","userId":"u2"}`, `{"anonymousId":"a1"`} {
		d.refuse(people.Refused{Site: "shop", Source: event.FromSDK, ReceivedAt: day + int64(i), Code: "invalid_type", Message: "no", Raw: raw})
	}
	var robots []event.Event
	for i := range 2*500 + 1 {
		robots = append(robots, msg(events+i, event.Page, "a1", ""))
	}
	d.take(true, append(robots, msg(3*events, event.Page, "a9", "")))
	a := d.post("/admin/v1/subjects/access", `{"type":"user_id","value":"u1","reason":"ticket-8"}`)
	var archive struct {
		Person     json.RawMessage
		Identities json.RawMessage
		Events     []struct{ MessageID string }
		EventCount int
		Excluded   []struct{ MessageID string }
		Refused    []struct{ Raw, Code string }

		ExcludedCount int
		RefusedCount  int
		Complete      bool
	}
	a.ok(&archive)
	if n := len(robots); archive.ExcludedCount != n || len(archive.Excluded) != n || archive.Excluded[0].MessageID != robots[n-1].MessageID {
		t.Errorf("%d events of robots, %d said, first %+v", len(archive.Excluded), archive.ExcludedCount, archive.Excluded[:1])
	}
	if len(archive.Refused) != 2 || archive.RefusedCount != 2 || archive.Refused[0].Raw != `{"anonymousId":"a1"` || archive.Refused[1].Code != "invalid_type" {
		t.Errorf("refused messages: %+v", archive.Refused)
	}
	if d.get(persons+"user_id:u1").body != string(archive.Person) || d.get(persons+"user_id:u1/identities").body != string(archive.Identities) {
		t.Errorf("the archive says something else of the person: %.2000s", a.body)
	}
	seen := map[string]bool{}
	for _, e := range archive.Events {
		seen[e.MessageID] = true
	}
	if len(seen) != events || archive.EventCount != events || !archive.Complete || archive.Events[0].MessageID != fmt.Sprint("m", events-1) {
		t.Errorf("%d events, %d said", len(seen), archive.EventCount)
	}
	if got := a.header.Get("Content-Disposition"); got != fmt.Sprintf(`attachment; filename="%s-20240501.json"`, d.personID("user_id", "u1")) {
		t.Errorf("Content-Disposition %q", got)
	}
}

// TestAccessThatBreaks: a broken archive does not look like a whole one.
func TestAccessThatBreaks(t *testing.T) {
	b := &broken{}
	d := newDesk(t, func(o *admin.Options) { b.People, o.People = o.People, b })
	d.send(msg(1, event.Page, "a1", ""))
	b.part = "timeline"
	const body = `{"type":"anonymous_id","value":"a1"}`
	got := d.raw(fmt.Sprintf("POST /admin/v1/subjects/access HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", key, len(body), body))
	if !strings.Contains(got, "chunked") || strings.HasSuffix(got, "\r\n0\r\n\r\n") || strings.Contains(got, "complete") {
		t.Errorf("%q", got)
	}
	if !strings.Contains(d.log.String(), "an archive was broken off") {
		t.Error("the log does not tell")
	}
}

// TestEvidence: a cut parts two, a lift brings them back, a link joins others.
func TestEvidence(t *testing.T) {
	d := newDesk(t, nil)
	d.send(msg(1, event.Identify, "a1", "u1"), msg(2, event.Page, "a2", ""))
	members := func(of string) int {
		t.Helper()
		var g graphBody
		d.get(persons + of + "/identities").ok(&g)
		return len(g.Members)
	}
	state := func(what, body string) (name string) {
		t.Helper()
		var v struct{ Evidence string }
		d.post("/admin/v1/identities/"+what, body).ok(&v)
		return v.Evidence
	}
	const a1u1, a2u1 = `"a":{"type":"anonymous_id","value":"a1"},"b":{"type":"user_id","value":"u1"}`, `"a":{"type":"anonymous_id","value":"a2"},"b":{"type":"user_id","value":"u1"}`
	if members("user_id:u1") != 2 {
		t.Fatal("the login links nothing")
	}
	cut := state("cut", `{`+a1u1+`,"reason":"a shared computer","time":"2023-11-15T00:00:00Z"}`)
	if members("user_id:u1") != 1 {
		t.Error("the cut did not part them")
	}
	state("lift", `{"evidence":"`+cut+`"}`)
	if members("user_id:u1") != 2 {
		t.Error("the lift did not join them")
	}
	again := state("cut", `{`+a1u1+`}`)
	state("lift", `{"evidence":"`+again+`",`+a1u1+`}`)
	state("link", `{`+a2u1+`}`)
	if members("user_id:u1") != 3 {
		t.Error("the link joins nothing")
	}
	for _, c := range []struct{ what, body, code string }{
		{"link", `{}`, "missing_identifier"},
		{"link", `{"a":{"type":"user_id","value":"u1"},"b":{"type":"user_id","value":"u1"}}`, "same_identifier"},
		{"link", `{"a":{"type":"person","value":"p_aaaaaaaaaaaaaaaaaaaaaaaaaa"},"b":{"type":"user_id","value":"u1"}}`, "unknown_type"},
		{"link", `{"a":{"type":"user_id","value":"null"},"b":{"type":"user_id","value":"u1"}}`, "blocked_value"},
		{"cut", `{` + a1u1 + `,"time":"yesterday"}`, "invalid_time"},
		{"cut", `{` + a1u1 + `,"time":"2033-01-01T00:00:00Z"}`, "invalid_time"},
		{"lift", `{"evidence":"e_1"}`, "invalid_evidence"},
		{"lift", `{"evidence":"` + cut + `","a":{"type":"user_id","value":"u1"}}`, "missing_identifier"},
	} {
		d.post("/admin/v1/identities/"+c.what, c.body).fails(400, c.code)
	}
	d.post("/admin/v1/identities/lift", `{"evidence":"e_aaaaaaaaaaaaaaaaaaaaaaaaaa"}`).fails(404, "unknown_evidence")
	var e erasureBody
	d.post("/admin/v1/subjects/erase", `{"type":"user_id","value":"u1"}`).accepted(&e)
	d.post("/admin/v1/identities/lift", `{"evidence":"`+cut+`"}`).fails(404, "unknown_evidence")
}

// TestEverythingIsWrittenDown: each route of a person and each change leaves an
// entry by the key's name, in the words of person ids alone.
func TestEverythingIsWrittenDown(t *testing.T) {
	d := newDesk(t, nil)
	const canary = "canary-5b1d"
	d.send(msg(1, event.Identify, canary+"-device", canary+"-user"), msg(2, event.Page, canary+"-other", ""))
	person, other := d.personID("user_id", canary+"-user"), d.personID("anonymous_id", canary+"-other")
	nobody := d.personID("user_id", canary+"-nobody")
	user := `{"type":"user_id","value":"` + canary + `-user"}`
	pair := `{"a":` + user + `,"b":{"type":"anonymous_id","value":"` + canary + `-other"}}`
	var cut struct{ Evidence string }
	var erased erasureBody
	type entry struct{ action, object, outcome string }
	steps := []struct {
		do   func()
		want []entry
	}{
		{func() { d.get(persons + "user_id:" + canary + "-user") }, []entry{{"person.read", person, "ok"}}},
		{func() { d.get(persons + "anonymous_id:" + canary + "-device/events") }, []entry{{"person.timeline", person, "ok"}}},
		{func() { d.get(persons + "person:" + person + "/identities") }, []entry{{"person.identities", person, "ok"}}},
		{func() { d.get(persons + "user_id:" + canary + "-nobody") }, []entry{{"person.read", nobody, "unknown"}}},
		{func() { d.get("/admin/v1/quarantine") }, []entry{{"quarantine.read", "", "ok"}}},
		{func() { d.post("/admin/v1/subjects/access", user) }, []entry{{"subject.access", person, "ok"}}},
		{func() { d.post("/admin/v1/identities/preview", `{"do":"link",`+pair[1:]) }, []entry{{"identity.preview", person, "ok"}, {"identity.preview", other, "ok"}}},
		{func() { d.post("/admin/v1/identities/cut", pair).ok(&cut) }, []entry{{"identity.cut", person, "begun"}, {"identity.cut", person, "ok"}}},
		{func() { d.post("/admin/v1/identities/lift", `{"evidence":"`+cut.Evidence+`"}`) }, []entry{{"identity.lift", person, "begun"}, {"identity.lift", person, "ok"}}},
		{func() { d.post("/admin/v1/identities/link", pair) }, []entry{{"identity.link", person, "begun"}, {"identity.link", person, "ok"}}},
		{func() { d.get("/admin/v1/identities/held") }, []entry{{"identity.held", "", "ok"}}},
		{func() { d.post("/admin/v1/identities/preview", `{"do":"hold","identifier":`+user+`}`) }, []entry{{"identity.preview", person, "ok"}}},
		{func() { d.post("/admin/v1/identities/release", `{"identifier":`+user+`}`) }, []entry{{"identity.release", person, "begun"}, {"identity.release", person, "refused"}}},
		{func() { d.post("/admin/v1/identities/hold", `{"identifier":`+user+`}`) }, []entry{{"identity.hold", person, "begun"}, {"identity.hold", person, "ok"}}},
		{func() { d.post("/admin/v1/identities/release", `{"identifier":`+user+`}`) }, []entry{{"identity.release", person, "begun"}, {"identity.release", person, "ok"}}},
		{func() { d.post("/admin/v1/backup", "") }, []entry{{"backup.make", "", "begun"}, {"backup.make", "", "ok"}}},
		{func() { d.post("/admin/v1/backup/verify", "") }, []entry{{"backup.verify", "", "begun"}, {"backup.verify", "", "ok"}}},
		{func() { d.post("/admin/v1/compact", "") }, []entry{{"store.compact", "", "begun"}, {"store.compact", "", "ok"}}},
		{func() { d.post("/admin/v1/keys", `{"action":"rotate-master"}`) }, []entry{{"keys.rotate", "", "begun"}, {"keys.rotate", "", "ok"}}},
		{func() { d.post("/admin/v1/log/settle", "") }, []entry{{"log.settle", "", "begun"}, {"log.settle", "", "ok"}}},
		{func() { d.get("/admin/v1/audit?object=" + other) }, []entry{{"audit.read", "", "ok"}}},
		{func() { d.get("/admin/v1/audit/verify") }, []entry{{"audit.verify", "", "ok"}}},
		{func() { d.get("/debug/pprof/goroutine") }, []entry{{"debug.profile", "goroutine", "ok"}}},
		{func() { d.do(ask{path: "/admin/v1/audit", authorization: "Bearer " + canary}) }, []entry{{"admin.denied", "", "denied"}}},
		{func() { d.post("/admin/v1/subjects/erase", user).accepted(&erased) }, []entry{{"subject.erase", person, "begun"}, {"subject.erase", person, "ok"}}},
		{func() {
			d.get("/admin/v1/log")
			d.get("/admin/v1/keys")
			d.get("/metrics")
			d.get("/admin/v1/subjects")
		}, nil},
	}
	actor := ""
	for _, s := range steps {
		before := len(d.entries())
		s.do()
		got := d.entries()[before:]
		if len(got) != len(s.want) {
			t.Errorf("want %v, got %+v", s.want, got)
			continue
		}
		for i, w := range s.want {
			g := got[i]
			if g.Action != w.action || g.Object != w.object || g.Outcome != w.outcome || g.Remote != "127.0.0.1" {
				t.Errorf("want %v, got %+v", w, g)
			}
			switch {
			case w.outcome == "denied":
				if g.Actor != "unknown" {
					t.Errorf("%+v", g)
				}
			case actor == "":
				actor = g.Actor
			case g.Actor != actor || g.Role != "admin":
				t.Errorf("%s, then %+v", actor, g)
			}
		}
	}
	if !strings.HasPrefix(actor, "key:") || strings.Contains(actor, key[:6]) {
		t.Errorf("actor %q", actor)
	}
	text, err := json.Marshal(d.entries())
	if err != nil {
		t.Fatal(err)
	}
	mustNotContain(t, "the activity log", string(text), canary, key)

	var page struct {
		Entries []struct {
			N                      uint64
			Actor, Action, Outcome string
		}
		Next string
	}
	d.get("/admin/v1/audit?action=identity.&limit=4&actor=" + actor).ok(&page)
	if len(page.Entries) != 4 || page.Next == "" || page.Entries[0].Action != "identity.release" || page.Entries[0].Outcome != "ok" {
		t.Errorf("%+v", page)
	}
	d.get("/admin/v1/audit?action=identity.&before=" + page.Next).ok(&page)
	if len(page.Entries) != 12 || page.Entries[4].Action != "identity.link" {
		t.Errorf("%+v", page)
	}
	d.get("/admin/v1/audit?before=x").fails(400, "invalid_cursor")
	var report audit.Report
	if d.get("/admin/v1/audit/verify").ok(&report); !report.OK || report.Entries < 20 {
		t.Errorf("%+v", report)
	}
	head, err := d.store.audit.Sign()
	if err != nil {
		t.Fatal(err)
	}
	heads := func() string {
		text, err := json.Marshal(map[string]any{"heads": []audit.Head{head}})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if d.post("/admin/v1/audit/verify", heads()).ok(&report); !report.OK {
		t.Errorf("%+v", report)
	}
	head.Hash[0] ^= 1
	if d.post("/admin/v1/audit/verify", heads()).ok(&report); report.OK {
		t.Error("a head that was never signed is found")
	}
}

// mute is an activity log that cannot be written.
type mute struct {
	admin.Activity
	silent atomic.Bool
}

func (m *mute) Append(ctx context.Context, e audit.Entry) (uint64, error) {
	if m.silent.Load() {
		return 0, errors.New("write /srv/secret-place/000031.log: no space left on device")
	}
	return m.Activity.Append(ctx, e)
}

// TestWhatCannotBeWrittenDownIsNotDone: neither a read nor a change.
func TestWhatCannotBeWrittenDownIsNotDone(t *testing.T) {
	m := &mute{}
	w := &works{}
	d := newDesk(t, func(o *admin.Options) { m.Activity, o.Activity, o.Jobs = o.Activity, m, w })
	d.send(msg(1, event.Identify, "a1", "u1"))
	m.silent.Store(true)
	user, pair := `{"type":"user_id","value":"u1"}`, `{"a":{"type":"user_id","value":"u1"},"b":{"type":"anonymous_id","value":"a1"}}`
	for _, a := range []ask{
		{path: persons + "user_id:u1"}, {path: persons + "user_id:u1/events"}, {path: persons + "user_id:u1/identities"}, {path: persons + "user_id:u2"},
		{path: "/admin/v1/quarantine"}, {path: "/admin/v1/identities/held"}, {path: "/admin/v1/audit"}, {path: "/admin/v1/audit/verify"}, {path: "/debug/pprof/heap"},
		{method: "POST", path: "/admin/v1/subjects/access", body: user}, {method: "POST", path: "/admin/v1/subjects/erase", body: user},
		{method: "POST", path: "/admin/v1/identities/cut", body: pair}, {method: "POST", path: "/admin/v1/identities/hold", body: `{"identifier":` + user + `}`},
		{method: "POST", path: "/admin/v1/identities/release", body: `{"identifier":` + user + `}`}, {method: "POST", path: "/admin/v1/identities/preview", body: `{"do":"cut",` + pair[1:]}, {method: "POST", path: "/admin/v1/backup"}, {method: "POST", path: "/admin/v1/compact"},
		{method: "POST", path: "/admin/v1/keys", body: `{"action":"rotate-master"}`}, {method: "POST", path: "/admin/v1/log/settle"},
	} {
		got := d.do(a)
		if got.fails(503, "audit_unavailable"); got.header.Get("Retry-After") == "" || strings.Contains(got.body, "secret-place") {
			t.Errorf("%s %v %s", a.path, got.header, got.body)
		}
	}
	if len(w.asked) != 0 {
		t.Errorf("begun all the same: %v", w.asked)
	}
	m.silent.Store(false)
	var g graphBody
	if d.get(persons + "user_id:u1/identities").ok(&g); len(g.Members) != 2 {
		t.Errorf("the person changed: %+v", g)
	}
}

// TestDenialsEnd: who has no key cannot fill the disk with being turned away.
func TestDenialsEnd(t *testing.T) {
	d := newDesk(t, nil)
	for i := range 70 {
		d.do(ask{path: "/metrics", authorization: "Bearer wrong", from: fmt.Sprintf("127.0.2.%d", i/8+1)}).fails(401, "wrong_key")
	}
	if n := len(d.entries()); n != 60 {
		t.Errorf("%d denials are written down within a minute", n)
	}
	d.pass(time.Minute)
	d.do(ask{path: "/metrics", authorization: "Bearer wrong", from: "127.0.3.1"}).fails(401, "wrong_key")
	if n := len(d.entries()); n != 61 {
		t.Errorf("%d a minute later", n)
	}
}
