package id

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Bounds of the rules.
const (
	// MaxValue is the longest value of an identifier, in bytes after normalising.
	MaxValue = 512
	// DefaultMaxPerPerson is what a type gets that does not say otherwise.
	DefaultMaxPerPerson = 5

	maxPerPersonLimit = 1000 // a cluster holds no more identifiers anyway
)

// Verdict says what became of a raw value.
type Verdict uint8

const (
	// OK: the value is an identifier.
	OK Verdict = iota
	// Blocked: the value never identifies anyone ("null", "guest", zeros).
	Blocked
	// Invalid: the value is none of its type (an e-mail without @), is too long,
	// holds control characters or bytes that are not UTF-8, or its type is unknown.
	Invalid
)

func (v Verdict) String() string {
	switch v {
	case OK:
		return "ok"
	case Blocked:
		return "blocked"
	}
	return "invalid"
}

// Rule is one identifier type as the config states it. In a rule that carries
// the name of a built-in type, what is left empty stays as built in.
type Rule struct {
	// Name is 1 to 32 of a–z, 0–9 and _, starting with a letter.
	Name string
	// Strong types are one per person. Only user_id is, and only it may say so.
	Strong bool
	// From lists where an event carries the identifier: dotted paths below
	// traits (of identify), context or properties, such as "traits.crmId".
	// "context.externalIds.crm" is the id of the external ids of type "crm"; those
	// of the rule's own name are always taken.
	From []string
	// MaxPerPerson is how many identifiers of this type one user_id keeps, the
	// newest ones; 0 means DefaultMaxPerPerson.
	MaxPerPerson int
	// MaxPersons is how many user_ids one identifier may belong to. The rules
	// know one bound, 1 (beyond it the identifier is shared and joins nobody); 0
	// means that.
	MaxPersons int
	// Normalise brings a trimmed value into the one form it is compared in; false
	// when it is none of this type. It must be pure, and must return what it has
	// returned unchanged. Nil keeps the value as it is.
	Normalise func(string) (string, bool)
	// Blocked are values that identify nobody, besides the built-in ones. They
	// are compared after trimming, unquoting and lower-casing, with a value as it
	// came and as it was normalised, in both writings of the blocked one: a blocked
	// phone number is blocked however either is written.
	Blocked []string
	// BlockedPatterns are RE2 expressions; a value that one of them matches
	// anywhere, in the same forms and in any case, identifies nobody.
	BlockedPatterns []string
}

// Options make Types.
type Options struct {
	// Rules add types, or change built-in ones.
	Rules []Rule
	// PhoneRegion is the country of phone numbers that are written without one,
	// in the two letters of ISO 3166-1: "FI". When empty such numbers are invalid,
	// since two countries' people may share one.
	PhoneRegion string
}

// Types knows every identifier type of an install. It is immutable and safe
// for concurrent use.
type Types struct {
	byName   map[string]*kind
	names    []string // sorted
	paths    []Path
	external map[string]string
	blocked  blockList
}

type kind struct {
	rule     Rule
	blocked  blockList
	patterns []*regexp.Regexp
}

// Root is the part of an event that a Path starts from.
type Root uint8

const (
	Traits     Root = iota + 1 // an identify's traits
	Context                    // any event's context
	Properties                 // any event's properties
)

// Path is one place where events carry identifiers of a type.
type Path struct {
	Type string
	Root Root
	Keys []string // below the root; read only
}

// Default is the built-in types alone.
func Default() *Types {
	t, err := NewTypes(Options{})
	if err != nil {
		panic("id: the built-in types are wrong: " + err.Error())
	}
	return t
}

func builtIn(phone func(string) (string, bool)) []Rule {
	return []Rule{
		{Name: UserID, Strong: true, MaxPerPerson: 1},
		{Name: AnonymousID, MaxPerPerson: 50},
		{Name: Email, From: []string{"traits.email"}, Normalise: normaliseEmail},
		{Name: Phone, From: []string{"traits.phone"}, Normalise: phone},
	}
}

