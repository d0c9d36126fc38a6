package graph

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
)

// TestScenarios runs the scripts of testdata/scripts (rewrite them with -rewrite).
//
// Commands:
//
//	people [permute] [retime] [cap=N]   a sequence, one statement a line
//	chain n=N cap=N                     devices a1…aN, each linked to the next
//	explain view=V of=X                 a sequence, and why each pair of X's holds
//
// Statements; the first letter of a name is its type (user, anonymous, email,
// phone, crm), and statement n happens at n seconds unless @n says otherwise:
//
//	T(a)  track          V(a,u)  verified identify     U(a,u)  claimed identify
//	X     reset          S(x,y)  alias from a server   W(x,y)  alias with a write key
//	L(x,y)  a server's link    A(x,y)  an operator's link    C(x,y)  cut    R(x,y)  the cut lifted
//	H(x)  an operator's hold    G(x)  the gateway's, on claims    F(x)  H and G lifted
//
// permute: all orders of arrival, every message twice, give the same. retime: so
// do all orders in which the same things may happen.
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			limit := 0
			d.MaybeScanArgs(t, "cap", &limit)
			switch d.Cmd {
			case "people":
				return runPeople(t, d, limit)
			case "explain":
				return runExplain(t, d)
			case "chain":
				var n int
				d.ScanArgs(t, "n", &n)
				return runChain(t, n, limit)
			}
			t.Fatalf("no command %q", d.Cmd)
			return ""
		})
	})
}

// story is a parsed sequence.
type story struct {
	types      *id.Types
	statements []statement
	seen       map[id.ID]bool // everything named, also by events that link nothing
	blocked    int
}

type statement struct {
	op   string
	args []string
	time int64
}

func parseStory(t *testing.T, input string) *story {
	t.Helper()
	types, err := id.NewTypes(id.Options{Rules: []id.Rule{
		{Name: id.AnonymousID, MaxPerPerson: 3},
		{Name: "crm_id", From: []string{"traits.crmId"}, MaxPerPerson: 1},
	}})
	if err != nil {
		t.Fatal(err)
	}
	s := &story{types: types}
	for n, line := range strings.Split(strings.TrimSpace(input), "\n") {
		st := statement{time: int64(n+1) * 1000}
		line = strings.TrimSpace(line)
		if i := strings.LastIndex(line, ")@"); i >= 0 {
			at := line[i+2:]
			line = line[:i+1]
			sec, err := strconv.Atoi(at)
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			st.time = int64(sec) * 1000
		}
		op, rest, _ := strings.Cut(line, "(")
		st.op = op
		if rest = strings.TrimSuffix(rest, ")"); rest != "" {
			st.args = strings.Split(rest, ",")
		}
		s.statements = append(s.statements, st)
	}
	return s
}

var typeOfLetter = map[byte]string{'u': id.UserID, 'a': id.AnonymousID, 'e': id.Email, 'p': id.Phone, 'c': "crm_id"}

func rawOf(name string) string {
	switch name[0] {
	case 'e':
		return name + "@x.test"
	case 'p':
		return "+35840000" + fmt.Sprintf("%04s", name[1:])
	}
	return name
}

func named(name string) id.ID { return id.ID{Type: typeOfLetter[name[0]], Value: rawOf(name)} }

func nameOf(x id.ID) string {
	switch x.Type {
	case id.Email:
		return strings.TrimSuffix(x.Value, "@x.test")
	case id.Phone:
		return "p" + strings.TrimLeft(strings.TrimPrefix(x.Value, "+35840000"), "0")
	}
	return x.Value
}

// evidence states everything, with each statement at the given times.
func (s *story) evidence(t *testing.T, times []int64) (out [][]Evidence) {
	t.Helper()
	s.seen, s.blocked = map[id.ID]bool{}, 0
	for i, st := range s.statements {
		ev := event.Event{Type: event.Identify, Trust: id.Verified, MessageID: fmt.Sprint("m", i),
			Timestamp: times[i], ReceivedAt: 1 << 40, Site: "shop"}
		direct := Evidence{ID: EvidenceID{byte(i + 1)}, Kind: Link, Trust: id.Admin, Time: times[i]}
		switch st.op {
		case "A":
		case "L":
			direct.Trust = id.Verified
		case "C":
			direct.Kind = Cut
		case "R":
			direct.Kind = Lift
			for j, other := range s.statements {
				if other.op == "C" && slices.Equal(other.args, st.args) {
					direct.Lifts = EvidenceID{byte(j + 1)}
				}
			}
		case "H", "G", "F":
			out = append(out, s.holds(st, direct))
			continue
		case "T":
			ev.Type = event.Track
		case "U":
			ev.Trust = id.Claimed
		case "V", "X":
		case "W", "S":
			ev.Type = event.Alias
			ev.PreviousID, ev.UserID = st.args[0], st.args[1]
			if st.op == "W" {
				ev.Trust = id.Claimed
			}
			if st.args[0][0] == 'a' {
				ev.AnonymousID = st.args[0]
			}
		default:
			t.Fatalf("no statement %q", st.op)
		}
		if strings.Contains("LACR", st.op) {
			direct.A, direct.B = named(st.args[0]), named(st.args[1])
			s.seen[direct.A], s.seen[direct.B] = true, true
			out = append(out, []Evidence{direct})
			continue
		}
		if ev.Type != event.Alias {
			fill(&ev, st.args)
		}
		links, blocked := FromEvent(nil, &ev, s.types, EventOptions{})
		for _, x := range Identifiers(nil, &ev, s.types) {
			s.seen[x] = true
		}
		s.blocked += blocked
		out = append(out, links)
	}
	return out
}

