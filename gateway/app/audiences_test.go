package app_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/gateway/app"
	"github.com/reuna/reuna/gateway/config"
	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/trait/naive"
)

var audienceSeed = flag.Uint64("audience-seed", 0, "of the tests of audiences; 0: another one each time")

func seeded(t *testing.T) *rand.Rand {
	seed := *audienceSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-audience-seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// put asks the desk to define something.
func (g *gateway) define(path string, body any) (int, map[string]any) {
	g.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		g.t.Fatal(err)
	}
	req, err := http.NewRequest("PUT", g.DeskURL()+"/admin/v1/"+path, strings.NewReader(string(text)))
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminKey)
	req.Header.Set("Content-Type", "application/json")
	status, raw := do(g.t, http.DefaultClient, req)
	var answer map[string]any
	if err := json.Unmarshal(raw, &answer); err != nil {
		g.t.Fatalf("PUT %s answered %d %q: %v", path, status, raw, err)
	}
	return status, answer
}

// whole waits until a definition is at work and everybody was judged by it.
func (g *gateway) whole(path string) map[string]any {
	g.t.Helper()
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		status, d := g.desk(path)
		if status == 200 && d["state"] == "active" && at(d, "backfill", "state") == "done" {
			return d
		}
		if time.Since(began) > 30*time.Second {
			g.t.Fatalf("%s answered %d %v for half a minute", path, status, d)
		}
	}
}

// members lists who is in an audience, by person id, when two looks agree: who
// was changed a moment ago is judged a moment later.
func (g *gateway) members(name string) (list []string) {
	g.t.Helper()
	after := ""
	for {
		status, a := g.desk("segments/" + name + "/members?limit=1000&after=" + after)
		if status != 200 {
			g.t.Fatalf("members of %s: %d %v", name, status, a)
		}
		for _, m := range a["members"].([]any) {
			list = append(list, at(m, "personId").(string))
		}
		if after, _ = a["next"].(string); after == "" {
			sort.Strings(list)
			return list
		}
	}
}

// randomTrait makes a definition of a kind that keeps something different.
func randomTrait(r *rand.Rand, i int) map[string]any {
	windows := []string{"", "3d", "10d", "30d", "400d"}
	d := map[string]any{"event": []string{"Order Completed", "Product Viewed"}[r.IntN(2)]}
	if r.IntN(3) == 0 {
		d["where"] = []string{"properties.category == 'thrillers'", "properties.price > 20.0", "properties.category != 'travel' && properties.price < 60.0"}[r.IntN(3)]
	}
	window := windows[r.IntN(len(windows))]
	kinds := []string{"count", "sum", "average", "min", "max", "first", "last", "unique", "most_frequent", "distinct", "latest", "affinity", "days_active", "rfm", "sequence", "streak"}
	kind := kinds[i%len(kinds)]
	d["kind"] = kind
	switch kind {
	case "sum", "average", "min", "max":
		d["value"] = "properties.price"
	case "first", "last", "latest":
		d["value"] = "properties.category"
		if kind == "first" {
			window = ""
		}
	case "unique", "most_frequent", "distinct":
		d["by"] = "properties.category"
	case "affinity":
		d["by"], d["half_life"], window = "properties.category", "9d", ""
	case "rfm":
		d["value"] = "properties.price"
	case "sequence":
		delete(d, "event")
		delete(d, "where")
		d["steps"], d["within"] = []map[string]any{{"event": "Product Viewed"}, {"event": "Order Completed"}}, "5d"
		if r.IntN(2) == 0 {
			d["steps"], d["not"] = []map[string]any{{"event": "Product Viewed"}}, map[string]any{"event": "Order Completed"}
		}
	case "days_active", "streak":
		d["timezone"] = []string{"UTC", "Europe/Helsinki"}[r.IntN(2)]
		if kind == "streak" {
			window = ""
		}
	}
	if window != "" {
		d["window"] = window
	}
	return d
}

// crowd sends random events of some users and devices, and remembers them.
type crowd struct {
	g    *gateway
	r    *rand.Rand
	sent map[string]*event.Event // by message id
	body map[string]string
}

const crowdUsers, crowdDevices = 6, 9

func (c *crowd) send(n int) {
	var batch []string
	for range n {
		if len(c.body) > 10 && c.r.IntN(6) == 0 { // again, the same message
			for _, text := range c.body { // any one: a map's order will do
				batch = append(batch, text)
				break
			}
			continue
		}
		id := fmt.Sprintf("m%d", len(c.sent))
		e := &event.Event{
			Type: event.Track, Name: []string{"Order Completed", "Product Viewed", "Product Viewed", "Other"}[c.r.IntN(4)], MessageID: id, Site: "shop",
			Timestamp: time.Now().Add(-time.Duration(c.r.Int64N(int64(45 * 24 * time.Hour)))).UnixMilli(),
		}
		properties := fmt.Sprintf(`{"category":%q,"price":%d.5,"order_id":%q}`, []string{"thrillers", "travel", "poetry", "cooking"}[c.r.IntN(4)], 5+c.r.IntN(90), id)
		e.Properties = event.Value(properties)
		user := ""
		if c.r.IntN(3) > 0 {
			user = fmt.Sprintf(`"userId":"u%d",`, c.r.IntN(crowdUsers))
		}
		text := fmt.Sprintf(`{"type":"track","event":%q,"messageId":%q,%s"anonymousId":"d%d","timestamp":%q,"properties":%s}`,
			e.Name, id, user, c.r.IntN(crowdDevices), time.UnixMilli(e.Timestamp).UTC().Format("2006-01-02T15:04:05.000Z"), properties)
		c.sent[id], c.body[id] = e, text
		batch = append(batch, text)
	}
	for list := range slices.Chunk(batch, 40) {
		status, a := c.g.browser().post("/v1/batch", `{"batch":[`+strings.Join(list, ",")+`]}`, "X-Write-Key", serverKey, "Content-Type", "application/json")
		if status != 200 || a["rejected"] != nil {
			c.g.t.Fatalf("batch answered %d %v", status, a)
		}
	}
}

