package decide

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/segment"
)

// whys are the reasons in the variants' order.
func whys(x Explanation) string {
	var list []string
	for _, r := range x.Variants {
		list = append(list, r.Variant+" "+r.Why)
	}
	return strings.Join(list, ", ")
}

func TestExplain(t *testing.T) {
	soon := Schedule{From: time.UnixMilli(now + 5000)}
	ranked := Placement{Name: "p", Version: 7, Variants: []Variant{
		{Name: "later", Schedule: soon},
		{Name: "capped", Cap: Cap{Shows: 1, Per: time.Minute}},
		{Name: "fans", When: "'thriller-fans' in segments", Holdout: 0.5},
		{Name: "mobile", When: "device.type == 'mobile'"},
		{Name: "default"},
	}}
	lots := chance("lots", 1, 1, 0)
	d := decider(t, func(o *Options) { o.Placements = []Placement{ranked, lots} })
	capped := facet.Exposure{Placement: "p", Variant: "capped", Times: []int64{now - 10_000}}
	sub := func(mobile bool, segments ...string) *segment.Subject {
		s := &segment.Subject{Profile: &facet.Profile{Seen: []facet.Exposure{capped}}, Segments: segments, Now: now}
		if mobile {
			s.Profile.Device.Type = "mobile"
		}
		return s
	}
	in, out := "", "" // one who is held out of fans, and one who is not
	for i := 0; in == "" || out == ""; i++ {
		if unit := fmt.Sprint("v_", i); d.share(unit, "p", "fans") < 0.5 {
			out = unit
		} else {
			in = unit
		}
	}
	for _, c := range []struct {
		id    string
		sub   *segment.Subject
		want  string
		shown string
	}{
		{in, sub(false, "thriller-fans"), "later schedule, capped cap, fans shown, mobile rule, default earlier", "fans"},
		{in, sub(true, "thriller-fans"), "later schedule, capped cap, fans shown, mobile earlier, default earlier", "fans"},
		{out, sub(true, "thriller-fans"), "later schedule, capped cap, fans held_out, mobile earlier, default earlier", "default"},
		{in, sub(true), "later schedule, capped cap, fans rule, mobile shown, default earlier", "mobile"},
		{in, sub(false), "later schedule, capped cap, fans rule, mobile rule, default shown", "default"},
	} {
		v := &View{ID: c.id, Subject: c.sub}
		x, ok := d.Explain(v, "shop", "p")
		if !ok || whys(x) != c.want || x.Decision.Variant != c.shown || x.Version != 7 || x.Until != now+5000 {
			t.Errorf("%v %s, shown %q until %d; want %s", ok, whys(x), x.Decision.Variant, x.Until-now, c.want)
		}
		for _, r := range x.Variants {
			if r.Text == "" || r.Why == WhyRule && (len(r.Rule) == 0 || r.Rule[0].Holds == nil || *r.Rule[0].Holds) {
				t.Errorf("%+v", r)
			}
		}
		// What is explained is what is answered.
		if text := string(d.Append(nil, v, "shop", []string{"p"})); !strings.Contains(text, fmt.Sprintf(`"p":{"variant":%q`, c.shown)) {
			t.Errorf("%s is answered", text)
		}
	}
	x, _ := d.Explain(&View{ID: "v", Subject: sub(false)}, "shop", "lots")
	if w := whys(x); w != "a shown, b lot, c lot" && w != "a lot, b shown, c lot" {
		t.Error(w)
	}
	s := sub(false)
	s.Profile.Seen = []facet.Exposure{{Placement: "lots", Variant: "c", Times: []int64{now}}}
	if x, _ := d.Explain(&View{ID: "v", Subject: s}, "shop", "lots"); whys(x) != "a seen, b seen, c kept" {
		t.Error(whys(x))
	}
	if _, ok := d.Explain(&View{ID: "v"}, "shop", "nowhere"); ok {
		t.Error("nowhere is explained")
	}
	// Somebody who was not judged is.
	if x, _ := d.Explain(&View{ID: in, Now: now, Profile: reader(t, 3, `{}`)}, "shop", "p"); !strings.Contains(whys(x), "fans") || x.Decision.Chosen != "capped" {
		t.Errorf("%s: %+v", whys(x), x.Decision)
	}
}

// TestJudgedBefore: a subject that was judged is told as it is, and not judged again.
func TestJudgedBefore(t *testing.T) {
	d := decider(t, nil)
	p := reader(t, 3, `{"plan":"pro"}`)
	fresh := &View{ID: "v", Now: now, Profile: p, Identifiers: []string{"email"}}
	sub := &segment.Subject{Profile: p, Now: now, Identifiers: []string{"email"}}
	sub.Computed.Reset(d.traits, p, now)
	d.segments.Members(sub)
	judged := &View{ID: "v", Subject: sub}
	want, _ := answer(t, d, fresh, "shop", "hero")
	if got, _ := answer(t, d, judged, "shop", "hero"); got != want {
		t.Errorf("judged before: %s\njudged here:   %s", got, want)
	}
	sub.Segments = []string{"customer"}
	if _, got := answer(t, d, judged, "shop", "hero"); got.Path("profile.segments") != `["customer"]` || got.Path("decisions.hero.variant").Text() != "default" || !slices.Equal(sub.Segments, []string{"customer"}) {
		t.Errorf("somebody who is no fan any more: %s", got)
	}
}

func TestAllocationsOfChoices(t *testing.T) {
	p := chance("p", 1, 1, 2)
	p.Holdout = 0.1
	p.Variants[0].Cap = Cap{Shows: 3, Per: time.Hour}
	p.Variants[1].Schedule = Schedule{Hours: "00:00-24:00"}
	b := Placement{Name: "b", Choose: Bandit, Variants: []Variant{{Name: "a"}, {Name: "b"}}}
	d := decider(t, func(o *Options) { o.Placements = []Placement{p, b} })
	sub := nobody()
	v := &View{ID: "v_1", Subject: sub}
	dst, slots := make([]byte, 0, 4096), []string{"p", "b"}
	if got := testing.AllocsPerRun(200, func() { d.Append(dst, v, "shop", slots) }); got > 0 {
		t.Errorf("%v allocations, want none", got)
	}
}
