package app_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/reuna/reuna/identity/id"
)

var identityWhole = flag.Bool("identity.whole", false, "tell the large identity scenarios in full: 1,000 devices for each blocked value, more orders of the chain")

// lookup is what the desk answers who asks for an identifier.
func (l *lab) lookup(t *testing.T, name string) string {
	t.Helper()
	w := l.telling
	status, raw, err := l.ask("GET", "/admin/v1/persons/"+typeOf[name[0]]+":"+url.PathEscape(w.written(name)), "", adminKey)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		PersonID   string
		Error      struct{ Code string }
		Candidates []struct{ Value string }
	}
	if err := json.Unmarshal([]byte(w.renamer().Replace(string(raw))), &answer); err != nil {
		t.Fatal(err)
	}
	out := fmt.Sprint(status, " ", answer.Error.Code)
	if status == 200 {
		if out = answer.PersonID; strings.HasPrefix(out, "p_") {
			out = "a new id" // what comes back after an erasure is called otherwise
		}
	}
	for _, c := range answer.Candidates {
		out += " " + c.Value
	}
	return out
}

// replay sends every message of the telling again.
func (l *lab) replay(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	var times int
	d.ScanArgs(t, "times", &times)
	before := l.book(t)
	var again []message
	for range times {
		again = append(again, l.telling.sent...)
	}
	l.random.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
	if err := l.telling.deliver(again); err != nil {
		t.Fatal(err)
	}
	if diff := l.book(t).same(before, false); diff != "" {
		return diff
	}
	return fmt.Sprintf("%d messages again, byte-identical\n", len(again))
}

// refused does an operator's statements with a key that opens no desk, and tells
// the answer and what the activity log has of it.
func (l *lab) refused(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	var which string
	d.ScanArgs(t, "key", &which)
	key := map[string]string{"write": writeKey, "server": serverKey}[which]
	before := l.book(t)
	var out strings.Builder
	for _, s := range parseStatements(t, d.Input, l.base) {
		w := l.telling
		body := fmt.Sprintf(`{"a":%s,"b":%s}`, w.identifier(s.names[0]), w.identifier(s.names[1]))
		status, raw, err := l.ask("POST", "/admin/v1/identities/"+s.op, body, key)
		var answer struct{ Error struct{ Code string } }
		if err == nil {
			err = json.Unmarshal(raw, &answer)
		}
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s: %d %s\n", s.text, status, answer.Error.Code)
		_, log := l.desk("audit?limit=1&action=admin.denied")
		entry := log["entries"].([]any)[0]
		fmt.Fprintf(&out, "activity log: %v by %v, %v, %v\n", at(entry, "action"), at(entry, "actor"), at(entry, "outcome"), at(entry, "detail", "reason"))
	}
	if diff := l.book(t).same(before, false); diff != "" {
		return diff
	}
	return out.String()
}

// claimants has a browser of its own claim to be each user, and wants one answer
// for all but for what any two visitors differ in.
func (l *lab) claimants(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	w := l.telling
	var first map[string]any
	var out string
	for _, user := range strings.Fields(d.Input) {
		b := l.browser()
		b.interact(page(`{}`), "")
		answer := b.interact(identify(w.written(user), `{"plan":"claimed"}`), "")
		out = eyes(answer)
		p := answer["profile"].(map[string]any)
		delete(p, "id")
		delete(p["visit"].(map[string]any), "firstSeen")
		delete(p["visit"].(map[string]any), "lastSeen")
		if first == nil {
			first = answer
		}
		if !reflect.DeepEqual(answer, first) {
			return fmt.Sprintf("to be %s is answered\n%v\nand\n%v\n", user, answer, first)
		}
	}
	return "to each: " + out + "\n"
}

// traces stops the gateway and looks for the names' identifiers in every file of
// the data folder and the keys' beside it.
func (l *lab) traces(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	var texts []string
	for _, name := range strings.Fields(d.Input) {
		texts = append(texts, l.telling.stored(name))
	}
	l.stop()
	found := holds(t, texts, l.dir, l.dir+".keys")
	l.start()
	if len(found) > 0 {
		return strings.Join(found, "\n") + "\n"
	}
	return "none\n"
}

