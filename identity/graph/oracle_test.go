package graph

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/reuna/reuna/identity/id"
)

// oracle applies the page's rules to a whole set of evidence, slowly and by the
// letter: every piece of evidence stands as a text whose order is the rules'
// order, and clusters are plain sets that are compared member by member. It
// shares no code with the package beyond its words.
type oracle struct {
	view  id.View
	max   func(typ string) int
	limit int

	links    map[[2]string][]evidenceText // rule 1's, by the pair's texts
	cutPairs map[[2]string]bool
	ids      map[string]id.ID
	shared   map[string]bool
}

type evidenceText struct {
	text  string // time, id, pair: sorts as evidence does
	admin bool
}

type oracleCluster struct {
	members        []string
	representative string
	shared         []string
	conflicts      []string
}

func pairTexts(a, b id.ID) [2]string {
	x, y := a.String(), b.String()
	if y < x {
		x, y = y, x
	}
	return [2]string{x, y}
}

func runOracle(all []Evidence, view id.View, max func(string) int, limit int) []oracleCluster {
	o := &oracle{view: view, max: max, limit: limit, links: map[[2]string][]evidenceText{},
		cutPairs: map[[2]string]bool{}, ids: map[string]id.ID{}, shared: map[string]bool{}}
	o.rule1(all)
	links := o.rule2()
	links = o.rule3(links)
	return o.rule4(links)
}

func (o *oracle) rule1(all []Evidence) {
	for _, e := range all {
		if e.A != e.B {
			o.ids[e.A.String()], o.ids[e.B.String()] = e.A, e.B
		}
	}
	for _, e := range all {
		if e.Kind != Cut || !o.view.Reaches(e.Trust) {
			continue
		}
		strongest, lift := e.Trust, id.Trust(0)
		for _, f := range all {
			if pairTexts(f.A, f.B) != pairTexts(e.A, e.B) {
				continue
			}
			if f.Kind == Cut && f.ID == e.ID && f.Trust > strongest {
				strongest = f.Trust
			}
			if f.Kind == Lift && f.Lifts == e.ID && f.Trust > lift {
				lift = f.Trust
			}
		}
		if lift < strongest {
			o.cutPairs[pairTexts(e.A, e.B)] = true
		}
	}
	for _, e := range all {
		p := pairTexts(e.A, e.B)
		if e.Kind == Link && e.A != e.B && o.view.Reaches(e.Trust) && !o.cutPairs[p] {
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
		if !o.shared[p[0]] && !o.shared[p[1]] {
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
			if i >= o.max(k[1]) {
				delete(rest, p)
			}
		}
	}
	return rest
}

func (o *oracle) rule4(links map[[2]string]bool) []oracleCluster {
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
			conflicts[p] = why
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
	if len(union) > o.limit {
		return "too_large"
	}
	return ""
}

func (o *oracle) describe(of map[string]map[string]bool, conflicts map[[2]string]string, tried [][2]string) (out []oracleCluster) {
	for x := range o.ids {
		var c oracleCluster
		for m := range of[x] {
			c.members = append(c.members, m)
		}
		sort.Strings(c.members)
		if c.members[0] != x {
			continue // each cluster once, at its first member
		}
		best := ""
		for _, m := range c.members {
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
				best, c.representative = key, m
			}
		}
		for p := range o.links {
			for i, m := range p {
				if of[x][m] && !o.shared[m] && o.shared[p[1-i]] {
					c.shared = append(c.shared, p[1-i])
				}
			}
		}
		sort.Strings(c.shared)
		c.shared = slices.Compact(c.shared)
		for _, p := range tried {
			if of[x][p[0]] || of[x][p[1]] {
				c.conflicts = append(c.conflicts, p[0]+" "+p[1]+" "+conflicts[p])
			}
		}
		out = append(out, c)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].members[0] < out[j].members[0] })
	return out
}
