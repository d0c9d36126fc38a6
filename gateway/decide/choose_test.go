package decide

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/segment"
)

func weight(w float64) *float64 { return &w }

// chance is a placement of variants a, b, c … with weights.
func chance(name string, weights ...float64) Placement {
	p := Placement{Name: name, Choose: Weighted}
	for i, w := range weights {
		p.Variants = append(p.Variants, Variant{Name: string(rune('a' + i)), Weight: weight(w)})
	}
	return p
}

func nobody() *segment.Subject { return &segment.Subject{Profile: &facet.Profile{}, Now: now} }

func picked(d *Decider, placement string, unit int, sub *segment.Subject) string {
	v := d.pick(d.every[placement], sub, fmt.Sprint("v_", unit))
	if v == nil {
		return ""
	}
	return v.Name
}

// chiSquare is how far counts are from what is expected.
func chiSquare(got []int, want []float64) (x float64) {
	for i := range got {
		x += (float64(got[i]) - want[i]) * (float64(got[i]) - want[i]) / want[i]
	}
	return x
}

// TestWeights: each variant is chosen as often as its weight says, independently
// in each placement, of hold-outs too, and always the same for a person.
func TestWeights(t *testing.T) {
	p, q := chance("p", 1, 2, 0.5, 0), chance("q", 1, 1, 1)
	p.Holdout = 0.2
	d := decider(t, func(o *Options) { o.Placements = []Placement{p, q} })
	again := decider(t, func(o *Options) { o.Placements = []Placement{q, p} })
	const n = 60_000
	alone := make([]int, 3)
	both := make([]int, 9)
	out := make([]int, 6) // by variant, and held out or not
	for i := range n {
		sub := nobody()
		x, y := picked(d, "p", i, sub), picked(d, "q", i, sub)
		if picked(again, "p", i, sub) != x || picked(d, "p", i, sub) != x {
			t.Fatalf("person %d is given one by chance each time", i)
		}
		alone[x[0]-'a']++
		both[int(x[0]-'a')*3+int(y[0]-'a')]++
		made, _ := d.choose(d.every["p"], sub, fmt.Sprint("v_", i))
		out[int(x[0]-'a')*2+count(made.Holdout)]++
	}
	share := []float64{1 / 3.5, 2 / 3.5, 0.5 / 3.5}
	var wantAlone, wantBoth, wantOut []float64
	for _, s := range share {
		wantAlone = append(wantAlone, s*n)
		for range 3 {
			wantBoth = append(wantBoth, s*n/3)
		}
		wantOut = append(wantOut, s*n*0.8, s*n*0.2)
	}
	// The 0.9999 quantiles for 2, 8 and 5 degrees of freedom. The salt and the names
	// are fixed, so this holds always or never.
	for _, c := range []struct {
		what  string
		x, of float64
	}{{"alone", chiSquare(alone, wantAlone), 18.4}, {"two placements", chiSquare(both, wantBoth), 31.8}, {"hold-outs", chiSquare(out, wantOut), 25.7}} {
		if c.x > c.of {
			t.Errorf("%s: chi-square %.1f, at most %.1f expected", c.what, c.x, c.of)
		}
	}
}

// TestWeightsMove: when a weight changes, as few persons change as can, and none
// between two variants whose weights stayed.
func TestWeightsMove(t *testing.T) {
	d := decider(t, func(o *Options) {
		o.Placements = []Placement{chance("p", 1, 1, 2)}
	})
	const n = 40_000
	for _, c := range []struct {
		what   string
		after  []float64
		most   float64 // the share who may change: the distance of the two distributions
		gained int     // the variant whose share grows; -1: the first loses
	}{
		{"one grows", []float64{1, 3, 2}, 3.0/6 - 1.0/4, 1},
		{"one shrinks", []float64{0.5, 1, 2}, 1.0/4 - 0.5/3.5, -1},
		{"all double", []float64{2, 2, 4}, 0, -1},
		{"one comes", []float64{1, 1, 2, 1}, 1.0 / 5, 3},
		{"one ends", []float64{0, 1, 2}, 1.0 / 4, -1},
	} {
		e := decider(t, func(o *Options) { o.Placements = []Placement{chance("p", c.after...)} })
		moved := 0
		for i := range n {
			sub := nobody()
			x, y := picked(d, "p", i, sub), picked(e, "p", i, sub)
			if x == y {
				continue
			}
			moved++
			if c.gained >= 0 && y[0] != byte('a'+c.gained) || c.gained < 0 && x != "a" {
				t.Fatalf("%s: person %d goes from %s to %s", c.what, i, x, y)
			}
		}
		if share := float64(moved) / n; math.Abs(share-c.most) > 0.008 {
			t.Errorf("%s: %.4f of the persons change, want %.4f", c.what, share, c.most)
		}
	}
}