// kiosk is scenario 7: many users log in on one device, and some of them look
// around.
func (l *lab) kiosk(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	var users int
	d.ScanArgs(t, "users", &users)
	w := l.world()
	l.telling = w
	const line = `V a1 u%d e%d plan=p%d
S u%d a1`
	var text strings.Builder
	for i := 1; i <= users; i++ {
		fmt.Fprintf(&text, line+"\n", i, i, i, i)
	}
	statements := parseStatements(t, "T a1\n"+text.String(), l.base)
	var order []int
	for i := range statements {
		order = append(order, i)
	}
	if d.HasArg("shuffled") {
		order = l.random.Perm(len(statements))
	}
	if err := w.arrive(statements, order, l.random); err != nil {
		t.Fatal(err)
	}
	out := l.tellKiosk(t, w, users, "all")
	l.stop() // from the disk it is the same
	l.start()
	return out + l.tellKiosk(t, w, users, "verified")
}

func (l *lab) tellKiosk(t *testing.T, w *world, users int, view string) string {
	t.Helper()
	var mu sync.Mutex
	kinds := map[string]int{}
	known := map[string]bool{}
	l.all(users, func(i int) {
		p := l.personOf(t, w, fmt.Sprintf("user_id:%s", w.stored(fmt.Sprint("u", i+1))), view)
		var members []string
		for _, x := range p.Identifiers {
			members = append(members, x.Type)
		}
		if got := p.Traits["plan"].Value; got != fmt.Sprint("p", i+1) {
			t.Errorf("the plan of user %d is %v", i+1, got)
		}
		mu.Lock()
		defer mu.Unlock()
		known[p.PersonID] = true
		kinds[fmt.Sprintf("%s: {%s} events=%v shared=%d", view, strings.Join(members, " "), p.Counts["events"], len(p.Shared))]++
	})
	var out strings.Builder
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		fmt.Fprintf(&out, "%d of %s\n", kinds[kind], kind)
	}
	status, raw, err := l.ask("GET", "/admin/v1/persons/anonymous_id:"+w.stored("a1")+"?view="+view, "", adminKey)
	var many struct {
		Error      struct{ Code string }
		PersonID   string
		Candidates []struct{ PersonID string }
		Count      int `json:"candidateCount"`
	}
	if err == nil {
		err = json.Unmarshal(raw, &many)
	}
	if err != nil {
		t.Fatal(err)
	}
	alone := l.personOf(t, w, "person:"+many.PersonID, view)
	fmt.Fprintf(&out, "%d persons\n", len(known))
	fmt.Fprintf(&out, "a1: %d %s, %d of %d candidates; by itself events=%v\n", status, many.Error.Code, len(many.Candidates), many.Count, alone.Counts["events"])
	return out.String()
}

// all does something for 0 to n-1, several at a time.
func (l *lab) all(n int, do func(i int)) {
	var all sync.WaitGroup
	var next atomic.Int64
	for range 16 {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	all.Wait()
}

func (l *lab) personOf(t *testing.T, w *world, who, view string) (p personJSON) {
	t.Helper()
	status, raw, err := l.ask("GET", "/admin/v1/persons/"+who+"?view="+view, "", adminKey)
	if err == nil && status == 200 {
		err = json.Unmarshal(raw, &p)
	}
	if err != nil || status != 200 {
		t.Errorf("%s is answered %d %s: %v", who, status, raw, err)
	}
	return p
}

// blockedByDesign are the values of the identity rules that identify nobody, in
// writings that must be seen through.
var blockedByDesign = []string{
	"", " ", "null", "NULL", "none", "nil", "undefined", "Undefined ", "nan", "NaN", "true", "false", "anonymous", "guest", "unknown", "id", "email",
	"distinct_id", "anonymousid", "anonymousId", "userid", "userId", "[object object]", "[object Object]", "-1", "0", "000", "-", "0-0",
	"00000000-0000-0000-0000-000000000000", `"null"`, "'undefined'", ` "guest" `,
}

// blockedValues is scenario 10: devices identify as each blocked value.
func (l *lab) blockedValues(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	devices := 40
	if *identityWhole {
		devices = 1000
	}
	w := l.world()
	l.telling = w
	before := l.metric("reuna_identity_blocked_total")
	var list []message
	for i := range devices {
		for k, v := range blockedByDesign {
			value, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, message{server: i%2 == 0, body: fmt.Sprintf(
				`{"type":"identify","messageId":"%d-%d-%d","anonymousId":"w%06d-a%d","userId":%s,"timestamp":%d}`, w.n, i, k, w.n, i, value, l.base+int64(k)*1000)})
		}
	}
	if err := w.deliver(list); err != nil {
		t.Fatal(err)
	}
	persons := map[string]bool{}
	var mu sync.Mutex
	l.all(devices, func(i int) {
		p := l.personOf(t, w, fmt.Sprintf("anonymous_id:w%06d-a%d", w.n, i), "all")
		if len(p.Identifiers) != 1 || p.Counts["events"] != float64(len(blockedByDesign)) {
			t.Errorf("device %d is %+v, and %d events were sent", i, p, len(blockedByDesign))
		}
		mu.Lock()
		defer mu.Unlock()
		persons[p.PersonID] = true
	})
	if len(persons) != devices {
		t.Errorf("%d devices are %d persons", devices, len(persons))
	}
	if got := l.metric("reuna_identity_blocked_total") - before; got != float64(len(list)) {
		t.Errorf("reuna_identity_blocked_total counted %v, and %d blocked values were sent", got, len(list))
	}
	for _, v := range blockedByDesign {
		if strings.TrimSpace(v) == "" {
			continue
		}
		status, raw, err := l.ask("GET", "/admin/v1/persons/user_id:"+url.PathEscape(v), "", adminKey)
		if err != nil || status != 404 {
			t.Errorf("asking for the user %q answers %d %s: %v", v, status, raw, err)
		}
	}
	return "a person a device, every event kept, every value counted\n"
}

