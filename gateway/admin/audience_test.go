package admin_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/reuna/reuna/gateway/admin"
	"github.com/reuna/reuna/identity/event"
)

type memberList struct {
	Segment string
	Members []struct {
		PersonID, Since string
		Identifiers     []struct{ Type, Value string }
	}
	Next string
}

// TestMembers: person ids alone, unless identifiers are asked for; whoever is
// told stands in the activity log.
func TestMembers(t *testing.T) {
	d, s := newDefiningDesk(t)
	login := msg(0, event.Identify, "a1", "u1")
	login.Traits = `{"email":"ann@x.fi"}`
	claim := claimed(msg(1, event.Identify, "a2", "u2"))
	claim.Traits = `{"email":"bob@x.fi"}`
	d.send(login, claim)
	gone := "p_aaaaaaaaaaaaaaaaaaaaaaaaaa"
	user, other := d.personID("user_id", "u1"), d.personID("anonymous_id", "a2")
	s.members = []admin.AudienceMember{{Person: user, Since: day}, {Person: gone}, {Person: other, Since: day + 1}}

	a := d.get("/admin/v1/segments/fans/members")
	var list memberList
	a.ok(&list)
	mustNotContain(t, "a list of members", a.body, "u1", "a1", "ann", "identifiers")
	if len(list.Members) != 3 || list.Segment != "fans" || list.Members[0].PersonID != user || list.Members[0].Since != "2023-11-14T22:13:20.000Z" || list.Next != "" {
		t.Errorf("%+v", list)
	}
	list = memberList{}
	d.get("/admin/v1/segments/fans/members?with=email,user_id&limit=2").ok(&list)
	if got := fmt.Sprint(list.Members[0].Identifiers, list.Members[1].Identifiers, list.Next); len(list.Members) != 2 || got != "[{email ann@x.fi} {user_id u1}] []n2" {
		t.Errorf("%s in %+v", got, list)
	}
	list = memberList{}
	a = d.get("/admin/v1/segments/fans/members?with=email&after=n2")
	a.ok(&list)
	mustNotContain(t, "what a browser claimed", a.body, "bob")
	want := []string{
		fmt.Sprintf(`segment.members segments/fans ok {"persons":[%q],"with":["email"]}`, other),
		fmt.Sprintf(`segment.members segments/fans ok {"persons":[%q,%q],"with":["email","user_id"]}`, user, gone),
		fmt.Sprintf(`segment.members segments/fans ok {"persons":[%q,%q,%q]}`, user, gone, other),
	}
	if got := d.noted(); !slices.Equal(got, want) {
		t.Errorf("noted\n%s", strings.Join(got, "\n"))
	}
	for path, code := range map[string]string{"?after=x": "invalid_cursor", "?limit=0": "invalid_limit", "?limit=1001": "invalid_limit", "?with=name": "unknown_type", "?with=email,": "unknown_type", "?wiht=email": "unknown_parameter"} {
		e := d.get("/admin/v1/segments/fans/members"+path).fails(400, code)
		if e.Error.Field == "" {
			t.Errorf("%s: %+v", path, e)
		}
	}
	d.get("/admin/v1/segments/nobody/members").fails(404, "unknown_definition")
}

// TestManyMembersAreNoted: a page of a thousand, each in the activity log.
func TestManyMembersAreNoted(t *testing.T) {
	d, s := newDefiningDesk(t)
	const letters = "abcdefghijklmnopqrstuvwxyz"
	for i := range 1001 {
		s.members = append(s.members, admin.AudienceMember{Person: "p_" + strings.Repeat("a", 23) + string([]byte{letters[i/676], letters[i/26%26], letters[i%26]}), Since: day})
	}
	var list memberList
	d.get("/admin/v1/segments/fans/members?limit=1000").ok(&list)
	if len(list.Members) != 1000 || list.Next != "n1000" {
		t.Fatalf("%d members, next %q", len(list.Members), list.Next)
	}
	noted := strings.Join(d.noted(), "\n")
	for _, m := range list.Members {
		if !strings.Contains(noted, m.PersonID) {
			t.Fatalf("%s is told and not noted", m.PersonID)
		}
	}
}

