// Package bot says whether a user agent is a robot's, and whose: its class,
// name, operator, and what gave it away.
//
// Rules come from four tables. marks.txt is ours: the robots that matter, with
// class, name and operator. data/crawlers.txt holds the patterns of
// crawler-user-agents, some 1,500 robots more. people.txt takes those patterns
// out that people send too, and operators.txt says who stands behind an
// address. What none of them knows may still bear a general mark: the word
// bot, crawler, an address to read about it (general.go).
//
// It is a verdict by what a client says of itself: one that lies looks like a
// person here. What clients do is judged elsewhere.
package bot

import (
	"fmt"
	"strings"

	"github.com/reuna/reuna/gateway/enrich/match"
	"github.com/reuna/reuna/gateway/enrich/memo"
	"github.com/reuna/reuna/identity/event"
)

// The values of event.Bot.Class.
const (
	Search    = "search"       // crawlers of search engines, those of AI answers among them
	Training  = "ai-training"  // gather text and images for models or for those who train them
	Assistant = "ai-assistant" // fetch or act now for a person who asked
	Monitor   = "monitor"      // is the page up, fast, well-formed
	Preview   = "preview"      // a person shared the link, in a chat, a mail, a post
	Library   = "library"      // HTTP libraries and command-line tools
	Headless  = "headless"     // browsers that a program drives
	Scanner   = "scanner"      // look for weaknesses, or count the Internet
	Other     = "other"
)

// Classes are all values of event.Bot.Class that an agent can give.
func Classes() []string {
	return []string{Search, Training, Assistant, Monitor, Preview, Library, Headless, Scanner, Other}
}

// brandReason is what a client hint adds to the reasons.
const brandReason = "client hint brand HeadlessChrome"

// maxReasons bounds the marks that a verdict names.
const maxReasons = 4

// Judge holds the tables. It is never changed after New, so that any number of
// goroutines may ask it.
//
// All literals of all tables stand in one automaton, so that a person's agent,
// in which none is found, costs one pass. A regular expression is tried only
// where a literal was found without which it cannot match: the 1,500 as one
// expression took 13 ms an agent.
type Judge struct {
	literals *match.Set
	marks    []mark // marks[i] is what literal i of the automaton stands for
}

// mark is one literal that may give a robot away.
type mark struct {
	verdict event.Bot // Reason set; Name empty for a general mark
	rule    string    // the line that says so
	literal string    // as the rule writes it
	// check is what must hold besides; nil is nothing.
	check  *condition
	weight weight
}

// weight says which of several marks decides: the greater, and of two that
// weigh the same the longer.
type weight uint8

const (
	byWord         weight = iota // a general mark outside the robot's name
	byLibraryList                // a library, in which anything may be written, of data/crawlers.txt
	byLibrary                    // the same of marks.txt
	byHeadlessList               // a driven browser, which anybody may drive, of data/crawlers.txt
	byHeadless                   // the same of marks.txt
	byName                       // a general mark in the robot's own name
	byList                       // a robot of data/crawlers.txt
	byTable                      // a robot of marks.txt
	byListFirst                  // either where it opens the agent: what calls itself so and
	byTableFirst                 // names another later is no other, "Gwene/1.0 (…) Googlebot"
)

// New reads the embedded tables. Errors name the file and the line.
func New() (*Judge, error) {
	ours, err := parseMarks(marksText)
	if err != nil {
		return nil, err
	}
	theirs, err := parseCrawlers(crawlersText, peopleText, operatorsText)
	if err != nil {
		return nil, err
	}
	marks := append(append(ours, theirs...), generalMarks()...)
	literals := make([]string, len(marks))
	for i := range marks {
		literals[i] = marks[i].literal
	}
	set, err := match.NewFolded(literals)
	if err != nil {
		return nil, fmt.Errorf("bot: %w", err)
	}
	return &Judge{literals: set, marks: marks}, nil
}

// Verdict judges a user agent, of which the first memo.MaxAgent bytes are
// read. headlessBrand says that client hints gave the brand HeadlessChrome. The
// zero verdict is: a person, as far as can be told; so is one on no agent at all.
// It allocates only to join several reasons.
func (j *Judge) Verdict(ua string, headlessBrand bool) event.Bot {
	var room [roomHits]match.Hit
	var f finding
	j.find(memo.Cut(ua, memo.MaxAgent), headlessBrand, room[:0], &f)
	return f.verdict(headlessBrand)
}

