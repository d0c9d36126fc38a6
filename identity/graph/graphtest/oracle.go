// Package graphtest is the rules of identity a second time, slowly and by the
// letter, for tests to compare with: every piece of evidence stands as a text
// whose order is the rules' order, and clusters are plain sets that are compared
// member by member. It shares no code with package graph, not even its types.
package graphtest

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/reuna/reuna/identity/id"
)

// Fact is one piece of evidence.
type Fact struct {
	ID    [16]byte
	Kind  string // "link", "cut" or "lift"
	A, B  id.ID
	Trust id.Trust
	Time  int64
	Lifts [16]byte
}

// everybody is whom a cut parts from an identifier that is held.
const everybody = "*:*"

// Rules are what is read by.
type Rules struct {
	View         id.View
	MaxPerPerson func(typ string) int
	MaxCluster   int
}

// Person is one cluster. Identifiers stand as "type:value".
type Person struct {
	Members        []string
	Representative string
	Shared         []string // neighbours whose links are not followed
	Held           []string // those of them, and of lone members, that are held
	Conflicts      []string // "a b why", in the order in which they were refused
	Ambiguous      bool     // the only member is shared
}

type oracle struct {
	Rules

	links    map[[2]string][]evidenceText // rule 1's, by the pair's texts
	cutPairs map[[2]string]bool
	ids      map[string]id.ID
	shared   map[string]bool
	held     map[string]bool
	why      map[[2]string]string // of pairs that were tried or dropped
}

type evidenceText struct {
	text  string // time, id, pair: sorts as evidence does
	admin bool
}

func pairTexts(a, b id.ID) [2]string {
	x, y := a.String(), b.String()
	if y < x {
		x, y = y, x
	}
	return [2]string{x, y}
}

// People gives the persons that all facts make, by their first members.
func People(all []Fact, r Rules) []Person {
	persons, _ := run(all, r)
	return persons
}

// Reasons says of every pair that facts name what became of it, in graph.Why's codes.
func Reasons(all []Fact, r Rules) map[[2]string]string {
	_, why := run(all, r)
	return why
}

func run(all []Fact, r Rules) ([]Person, map[[2]string]string) {
	o := read(all, r)
	links := o.rule2()
	links = o.rule3(links)
	return o.rule4(links), o.why
}

// read applies rule 1.
func read(all []Fact, r Rules) *oracle {
	o := &oracle{Rules: r, links: map[[2]string][]evidenceText{}, cutPairs: map[[2]string]bool{}, ids: map[string]id.ID{},
		shared: map[string]bool{}, held: map[string]bool{}, why: map[[2]string]string{}}
	o.rule1(all)
	return o
}

// Links counts, for each identifier, the others that a view links it to: of a
// user_id all but its devices.
func Links(all []Fact, v id.View) map[string]int {
	o := read(all, Rules{View: v})
	n := map[string]int{}
	for p := range o.links {
		for i, x := range p {
			user, device := strings.HasPrefix(x, "user_id:"), strings.HasPrefix(p[1-i], "anonymous_id:")
			if !user || !device {
				n[x]++
			}
		}
	}
	return n
}

func (o *oracle) rule1(all []Fact) {
	for _, e := range all {
		if e.A != e.B {
			o.ids[e.A.String()], o.ids[e.B.String()] = e.A, e.B
			if p := pairTexts(e.A, e.B); p[0] != everybody {
				o.why[p] = "no_link"
			}
		}
	}
	delete(o.ids, everybody)
	for _, e := range all {
		if e.Kind != "cut" || !o.View.Reaches(e.Trust) {
			continue
		}
		strongest, lift := e.Trust, id.Trust(0)
		for _, f := range all {
			if pairTexts(f.A, f.B) != pairTexts(e.A, e.B) {
				continue
			}
			if f.Kind == "cut" && f.ID == e.ID && f.Trust > strongest {
				strongest = f.Trust
			}
			if f.Kind == "lift" && f.Lifts == e.ID && f.Trust > lift {
				lift = f.Trust
			}
		}
		if p := pairTexts(e.A, e.B); lift < strongest {
			if p[0] == everybody {
				o.held[p[1]] = true
			} else {
				o.cutPairs[p], o.why[p] = true, "cut"
			}
		}
	}
	for _, e := range all {
		p := pairTexts(e.A, e.B)
		if e.Kind != "link" || e.A == e.B || p[0] == everybody || o.cutPairs[p] {
			continue
		}
		if o.why[p] == "no_link" {
			o.why[p] = "other_view"
		}
		if o.View.Reaches(e.Trust) {
			o.why[p] = "seen"
			o.links[p] = append(o.links[p], evidenceText{
				text:  fmt.Sprintf("%012d %x %s %s", e.Time, e.ID, p[0], p[1]),
				admin: e.Trust == id.Admin,
			})
		}
	}
	for _, l := range o.links {
		sort.Slice(l, func(i, j int) bool { return l[i].text < l[j].text })
	}
}

func (o *oracle) isUser(x string) bool { return strings.HasPrefix(x, "user_id:") }

func (o *oracle) admin(p [2]string) bool {
	for _, e := range o.links[p] {
		if e.admin {
			return true
		}
	}
	return false
}

// oneByAdmin says that admin links between user_ids lead from x to y.
func (o *oracle) oneByAdmin(x, y string) bool {
	reached := map[string]bool{x: true}
	for grew := true; grew; {
		grew = false
		for p := range o.links {
			if o.isUser(p[0]) && o.isUser(p[1]) && o.admin(p) && reached[p[0]] != reached[p[1]] {
				reached[p[0]], reached[p[1]] = true, true
				grew = true
			}
		}
	}
	return reached[y]
}