// TestPreviewOfAnAudience: numbers alone, and noted.
func TestPreviewOfAnAudience(t *testing.T) {
	d, s := newDefiningDesk(t)
	a := d.post("/admin/v1/segments/preview", when)
	want := `{"estimate":1200,"low":1100,"high":1310,"persons":100000,"sampled":5000,"share":0.012,"cost":{"steps":40,"limit":100000,"microseconds":1.5},"partial":["traits/orders"],"parts":[{"text":"counts.orders > 1","line":1,"column":1,"steps":3}]}`
	if a.status != 200 || a.body != want {
		t.Errorf("%d %s", a.status, a.body)
	}
	d.do(ask{method: "POST", path: "/admin/v1/segments/preview", body: "when: x\n", contentType: "text/yaml"}).ok(&struct{}{})
	d.post("/admin/v1/segments/preview", `{"when":"wrong"}`).fails(422, "invalid_definition")
	if got := fmt.Sprint(s.asked); got != "[preview : "+when+" preview yaml: when: x\n]" {
		t.Errorf("asked %s", got)
	}
	if got := d.noted(); !slices.Equal(got, []string{"segment.preview  ok", "segment.preview  ok", "segment.preview  ok"}) {
		t.Errorf("noted %q", got)
	}
	if text := d.get("/metrics").body; !strings.Contains(text, "reuna_desk_preview_seconds_count 2") {
		t.Error("/metrics does not count previews")
	}
}

// TestExplain: each kind with what it has, now and at a past time; noted.
func TestExplain(t *testing.T) {
	d, s := newDefiningDesk(t)
	d.send(msg(0, event.Identify, "a1", "u1"))
	user := d.personID("user_id", "u1")
	head := fmt.Sprintf(`{"personId":%q,"view":"verified","kind":%%q,"name":%%q,"version":3,"at":"2023-11-14T22:13:20.000Z",`, user)
	tail := `"until":"2023-11-14T22:13:25.000Z","parts":[%s],"notes":["identities are today's"]}`
	for query, want := range map[string]string{
		"segment=fans": fmt.Sprintf(head+`"in":true,"since":"2023-11-14T22:13:19.000Z","rule":"computed.orders >= 1",`+tail, "segment", "fans",
			`{"text":"computed.orders >= 1","line":1,"column":1,"depth":0,"value":true,"holds":true},{"text":"computed.orders","line":1,"column":1,"depth":1,"value":2}`),
		"trait=latest":  fmt.Sprintf(head+`"value":["a","b"],`+tail, "trait", "latest", ""),
		"trait=unknown": fmt.Sprintf(head+`"value":null,`+tail, "trait", "unknown", ""),
		"placement=hero": fmt.Sprintf(head+`"variant":"default","holdout":true,"variants":[{"name":"thrillers","chosen":false,"code":"held_out","reason":"held out","rule":"true"},{"name":"default","chosen":true,"code":"shown","reason":"it is"}],`+tail,
			"placement", "hero", ""),
	} {
		if a := d.get(persons + "user_id:u1/explain?" + query); a.status != 200 || pretty(t, a.body) != pretty(t, want) {
			t.Errorf("%s: %d\n%s\nwant\n%s", query, a.status, a.body, want)
		}
	}
	s.asked = nil
	d.get(persons + "user_id:u1/explain?placement=hero&site=shop&at=2024-04-30T00:00:00Z&view=all").ok(&struct{}{})
	if got := fmt.Sprint(s.asked); got != `[explain placement hero to user_id:u1, view all, site "shop", at 1714435200000]` {
		t.Errorf("asked %s", got)
	}
	for query, c := range map[string]struct {
		status int
		code   string
	}{
		"":                                  {400, "invalid_question"},
		"segment=a&trait=b":                 {400, "invalid_question"},
		"segment=a&site=shop":               {400, "invalid_question"},
		"segment=a&at=yesterday":            {400, "invalid_time"},
		"segment=a&at=2030-01-01T00:00:00Z": {400, "invalid_time"},
		"segment=a&view=some":               {400, "invalid_view"},
		"segment=none":                      {404, "unknown_definition"},
		"segment=a%20b":                     {404, "unknown_definition"},
		"sgment=a":                          {400, "unknown_parameter"},
	} {
		d.get(persons+"user_id:u1/explain?"+query).fails(c.status, c.code)
	}
	d.get(persons+"user_id:nobody/explain?segment=fans").fails(404, "unknown_person")
	n := 0
	for _, line := range d.noted() {
		if strings.HasPrefix(line, "person.explain "+user+" ok ") {
			n++
		}
		mustNotContain(t, "the activity log", line, "u1")
	}
	if n != 6 { // four kinds, one at a time, and the one of what is not defined
		t.Errorf("%d are noted: %q", n, d.noted())
	}
}

