package app_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// statement is one line of a scenario: what somebody sends, or an operator does.
// See TestIdentityScenarios for the language.
type statement struct {
	text  string
	op    string
	page  bool     // through a browser: cookie, identity token, /v1/interact
	names []string // identifiers, in order
	label string   // of a piece of evidence
	event string   // of T and S
	set   []string // traits or properties, as JSON members
	at    int64    // ms since 1970; 0: now, at receipt
}

// minute is how far statements are apart that do not say when they happen.
const minute = int64(time.Minute / time.Millisecond)

var verbs = "T P V U S L W X link cut lift erase"

// parseStatements reads statements; the n-th happens n minutes after base unless
// @ says otherwise.
func parseStatements(t *testing.T, input string, base int64) (list []*statement) {
	t.Helper()
	for n, line := range strings.Split(strings.TrimSpace(input), "\n") {
		s := &statement{text: line, at: base + int64(n)*minute}
		words := strings.Fields(line)
		if words[0] == "page" {
			s.page, words = true, words[1:]
		}
		s.op, words = words[0], words[1:]
		if !strings.Contains(" "+verbs+" ", " "+s.op+" ") {
			t.Fatalf("%q: there is no statement %s", line, s.op)
		}
		for i := 0; i < len(words); i++ {
			w := words[i]
			switch name, value, pair := strings.Cut(w, "="); {
			case pair:
				s.set = append(s.set, fmt.Sprintf("%q:%s", name, jsonOf(value)))
			case w == "as":
				i++
				s.label = words[i]
			case s.op == "lift":
				s.label = w
			case w[0] == '@':
				s.at = moment(t, w[1:], base)
			case strings.Contains(w, "->"):
				from, to, _ := strings.Cut(w, "->")
				s.names = append(s.names, from, to)
			case w[0] >= 'A' && w[0] <= 'Z':
				s.event = w
			default:
				if typeOf[w[0]] == "" {
					t.Fatalf("%q: %q is no identifier; expected one that begins with a, u, e, p or c", line, w)
				}
				s.names = append(s.names, w)
			}
		}
		list = append(list, s)
	}
	return list
}

// jsonOf makes a JSON value of a word: itself where it is one, else a string.
func jsonOf(word string) string {
	if json.Valid([]byte(word)) {
		return word
	}
	return strconv.Quote(strings.ReplaceAll(word, "_", " "))
}

// moment reads what stands after @: now, a year, or a duration from the base.
func moment(t *testing.T, text string, base int64) int64 {
	t.Helper()
	if text == "now" {
		return 0
	}
	if year, err := strconv.Atoi(text); err == nil && year > 1000 {
		return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("@%s: %v", text, err)
	}
	return base + d.Milliseconds()
}

// typeOf says by a name's first letter what it is.
var typeOf = map[byte]string{'u': "user_id", 'a': "anonymous_id", 'e': "email", 'p': "phone", 'c': "crm_id"}

// world is one telling of a scenario, with identifiers that no other has.
type world struct {
	l        *lab
	n        int // of the telling; 0: the names are the identifiers
	browsers map[string]*browser
	visitors map[string]string         // what a browser is called by the gateway
	answers  map[string]map[string]any // the newest, by browser
	names    []string                  // in order of appearance
	evidence map[string]string         // by label
	sent     []message                 // distinct ones, in order
	serial   int
	erased   bool
}

// message is an event as it is sent, ready to be sent again.
type message struct {
	id     string
	server bool
	body   string
	// homeless is a claim to be somebody, without a device: at the verified view it
	// is nobody's.
	homeless bool
}

func (l *lab) world() *world {
	return &world{
		l: l, n: int(l.worlds.Add(1)), browsers: map[string]*browser{}, visitors: map[string]string{}, evidence: map[string]string{},
		answers: map[string]map[string]any{},
	}
}

func (w *world) meet(name string) {
	for _, have := range w.names {
		if have == name {
			return
		}
	}
	w.names = append(w.names, name)
}

// stored is the value by which a name is known once it has been normalised. A
// name that ends with ' is another writing of it: other case, blanks around.
func (w *world) stored(name string) string {
	bare := strings.TrimSuffix(name, "'")
	prefix := ""
	if w.n > 0 {
		prefix = fmt.Sprintf("w%06d-", w.n)
	}
	switch typeOf[name[0]] {
	case "email":
		return prefix + bare + "@x.com"
	case "phone":
		return fmt.Sprintf("+35840%05d%02s", w.n, bare[1:])
	case "anonymous_id":
		if v := w.visitors[name]; v != "" {
			return v
		}
	}
	if bare != name {
		return strings.ToUpper(prefix + bare)
	}
	return prefix + bare
}

// written is what a sender writes.
func (w *world) written(name string) string {
	v := w.stored(name)
	if strings.HasSuffix(name, "'") && typeOf[name[0]] == "email" {
		return " " + strings.ToUpper(v) + " "
	}
	return v
}

