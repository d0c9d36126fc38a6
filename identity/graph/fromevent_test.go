package graph

import (
	"slices"
	"strings"
	"testing"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
)

func eventTypes(t testing.TB) *id.Types {
	t.Helper()
	types, err := id.NewTypes(id.Options{Rules: []id.Rule{
		{Name: "crm_id", From: []string{"traits.crm.id", "context.externalIds.salesforce"}},
		{Name: "card", From: []string{"properties.cardNo", "context.app.card"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return types
}

func TestFromEvent(t *testing.T) {
	types := eventTypes(t)
	for _, c := range []struct {
		name    string
		ev      event.Event
		o       EventOptions
		links   string // pairs, by "; "
		ids     string
		blocked int
	}{
		{"nobody", event.Event{Type: event.Track}, EventOptions{}, "", "", 0},
		{"a device", event.Event{Type: event.Track, AnonymousID: "a1"}, EventOptions{}, "", "anonymous_id:a1", 0},
		{"any event with both", event.Event{Type: event.Page, AnonymousID: "a1", UserID: "u1"}, EventOptions{},
			"anonymous_id:a1 user_id:u1", "anonymous_id:a1 user_id:u1", 0},
		{"a claim where claims link nothing", event.Event{Type: event.Identify, AnonymousID: "a1", UserID: "u1", Trust: id.Claimed},
			EventOptions{NoClaimedLinks: true}, "", "anonymous_id:a1 user_id:u1", 0},
		{"a verified one there", event.Event{Type: event.Identify, AnonymousID: "a1", UserID: "u1", Trust: id.Verified},
			EventOptions{NoClaimedLinks: true}, "anonymous_id:a1 user_id:u1", "anonymous_id:a1 user_id:u1", 0},
		{"traits link to the user", event.Event{Type: event.Identify, AnonymousID: "a1", UserID: "u1",
			Traits: `{"email":" A@x.com","phone":null,"crm":{"id":7}}`}, EventOptions{},
			"anonymous_id:a1 user_id:u1; email:a@x.com user_id:u1; crm_id:7 user_id:u1",
			"anonymous_id:a1 user_id:u1 email:a@x.com crm_id:7", 0},
		{"or to the device", event.Event{Type: event.Identify, AnonymousID: "a1", UserID: "null", Traits: `{"email":"a@x.com"}`}, EventOptions{},
			"anonymous_id:a1 email:a@x.com", "anonymous_id:a1 email:a@x.com", 1},
		{"or to nothing", event.Event{Type: event.Identify, Traits: `{"email":"a@x.com","crm":{"id":"7"}}`}, EventOptions{},
			"", "email:a@x.com crm_id:7", 0},
		{"a group's traits are the group's", event.Event{Type: event.Group, UserID: "u1", Traits: `{"email":"a@x.com"}`}, EventOptions{}, "", "user_id:u1", 0},
		{"alias of two users", event.Event{Type: event.Alias, UserID: "u2", PreviousID: "u1"}, EventOptions{}, "user_id:u1 user_id:u2", "user_id:u2 user_id:u1", 0},
		{"alias of the device", event.Event{Type: event.Alias, AnonymousID: "a1", UserID: "u2", PreviousID: "a1"}, EventOptions{},
			"anonymous_id:a1 user_id:u2", "anonymous_id:a1 user_id:u2", 0},
		{"alias of itself", event.Event{Type: event.Alias, UserID: "u1", PreviousID: " u1 "}, EventOptions{}, "", "user_id:u1", 0},
		{"previousId elsewhere", event.Event{Type: event.Track, UserID: "u1", PreviousID: "u0"}, EventOptions{}, "", "user_id:u1", 0},
		{"external ids", event.Event{Type: event.Track, UserID: "u1", Context: `{"externalIds":[
			{"id":"s1","type":"salesforce"},{"id":"b@x.com","type":"email","collection":"users","encoding":"none"},
			{"id":"s2","type":"crm_id","collection":"accounts"},{"id":"s3","type":"crm_id","encoding":"sha256"},{"id":"x","type":"unheard"},7]}`}, EventOptions{},
			"crm_id:s1 user_id:u1; email:b@x.com user_id:u1", "user_id:u1 crm_id:s1 email:b@x.com", 0},
		{"escaped key", event.Event{Type: event.Track, UserID: "u1", Context: `{"external\u0049ds":[{"id":"s1","type":"salesforce"}]}`}, EventOptions{},
			"crm_id:s1 user_id:u1", "user_id:u1 crm_id:s1", 0},
		{"paths of any event", event.Event{Type: event.Track, UserID: "u1", Properties: `{"cardNo":12345678901234567890}`, Context: `{"app":{"card":"c2"}}`}, EventOptions{},
			"card:12345678901234567890 user_id:u1; card:c2 user_id:u1", "user_id:u1 card:12345678901234567890 card:c2", 0},
		{"more than usual", event.Event{Type: event.Track, UserID: "u1", Context: `{"externalIds":[{"id":"1","type":"card"},{"id":"2","type":"card"},
			{"id":"3","type":"card"},{"id":"4","type":"card"},{"id":"5","type":"card"},{"id":"6","type":"card"},{"id":"7","type":"card"},{"id":"8","type":"card"},
			{"id":"9","type":"card"},{"id":"9","type":"card"},{"id":"1","type":"card"}]}`}, EventOptions{},
			"card:1 user_id:u1; card:2 user_id:u1; card:3 user_id:u1; card:4 user_id:u1; card:5 user_id:u1; card:6 user_id:u1; card:7 user_id:u1; card:8 user_id:u1; card:9 user_id:u1",
			"user_id:u1 card:1 card:2 card:3 card:4 card:5 card:6 card:7 card:8 card:9", 0},
		{"a number without its country", event.Event{Type: event.Identify, UserID: "u1", Traits: `{"phone":"040 1234567","email":"at home"}`}, EventOptions{}, "", "user_id:u1", 2},
		{"values that are none", event.Event{Type: event.Identify, UserID: "[object Object]", AnonymousID: "0",
			Traits: `{"email":"","phone":true,"crm":{"id":1.5}}`, Properties: `{"cardNo":["c1"]}`}, EventOptions{}, "", "", 4},
	} {
		links, blocked := FromEvent(nil, &c.ev, types, c.o)
		var got []string
		for _, l := range links {
			if l.Kind != Link || l.Trust != c.ev.Trust || !l.A.Less(l.B) {
				t.Errorf("%s: %+v", c.name, l)
			}
			got = append(got, l.A.String()+" "+l.B.String())
		}
		if g := strings.Join(got, "; "); g != c.links || blocked != c.blocked {
			t.Errorf("%s: %q, %d blocked; want %q, %d", c.name, g, blocked, c.links, c.blocked)
		}
		if g := strings.Join(texts(Identifiers(nil, &c.ev, types)), " "); g != c.ids {
			t.Errorf("%s: identifiers %q, want %q", c.name, g, c.ids)
		}
		before := []id.ID{deviceOne}
		if g := Identifiers(before, &c.ev, types); g[0] != deviceOne || len(g) != 1+len(strings.Fields(c.ids)) {
			t.Errorf("%s: appended to another they are %v", c.name, g)
		}
	}
}

func TestEvidenceOfAnEvent(t *testing.T) {
	types := id.Default()
	ev := event.Event{Type: event.Identify, Site: "shop", MessageID: "m1", AnonymousID: "a1", UserID: "u1", Traits: `{"email":"a@x.com"}`, Trust: id.Verified}
	state := func(ev event.Event) []Evidence { l, _ := FromEvent(nil, &ev, types, EventOptions{}); return l }
	for _, c := range []struct{ said, received, want int64 }{
		{100, 200, 100}, {4_000, 200, 200}, {0, 200, 200}, {100, 0, 100}, {-5, 200, -5},
	} {
		ev.Timestamp, ev.ReceivedAt = c.said, c.received
		if got := state(ev)[0].Time; got != c.want {
			t.Errorf("said %d, received %d: dated %d, want %d", c.said, c.received, got, c.want)
		}
	}
	first := state(ev)
	if !slices.Equal(first, state(ev)) {
		t.Error("the same event stated other evidence")
	}
	if first[0].ID == first[1].ID {
		t.Error("two links of one event have one id")
	}
	for name, other := range map[string]event.Event{
		"site":    {Type: ev.Type, Site: "shopm", MessageID: "1", AnonymousID: "a1", UserID: "u1"},
		"message": {Type: ev.Type, Site: "shop", MessageID: "m2", AnonymousID: "a1", UserID: "u1"},
	} {
		if state(other)[0].ID == first[0].ID {
			t.Errorf("another %s, the same id", name)
		}
	}
}

// Each of a thousand devices identifies as each blocked value: a thousand
// persons, and every value counted.
func TestBlockedValuesJoinNobody(t *testing.T) {
	types := id.Default()
	words := []string{"null", "None", "nil", "UNDEFINED", "NaN", "true", "false", "anonymous", "guest", "unknown", "id", "email",
		"distinct_id", "anonymousId", "userId", "[object Object]", "-1", "0", "000", "00000000-0000-0000-0000-000000000000", ` "null" `}
	set, blocked := NewSet(), 0
	r := NewResolver(types, Options{})
	for i := range 1000 {
		for _, w := range words {
			ev := event.Event{Type: event.Identify, AnonymousID: deviceName(i), UserID: w, Trust: id.Verified, Traits: `{"email":` + event.Quote(w) + `}`}
			links, n := FromEvent(nil, &ev, types, EventOptions{})
			blocked += n
			for _, l := range links {
				set.Add(l)
			}
		}
	}
	if want := 1000 * 2 * len(words); blocked != want {
		t.Errorf("%d blocked, want %d", blocked, want)
	}
	for i := range 1000 {
		x := id.ID{Type: id.AnonymousID, Value: deviceName(i)}
		if c, _ := r.Cluster(x, id.AllView, set); len(c.Members) != 1 || c.Representative != x {
			t.Fatalf("%v is of %v", x, c.Members)
		}
	}
}