// holds is what a statement about a hold says.
func (s *story) holds(st statement, e Evidence) (list []Evidence) {
	x := named(st.args[0])
	s.seen[x] = true
	e.A, e.B = x, Everybody()
	switch st.op {
	case "H":
		e.Kind = Cut
		return append(list, e)
	case "G":
		return append(list, HoldOf(x, HoldLinks, id.Claimed, st.time))
	}
	for j, other := range s.statements {
		if other.args != nil && other.args[0] == st.args[0] && (other.op == "H" || other.op == "G") {
			e.Kind, e.Lifts = Lift, EvidenceID{byte(j + 1)}
			if other.op == "G" {
				e.Lifts = HoldOf(x, HoldLinks, id.Claimed, 0).ID
			}
			e.ID[1]++
			list = append(list, e)
		}
	}
	return list
}

// fill puts names, or quoted raw values after a letter, into an identify.
func fill(ev *event.Event, args []string) {
	var traits []string
	for _, a := range args {
		raw := rawOf(a)
		if len(a) > 1 && a[1] == '"' {
			raw, _ = strconv.Unquote(a[1:])
		}
		switch a[0] {
		case 'a':
			ev.AnonymousID = raw
		case 'u':
			ev.UserID = raw
		default:
			key := map[byte]string{'e': "email", 'p': "phone", 'c': "crmId"}[a[0]]
			traits = append(traits, strconv.Quote(key)+":"+strconv.Quote(raw))
		}
	}
	if len(traits) > 0 {
		ev.Traits = event.Value("{" + strings.Join(traits, ",") + "}")
	}
}

func (s *story) times() (times []int64) {
	for _, st := range s.statements {
		times = append(times, st.time)
	}
	return times
}

// people prints the clusters of both views.
func (s *story) people(t *testing.T, r *Resolver, arrival []Evidence) string {
	t.Helper()
	set := NewSet()
	for _, e := range arrival {
		set.Add(e)
	}
	view := func(v id.View) string {
		var clusters, conflicts, held []string
		refused := map[string]bool{}
		for x := range s.seen {
			c, missing := r.Cluster(x, v, set)
			if c == nil || missing != nil {
				t.Fatalf("%v: %v missing from a full set", x, missing)
			}
			var names []string
			for _, m := range c.Members {
				n := nameOf(m)
				if m == c.Representative && len(c.Members) > 1 {
					n = "^" + n
				}
				names = append(names, n)
			}
			text := "{" + strings.Join(names, ",") + "}"
			if c.Ambiguous {
				users, _ := r.Candidates(x, v, set)
				text = nameOf(x) + "*"
				if x.Type != id.AnonymousID { // what a look-up would answer
					text += fmt.Sprint(" of ", list(users))
				}
			}
			clusters = append(clusters, text)
			for _, h := range c.Held {
				text := nameOf(h.ID) + " for " + string(h.Why)
				if !slices.Contains(held, text) {
					held = append(held, text)
				}
			}
			for _, f := range c.Conflicts {
				refused[fmt.Sprintf("%s-%s %v", nameOf(f.A), nameOf(f.B), f.Why)] = true
			}
		}
		for f := range refused {
			conflicts = append(conflicts, f)
		}
		sort.Strings(clusters)
		sort.Strings(conflicts)
		out := strings.Join(slices.Compact(clusters), " ")
		if len(conflicts) > 0 {
			out += "\n  refused: " + strings.Join(conflicts, ", ")
		}
		if sort.Strings(held); len(held) > 0 {
			out += "\n  held: " + strings.Join(held, ", ")
		}
		return out
	}
	verified, all := view(id.VerifiedView), view(id.AllView)
	out := "both: " + all + "\n"
	if verified != all {
		out = "verified: " + verified + "\nall: " + all + "\n"
	}
	if s.blocked > 0 {
		out += fmt.Sprintf("blocked: %d\n", s.blocked)
	}
	return out
}