// feud says that a link is between users whom no operator joined.
func (o *oracle) feud(p [2]string) bool {
	return o.isUser(p[0]) && o.isUser(p[1]) && !o.oneByAdmin(p[0], p[1])
}

// closed says that x's links are not followed.
func (o *oracle) closed(x string) bool { return o.held[x] || o.shared[x] }

func (o *oracle) rule2() map[[2]string]bool {
	for x := range o.ids {
		if o.isUser(x) {
			continue
		}
		var users []string
		for p := range o.links {
			if p[0] == x && o.isUser(p[1]) {
				users = append(users, p[1])
			}
			if p[1] == x && o.isUser(p[0]) {
				users = append(users, p[0])
			}
		}
		for _, u := range users {
			if !o.oneByAdmin(users[0], u) {
				o.shared[x] = true
			}
		}
	}
	rest := map[[2]string]bool{}
	for p := range o.links {
		switch {
		case o.feud(p):
			rest[p] = true // it is tried, and refused, whoever is held
		case o.shared[p[0]] || o.shared[p[1]]:
			o.why[p] = "shared"
		case o.held[p[0]] || o.held[p[1]]:
			o.why[p] = "held"
		default:
			rest[p] = true
		}
	}
	return rest
}

func (o *oracle) rule3(links map[[2]string]bool) map[[2]string]bool {
	byUserAndType := map[[2]string][][2]string{}
	for p := range links {
		for i, x := range p {
			if other := p[1-i]; o.isUser(x) && !o.isUser(other) {
				k := [2]string{x, o.ids[other].Type}
				byUserAndType[k] = append(byUserAndType[k], p)
			}
		}
	}
	rest := map[[2]string]bool{}
	for p := range links {
		rest[p] = true
	}
	for k, pairs := range byUserAndType {
		sort.Slice(pairs, func(i, j int) bool {
			a, b := o.links[pairs[i]], o.links[pairs[j]]
			return a[len(a)-1].text > b[len(b)-1].text
		})
		for i, p := range pairs {
			if i >= o.MaxPerPerson(k[1]) {
				delete(rest, p)
				o.why[p] = "over_max_per_person"
			}
		}
	}
	return rest
}

func (o *oracle) rule4(links map[[2]string]bool) []Person {
	order := make([][2]string, 0, len(links))
	for p := range links {
		order = append(order, p)
	}
	sort.Slice(order, func(i, j int) bool {
		if a, b := o.admin(order[i]), o.admin(order[j]); a != b {
			return a
		}
		return o.links[order[i]][0].text < o.links[order[j]][0].text
	})
	of := map[string]map[string]bool{}
	for x := range o.ids {
		of[x] = map[string]bool{x: true}
	}
	conflicts := map[[2]string]string{}
	var tried [][2]string
	for _, p := range order {
		o.why[p] = "joined"
		if of[p[0]][p[1]] {
			continue
		}
		union := map[string]bool{}
		for _, x := range p {
			for m := range of[x] {
				union[m] = true
			}
		}
		if why := o.refuses(union); why != "" {
			conflicts[p], o.why[p] = why, why
			tried = append(tried, p)
			continue
		}
		for m := range union {
			of[m] = union
		}
	}
	return o.describe(of, conflicts, tried)
}

func (o *oracle) refuses(union map[string]bool) string {
	for x := range union {
		for y := range union {
			if o.isUser(x) && o.isUser(y) && !o.oneByAdmin(x, y) {
				return "two_users"
			}
		}
	}
	for p := range o.cutPairs {
		if union[p[0]] && union[p[1]] {
			return "cut_apart"
		}
	}
	if len(union) > o.MaxCluster {
		return "too_large"
	}
	return ""
}

func (o *oracle) describe(of map[string]map[string]bool, conflicts map[[2]string]string, tried [][2]string) (out []Person) {
	for x := range o.ids {
		var c Person
		for m := range of[x] {
			c.Members = append(c.Members, m)
		}
		sort.Strings(c.Members)
		if c.Members[0] != x {
			continue // each cluster once, at its first member
		}
		best := ""
		for _, m := range c.Members {
			rank := "2"
			if o.isUser(m) {
				rank = "1"
			}
			first := "~" // after every evidence
			for p, l := range o.links {
				if (p[0] == m || p[1] == m) && l[0].text < first {
					first = l[0].text
				}
			}
			if key := rank + first + "\x00" + m; best == "" || key < best {
				best, c.Representative = key, m
			}
		}
		for p := range o.links {
			for i, m := range p {
				if of[x][m] && !o.closed(m) && o.closed(p[1-i]) && !o.feud(p) {
					c.Shared = append(c.Shared, p[1-i])
				}
			}
		}
		sort.Strings(c.Shared)
		c.Shared = slices.Compact(c.Shared)
		for _, m := range append(slices.Clone(c.Shared), c.Members...) {
			if o.held[m] {
				c.Held = append(c.Held, m)
			}
		}
		c.Ambiguous = o.shared[c.Members[0]]
		for _, p := range tried {
			if of[x][p[0]] && !o.held[p[0]] || of[x][p[1]] && !o.held[p[1]] {
				c.Conflicts = append(c.Conflicts, p[0]+" "+p[1]+" "+conflicts[p])
			}
		}
		out = append(out, c)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Members[0] < out[j].Members[0] })
	return out
}

// Cut gives the pairs that a cut parts in a view, by their texts, sorted.
func Cut(all []Fact, v id.View) map[[2]string]bool {
	o := read(all, Rules{View: v})
	return o.cutPairs
}