// message makes the event of a statement. Its id is the statement's place.
func (w *world) message(s *statement) message {
	w.serial++
	m := message{id: fmt.Sprintf("w%d-%d", w.n, w.serial), server: strings.Contains("VSL", s.op)}
	kind := map[string]string{"T": "track", "S": "track", "P": "page", "V": "identify", "U": "identify", "L": "identify", "W": "alias"}[s.op]
	m.homeless = !m.server && !s.page && !slices.ContainsFunc(s.names, func(name string) bool { return name[0] == 'a' })
	var fields, traits, external []string
	field := func(name, value string) { fields = append(fields, fmt.Sprintf("%q:%q", name, value)) }
	names := s.names
	switch {
	case s.op == "L" && s.names[0][0] == 'u' && s.names[1][0] == 'u', s.op == "W":
		kind = "alias"
		field("previousId", w.written(s.names[0]))
		names = names[1:]
	case s.op == "L" && s.names[0][0] == s.names[1][0]:
		external = append(external, fmt.Sprintf(`{"id":%q,"type":%q}`, w.written(names[1]), typeOf[names[1][0]]))
		names = names[:1]
	}
	field("type", kind)
	field("messageId", m.id)
	for _, name := range s.names {
		w.meet(name)
	}
	for _, name := range names {
		switch value := w.written(name); typeOf[name[0]] {
		case "user_id":
			field("userId", value)
		case "anonymous_id":
			if !s.page {
				field("anonymousId", value)
			}
		default:
			key := map[byte]string{'e': "email", 'p': "phone", 'c': "crmId"}[name[0]]
			traits = append(traits, fmt.Sprintf("%q:%q", key, value))
		}
	}
	properties := s.set
	if kind == "identify" {
		traits, properties = append(traits, s.set...), nil
	}
	if kind == "track" {
		name := s.event
		if name == "" {
			name = "Looked"
		}
		field("event", strings.ReplaceAll(name, "_", " "))
	}
	if len(traits) > 0 {
		fields = append(fields, `"traits":{`+strings.Join(traits, ",")+`}`)
	}
	if len(properties) > 0 {
		fields = append(fields, `"properties":{`+strings.Join(properties, ",")+`}`)
	}
	if len(external) > 0 {
		fields = append(fields, `"context":{"externalIds":[`+strings.Join(external, ",")+`]}`)
	}
	if s.at != 0 {
		field("timestamp", time.UnixMilli(s.at).UTC().Format("2006-01-02T15:04:05.000Z"))
	}
	m.body = "{" + strings.Join(fields, ",") + "}"
	return m
}

// deliver sends messages in their order, in batches of one key each.
func (w *world) deliver(list []message) error {
	for len(list) > 0 {
		n := 1
		for n < len(list) && n < 500 && list[n].server == list[0].server {
			n++
		}
		if err := w.l.batch(list[0].server, list[:n]); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

// do carries a statement out.
func (w *world) do(s *statement) error {
	switch {
	case strings.Contains(" link cut lift erase ", " "+s.op+" "):
		return w.operate(s)
	case s.page:
		return w.browse(s)
	case s.op == "X": // an SDK that resets gives itself another id
		return nil
	}
	m := w.message(s)
	w.sent = append(w.sent, m)
	if s.at == 0 || s.at > w.l.base+10*24*60*minute { // at receipt: not within the millisecond of what came before
		for began := time.Now().UnixMilli(); time.Now().UnixMilli() == began; {
		}
	}
	return w.deliver([]message{m})
}

// operate does what an operator does.
func (w *world) operate(s *statement) error {
	var body string
	at := ""
	if s.at != 0 {
		at = fmt.Sprintf(`,"time":%q`, time.UnixMilli(s.at).UTC().Format(time.RFC3339Nano))
	}
	for _, name := range s.names {
		w.meet(name)
	}
	switch s.op {
	case "link", "cut":
		body = fmt.Sprintf(`{"a":%s,"b":%s%s}`, w.identifier(s.names[0]), w.identifier(s.names[1]), at)
	case "lift":
		body = fmt.Sprintf(`{"evidence":%q%s}`, w.evidence[s.label], at)
	case "erase":
		return w.erase(s.names[0])
	}
	status, raw, err := w.l.ask("POST", "/admin/v1/identities/"+s.op, body, adminKey)
	if err != nil || status != 200 {
		return fmt.Errorf("%s: the desk answered %d %s: %w", s.text, status, raw, err)
	}
	var answer struct{ Evidence string }
	if err := json.Unmarshal(raw, &answer); err != nil {
		return err
	}
	w.evidence[s.label] = answer.Evidence
	return nil
}

// identifier is a name as the desk takes it.
func (w *world) identifier(name string) string {
	return fmt.Sprintf(`{"type":%q,"value":%q}`, typeOf[name[0]], w.written(name))
}

func (w *world) erase(name string) error {
	status, raw, err := w.l.ask("POST", "/admin/v1/subjects/erase", w.identifier(name), adminKey)
	var e struct{ ID string }
	if err == nil {
		err = json.Unmarshal(raw, &e)
	}
	if err != nil || status != 202 {
		return fmt.Errorf("erase %s: the desk answered %d %s: %w", name, status, raw, err)
	}
	erased(w.l.t, w.l.DeskURL(), e.ID)
	w.erased = true
	return nil
}