// seen is the profile of somebody who was shown variants.
func seen(list ...facet.Exposure) *segment.Subject {
	for i := range list {
		list[i].Placement = "p"
		list[i].Count = max(list[i].Count, int64(len(list[i].Times)))
	}
	return &segment.Subject{Profile: &facet.Profile{Seen: list}, Now: now}
}

// TestSeenIsKept: whoever was shown a variant keeps it while it is for them,
// whatever the weights are; the one of those that was shown last.
func TestSeenIsKept(t *testing.T) {
	p := chance("p", 0, 0, 1)
	p.Variants[1].When = "device.type == 'mobile'"
	d := decider(t, func(o *Options) { o.Placements = []Placement{p} })
	held := facet.Exposure{Variant: "a", Holdout: true, Times: []int64{now - 1}}
	for _, c := range []struct {
		what string
		sub  *segment.Subject
		want string
	}{
		{"nobody was shown it", nobody(), "c"},
		{"shown", seen(facet.Exposure{Variant: "a", Times: []int64{now - 5}}), "a"},
		{"held out of it", seen(held), "c"},
		{"shown what is not for them any more", seen(facet.Exposure{Variant: "b", Times: []int64{now - 5}}), "c"},
		{"shown two", seen(facet.Exposure{Variant: "a", Times: []int64{now - 9, now - 5}}, facet.Exposure{Variant: "c", Times: []int64{now - 7}}), "a"},
		{"shown two, the other last", seen(facet.Exposure{Variant: "a", Times: []int64{now - 9}}, facet.Exposure{Variant: "c", Times: []int64{now - 7}}), "c"},
		{"shown one that is no more", seen(facet.Exposure{Variant: "z", Times: []int64{now - 9}}), "c"},
	} {
		for i := range 20 {
			if got := picked(d, "p", i, c.sub); got != c.want {
				t.Errorf("%s: %s, want %s", c.what, got, c.want)
				break
			}
		}
	}
}

// TestCap: a variant is shown as often as it may be within its time, then what
// comes after it, and again from the very moment on.
func TestCap(t *testing.T) {
	p := Placement{Name: "p", Variants: []Variant{
		{Name: "often", Cap: Cap{Shows: 2, Per: time.Hour}}, {Name: "ever", Cap: Cap{Shows: 3}}, {Name: "default"},
	}}
	d := decider(t, func(o *Options) { o.Placements = []Placement{p} })
	hour := time.Hour.Milliseconds()
	often := func(times ...int64) facet.Exposure { return facet.Exposure{Variant: "often", Times: times} }
	ever := func(n int64) facet.Exposure {
		return facet.Exposure{Variant: "ever", Count: n, Times: []int64{now - 9*hour}}
	}
	for _, c := range []struct {
		what  string
		sub   *segment.Subject
		want  string
		until int64
	}{
		{"never shown", nobody(), "often", forever},
		{"once", seen(often(now - 5)), "often", forever},
		{"twice", seen(often(now-hour+1, now-5)), "ever", now + 1},
		{"twice, once too long ago", seen(often(now-hour, now-5)), "often", forever},
		{"three times", seen(often(now-hour-7, now-hour+8, now-5)), "ever", now + 8},
		{"thrice ever", seen(ever(3), often(now-6, now-5)), "default", now + hour - 6},
		{"twice ever", seen(ever(2), often(now-6, now-5)), "ever", now + hour - 6},
		{"held out of it", seen(facet.Exposure{Variant: "often", Holdout: true, Times: []int64{now - 6, now - 5, now - 4}}), "often", forever},
	} {
		if got := picked(d, "p", 1, c.sub); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
		x, _ := d.Explain(&View{ID: "v", Subject: c.sub}, "shop", "p")
		if x.Until != c.until {
			t.Errorf("%s: holds until %d, want %d", c.what, x.Until-now, c.until-now)
		}
		if c.until == forever {
			continue
		}
		at := *c.sub
		if at.Now = c.until - 1; picked(d, "p", 1, &at) != c.want {
			t.Errorf("%s: changed before", c.what)
		}
		if at.Now = c.until; picked(d, "p", 1, &at) != "often" {
			t.Errorf("%s: not changed then", c.what)
		}
	}
}

