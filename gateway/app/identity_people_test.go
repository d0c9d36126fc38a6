package app_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"sort"
	"strings"
)

// book is what the desk answers of every name of a world, in the world's names:
// the very bytes, with the identifiers and the ids made of them put back.
type book map[string]string

var evidenceNames = regexp.MustCompile(`e_[a-z2-7]{26}`)

// renamer puts the scenario's names in the place of what they stand for.
func (w *world) renamer() *strings.Replacer {
	names := slices.Clone(w.names)
	// Of two values that begin alike the longer one comes first.
	sort.Slice(names, func(i, j int) bool {
		a, b := w.stored(names[i]), w.stored(names[j])
		return len(a) > len(b) || len(a) == len(b) && a < b
	})
	var pairs []string
	for _, name := range names {
		v := w.stored(name)
		pairs = append(pairs, w.personID(name), "p("+name+")", v, name)
		if upper := strings.ToUpper(v); upper != v {
			pairs = append(pairs, upper, strings.ToUpper(name)) // as a trait was written
		}
	}
	return strings.NewReplacer(pairs...)
}

// read asks the desk for everybody, at both views. An identifier of several is
// read under its own name, as the answer says. once: each person by one of their
// identifiers only.
func (w *world) read(once bool) (book, error) {
	b := book{}
	rename := w.renamer()
	for _, view := range []string{"verified", "all"} {
		met := map[string]bool{}
		for _, name := range w.names {
			if once && met[name] {
				continue
			}
			for _, tail := range []string{"", "/identities"} {
				path := "/admin/v1/persons/" + typeOf[name[0]] + ":" + url.PathEscape(w.stored(name)) + tail + "?view=" + view
				status, raw, err := w.l.ask("GET", path, "", adminKey)
				if err == nil && status == 409 {
					var own struct{ PersonID string }
					if err := json.Unmarshal(raw, &own); err != nil {
						return nil, err
					}
					b[view+" "+name+tail+" alone"] = rename.Replace(string(raw))
					path = "/admin/v1/persons/person:" + own.PersonID + tail + "?view=" + view
					status, raw, err = w.l.ask("GET", path, "", adminKey)
				}
				if err != nil {
					return nil, err
				}
				if status == 404 {
					raw = nil
				} else if status != 200 {
					return nil, fmt.Errorf("%s is answered %d %s", path, status, raw)
				}
				if once && tail == "" && status == 200 {
					var p personJSON
					if err := json.Unmarshal([]byte(rename.Replace(string(raw))), &p); err != nil {
						return nil, err
					}
					for _, x := range p.Identifiers {
						met[x.Value] = true
					}
				}
				b[view+" "+name+tail] = evidenceNames.ReplaceAllString(rename.Replace(string(raw)), "e_")
			}
		}
	}
	return b, nil
}

// same tells the first difference of what is in b from o, "" when there is none.
// Only people, not the graph around them, when people is set.
func (b book) same(o book, people bool) string {
	for _, key := range slices.Sorted(maps.Keys(b)) {
		if people && strings.Contains(key, "/identities") {
			continue
		}
		if b[key] != o[key] {
			return fmt.Sprintf("%s is\n%s\nand was\n%s", key, b[key], o[key])
		}
	}
	return ""
}

// personJSON is a person as the desk answers it.
type personJSON struct {
	PersonID    string
	Aliases     []string
	Identifiers []struct{ Type, Value string }
	Shared      []struct{ Type, Value string }
	Traits      map[string]struct {
		Value any
		Trust string
	}
	Computed map[string]any
	Segments []string
	Counts   map[string]any
}

type identitiesJSON struct {
	Ambiguous bool
	Conflicts []struct {
		A, B struct{ Value string }
		Why  string
	}
}

// people tells who everybody is at both views, a line a person: their
// identifiers, with ^ before the one that names them, then what is known. It
// checks that each event of the telling is with exactly one of them.
func (b book) people(w *world) (string, error) {
	tell := func(view string) (string, error) {
		events := len(w.expected(view))
		lines := map[string]bool{}
		total := 0
		for _, name := range w.names {
			text := b[view+" "+name]
			if text == "" {
				lines[name+" is nobody"] = true
				continue
			}
			var p personJSON
			var y identitiesJSON
			if err := json.Unmarshal([]byte(text), &p); err != nil {
				return "", err
			}
			if err := json.Unmarshal([]byte(b[view+" "+name+"/identities"]), &y); err != nil {
				return "", err
			}
			line, err := p.line(&y, b[view+" "+name+" alone"])
			if err != nil {
				return "", err
			}
			if !lines[line] {
				lines[line] = true
				n, _ := p.Counts["events"].(float64)
				total += int(n)
			}
		}
		if !w.erased && total != events {
			return "", fmt.Errorf("%d events were sent and the people of view %s have %d:\n%s", events, view, total, strings.Join(slices.Sorted(maps.Keys(lines)), "\n"))
		}
		return "  " + strings.Join(slices.Sorted(maps.Keys(lines)), "\n  ") + "\n", nil
	}
	verified, err := tell("verified")
	if err != nil {
		return "", err
	}
	all, err := tell("all")
	if err != nil {
		return "", err
	}
	if all == verified {
		return "both:\n" + all, nil
	}
	return "verified:\n" + verified + "all:\n" + all, nil
}

