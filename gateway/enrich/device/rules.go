package device

import (
	"math/bits"
	"strings"

	"github.com/reuna/reuna/gateway/enrich/match"
)

// mark is a text that tells something when it stands in an agent, in whatever
// case.
type mark struct {
	text  string // lower case
	start bool   // only at the agent's start
	word  bool   // only where a word begins
	ends  bool   // only where a word ends
}

// rule is one line of a rule file.
type rule struct {
	name  string // "{crawler}": a function finds the name, or has none
	where string

	any            []int32   // marks of which one must stand there; none: the rule always speaks
	all            [][]int32 // of each of these, one too
	none           []int32   // and of these none
	systems, types []string  // nil: any
	notSystems     []string
	version        int32 // the mark behind which the version stands; -1: the one of any that was found
	fixed          string
	hasFixed       bool
	table          string // what the version found is looked up in
	versions       map[string]string
	namer          namer
}

// namer reads a name and its version out of an agent; an empty name is none.
type namer func(ua string) (name, version string)

// book is every rule of every kind, in the order in which they are asked.
//
// Invariants: never changed after New. Rules of a kind stand together, and the
// first of a kind that holds is the one that speaks; so one pass of the
// automaton serves all kinds, and a read costs what the agent's marks cost,
// not what the book holds.
type book struct {
	marks    []mark
	literals *match.Set
	of       [][]int32 // the marks that share a literal
	rules    []rule
	asks     [][]int32 // rules that have a mark among their any
	always   []uint64  // rules without marks
	kinds    [kinds]span
}

// The kinds of rules, in the order in which they are asked: types may ask for
// the system, browsers for both.
const (
	kindSystem = iota
	kindType
	kindModel
	kindBrowser
	kinds
)

type span struct{ from, to int }

// scan is what one pass found in an agent. It comes from the reader's pool.
type scan struct {
	ua    string
	hits  []match.Hit
	marks []uint64
	ends  []int32 // where the first occurrence of a mark ends; only valid with its bit set
	rules []uint64
}

func (b *book) newScan() *scan {
	return &scan{
		hits:  make([]match.Hit, 0, 64),
		marks: make([]uint64, (len(b.marks)+63)/64),
		ends:  make([]int32, len(b.marks)),
		rules: make([]uint64, len(b.always)),
	}
}

// read finds the marks of an agent and the rules that might speak.
func (b *book) read(s *scan, ua string) {
	s.ua = ua
	clear(s.marks)
	copy(s.rules, b.always)
	s.hits = b.literals.Find(ua, s.hits[:0])
	for _, h := range s.hits {
		for _, m := range b.of[h.Literal] {
			b.found(s, m, h.End)
		}
	}
}

func (b *book) found(s *scan, m, end int32) {
	def := &b.marks[m]
	from := int(end) - len(def.text)
	switch {
	case def.start && from != 0,
		def.word && from > 0 && isWord(s.ua[from-1]),
		def.ends && int(end) < len(s.ua) && isWord(s.ua[end]):
		return
	}
	word, bit := m>>6, uint64(1)<<(m&63)
	if s.marks[word]&bit != 0 {
		// A second occurrence counts only where it has a version and the first has none.
		if versionAt(s.ua, s.ends[m]) == "" && versionAt(s.ua, end) != "" {
			s.ends[m] = end
		}
		return
	}
	s.marks[word] |= bit
	s.ends[m] = end
	for _, r := range b.asks[m] {
		s.rules[r>>6] |= 1 << (r & 63)
	}
}

func (s *scan) has(m int32) bool { return s.marks[m>>6]&(1<<(m&63)) != 0 }

func (s *scan) oneOf(marks []int32) int32 {
	for _, m := range marks {
		if s.has(m) {
			return m
		}
	}
	return -1
}

// said is what a rule says.
type said struct {
	rule          *rule // nil: none spoke
	name, version string
}

// first is the word of the first rule of a kind that holds.
func (b *book) first(s *scan, kind int, system, typ string) said {
	k := b.kinds[kind]
	for w := k.from >> 6; w<<6 < k.to; w++ {
		set := s.rules[w]
		if w == k.from>>6 {
			set &= ^uint64(0) << (k.from & 63)
		}
		for ; set != 0; set &= set - 1 {
			i := w<<6 + bits.TrailingZeros64(set)
			if i >= k.to {
				break
			}
			r := &b.rules[i]
			if !r.holds(s, system, typ) {
				continue
			}
			if r.namer != nil {
				name, version := r.namer(s.ua)
				if name == "" {
					continue
				}
				return said{r, name, version}
			}
			return said{r, r.name, r.versionIn(s)}
		}
	}
	return said{}
}

func (r *rule) holds(s *scan, system, typ string) bool {
	if r.systems != nil && !oneOf(r.systems, system) || r.types != nil && !oneOf(r.types, typ) {
		return false
	}
	if r.notSystems != nil && oneOf(r.notSystems, system) {
		return false
	}
	for _, any := range r.all {
		if s.oneOf(any) < 0 {
			return false
		}
	}
	return s.oneOf(r.none) < 0
}

func oneOf(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

func (r *rule) versionIn(s *scan) string {
	if r.hasFixed {
		return r.fixed
	}
	m := r.version
	if m >= 0 && !s.has(m) {
		return ""
	}
	if m < 0 {
		if m = s.oneOf(r.any); m < 0 {
			return ""
		}
	}
	v := versionAt(s.ua, s.ends[m])
	if r.versions == nil {
		return dotted(v)
	}
	return lookUp(r.versions, dotted(v))
}

// lookUp finds a version, or what it is more exact than, in a table.
func lookUp(table map[string]string, v string) string {
	for v != "" {
		if to, ok := table[v]; ok {
			return to
		}
		i := strings.LastIndexByte(v, '.')
		if i < 0 {
			break
		}
		v = v[:i]
	}
	return ""
}

// versionAt is the run of digits, dots and underscores at a place, or behind
// the one or two signs that may stand between a name and its version.
func versionAt(ua string, at int32) string {
	rest := ua[at:]
	for n := 0; n < 3 && rest != "" && strings.IndexByte("/ -:_vV=+(,]", rest[0]) >= 0; n++ {
		rest = rest[1:]
	}
	return versionOf(rest)
}

// versionOf is the run of digits, dots and underscores at the start of s.
func versionOf(s string) string {
	n := 0
	for n < len(s) && (isDigit(s[n]) || n > 0 && (s[n] == '.' || s[n] == '_')) {
		n++
	}
	for n > 0 && !isDigit(s[n-1]) {
		n--
	}
	return s[:n]
}

// dotted is a version with dots.
func dotted(v string) string {
	if strings.IndexByte(v, '_') < 0 {
		return v
	}
	return strings.ReplaceAll(v, "_", ".")
}