// TestHoldoutOfAll: the hold-out of a placement takes persons whatever their
// variant is, and leaves those alone who would be shown the default anyway.
func TestHoldoutOfAll(t *testing.T) {
	p := hero(0)
	p.Holdout = 0.3
	d := decider(t, func(o *Options) { o.Placements = []Placement{p} })
	fan, mobile, plain := &segment.Subject{Segments: []string{"thriller-fans"}, Now: now}, &segment.Subject{Now: now}, nobody()
	mobile.Profile = &facet.Profile{}
	mobile.Profile.Device.Type = "mobile"
	held := 0
	for i := range 20_000 {
		unit := fmt.Sprint("v_", i)
		a, _ := d.choose(d.every["hero"], fan, unit)
		b, _ := d.choose(d.every["hero"], mobile, unit)
		c, _ := d.choose(d.every["hero"], plain, unit)
		if a.Holdout != b.Holdout || c.Holdout || a.Chosen != "thrillers" || b.Chosen != "mobile" || a.Holdout != (a.Variant == Default) {
			t.Fatalf("%s: %+v %+v %+v", unit, a, b, c)
		}
		held += count(a.Holdout)
	}
	if share := float64(held) / 20_000; math.Abs(share-0.3) > 0.012 {
		t.Errorf("%.3f are held out, want 0.3", share)
	}
}

// TestBandit lets persons come by who do what they do: the bandit finds the best
// variant, loses less than an even share would, and goes on trying the others.
func TestBandit(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 5))
	rates := []float64{0.03, 0.05, 0.09}
	arms := []Arm{{Variant: "a"}, {Variant: "b"}, {Variant: "c"}}
	p := Placement{Name: "p", Choose: Bandit, Variants: []Variant{{Name: "a"}, {Name: "b"}, {Name: "c"}}}
	d := decider(t, func(o *Options) {
		o.Placements = []Placement{p}
		o.Arms = func(site, placement string, version int) []Arm {
			if site != "" || placement != "p" || version != 0 {
				t.Errorf("asked for %q %q %d", site, placement, version)
			}
			return slices.Clone(arms)
		}
	})
	const n = 12_000
	var early, late [3]int
	for i := range n {
		sub := nobody()
		sub.Now = now + int64(i)*10_000 // six a minute, each minute's results known in the next
		v := int(picked(d, "p", i, sub)[0] - 'a')
		arms[v].Shown++
		arms[v].Converted += int64(count(r.Float64() < rates[v]))
		if i < n/6 {
			early[v]++
		} else if i >= n*2/3 {
			late[v]++
		}
	}
	t.Logf("shown in the first sixth %v, in the last third %v; %v", early, late, arms)
	if share := float64(late[2]) / (n / 3); share < 0.75 {
		t.Errorf("the best is shown to %.2f of the last third", share)
	}
	if early[0] < 50 || early[1] < 50 {
		t.Errorf("the others were hardly tried: %v", early)
	}
	won := 0.0
	for v := range arms {
		won += float64(arms[v].Shown) * rates[v]
	}
	if even := float64(n) * (0.03 + 0.05 + 0.09) / 3; won < even*1.2 {
		t.Errorf("expected conversions %.0f, %.0f of an even share", won, even)
	}
}

// TestBanditHoldsStill: within an hour a person is shown the same, unless what is
// known changes; nothing known, each variant is as likely.
func TestBanditHoldsStill(t *testing.T) {
	p := Placement{Name: "p", Choose: Bandit, Variants: []Variant{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}}}
	d := decider(t, func(o *Options) { o.Placements = []Placement{p} })
	const n = 20_000
	got, changed := make([]int, 4), 0
	for i := range n {
		a, b, c := nobody(), nobody(), nobody()
		b.Now += 59 * minuteMs
		c.Now += hourMs
		x := picked(d, "p", i, a)
		if picked(d, "p", i, b) != x {
			t.Fatalf("person %d is shown another within the hour", i)
		}
		got[x[0]-'a']++
		changed += count(picked(d, "p", i, c) != x)
	}
	if x := chiSquare(got, []float64{n / 4, n / 4, n / 4, n / 4}); x > 21.1 { // 3 degrees of freedom, 0.9999
		t.Errorf("%v: chi-square %.1f", got, x)
	}
	if share := float64(changed) / n; math.Abs(share-0.75) > 0.02 {
		t.Errorf("in the next hour %.3f are drawn another, want 0.75", share)
	}
}

// TestBetaDraws: the draws have the distribution's mean and variance.
func TestBetaDraws(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	src := rand.NewPCG(seed, 6)
	for _, c := range [][2]float64{{1, 1}, {3, 9}, {120, 4000}} {
		const n = 40_000
		sum, squares := 0.0, 0.0
		for range n {
			x := beta(src, c[0], c[1])
			sum, squares = sum+x, squares+x*x
		}
		s := c[0] + c[1]
		mean, variance := c[0]/s, c[0]*c[1]/(s*s*(s+1))
		if got := sum / n; math.Abs(got-mean) > 5*math.Sqrt(variance/n) {
			t.Errorf("%v: mean %v, want %v", c, got, mean)
		}
		if got := squares/n - sum/n*sum/n; math.Abs(got-variance) > 0.06*variance {
			t.Errorf("%v: variance %v, want %v", c, got, variance)
		}
	}
}