// line tells one person. alone is what asking for a shared identifier answers.
func (p *personJSON) line(y *identitiesJSON, alone string) (string, error) {
	named := strings.TrimSuffix(strings.TrimPrefix(p.PersonID, "p("), ")")
	var members []string
	for _, x := range p.Identifiers {
		if x.Value == named && len(p.Identifiers) > 1 {
			x.Value = "^" + x.Value
		}
		members = append(members, x.Value)
	}
	sort.Slice(members, func(i, j int) bool {
		return strings.TrimPrefix(members[i], "^") < strings.TrimPrefix(members[j], "^")
	})
	out := "{" + strings.Join(members, " ") + "}"
	if named == p.PersonID {
		out += " by a new id" // what comes back after an erasure is called otherwise
	} else {
		// Whoever was known by another member's id is found by it still.
		ids := append(slices.Clone(p.Aliases), p.PersonID)
		slices.Sort(ids)
		var want []string
		for _, x := range p.Identifiers {
			want = append(want, "p("+x.Value+")")
		}
		slices.Sort(want)
		if !slices.Equal(ids, want) {
			return "", fmt.Errorf("%v has the ids %v; expected %v", members, ids, want)
		}
	}
	if y.Ambiguous {
		var many struct {
			Candidates []struct{ Value, PersonID string }
		}
		if err := json.Unmarshal([]byte(alone), &many); err != nil {
			return "", fmt.Errorf("%s is ambiguous and asking for it answered %q: %w", named, alone, err)
		}
		out = named + "* of"
		for _, c := range many.Candidates {
			out += " " + c.Value
		}
	} else if alone != "" {
		return "", fmt.Errorf("%s is not ambiguous and asking for it answered %s", named, alone)
	}
	out += ":"
	for _, name := range []string{"events", "pageviews", "sessions", "orders", "revenue"} {
		if n := p.Counts[name]; n != 0.0 {
			out += fmt.Sprintf(" %s=%v", name, n)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Traits)) {
		t := p.Traits[name]
		if name == "email" || name == "phone" || name == "crmId" {
			continue // the identifiers tell
		}
		out += fmt.Sprintf(" %s=%v", name, t.Value)
		if t.Trust != "verified" {
			out += "(" + t.Trust + ")"
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Computed)) {
		if v := p.Computed[name]; v != 0.0 {
			out += fmt.Sprintf(" computed.%s=%v", name, v)
		}
	}
	if len(p.Segments) > 0 {
		out += fmt.Sprintf(" segments=%v", p.Segments)
	}
	for _, x := range p.Shared {
		out += " beside " + x.Value + "*"
	}
	for _, c := range y.Conflicts {
		out += fmt.Sprintf(" refused %s-%s %s", c.A.Value, c.B.Value, c.Why)
	}
	return out, nil
}

// anonymously forgets who names a person: that depends on what happened first.
func anonymously(people string) string { return strings.ReplaceAll(people, "^", "") }

// happened is an event as a timeline has it.
type happened struct {
	MessageID  string
	ReceivedAt string
	Event      string
}

// gather reads everybody's timeline at a view. An event may be in one person's
// only, and there once.
func (w *world) gather(view string) (map[string]happened, error) {
	all := map[string]happened{}
	read := map[string]bool{} // persons
	for _, name := range w.names {
		who, person := w.personID(name), ""
		for next := ""; ; {
			status, raw, err := w.l.ask("GET", "/admin/v1/persons/person:"+who+"/events?limit=1000&view="+view+"&before="+next, "", adminKey)
			if err == nil && status == 404 && next == "" {
				break // nothing was sent of it
			}
			if err != nil || status != 200 {
				return nil, fmt.Errorf("the timeline of %s answered %d %s: %w", name, status, raw, err)
			}
			var page struct {
				PersonID string
				Events   []happened
				Next     string
			}
			if err := json.Unmarshal(raw, &page); err != nil {
				return nil, err
			}
			if person = page.PersonID; read[person] {
				break
			}
			for _, e := range page.Events {
				if strings.HasPrefix(e.Event, "Audience ") {
					continue // what the gateway tells, not what was sent
				}
				if _, elsewhere := all[e.MessageID]; elsewhere {
					return nil, fmt.Errorf("view %s: %s is in the timeline of %s, and in it or another a second time", view, e.MessageID, name)
				}
				all[e.MessageID] = e
			}
			if next = page.Next; next == "" {
				break
			}
		}
		read[person] = true
	}
	return all, nil
}

// expected are the messages that somebody has at a view.
func (w *world) expected(view string) map[string]bool {
	list := map[string]bool{}
	for _, m := range w.sent {
		if view == "all" || !m.homeless {
			list[m.id] = true
		}
	}
	return list
}

// timelines wants, at each view, every message of the telling in exactly one
// person's timeline, once.
func (w *world) timelines() error {
	for _, view := range []string{"verified", "all"} {
		want := w.expected(view)
		all, err := w.gather(view)
		if err != nil {
			return err
		}
		for id := range want {
			if _, there := all[id]; !there {
				return fmt.Errorf("view %s: %s is in no timeline", view, id)
			}
		}
		if len(all) != len(want) {
			return fmt.Errorf("view %s: %d messages were sent and %d are in timelines", view, len(want), len(all))
		}
	}
	return nil
}
