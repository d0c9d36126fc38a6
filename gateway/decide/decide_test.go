package decide

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/identity/trait"
	"github.com/reuna/reuna/identity/trait/rule"
)

const day = 24 * time.Hour

var (
	now  = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC).UnixMilli()
	salt = []byte("a salt of enough bytes")
)

func rules(t testing.TB) (*trait.Set, *segment.Env, *segment.Set) {
	t.Helper()
	traits, err := trait.Compile([]trait.Definition{
		{Name: "favourite_category", Kind: trait.Affinity, Event: "Product Viewed", By: "properties.category", HalfLife: 14 * day},
		{Name: "views_30d", Kind: trait.Count, Event: "Product Viewed", Window: 30 * day},
	})
	if err != nil {
		t.Fatal(err)
	}
	env := segment.NewEnv(traits)
	segments, err := segment.Compile(env, []segment.Definition{
		{Name: "thriller-fans", When: "computed.favourite_category == 'thrillers' && affinity['thrillers'] >= 2.5"},
		{Name: "customer", When: "counts.orders >= 1"},
		{Name: "pro-fans", When: "'thriller-fans' in segments && traits.plan == 'pro'"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return traits, env, segments
}

// hero is a placement with all that one can have.
func hero(holdout float64) Placement {
	return Placement{Name: "hero", Variants: []Variant{
		{Name: "thrillers", When: "'thriller-fans' in segments", Experience: "spring", Holdout: holdout},
		{Name: "mobile", When: "device.type == 'mobile'"},
		{Name: "default"},
	}}
}

func decider(t testing.TB, change func(*Options)) *Decider {
	t.Helper()
	o := Options{Salt: salt, Placements: []Placement{hero(0)},
		Sites: []Site{{Name: "shop", PageTraits: []string{"plan", "favourite_category", "views_30d", "gone", "never", "bio", "plan"}}}}
	o.Traits, o.Env, o.Segments = rules(t)
	if change != nil {
		change(&o)
	}
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// reader is the profile of somebody who looked at n thrillers.
func reader(t testing.TB, n int, traits string) *facet.Profile {
	t.Helper()
	set, _, _ := rules(t)
	f := &facet.Facet{Key: facet.Key{AnonymousID: "a1"}}
	r := facet.Rules{Contribute: set.Contribute}
	v, err := event.Check(traits)
	if err != nil {
		t.Fatal(err)
	}
	f.Fold(&event.Event{Type: event.Identify, MessageID: "i", Trust: id.Claimed, Timestamp: now - 60_000, Traits: v}, 1, &r)
	f.Fold(&event.Event{Type: event.Page, MessageID: "p", Trust: id.Claimed, Timestamp: now - 50_000,
		Device: event.Device{Type: "desktop", OS: "Windows", Browser: "Firefox"}, Geo: event.Geo{Country: "FI", City: "Oulu"},
		Traffic: event.Traffic{Channel: "Organic Search", Source: "google", Medium: "organic"}}, 1, &r)
	for i := range n {
		f.Fold(&event.Event{Type: event.Track, Name: "Product Viewed", MessageID: fmt.Sprint(i), Trust: id.Claimed, Timestamp: now - 1000, Properties: `{"category":"thrillers"}`}, 1, &r)
	}
	return facet.Join([]*facet.Facet{f})
}

// answer asks d and holds the answer to being JSON.
func answer(t testing.TB, d *Decider, v *View, site string, placements ...string) (text string, members event.Value) {
	t.Helper()
	text = string(d.Append(nil, v, site, placements))
	members, err := event.Check("{" + text + "}")
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return text, members
}

func TestAnswer(t *testing.T) {
	d := decider(t, nil)
	v := &View{ID: "v_1", Known: true, Now: now, Profile: reader(t, 3, `{"plan":"pro","email":"a@b.example","gone":null,"interests":["x"]}`), Identifiers: []string{"email"}}
	got, _ := answer(t, d, v, "shop", "hero", "nowhere", "hero")
	const want = `"profile":{"id":"v_1","known":true,` +
		`"visit":{"new":true,"sessions":1,"pageviews":1,"firstSeen":"2026-03-04T11:59:00.000Z","lastSeen":"2026-03-04T11:59:59.000Z"},` +
		`"device":{"type":"desktop","os":"Windows","browser":"Firefox"},` +
		`"geo":{"country":"FI","region":"","city":"Oulu"},` +
		`"traffic":{"channel":"Organic Search","source":"google","medium":"organic","campaign":""},` +
		`"firstTouch":{"channel":"Organic Search","source":"google","medium":"organic","campaign":""},` +
		`"lastTouch":{"channel":"Organic Search","source":"google","medium":"organic","campaign":""},` +
		`"traits":{"plan":"pro","favourite_category":"thrillers","views_30d":3},` +
		`"segments":["thriller-fans","pro-fans"],"affinity":[["thrillers",2.99]]},` +
		`"decisions":{"hero":{"variant":"thrillers","experience":"spring","holdout":false}}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if again, _ := answer(t, d, v, "shop", "hero", "nowhere", "hero"); again != got {
		t.Errorf("the second answer differs: %s", again)
	}
	if n := d.Failures(); n != 0 {
		t.Errorf("%d failures", n)
	}
}

func TestAnonymousAnswer(t *testing.T) {
	const want = `"profile":{"id":"v_1","known":false,"visit":{"new":true,"sessions":0,"pageviews":0},` +
		`"device":{"type":"","os":"","browser":""},"geo":{"country":"","region":"","city":""},` +
		`"traffic":{"channel":"","source":"","medium":"","campaign":""},"firstTouch":{"channel":"","source":"","medium":"","campaign":""},` +
		`"lastTouch":{"channel":"","source":"","medium":"","campaign":""},"traits":{},"segments":[],"affinity":[]},"decisions":{}`
	bare, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := answer(t, bare, &View{ID: "v_1", Now: now}, "shop", "hero"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if _, got := answer(t, decider(t, nil), &View{ID: "v_1", Now: now}, "nowhere"); got.Get("profile", "traits") != "{}" || got.Get("decisions") != "{}" {
		t.Errorf("an unknown site gets %s", got)
	}
	_, got := answer(t, decider(t, nil), &View{ID: "v_1", Now: now}, "shop", "hero")
	if got.Get("profile", "traits") != `{"views_30d":0}` || got.Get("decisions", "hero", "variant") != `"default"` {
		t.Errorf("got %s", got)
	}
}

func TestTheNewestEventIsNow(t *testing.T) {
	d := decider(t, nil)
	e := &event.Event{Device: event.Device{Type: "mobile", OS: "Android"}, Geo: event.Geo{Country: "SE"}, Traffic: event.Traffic{Channel: "Email", Campaign: "spring"}}
	_, got := answer(t, d, &View{ID: "v_1", Now: now, Profile: reader(t, 0, `{}`), Event: e}, "shop", "hero")
	for path, want := range map[string]event.Value{
		"profile.device.type": `"mobile"`, "profile.geo.country": `"SE"`, "profile.geo.city": `""`, "profile.traffic.channel": `"Email"`,
		"profile.firstTouch.source": `"google"`, "profile.lastTouch.campaign": `"spring"`, "decisions.hero.variant": `"mobile"`,
	} {
		if x := got.Path(path); x != want {
			t.Errorf("%s is %s, want %s", path, x, want)
		}
	}
}

// TestTouches: the first source stays, and the last is the latest that is more
// than an address typed, of somebody of whom nothing is known yet too.
func TestTouches(t *testing.T) {
	d := decider(t, nil)
	direct, email := event.Traffic{Channel: event.Direct, Source: "(direct)"}, event.Traffic{Channel: "Email", Source: "news"}
	for _, c := range []struct {
		known       []event.Traffic // folded, one after the other
		now         event.Traffic   // of an event that is not
		first, last string
	}{
		{nil, event.Traffic{}, "", ""},
		{nil, direct, "(direct)", "(direct)"},
		{nil, email, "news", "news"},
		{[]event.Traffic{direct}, event.Traffic{}, "(direct)", "(direct)"},
		{[]event.Traffic{direct, email, direct}, event.Traffic{}, "(direct)", "news"},
		{[]event.Traffic{email, direct}, direct, "news", "news"},
		{[]event.Traffic{direct}, email, "(direct)", "news"},
	} {
		f := &facet.Facet{}
		for i, x := range c.known {
			f.Fold(&event.Event{Type: event.Page, MessageID: fmt.Sprint(i), Timestamp: now + int64(i), Traffic: x}, 1, &facet.Rules{})
		}
		_, got := answer(t, d, &View{ID: "v", Now: now, Profile: facet.Join([]*facet.Facet{f}), Event: &event.Event{Traffic: c.now}}, "shop")
		first, last := got.Path("profile.firstTouch.source").Text(), got.Path("profile.lastTouch.source").Text()
		if first != c.first || last != c.last {
			t.Errorf("%+v: first %q, last %q", c, first, last)
		}
	}
}

// TestARobotHasNoVisits, and somebody who is told from it still has.
func TestARobotHasNoVisits(t *testing.T) {
	f := &facet.Facet{}
	for i := range int64(4) {
		f.Fold(&event.Event{Type: event.Page, MessageID: fmt.Sprint(i), Timestamp: now + i*day.Milliseconds(), Bot: event.Bot{Is: true}}, 1, &facet.Rules{})
	}
	_, got := answer(t, decider(t, nil), &View{ID: "v", Now: now, Profile: facet.Join([]*facet.Facet{f})}, "shop")
	if v := got.Path("profile.visit"); v.Get("new") != "true" || v.Get("sessions") != "0" || v.Get("pageviews") != "0" || v.Get("firstSeen") == "" {
		t.Errorf("a robot's visit is %s", v)
	}
}

func TestVisits(t *testing.T) {
	d := decider(t, nil)
	for sessions, isNew := range map[int64]event.Value{0: "true", 1: "true", 2: "false", 40: "false"} {
		_, got := answer(t, d, &View{ID: "v", Now: now, Profile: &facet.Profile{Sessions: sessions}}, "shop")
		if x := got.Path("profile.visit.new"); x != isNew {
			t.Errorf("%d sessions: new is %s", sessions, x)
		}
	}
}

func TestOnlyTheListLeaves(t *testing.T) {
	d := decider(t, nil)
	traits := `{"email":"secret@x.example","phone":"+358secret","name":"Secret","firstName":"Secret","views_30d":"spoofed","favourite_category":"spoofed","user_id":"secret"}`
	p := reader(t, 1, traits)
	p.Devices = []facet.DeviceSeen{{AnonymousID: "secret"}}
	text, got := answer(t, d, &View{ID: "v_1", Known: true, Person: "p_secret", Now: now, Profile: p}, "shop", "hero")
	if strings.Contains(strings.ToLower(text), "secret") {
		t.Errorf("what the list does not name is in the answer: %s", text)
	}
	if x := got.Path("profile.traits"); x != `{"favourite_category":"thrillers","views_30d":1}` {
		t.Errorf("computed traits give way to what somebody said: %s", x)
	}
	d = decider(t, func(o *Options) { o.Sites[0].PageTraits = []string{"email"} })
	if _, got := answer(t, d, &View{ID: "v_1", Now: now, Profile: p}, "shop"); got.Path("profile.traits.email") != `"secret@x.example"` {
		t.Errorf("what the list names is missing: %s", got)
	}
}

func TestTextsCannotEndAScript(t *testing.T) {
	evil := "</script><!--\u2028\u2029&\"\\"
	quoted := `"</script><!--` + "\u2028\u2029" + `&\"\\"`
	d := decider(t, func(o *Options) {
		o.Placements = []Placement{{Name: evil, Site: "shop", Variants: []Variant{{Name: evil, Experience: evil}}}}
		o.Sites[0].PageTraits = append(o.Sites[0].PageTraits, evil)
	})
	p := reader(t, 1, `{"bio":{`+quoted+`:[`+quoted+`]},`+quoted+`:1}`)
	e := &event.Event{Device: event.Device{OS: evil}, Geo: event.Geo{City: evil}, Traffic: event.Traffic{Channel: "x", Campaign: evil}}
	text, got := answer(t, d, &View{ID: evil, Now: now, Profile: p, Event: e}, "shop", evil)
	if i := strings.IndexAny(text, "<>&\u2028\u2029"); i >= 0 {
		t.Errorf("bare %q in %s", text[i], text)
	}
	for name, x := range map[string]event.Value{
		"trait":    got.Get("profile", "traits", "bio", evil),
		"variant":  got.Get("decisions", evil, "variant"),
		"campaign": got.Get("profile", "traffic", "campaign"),
	} {
		x.Items(func(m event.Value) bool { x = m; return false })
		if x.Text() != evil {
			t.Errorf("%s: the text changed to %q", name, x.Text())
		}
	}
}

func TestAffinityIsShort(t *testing.T) {
	set, _, _ := rules(t)
	f := &facet.Facet{}
	for i := range 8 {
		for n := range 8 - i {
			f.Fold(&event.Event{Type: event.Track, Name: "Product Viewed", MessageID: fmt.Sprint(i, n), Timestamp: now - (100 * time.Hour).Milliseconds(),
				Properties: event.Value(fmt.Sprintf(`{"category":"c%d"}`, i))}, 1, &facet.Rules{Contribute: set.Contribute})
		}
	}
	_, got := answer(t, decider(t, nil), &View{ID: "v", Now: now, Profile: facet.Join([]*facet.Facet{f})}, "shop")
	n := 0
	got.Path("profile.affinity").Items(func(pair event.Value) bool {
		var score event.Value
		pair.Items(func(m event.Value) bool { score = m; return true })
		if _, digits, _ := strings.Cut(string(score), "."); len(digits) > 2 || !strings.HasPrefix(string(pair), fmt.Sprintf(`["c%d",`, n)) {
			t.Errorf("place %d: %s", n, pair)
		}
		n++
		return true
	})
	if n != maxAffinity {
		t.Errorf("%d scores, want %d", n, maxAffinity)
	}
}

func TestChoice(t *testing.T) {
	fan, plain := reader(t, 3, `{}`), reader(t, 0, `{}`)
	only := Placement{Name: "hero", Variants: []Variant{{Name: "thrillers", When: "'thriller-fans' in segments"}}}
	everyone := Placement{Name: "hero", Variants: []Variant{{Name: "banner", Experience: "ab"}}}
	out := func(p Placement) Placement {
		p.Variants = append([]Variant(nil), p.Variants...)
		p.Variants[0].Holdout = 1
		return p
	}
	for _, c := range []struct {
		name      string
		placement Placement
		profile   *facet.Profile
		want      event.Value
	}{
		{"first rule that holds", hero(0), fan, `{"variant":"thrillers","experience":"spring","holdout":false}`},
		{"none holds: the default", hero(0), plain, `{"variant":"default","experience":"","holdout":false}`},
		{"held out", hero(1), fan, `{"variant":"default","experience":"spring","holdout":true,"heldOutOf":"thrillers"}`},
		{"nobody is held out of what does not fit", hero(1), plain, `{"variant":"default","experience":"","holdout":false}`},
		{"none holds and there is no default", only, plain, ""},
		{"held out of the only variant", out(only), fan, `{"variant":"default","experience":"","holdout":true,"heldOutOf":"thrillers"}`},
		{"held out of a variant for everyone", out(everyone), plain, `{"variant":"default","experience":"ab","holdout":true,"heldOutOf":"banner"}`},
		{"a variant for everyone", everyone, nil, `{"variant":"banner","experience":"ab","holdout":false}`},
	} {
		d := decider(t, func(o *Options) { o.Placements = []Placement{c.placement} })
		_, got := answer(t, d, &View{ID: "v", Now: now, Profile: c.profile}, "shop", "hero")
		if x := got.Path("decisions.hero"); x != c.want {
			t.Errorf("%s: got %s, want %s", c.name, x, c.want)
		}
	}
}

func TestASiteHasItsOwnPlacements(t *testing.T) {
	d := decider(t, func(o *Options) {
		o.Sites = append(o.Sites, Site{Name: "blog"})
		o.Placements = append(o.Placements, Placement{Name: "foot", Variants: []Variant{{Name: "f"}}},
			Placement{Name: "hero", Site: "blog", Variants: []Variant{{Name: "blog"}}}, Placement{Name: "aside", Site: "blog", Variants: []Variant{{Name: "x"}}})
	})
	v := &View{ID: "v", Now: now}
	for site, want := range map[string]string{"shop": "default,,f", "blog": "blog,x,f", "other": "default,,f"} {
		_, got := answer(t, d, v, site, "hero", "aside", "foot")
		var names []string
		for _, p := range []string{"hero", "aside", "foot"} {
			names = append(names, got.Get("decisions", p, "variant").Text())
		}
		if x := strings.Join(names, ","); x != want {
			t.Errorf("%s shows %s, want %s", site, x, want)
		}
	}
}

func TestFaults(t *testing.T) {
	_, env, segments := rules(t)
	one := func(v ...Variant) []Placement { return []Placement{{Name: "p", Variants: v}} }
	for _, c := range []struct {
		list   []Placement
		path   string
		column int
		says   string
	}{
		{[]Placement{{Name: "", Variants: []Variant{{Name: "a"}}}}, "placements[0].name", 0, "expected the name"},
		{[]Placement{{Name: "p"}}, "placements[0].variants", 0, "at least one variant"},
		{append(one(Variant{Name: "a"}), one(Variant{Name: "a"})...), "placements[1].name", 0, "two placements"},
		{one(Variant{}), "placements[0].variants[0].name", 0, "the variant's name"},
		{one(Variant{Name: "a", When: "true"}, Variant{Name: "a"}), "placements[0].variants[1].name", 0, "two variants"},
		{one(Variant{Name: "a", Holdout: 1.5}), "placements[0].variants[0].holdout", 0, "from 0 to 1"},
		{one(Variant{Name: "default", Holdout: 0.5}), "placements[0].variants[0].holdout", 0, "what hold-outs are shown"},
		{one(Variant{Name: "default", When: "true"}), "placements[0].variants[0].when", 0, "for everyone"},
		{one(Variant{Name: "a"}, Variant{Name: "b"}), "placements[0].variants[0].when", 0, "never show"},
		{one(Variant{Name: "a", When: "counts.orders >"}), "placements[0].variants[0].when", 16, "the end of the rule"},
		{one(Variant{Name: "a", When: "'fans' in segments"}), "placements[0].variants[0].when", 1, `no segment "fans"`},
		{one(Variant{Name: "a", When: "true"}, Variant{Name: "b", When: "computed.nothing > 1"}), "placements[0].variants[1].when", 9, "no computed.nothing"},
		{one(Variant{Name: "a", When: "traits.plan"}), "placements[0].variants[0].when", 1, "expected a bool"},
	} {
		_, err := New(Options{Placements: c.list, Env: env, Segments: segments, Salt: salt})
		var faults rule.Faults
		if !errors.As(err, &faults) || len(faults) != 1 || faults[0].Path != c.path || faults[0].Column != c.column || !strings.Contains(faults[0].Message, c.says) {
			t.Errorf("got %v, want %s, column %d: %s", err, c.path, c.column, c.says)
		}
	}
	if _, err := New(Options{Placements: one(Variant{Name: "a", Holdout: 0.1}), Salt: []byte("short")}); err == nil || !strings.Contains(err.Error(), "salt") {
		t.Errorf("a short salt: %v", err)
	}
	if _, err := New(Options{Sites: []Site{{Name: "s"}, {Name: "s"}}}); err == nil || !strings.Contains(err.Error(), "sites[1].name") {
		t.Errorf("two sites of a name: %v", err)
	}
}