func list(ids []id.ID) string {
	var names []string
	for _, x := range ids {
		names = append(names, nameOf(x))
	}
	return strings.Join(names, ",")
}

func runPeople(t *testing.T, d *datadriven.TestData, limit int) string {
	s := parseStory(t, d.Input)
	r := NewResolver(s.types, Options{MaxCluster: limit})
	messages := s.evidence(t, s.times())
	want := s.people(t, r, slices.Concat(messages...))
	retime := d.HasArg("retime")
	if !retime && !d.HasArg("permute") {
		return want
	}
	permutations(len(messages), func(order []int) {
		arrival := func(messages [][]Evidence) (out []Evidence) {
			for _, i := range order {
				out = append(out, messages[i]...)
			}
			return append(out, out...)
		}
		if got := s.people(t, r, arrival(messages)); got != want {
			t.Fatalf("%s: arriving as %v gives\n%s\nand in order\n%s", d.Pos, order, got, want)
		}
		if !retime {
			return
		}
		times := make([]int64, len(order))
		for when, i := range order {
			times[i] = int64(when+1) * 1000
		}
		got := s.people(t, r, arrival(s.evidence(t, times)))
		if members(got) != members(want) {
			t.Fatalf("%s: happening as %v gives\n%s\nand in order\n%s", d.Pos, order, got, want)
		}
	})
	return want
}

// members forgets who represents a cluster: that depends on the times.
func members(people string) string { return strings.ReplaceAll(people, "^", "") }

func permutations(n int, fn func(order []int)) {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	var step func(k int)
	step = func(k int) {
		if k == n {
			fn(order)
			return
		}
		for i := k; i < n; i++ {
			order[k], order[i] = order[i], order[k]
			step(k + 1)
			order[k], order[i] = order[i], order[k]
		}
	}
	step(0)
}

func runExplain(t *testing.T, d *datadriven.TestData) string {
	var view, of string
	d.ScanArgs(t, "view", &view)
	d.ScanArgs(t, "of", &of)
	s := parseStory(t, d.Input)
	set := NewSet()
	for _, e := range slices.Concat(s.evidence(t, s.times())...) {
		set.Add(e)
	}
	v := map[string]id.View{"verified": id.VerifiedView, "all": id.AllView}[view]
	reasons, missing := NewResolver(s.types, Options{}).Explain(named(of), v, set)
	if missing != nil {
		t.Fatalf("%v missing from a full set", missing)
	}
	var out strings.Builder
	for _, y := range reasons {
		fmt.Fprintf(&out, "%s-%s holds=%v %v (%v, %d to %d)", nameOf(y.A), nameOf(y.B), y.Holds, y.Why, y.Trust, y.Earliest.Time, y.Newest.Time)
		for _, h := range y.Held {
			fmt.Fprintf(&out, " %s: %s, %v, since %d", nameOf(h.ID), h.Why, h.Trust, h.Since)
		}
		out.WriteByte('\n')
	}
	return out.String()
}

// runChain links devices in a row, in scrambled order of time, and resolves it
// after several orders of arrival.
func runChain(t *testing.T, n, limit int) string {
	seed := testSeed(t)
	r := NewResolver(id.Default(), Options{MaxCluster: limit})
	device := func(i int) id.ID { return id.ID{Type: id.AnonymousID, Value: fmt.Sprintf("a%05d", i)} }
	log := make([]Evidence, n-1)
	times := rand.New(rand.NewPCG(1, 1)).Perm(n - 1)
	for i := range log {
		log[i] = Evidence{ID: EvidenceID{byte(i), byte(i >> 8)}, Kind: Link, A: device(i), B: device(i + 1), Trust: id.Verified, Time: int64(times[i] / 3)}
	}
	want := r.Resolve(log, id.VerifiedView)
	for round := range 3 {
		rng := rand.New(rand.NewPCG(seed, uint64(round)))
		arrival := append(slices.Clone(log), log...)
		rng.Shuffle(len(arrival), func(i, j int) { arrival[i], arrival[j] = arrival[j], arrival[i] })
		got := r.Resolve(arrival, id.VerifiedView)
		same := slices.EqualFunc(got, want, func(a, b Cluster) bool {
			return slices.Equal(a.Members, b.Members) && slices.Equal(a.Conflicts, b.Conflicts) && a.Representative == b.Representative
		})
		if !same {
			t.Fatalf("arrival %d gives another partition", round)
		}
	}
	total, largest, borders := 0, 0, 0
	for _, c := range want {
		total += len(c.Members)
		largest = max(largest, len(c.Members))
		borders += len(c.Conflicts)
	}
	return fmt.Sprintf("%d identifiers, %d clusters, largest %d, %d refused unions\n", total, len(want), largest, borders/2)
}