// TestLiveFilledAndNaiveAgree: what is computed as events come, what is filled
// over them later, and what a slow reader of the raw events says are the same,
// for random definitions and events that come late, twice and in any order, and
// after persons were joined and parted; and so are the audiences made of it.
func TestLiveFilledAndNaiveAgree(t *testing.T) {
	r := seeded(t)
	const traits = 16
	var file config.Definitions
	bodies := make([]map[string]any, traits)
	for i := range bodies {
		bodies[i] = randomTrait(r, i)
		text, err := json.Marshal(bodies[i])
		if err != nil {
			t.Fatal(err)
		}
		b, err := config.ReadTrait(fmt.Sprintf("live_%d", i), config.JSON, text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		file.Traits = append(file.Traits, *b.Trait)
	}
	rule := fmt.Sprintf("computed.%%s_0 >= 90 || count('Order Completed', properties.price > 40.0, '20d') >= %d", 3+r.IntN(5))
	file.Segments = append(file.Segments, config.Segment{Name: "live", When: fmt.Sprintf(rule, "live")})
	g := start(t, shopAlone+"\n"+string(file.YAML()))
	c := &crowd{g: g, r: r, sent: map[string]*event.Event{}, body: map[string]string{}}
	c.send(300)
	for i, body := range bodies {
		if status, a := g.define(fmt.Sprintf("traits/filled_%d", i), body); status != 200 && status != 201 {
			t.Fatalf("%v: %d %v", body, status, a)
		}
		c.send(10)
	}
	if status, a := g.define("segments/filled", map[string]any{"when": fmt.Sprintf(rule, "filled")}); status != 200 && status != 201 {
		t.Fatalf("%d %v", status, a)
	}
	c.send(100)
	link := func(what string) {
		body := fmt.Sprintf(`{"a":{"type":"user_id","value":"u%d"},"b":{"type":"user_id","value":"u%d"},"reason":"test"}`, 0, 1+r.IntN(crowdUsers-1))
		if status, a := tell(t, g.DeskURL(), "identities/"+what, body); status != 200 {
			t.Fatalf("%s: %d %v", what, status, a)
		}
	}
	for i := range bodies {
		g.whole(fmt.Sprintf("traits/filled_%d", i))
	}
	g.whole("segments/filled")
	c.compare(file.Traits, "at first")
	link("link")
	c.send(60)
	c.compare(file.Traits, "after a merge")
	link("cut")
	c.send(60)
	c.compare(file.Traits, "after a cut")
	g.stop()
	g.run(shopAlone + "\n" + string(file.YAML()))
	c.compare(file.Traits, "after a restart")
}

func (c *crowd) compare(traits []config.Trait, when string) {
	c.g.t.Helper()
	t, g := c.g.t, c.g
	var judge naive.Evaluator
	seen, known, all := map[string]bool{}, 0, 0
	for i := range crowdUsers + crowdDevices {
		typ, value := "user_id", fmt.Sprintf("u%d", i)
		if i >= crowdUsers {
			typ, value = "anonymous_id", fmt.Sprintf("d%d", i-crowdUsers)
		}
		status, p := g.desk("persons/" + typ + ":" + value + "?view=verified")
		if status != 200 || seen[p["personId"].(string)] {
			continue
		}
		seen[p["personId"].(string)] = true
		var events []*event.Event
		for _, e := range timeline(t, g.DeskURL(), typ, value) {
			if x := c.sent[e["messageId"].(string)]; x != nil {
				events = append(events, x)
			}
		}
		now := time.Now().UnixMilli()
		computed, _ := p["computed"].(map[string]any)
		for i := range traits {
			live, filled := computed[fmt.Sprintf("live_%d", i)], computed[fmt.Sprintf("filled_%d", i)]
			d := app.TraitDefinition(&traits[i])
			want := any(nil)
			if v := judge.Evaluate(&d, events, now); v != "" {
				known++
				if err := json.Unmarshal([]byte(v), &want); err != nil {
					t.Fatal(err)
				}
			}
			all++
			a, b, w := text(t, live), text(t, filled), text(t, want)
			if a != w || b != w {
				t.Errorf("%s, %s:%s, %d events, %s: live %s, filled %s, naive %s", when, typ, value, len(events), traits[i].JSON(), a, b, w)
			}
		}
	}
	var live, filled []string
	for began := time.Now(); time.Since(began) < 5*time.Second; time.Sleep(20 * time.Millisecond) {
		if live, filled = g.members("live"), g.members("filled"); slices.Equal(live, filled) {
			break
		}
	}
	t.Logf("%s: %d of %d persons are in the audience", when, len(live), len(seen))
	if !slices.Equal(live, filled) {
		t.Errorf("%s: live has %v, filled %v", when, live, filled)
	}
	if len(seen) < 2 || known < all/2 {
		t.Errorf("%s: %d persons, %d of %d values are known: expected something to compare", when, len(seen), known, all)
	}
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