// TestHistory: what a person entered and left, newest first; noted.
func TestHistory(t *testing.T) {
	d, s := newDefiningDesk(t)
	d.send(msg(0, event.Identify, "a1", "u1"))
	user := d.personID("user_id", "u1")
	s.moves = []admin.Transition{{Audience: "fans", At: day + 1, Cause: "time"}, {Audience: "fans", Entered: true, At: day, Cause: "event"}}
	a := d.get(persons + "anonymous_id:a1/history")
	want := fmt.Sprintf(`{"personId":%q,"view":"verified","transitions":[{"audience":"fans","change":"left","at":"2023-11-14T22:13:20.001Z","cause":"time"},{"audience":"fans","change":"entered","at":"2023-11-14T22:13:20.000Z","cause":"event"}]}`, user)
	if a.status != 200 || a.body != want {
		t.Errorf("%d %s", a.status, a.body)
	}
	var page struct {
		Transitions []json.RawMessage
		Next        string
	}
	d.get(persons + "anonymous_id:a1/history?limit=1&view=all&before=y").ok(&page)
	if len(page.Transitions) != 1 || page.Next != "more" {
		t.Errorf("%+v", page)
	}
	if got := fmt.Sprint(s.asked); got != `[transitions of anonymous_id:a1, view verified, before "" transitions of anonymous_id:a1, view all, before "y"]` {
		t.Errorf("asked %s", got)
	}
	if e := d.get(persons+"anonymous_id:a1/history?before=x").fails(400, "invalid_cursor"); e.Error.Field != "before" {
		t.Errorf("%+v", e)
	}
	d.get(persons+"anonymous_id:nobody/history").fails(404, "unknown_person")
	if n := len(d.noted()); n != 4 {
		t.Errorf("%d reads are noted", n)
	}
}

// TestResults: numbers of persons, with their intervals.
func TestResults(t *testing.T) {
	d, _ := newDefiningDesk(t)
	a := d.get("/admin/v1/placements/hero/results")
	want := `{"placement":"hero","goal":"Order Completed","upTo":9,"behind":1,"versions":[{"version":2,"firstShown":"2023-11-14T22:13:20.000Z","lastShown":"2023-11-14T22:13:21.000Z","several":3,"variants":[` +
		`{"variant":"thrillers","holdout":false,"persons":100,"conversions":10,"value":99.5,"rate":{"value":0.1,"low":0.05,"high":0.17},"worth":{"value":0.995},` +
		`"against":{"variant":"thrillers","holdout":true,"rate":{"value":0.02,"low":-0.1,"high":0.14},"worth":{"value":0,"low":0,"high":0}},"bestProbability":0.7},` +
		`{"variant":"thrillers","holdout":true,"persons":12,"conversions":1,"value":0,"rate":{"value":0,"low":0,"high":0},"worth":{"value":0,"low":0,"high":0},"bestProbability":0}]}]}`
	if a.status != 200 || a.body != want {
		t.Errorf("%d %s", a.status, a.body)
	}
}