// chain is scenario 16: devices linked in a row, in scrambled order of time. It
// tells the partition by its sizes, after several orders of arrival.
func (l *lab) chain(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	var n int
	d.ScanArgs(t, "devices", &n)
	rounds := 2
	if *identityWhole {
		rounds = 4
	}
	times := rand.New(rand.NewPCG(1, 1)).Perm(n - 1)
	first := ""
	for round := range rounds {
		w := l.world()
		device := func(i int) string { return fmt.Sprintf("w%06d-a%05d", w.n, i) }
		var list []message
		for i := range n - 1 {
			list = append(list, message{server: true, body: fmt.Sprintf(
				`{"type":"identify","messageId":"%d-%d","anonymousId":%q,"context":{"externalIds":[{"id":%q,"type":"anonymous_id"}]},"timestamp":%d}`,
				w.n, i, device(i), device(i+1), l.base+int64(times[i]))}) // distinct: ties are broken by ids, which each telling has its own
		}
		arrival := list
		if round > 0 {
			arrival = append(slices.Clone(list), list...)
			l.random.Shuffle(len(arrival), func(i, j int) { arrival[i], arrival[j] = arrival[j], arrival[i] })
		}
		if err := w.deliver(arrival); err != nil {
			t.Fatal(err)
		}
		got := l.partition(t, w, n, device)
		if first == "" {
			first = got
			l.stop() // from the disk it is the same
			l.start()
			got = l.partition(t, w, n, device)
		}
		if got != first {
			t.Fatalf("round %d: the partition is\n%s\nand was\n%s", round, got, first)
		}
	}
	_, sizes, _ := strings.Cut(first, "\n")
	return sizes
}

// partition tells the borders of the clusters of a chain, then their sizes.
func (l *lab) partition(t *testing.T, w *world, n int, device func(int) string) string {
	t.Helper()
	var borders strings.Builder
	total, events, largest, conflicts := 0, 0, 0, 0
	reasons := map[string]bool{}
	for i := 0; i < n; {
		p := l.personOf(t, w, "anonymous_id:"+device(i), "all")
		for k, x := range p.Identifiers {
			if x.Type != id.AnonymousID || x.Value != device(i+k) {
				t.Fatalf("device %d is with %v", i+k, x)
			}
		}
		size := len(p.Identifiers)
		if size == 0 {
			t.FailNow()
		}
		_, y := l.desk("persons/anonymous_id:" + device(i) + "/identities")
		for _, c := range y["conflicts"].([]any) {
			reasons[fmt.Sprint(at(c, "why"))] = true
			conflicts++
		}
		count, _ := p.Counts["events"].(float64)
		total, events, largest = total+size, events+int(count), max(largest, size)
		fmt.Fprintf(&borders, "%d-%d ", i, i+size-1)
		i += size
	}
	return fmt.Sprintf("%s\n%d devices, largest person %d, %d refused unions for %v, %d events\n", borders.String(), total, largest, conflicts/2, slices.Sorted(maps.Keys(reasons)), events)
}
