package bot

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"
)

// literalsOf turns a pattern into literals of which each gives the robot away
// where the condition holds. A pattern that stands for a few texts (`Foo\/`,
// `^Foo`, `[fF]oo|Bar$`) becomes those texts; of any other the texts are taken
// without which it cannot match, and the condition tries the rest.
func literalsOf(pattern string) ([]string, *condition, error) {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, nil, fmt.Errorf("the pattern %q: %w", pattern, err)
	}
	re = re.Simplify()
	c := &condition{exact: true, word: true}
	l := literalsIn(withoutAnchors(re, c))
	if !l.whole {
		c = &condition{word: true}
		if c.rest, err = regexp.Compile(pattern); err != nil {
			return nil, nil, fmt.Errorf("the pattern %q: %w", pattern, err)
		}
	}
	if l.shortest() < minLiteral {
		return nil, nil, fmt.Errorf("the pattern %q needs no literal of %d letters or more: leave it out with a line in people.txt", pattern, minLiteral)
	}
	return l.texts, c, nil
}

// minLiteral is the shortest literal that a pattern may hang on: two letters
// stand in everybody's agent. maxTexts bounds how many a pattern may stand for.
const (
	minLiteral = 3
	maxTexts   = 16
)

// withoutAnchors takes "^" and "$" off the ends of a concatenation and notes
// them in c.
func withoutAnchors(re *syntax.Regexp, c *condition) *syntax.Regexp {
	if re.Op != syntax.OpConcat {
		return re
	}
	sub := slices.Clone(re.Sub)
	if sub[0].Op == syntax.OpBeginText {
		c.start, sub = true, sub[1:]
	}
	if n := len(sub); n > 0 && sub[n-1].Op == syntax.OpEndText {
		c.end, sub = true, sub[:n-1]
	}
	return &syntax.Regexp{Op: syntax.OpConcat, Sub: sub, Flags: re.Flags}
}

// texts are what every match of an expression holds one of; whole says that
// they are all it matches. No texts: nothing is known.
type texts struct {
	texts []string
	whole bool
}

// shortest is the length of the shortest text; 0 where none is known.
func (t texts) shortest() int {
	n := 0
	for i, s := range t.texts {
		if i == 0 || len(s) < n {
			n = len(s)
		}
	}
	return n
}

func literalsIn(re *syntax.Regexp) texts {
	switch re.Op {
	case syntax.OpEmptyMatch:
		return texts{[]string{""}, true}
	case syntax.OpLiteral:
		text := string(re.Rune)
		if re.Flags&syntax.FoldCase == 0 {
			return texts{[]string{text}, true}
		}
		// Of [aA] the parser makes a folded A. The literals are looked for
		// without regard to case, so that a longer one needs no variants.
		return texts{[]string{strings.ToUpper(text), strings.ToLower(text)}, len(text) == 1}
	case syntax.OpCharClass:
		return charTexts(re.Rune)
	case syntax.OpCapture:
		return literalsIn(re.Sub[0])
	case syntax.OpPlus:
		return texts{literalsIn(re.Sub[0]).texts, false}
	case syntax.OpAlternate:
		out := texts{whole: true}
		for _, sub := range re.Sub {
			l := literalsIn(sub)
			if l.shortest() == 0 && !l.whole || len(out.texts)+len(l.texts) > maxTexts {
				return texts{}
			}
			out.texts, out.whole = append(out.texts, l.texts...), out.whole && l.whole
		}
		return out
	case syntax.OpConcat:
		return concatTexts(re.Sub)
	}
	return texts{}
}

// charTexts are the characters of a class, given as pairs of runes.
func charTexts(ranges []rune) texts {
	out := texts{whole: true}
	for i := 0; i+1 < len(ranges); i += 2 {
		if ranges[i] < 0 || ranges[i+1] > utf8.MaxRune || int(ranges[i+1]-ranges[i]) >= maxTexts-len(out.texts) {
			return texts{}
		}
		for r := ranges[i]; r <= ranges[i+1]; r++ {
			out.texts = append(out.texts, string(r))
		}
	}
	return out
}

// concatTexts joins the texts of neighbours while all of them are whole, and
// keeps the run whose shortest text is the longest.
func concatTexts(subs []*syntax.Regexp) texts {
	best, run := texts{}, texts{[]string{""}, true}
	whole := true
	for _, sub := range subs {
		l := literalsIn(sub)
		if l.whole && len(l.texts)*len(run.texts) <= maxTexts {
			var joined []string
			for _, a := range run.texts {
				for _, b := range l.texts {
					joined = append(joined, a+b)
				}
			}
			run.texts = joined
			continue
		}
		whole = false
		if run.shortest() > best.shortest() {
			best = run
		}
		if l.shortest() > best.shortest() {
			best = l
		}
		run = texts{[]string{""}, true}
	}
	if run.shortest() > best.shortest() {
		best = run
	}
	best.whole = whole
	return best
}