// Explain is Verdict with the rules that spoke: Field "bot" for each reason,
// then class, name and operator with the rule that decided.
func (j *Judge) Explain(ua string, headlessBrand bool) (event.Bot, []memo.Why) {
	var f finding
	j.find(memo.Cut(ua, memo.MaxAgent), headlessBrand, nil, &f)
	v := f.verdict(headlessBrand)
	if !v.Is {
		return v, nil
	}
	var why []memo.Why
	for _, m := range f.marks[:f.n] {
		why = append(why, memo.Why{Field: "bot", Value: m.verdict.Reason, Rule: m.rule})
	}
	if headlessBrand {
		why = append(why, memo.Why{Field: "bot", Value: brandReason, Rule: brandReason})
	}
	rule := brandReason
	if !f.brand {
		rule = f.marks[0].rule
	}
	return v, append(why,
		memo.Why{Field: "class", Value: v.Class, Rule: rule},
		memo.Why{Field: "name", Value: v.Name, Rule: rule},
		memo.Why{Field: "operator", Value: v.Operator, Rule: rule})
}

// roomHits is how many occurrences are noted without an allocation: robots have
// five to fifteen.
const roomHits = 64

// finding is what speaks for a robot: first the mark that decides, then others
// that say something else.
type finding struct {
	marks [maxReasons]*mark
	spans [maxReasons]span
	n     int
	brand bool   // the client hint decides
	named string // what the agent calls the robot, where a general mark decides
}

// span is where a mark stands in the agent.
type span struct{ start, end int }

// find fills f with the marks of an agent.
func (j *Judge) find(ua string, headlessBrand bool, room []match.Hit, f *finding) {
	hits := j.literals.Find(ua, room)
	best, bestWeight := -1, byWord
	kept := hits[:0]
	var tried tried
	for _, h := range hits {
		m := &j.marks[h.Literal]
		at := span{int(h.End) - len(m.literal), int(h.End)}
		if m.check != nil && !m.check.holds(ua, at, m.literal, &tried) || m.weight != byWord && isLike(ua, at.start) {
			continue
		}
		kept = append(kept, h)
		w, named := m.weight, ""
		switch {
		case w == byWord && bestWeight < byName: // else it cannot decide
			var own bool
			if named, own = robotName(ua, at, m.literal); own {
				w = byName
			}
		case w != byWord && m.verdict.Name == "": // its mark is an address
			named = productName(ua)
		}
		if w >= byList && at.start == 0 {
			w += byListFirst - byList
		}
		if best < 0 || w > bestWeight || w == bestWeight && f.longer(m, named) ||
			bestWeight == byName && at.start <= f.spans[0].start && f.spans[0].end <= at.end { // crawler4j is a library
			best, bestWeight = len(kept)-1, w
			f.marks[0], f.spans[0], f.n, f.named = m, at, 1, named
		}
	}
	if headlessBrand && bestWeight < byHeadlessList {
		f.n, f.named, f.brand, best = 0, "", true, -1
	}
	for i, h := range kept {
		if m := &j.marks[h.Literal]; i != best {
			f.add(m, span{int(h.End) - len(m.literal), int(h.End)})
		}
	}
}

// longer says that a mark as weighty as the one that decides is more telling.
func (f *finding) longer(m *mark, named string) bool {
	if m.weight == byWord {
		return f.named == "" && named != ""
	}
	return len(m.literal) > len(f.marks[0].literal)
}

// add notes a further mark unless it only repeats what one before it says: the
// same robot's name, or letters of the same word.
func (f *finding) add(m *mark, at span) {
	if f.n == len(f.marks) || m.weight == byWord && (f.brand || f.n > 0 && f.marks[0].weight != byWord) {
		return
	}
	for i, o := range f.marks[:f.n] {
		if at.start < f.spans[i].end && f.spans[i].start < at.end || strings.EqualFold(m.verdict.Reason, o.verdict.Reason) ||
			m.verdict.Name != "" && m.verdict.Name == o.verdict.Name {
			return
		}
	}
	f.marks[f.n], f.spans[f.n] = m, at
	f.n++
}

// verdict puts the finding into words.
func (f *finding) verdict(headlessBrand bool) event.Bot {
	var v event.Bot
	switch {
	case f.brand:
		v = event.Bot{Is: true, Class: Headless, Name: "HeadlessChrome", Reason: brandReason}
	case f.n == 0:
		return v
	default:
		v = f.marks[0].verdict
	}
	if f.named != "" {
		v.Name = memo.Cut(f.named, memo.MaxName)
	}
	if f.n == 0 || f.n == 1 && !headlessBrand {
		return v
	}
	var b strings.Builder
	b.Grow(256)
	if headlessBrand {
		b.WriteString(brandReason)
	}
	for _, m := range f.marks[:f.n] {
		if b.Len() > 0 {
			b.WriteString("; ")
		}
		b.WriteString(m.verdict.Reason)
	}
	v.Reason = b.String()
	return v
}