// NewTypes checks the rules and builds Types from them. The error joins every
// fault that was found.
func NewTypes(o Options) (*Types, error) {
	var faults []error
	phone, err := Normaliser("phone", o.PhoneRegion)
	if err != nil {
		faults = append(faults, err)
	}
	rules := builtIn(phone)
	seen := make(map[string]bool)
	for _, r := range o.Rules {
		if seen[r.Name] {
			faults = append(faults, fmt.Errorf("identifier %q: is defined twice; keep one of the two", r.Name))
			continue
		}
		seen[r.Name] = true
		if i := slices.IndexFunc(rules, func(b Rule) bool { return b.Name == r.Name }); i >= 0 {
			rules[i] = override(rules[i], r)
		} else {
			rules = append(rules, r)
		}
	}
	t := &Types{
		byName:   make(map[string]*kind, len(rules)),
		external: make(map[string]string, len(rules)),
		blocked:  newBlockList(builtInBlocked()),
	}
	for _, r := range rules {
		if errs := t.add(r); len(errs) > 0 {
			faults = append(faults, errs...)
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	slices.Sort(t.names)
	return t, nil
}

func override(base, r Rule) Rule {
	base.Strong = base.Strong || r.Strong
	if r.From != nil {
		base.From = r.From
	}
	if r.MaxPerPerson != 0 {
		base.MaxPerPerson = r.MaxPerPerson
	}
	if r.MaxPersons != 0 {
		base.MaxPersons = r.MaxPersons
	}
	if r.Normalise != nil {
		base.Normalise = r.Normalise
	}
	base.Blocked = append(slices.Clip(base.Blocked), r.Blocked...)
	base.BlockedPatterns = append(slices.Clip(base.BlockedPatterns), r.BlockedPatterns...)
	return base
}

func (t *Types) add(r Rule) (faults []error) {
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("identifier %q: %s", r.Name, fmt.Sprintf(format, args...)))
	}
	if !validName(r.Name) {
		fault("the name must be 1 to 32 of a-z, 0-9 and _, starting with a letter")
	}
	if r.Strong && r.Name != UserID {
		fault("only %s can be strong; the rules know one identifier that is one per person", UserID)
	}
	if r.MaxPerPerson == 0 {
		r.MaxPerPerson = DefaultMaxPerPerson
	}
	if r.MaxPerPerson < 0 || r.MaxPerPerson > maxPerPersonLimit {
		fault("max_per_person is %d; expected 1 to %d", r.MaxPerPerson, maxPerPersonLimit)
	}
	if r.Name == UserID && r.MaxPerPerson != 1 {
		fault("max_per_person is %d; a person has one user_id (an operator can link two)", r.MaxPerPerson)
	}
	if r.MaxPersons < 0 || r.MaxPersons > 1 {
		fault("max_persons is %d; expected 0 or 1: an identifier of two persons is shared and joins neither", r.MaxPersons)
	}
	k := &kind{rule: r, blocked: newBlockList(bothWritings(r))}
	for _, p := range r.BlockedPatterns {
		if _, err := regexp.Compile(p); err != nil {
			fault("blocked pattern %q: %v", p, err)
			continue
		}
		k.patterns = append(k.patterns, regexp.MustCompile("(?i:"+p+")")) // or ^TMP- would never match what is lower-cased
	}
	t.nameExternal(r.Name, r.Name, fault)
	for _, f := range r.From {
		t.addPath(r.Name, f, fault)
	}
	t.byName[r.Name] = k
	t.names = append(t.names, r.Name)
	return faults
}

// bothWritings are a rule's blocked values as they were written, and normalised.
func bothWritings(r Rule) []string {
	list := slices.Clip(r.Blocked)
	if r.Normalise == nil {
		return list
	}
	for _, v := range r.Blocked {
		if n, ok := r.Normalise(bare(v)); ok {
			list = append(list, n)
		}
	}
	return list
}

func (t *Types) addPath(name, from string, fault func(string, ...any)) {
	if ext, ok := strings.CutPrefix(from, "context.externalIds."); ok && ext != "" {
		t.nameExternal(ext, name, fault)
		return
	}
	keys := strings.Split(from, ".")
	root := map[string]Root{"traits": Traits, "context": Context, "properties": Properties}[keys[0]]
	if root == 0 || len(keys) < 2 || slices.Contains(keys, "") {
		fault("%q is no place in an event; expected a path such as traits.crmId, context.app.userId, properties.cardNo or context.externalIds.crm", from)
		return
	}
	t.paths = append(t.paths, Path{Type: name, Root: root, Keys: keys[1:]})
}

func (t *Types) nameExternal(ext, name string, fault func(string, ...any)) {
	if was, ok := t.external[ext]; ok && was != name {
		fault("external ids of type %q already belong to %q", ext, was)
		return
	}
	t.external[ext] = name
}

func validName(s string) bool {
	if s == "" || len(s) > 32 || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}

// Normalise brings raw into its type's form and judges it; the ID is zero
// unless the verdict is OK. A value that is in its form already costs no
// allocation, and the ID then shares raw's bytes.
func (t *Types) Normalise(typ, raw string) (ID, Verdict) {
	k := t.byName[typ]
	if k == nil {
		return ID{}, Invalid
	}
	if t.isBlocked(k, raw) {
		return ID{}, Blocked
	}
	s := strings.TrimSpace(raw)
	if !plain(s) {
		return ID{}, Invalid
	}
	if k.rule.Normalise != nil {
		n, ok := k.rule.Normalise(s)
		if !ok {
			return ID{}, Invalid
		}
		if n != s {
			// The form may say nothing where the writing did not: "(000)-000".
			if t.isBlocked(k, n) {
				return ID{}, Blocked
			}
			if s = n; !plain(s) {
				return ID{}, Invalid
			}
		}
	}
	return ID{Type: k.rule.Name, Value: s}, OK
}

func (t *Types) isBlocked(k *kind, raw string) bool {
	s := bare(raw)
	if onlyZeros(s) || t.blocked.has(s) || k.blocked.has(s) {
		return true
	}
	if len(k.patterns) == 0 {
		return false
	}
	s = strings.ToLower(s)
	for _, re := range k.patterns {
		if re.MatchString(s) {
			return true
		}
	}
	return false
}

// Names lists the types, sorted.
func (t *Types) Names() []string { return slices.Clone(t.names) }

// Rule is the type's rule with its defaults filled in.
func (t *Types) Rule(typ string) (Rule, bool) {
	k := t.byName[typ]
	if k == nil {
		return Rule{}, false
	}
	return k.rule, true
}

// MaxPerPerson is how many identifiers of the type one user_id keeps. Types
// that the config no longer names keep the default.
func (t *Types) MaxPerPerson(typ string) int {
	if k := t.byName[typ]; k != nil {
		return k.rule.MaxPerPerson
	}
	return DefaultMaxPerPerson
}

// Paths lists every place where events carry identifiers, besides the
// message's own anonymousId and userId and its external ids. Read only.
func (t *Types) Paths() []Path { return t.paths }

// External is the identifier type of the external ids that call themselves
// ext; false when there is none.
func (t *Types) External(ext string) (typ string, ok bool) {
	typ, ok = t.external[ext]
	return typ, ok
}
