package rule

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
)

// person is whom rules about time are asked of. With a clock, now and since
// move; without one they are CEL's own values of that moment.
type person struct {
	clock *Clock
	at    int64 // without a clock
	seen  types.Timestamp
	last  int64 // of which since is the age
	zone  string
}

func (p *person) ResolveName(name string) (any, bool) {
	switch name {
	case "now":
		if p.clock != nil {
			return new(Moving).Now(p.clock), true
		}
		return types.Timestamp{Time: time.UnixMilli(p.at).UTC()}, true
	case "p":
		return p, true
	case "yes":
		return types.True, true
	case "o":
		return FromJSON(`{"t":"2026-03-01T00:00:00Z"}`), true
	}
	return nil, false
}

func (p *person) Parent() cel.Activation { return nil }

// timeEnv has names that move, or that stand still.
func timeEnv(t testing.TB, moving bool) *Env {
	t.Helper()
	env, err := NewEnv(Options{
		Vars: []Var{{Name: "now", Type: cel.TimestampType, Moving: moving}, {Name: "p", Type: cel.ObjectType("test.person")}, {Name: "yes", Type: cel.BoolType}, {Name: "o", Type: cel.MapType(cel.StringType, cel.DynType)}},
		Objects: []*Object{{Name: "test.person", Fields: []Field{
			{Name: "seen", Type: types.TimestampType, Get: func(of any) (any, bool) { return of.(*person).seen, true }},
			{Name: "zone", Type: types.StringType, Get: func(of any) (any, bool) { return types.String(of.(*person).zone), true }},
			{Name: "since", Type: types.DurationType, Get: func(of any) (any, bool) {
				p := of.(*person)
				if p.clock != nil {
					return Since(p.clock, p.last), true
				}
				return types.Duration{Duration: time.Duration(p.at-p.last) * time.Millisecond}, true
			}},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// gen writes random rules about time.
type gen struct{ *rand.Rand }

func (g gen) pick(list ...string) string { return list[g.IntN(len(list))] }

func (g gen) span(depth int) string {
	if depth > 0 {
		switch g.IntN(6) {
		case 0:
			return "(" + g.moment(depth-1) + " - " + g.moment(depth-1) + ")"
		case 1:
			return "(" + g.span(depth-1) + g.pick(" + ", " - ") + g.span(depth-1) + ")"
		case 2:
			return "(" + g.condition(depth-1) + " ? " + g.span(depth-1) + " : " + g.span(depth-1) + ")"
		}
	}
	return g.pick("p.since", "p.since", "p.?since.orValue(duration('1h'))", fmt.Sprintf("duration('%dms')", g.IntN(200_000_000)-20_000_000), fmt.Sprintf("duration('%ds')", g.IntN(200_000)),
		fmt.Sprintf("duration('%dns')", g.IntN(5_000_000)), fmt.Sprintf("duration('%dh')", g.IntN(800)))
}

func (g gen) moment(depth int) string {
	if depth > 0 {
		switch g.IntN(5) {
		case 0:
			return "(" + g.moment(depth-1) + g.pick(" + ", " - ") + g.span(depth-1) + ")"
		case 1:
			return "(" + g.span(depth-1) + " + " + g.moment(depth-1) + ")"
		}
	}
	return g.pick("now", "now", "p.seen", fmt.Sprintf("timestamp('2026-03-%02dT%02d:%02d:%02d.%03dZ')", 1+g.IntN(8), g.IntN(24), g.IntN(60), g.IntN(60), g.IntN(1000)), "timestamp(o.t)",
		fmt.Sprintf("timestamp('2026-03-%02dT00:00:00.%09dZ')", 1+g.IntN(8), g.IntN(1e9)))
}

func (g gen) condition(depth int) string {
	op := g.pick(" < ", " <= ", " > ", " >= ", " == ", " != ")
	if depth > 0 {
		switch g.IntN(8) {
		case 0:
			return "(" + g.condition(depth-1) + g.pick(" && ", " || ") + g.condition(depth-1) + ")"
		case 1:
			return "!(" + g.condition(depth-1) + ")"
		case 2:
			zone := g.pick("", "'Europe/Helsinki'", "'America/St_Johns'", "'+05:30'", "'-02:00'", "p.zone")
			part := g.pick("getHours", "getMinutes", "getDayOfWeek", "getDate", "getDayOfMonth", "getDayOfYear", "getMonth", "getFullYear")
			return fmt.Sprintf("%s.%s(%s)%s%d", g.pick("now", "now", "(now - p.since)", "(now - duration('90m'))", "p.seen"), part, zone, op, g.IntN(30))
		case 3:
			return g.span(depth-1) + "." + g.pick("getHours", "getMinutes") + "()" + op + fmt.Sprint(g.IntN(60)-10)
		case 4:
			return "[1, 2].exists(x, x == 2 && " + g.condition(depth-1) + ")"
		}
	}
	if g.IntN(2) == 0 {
		return g.moment(depth) + op + g.moment(depth)
	}
	return g.span(depth) + op + g.span(depth)
}

// TestUntilIsExact compares rules over moving values with the same rules over
// CEL's own values: at the moment itself, at every moment around which something
// could turn until the one that was noted, and just before that one.
func TestUntilIsExact(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	g := gen{rand.New(rand.NewPCG(seed, 1))}
	moving, fixed := timeEnv(t, true), timeEnv(t, false)
	start := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC).UnixMilli()
	turned, noted := 0, 0
	for range 1500 {
		text := g.condition(3)
		r, bad := moving.Compile("r", text)
		if bad != nil {
			if strings.Contains(bad.Error(), "the limit is") || strings.Contains(bad.Error(), "nesting limit") {
				continue
			}
			t.Fatalf("%s: %v", text, bad)
		}
		plain, bad := fixed.Compile("r", text)
		if bad != nil {
			t.Fatalf("%s: %v", text, bad)
		}
		c := &Clock{}
		p := &person{clock: c, seen: types.Timestamp{Time: time.UnixMilli(start - g.Int64N(4*86_400_000)).UTC()}, last: start - g.Int64N(3*86_400_000), zone: "Asia/Kathmandu"}
		still := &person{seen: p.seen, last: p.last, zone: p.zone}
		at := func(ms int64) bool { still.at = ms; return plain.Holds(still) }
		now := start + g.Int64N(100_000)
		for range 6 {
			c.At(now)
			got := r.Holds(p)
			if want := at(now); got != want {
				t.Fatalf("%s at %d: %v, CEL says %v (failures %d, %d)", text, now, got, want, r.Failures(), plain.Failures())
			}
			end := c.Until
			if end == Never {
				end = now + 400*86_400_000
			} else {
				noted++
			}
			if end <= now {
				t.Fatalf("%s at %d: until %d", text, now, end)
			}
			for _, ms := range []int64{now + 1, end - 1, (now + end) / 2, now + g.Int64N(end-now), now + min(3_600_000, end-now-1), now + min(86_400_000, end-now-1)} {
				if ms >= now && ms < end && at(ms) != got {
					t.Fatalf("%s: %v at %d until %d, but not at %d", text, got, now, c.Until, ms)
				}
			}
			if c.Until == Never {
				break
			}
			if at(end) != got {
				turned++
			}
			now = end
		}
		if a, b := r.Failures(), plain.Failures(); a > 0 != (b > 0) {
			t.Fatalf("%s: %d failures, CEL's %d", text, a, b)
		}
	}
	if noted < 200 || turned < 40 {
		t.Errorf("%d moments noted, %d of them a turn: the test tests little", noted, turned)
	}
	t.Logf("%d moments noted, %d of them turned the whole rule", noted, turned)
}

// TestUntil: where a rule is one comparison, the moment is the very turn.
func TestUntil(t *testing.T) {
	env := timeEnv(t, true)
	noon := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	ms := func(d time.Duration) int64 { return noon.Add(d).UnixMilli() }
	for _, c := range []struct {
		rule  string
		holds bool
		until int64
	}{
		{"now - p.seen < duration('30h')", true, ms(6 * time.Hour)},
		{"now - p.seen <= duration('30h')", true, ms(6*time.Hour + time.Millisecond)},
		{"now - p.seen > duration('30h')", false, ms(6*time.Hour + time.Millisecond)},
		{"now - p.seen >= duration('30h')", false, ms(6 * time.Hour)},
		{"now - duration('30h') < p.seen", true, ms(6 * time.Hour)},
		{"p.seen + duration('30h') > now", true, ms(6 * time.Hour)},
		{"p.since < duration('1h')", true, ms(30 * time.Minute)},
		{"p.since == duration('1h')", false, ms(30 * time.Minute)},
		{"p.since != duration('30m')", false, ms(time.Millisecond)},
		{"p.since > duration('1h') || yes", true, ms(30*time.Minute + time.Millisecond)},
		{"now < timestamp('2026-03-04T12:00:00Z')", false, Never},
		{"now <= timestamp('2026-03-04T12:00:00Z')", true, ms(time.Millisecond)},
		{"now <= timestamp('2026-03-04T12:00:00.0000001Z')", true, ms(time.Millisecond)},
		{"now < timestamp('2026-03-04T12:00:00.0000001Z')", true, ms(time.Millisecond)},
		{"now > timestamp('2030-01-01T00:00:00Z')", false, time.Date(2030, 1, 1, 0, 0, 0, 1e6, time.UTC).UnixMilli()},
		{"p.since - (now - p.seen) < duration('0s')", true, Never}, // the difference of two ages stands still
		{"p.since + (now - p.seen) < duration('26h')", true, ms(45 * time.Minute)},
		{"now.getHours() < 15", true, ms(3 * time.Hour)},
		{"15 > now.getHours()", true, ms(3 * time.Hour)},
		{"now.getHours() >= 18", false, ms(6 * time.Hour)},
		{"now.getHours() < 30", true, ms(27 * time.Hour)}, // nobody looks further
		{"now.getHours('Europe/Helsinki') == 14", true, ms(time.Hour)},
		{"now.getHours('Europe/Helsinki') == 13", false, ms(23 * time.Hour)},
		{"now.getHours() + 1 < 15", true, ms(time.Hour)},
		{"now.getDayOfWeek() in [0, 6]", false, ms(12 * time.Hour)},
		{"now.getDayOfWeek() > 5", false, ms(60 * time.Hour)},
		{"(now - duration('90m')).getHours() > 11", false, ms(90 * time.Minute)},
		{"now.getDayOfWeek('+05:30') == 3", true, ms(6*time.Hour + 30*time.Minute)},
		{"now.getMonth() == 2", true, time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC).UnixMilli()},
		{"now.getMonth('Europe/Helsinki') == 2", true, time.Date(2026, 3, 31, 21, 0, 0, 0, time.UTC).UnixMilli()},
		{"now.getMonth('Europe/Helsinki') + 0 == 2", true, time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC).UnixMilli()}, // summer time begins
		{"now.getFullYear() == 2026", true, time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()},
		{"p.since.getMinutes() == 30", true, ms(time.Minute)},
		{"(p.seen - now).getHours() == -24", true, ms(time.Hour)},
		{"p.seen.getHours('Asia/Kathmandu') == 17", true, Never},
		{"yes || now > p.seen", true, Never},
		{"has(p.since)", true, Never},
		{"p.?since.orValue(duration('1h')) < duration('31m')", true, ms(time.Minute)},
		{"(yes ? now : p.seen) < p.seen + duration('25h')", true, ms(time.Hour)},
	} {
		r, bad := env.Compile("r", c.rule)
		if bad != nil {
			t.Errorf("%s: %v", c.rule, bad)
			continue
		}
		clock := &Clock{}
		clock.At(noon.UnixMilli())
		p := &person{clock: clock, seen: types.Timestamp{Time: noon.Add(-24 * time.Hour)}, last: noon.Add(-30 * time.Minute).UnixMilli()}
		if got := r.Holds(p); got != c.holds || clock.Until != c.until {
			t.Errorf("%s: %v until %s (%d), want %v until %s", c.rule, got, time.UnixMilli(clock.Until).UTC(), clock.Until, c.holds, time.UnixMilli(c.until).UTC())
		}
	}
}

func TestWhatMovesIsRefusedWhereNobodyCouldTell(t *testing.T) {
	env := timeEnv(t, true)
	for _, c := range []struct {
		rule   string
		column int
		says   string
	}{
		{"string(now) == 'x'", 8, "this goes on with the time"},
		{"int(now) > 5", 5, "this goes on with the time"},
		{"yes && now in [p.seen]", 8, "this goes on with the time"},
		{"[now, p.seen].size() == 2", 2, "this goes on with the time"},
		{"[1].exists(x, string(p.since) == 'x')", 23, "this goes on with the time"},
		{"{'a': now}['a'] == p.seen", 7, "this goes on with the time"},
		{"dyn(now) == p.seen", 5, "this goes on with the time"},
		{"p.?since == optional.none()", 2, "this goes on with the time"},
		{"now.getSeconds() < 30", 15, "getSeconds of something that moves turns all the time"},
		{"p.since.getMilliseconds() < 30", 24, "getMilliseconds of something"},
		{"now.getHours('Europe/Helsinky') < 3", 14, `saw the time zone "Europe/Helsinky"`},
		{"now.getHours('+25:99') < 3", 14, `saw the time zone "+25:99"`},
	} {
		_, bad := env.Compile("r", c.rule)
		if len(bad) != 1 || bad[0].Column != c.column || !strings.Contains(bad[0].Message, c.says) {
			t.Errorf("%s: %v, want column %d: %s", c.rule, bad, c.column, c.says)
		}
	}
	// A loop's own name hides the moving one.
	if _, bad := env.Compile("r", "[1].exists(now, string(now) == '1')"); bad != nil {
		t.Error(bad)
	}
}

func TestMovingValuesStandStillWhereTheyMust(t *testing.T) {
	c := &Clock{}
	c.At(1000)
	m := Since(c, 400)
	if got := m.Value(); got != 600*time.Millisecond || c.Until != 1001 {
		t.Errorf("%v until %d", got, c.Until)
	}
	c.At(1000)
	if got := JSON(m); got != `"600ms"` || c.Until != Never {
		t.Errorf("%s until %d", got, c.Until)
	}
	if got := JSON(new(Moving).Now(c)); got != `"1970-01-01T00:00:01Z"` {
		t.Error(got)
	}
	c.At(math.MaxInt64 / 4)
	if v := Since(c, 0).fixed(); !types.IsError(v) {
		t.Errorf("an age of %v", v)
	}
}

func TestMovingCostsLittle(t *testing.T) {
	env := timeEnv(t, true)
	c := &Clock{}
	c.At(time.Now().UnixMilli())
	p := &person{clock: c, seen: types.Timestamp{Time: time.Unix(1e9, 0)}}
	var in cel.Activation = p
	for text, most := range map[string]float64{
		"now > timestamp('2026-01-01T00:00:00Z')":                  1, // now itself, here
		"now - duration('30h') < p.seen":                           3,
		"now.getHours('Europe/Helsinki') < 30":                     1,
		"now - timestamp('2026-01-01T00:00:00Z') > duration('1h')": 1,
	} {
		r, bad := env.Compile("r", text)
		if bad != nil {
			t.Fatal(bad)
		}
		if got := testing.AllocsPerRun(100, func() { r.Holds(in) }); got > most {
			t.Errorf("%s: %v allocations, want at most %v", text, got, most)
		}
	}
}

func TestZonesAreBounded(t *testing.T) {
	var z zones
	for i := range 3 * maxZones {
		if _, err := z.find(fmt.Sprintf("Nowhere/%d", i)); err == nil {
			t.Fatal("there is such a zone")
		}
	}
	if len(z.known) > maxZones {
		t.Errorf("%d zones are kept", len(z.known))
	}
	if _, err := z.find(strings.Repeat("x", 1<<20)); err == nil || len(err.Error()) > 200 {
		t.Errorf("a long name: %v", err)
	}
	for name, want := range map[string]int{"": 0, "UTC": 0, "+02:00": 7200, "02:00": 7200, "-03:30": -12600, "Asia/Kathmandu": 20700} {
		at, err := z.find(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, offset := time.Unix(1.7e9, 0).In(at).Zone(); offset != want {
			t.Errorf("%q is %d s from UTC, want %d", name, offset, want)
		}
	}
	for _, name := range []string{"Local", "../../etc/passwd", "+99:00", "x:y", "Europe/Nowhere"} {
		if _, err := z.find(name); err == nil {
			t.Errorf("%q is a zone", name)
		}
	}
}
