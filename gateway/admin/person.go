package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/people"
)

// personType is what stands before a person id in a path, where an identifier's
// type would.
const personType = "person"

// subject is whom a request asks about.
type subject struct {
	id   id.ID
	name string // a person id instead; "" when id says it
}

// parseSubject reads "{type}:{value}" as it stands in a path, percent-encoded.
func parseSubject(raw string, types *id.Types) (x subject, f *failure) {
	text, err := url.PathUnescape(raw)
	if err != nil {
		return x, badRequest("invalid_identifier", "identifier", fmt.Sprintf("%q is not percent-encoded as RFC 3986 says: a %% must begin two hexadecimal digits; write a %% itself as %%25", clip([]byte(raw))))
	}
	kind, value, ok := strings.Cut(text, ":")
	if !ok || kind == "" || value == "" {
		return x, badRequest("invalid_identifier", "identifier", fmt.Sprintf("%q is no identifier; expected type:value, such as user_id:u1, email:a@example.com or person:p_…", clip([]byte(text))))
	}
	return newSubject(kind, value, types)
}

// newSubject checks an identifier, or a person id of type person.
func newSubject(kind, value string, types *id.Types) (x subject, f *failure) {
	if kind == personType {
		if !isPersonID(value) {
			return x, badRequest("invalid_identifier", "identifier", fmt.Sprintf("%q is no person id; expected p_ and 26 of a-z and 2-7", clip([]byte(value))))
		}
		return subject{name: value}, nil
	}
	if _, known := types.Rule(kind); !known {
		return x, badRequest("unknown_type", "identifier", fmt.Sprintf("there is no identifier type %q; expected %s", clip([]byte(kind)), list(append(types.Names(), personType))))
	}
	n, verdict := types.Normalise(kind, value)
	switch verdict {
	case id.Blocked:
		return x, refuse(fasthttp.StatusNotFound, "unknown_person", fmt.Sprintf("%q is a blocked value: it never identifies anybody, so nobody is known by it", clip([]byte(value))))
	case id.Invalid:
		return x, badRequest("invalid_identifier", "identifier", fmt.Sprintf("%q cannot be of type %s; expected a value in that type's form, of at most %d bytes", clip([]byte(value)), kind, id.MaxValue))
	}
	return subject{id: n}, nil
}

func isPersonID(s string) bool {
	rest, ok := strings.CutPrefix(s, "p_")
	return ok && len(rest) == 26 && !strings.ContainsFunc(rest, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '2' || r > '7') })
}

// view reads ?view=.
func (c *call) view() (id.View, *failure) {
	return viewNamed(string(c.ctx.QueryArgs().Peek("view")))
}

func viewNamed(text string) (id.View, *failure) {
	switch text {
	case "", "all":
		return id.AllView, nil
	case "verified":
		return id.VerifiedView, nil
	default:
		return 0, badRequest("invalid_view", "view", fmt.Sprintf("view is %q; expected %s", clip([]byte(text)), list([]string{"all", "verified"})))
	}
}

// person finds whom the path names, and notes that they were looked at.
func (c *call) person(action string) (*people.Person, *failure) {
	x, f := parseSubject(c.param, c.s.o.Types)
	if f != nil {
		return nil, f
	}
	v, f := c.view()
	if f != nil {
		return nil, f
	}
	_, p, f := c.find(x, v, action, "ok")
	return p, f
}

// find finds a person and notes who asked for whom and what for, before anything
// is told; found is the outcome where it is one person. known is the identifier
// to go on with.
func (c *call) find(x subject, v id.View, action, found string) (known id.ID, p *people.Person, f *failure) {
	store, log := c.s.o.People, c.s.log.With("route", c.route.path, "view", v.String(), "key", c.key, "from", c.from)
	known, err := x.id, error(nil)
	asked := x.name // what may be written down of whom was asked for
	if x.name != "" {
		known, err = store.Named(x.name)
	} else {
		asked, err = store.PersonID(x.id)
	}
	if err == nil {
		p, err = store.Person(known, v)
	}
	detail := map[string]string{"asked": asked, "view": v.String()}
	switch {
	case errors.Is(err, people.ErrUnknown):
		log.Info("a person was asked for and is not known", "asked", asked)
		if f := c.note(action, asked, "unknown", detail); f != nil {
			return known, nil, f
		}
		return known, nil, refuse(fasthttp.StatusNotFound, "unknown_person", "nobody is known by this identifier; check its type and spelling (user ids keep their case)")
	case err != nil:
		return known, nil, c.internal(err)
	case p.Cluster.Ambiguous && x.name == "":
		log.Info("a person was asked for by an identifier of several", "asked", asked)
		if f := c.note(action, asked, "ambiguous", detail); f != nil {
			return known, nil, f
		}
		return known, nil, c.ambiguous(p, x.id)
	}
	if f := c.note(action, p.ID, found, detail); f != nil {
		return known, nil, f
	}
	log.Info("a person was read", "asked", asked, "person", p.ID)
	return known, p, nil
}

// ambiguous answers for an identifier of several people: with each of them, and
// with the id under which the identifier alone can be read.
func (c *call) ambiguous(p *people.Person, x id.ID) *failure {
	v := p.Cluster.View
	reasons, err := c.s.o.People.Explain(x, v)
	if err != nil {
		return c.internal(err)
	}
	var users []id.ID
	for _, r := range reasons {
		user := r.A
		if user == x {
			user = r.B
		} else if r.B != x {
			continue
		}
		if r.Why == graph.SharedIdentifier && user.Type == id.UserID {
			users = append(users, user)
		}
	}
	shown := users[:min(len(users), shownCandidates)]
	names := make([]string, len(shown))
	for i, user := range shown {
		q, err := c.s.o.People.Person(user, v)
		if err != nil {
			return c.internal(err)
		}
		names[i] = q.ID
	}
	f := refuse(fasthttp.StatusConflict, "ambiguous_identifier", fmt.Sprintf("this %s belongs to %d user_ids, so it stands for none of them; ask for one of the candidates, or for %s:%s to see what it did by itself", x.Type, len(users), personType, p.ID))
	f.field = "identifier"
	f.more = func(o *event.Writer) {
		o.Key("candidates")
		o.OpenList()
		for i, user := range shown {
			o.Open()
			o.String("type", user.Type)
			o.String("value", user.Value)
			o.String("personId", names[i])
			o.Close()
		}
		o.CloseList()
		o.Int("candidateCount", int64(len(users)))
		o.String("personId", p.ID)
	}
	return f
}

// shownCandidates bounds whom an ambiguous identifier is answered with: a kiosk
// has hundreds.
const shownCandidates = 100

func (c *call) servePerson() *failure {
	p, f := c.person("person.read")
	if f != nil {
		return f
	}
	o := event.NewWriter(nil)
	if err := c.appendPerson(o, p); err != nil {
		return c.internal(err)
	}
	c.json(fasthttp.StatusOK, o.Bytes())
	return nil
}

// appendPerson writes the whole profile, as one object.
func (c *call) appendPerson(o *event.Writer, p *people.Person) error {
	var computed map[string]any
	var segments []string
	if c.s.o.Derive != nil {
		computed, segments = c.s.o.Derive(p, c.s.o.Now())
	}
	o.Open()
	c.appendHead(o, p)
	appendMembers(o, "identifiers", p.Cluster)
	appendIDs(o, "shared", p.Cluster.Shared)
	appendHolds(o, p.Cluster.Held)
	appendTraits(o, p.Profile.Traits)
	o.Key("computed")
	o.Open()
	for _, name := range slices.Sorted(maps.Keys(computed)) {
		text, err := json.Marshal(computed[name])
		if err != nil {
			return fmt.Errorf("computed trait %q: %w", name, err)
		}
		o.Raw(name, event.Value(text))
	}
	o.Close()
	o.Key("segments")
	o.OpenList()
	for _, name := range segments {
		o.Item(name)
	}
	o.CloseList()
	appendCounts(o, p.Profile)
	appendFacets(o, p.Facets)
	o.Time("firstSeen", p.Profile.First)
	o.Time("lastSeen", p.Profile.Last)
	o.Key("firstTouch")
	p.Profile.FirstTouch.Append(o)
	o.Key("lastTouch")
	p.Profile.LastTouch.Append(o)
	appendDevices(o, p.Profile.Devices)
	appendOrders(o, p.Orders)
	o.Raw("consent", "{}") // events carry no recorded consent yet
	o.Close()
	return nil
}

// appendHead writes what every answer about a person begins with. The aliases
// are the ids that the person had, or would have had, while one of the other
// members stood for them; each still leads here.
func (c *call) appendHead(o *event.Writer, p *people.Person) {
	o.String("personId", p.ID)
	o.String("view", p.Cluster.View.String())
	o.Flag("known", len(p.Cluster.Users) > 0)
	o.Key("aliases")
	o.OpenList()
	for _, x := range p.Aliases {
		o.Item(x)
	}
	o.CloseList()
}

// appendMembers writes a cluster's identifiers, user_ids first.
func appendMembers(o *event.Writer, key string, cl *graph.Cluster) {
	o.Key(key)
	o.OpenList()
	for _, users := range [...]bool{true, false} {
		for i, x := range cl.Members {
			if (x.Type == id.UserID) != users {
				continue
			}
			o.Open()
			o.String("type", x.Type)
			o.String("value", x.Value)
			o.Time("since", cl.Since[i])
			o.Close()
		}
	}
	o.CloseList()
}

func appendIDs(o *event.Writer, key string, list []id.ID) {
	o.Key(key)
	o.OpenList()
	for _, x := range list {
		appendIDItem(o, x)
	}
	o.CloseList()
}

func appendIDItem(o *event.Writer, x id.ID) {
	o.Open()
	o.String("type", x.Type)
	o.String("value", x.Value)
	o.Close()
}

// appendTraits writes every trait with where it came from; one that was taken
// back has the value null.
func appendTraits(o *event.Writer, traits map[string]facet.Trait) {
	o.Key("traits")
	o.Open()
	for _, name := range slices.Sorted(maps.Keys(traits)) {
		o.Key(name)
		appendTrait(o, traits[name])
	}
	o.Close()
}

func appendTrait(o *event.Writer, t facet.Trait) {
	o.Open()
	o.Raw("value", t.Value)
	o.String("trust", t.Trust.String())
	o.String("source", t.Site)
	o.String("party", "first") // all that comes in by these doors is the site's own
	o.Time("time", t.At.Time)
	o.Close()
}

// noCurrency is ISO 4217's code where no currency is involved.
const noCurrency = "XXX"

// appendCounts writes the counts, of what people did but for those that say bot. Money of different currencies has no sum: the
// revenue is that of the currency with the largest amount.
func appendCounts(o *event.Writer, p *facet.Profile) {
	o.Key("counts")
	o.Open()
	o.Int("events", p.Events)
	o.Int("pageviews", p.Pageviews)
	o.Int("sessions", p.Sessions)
	o.Int("botEvents", p.BotEvents)
	o.Int("botPageviews", p.BotPageviews)
	o.Int("orders", p.Orders)
	if len(p.Revenue) == 0 {
		o.Int("revenue", 0)
	} else {
		o.Raw("revenue", amount(p.Revenue[0].Micros))
		o.Text("currency", p.Revenue[0].Currency)
	}
	if len(p.Revenue) > 1 {
		o.Key("revenueByCurrency")
		o.Open()
		for _, a := range p.Revenue {
			currency := a.Currency
			if currency == "" {
				currency = noCurrency
			}
			o.Raw(currency, amount(a.Micros))
		}
		o.Close()
	}
	o.Close()
}

// amount writes millionths as a JSON number, exactly: 49900000 is 49.9.
func amount(micros int64) event.Value {
	sign, n := "", uint64(micros)
	if micros < 0 {
		sign, n = "-", -n
	}
	text := sign + strconv.FormatUint(n/1e6, 10)
	if part := n % 1e6; part != 0 {
		text += "." + strings.TrimRight(fmt.Sprintf("%06d", part), "0")
	}
	return event.Value(text)
}

func appendDevices(o *event.Writer, devices []facet.DeviceSeen) {
	o.Key("devices")
	o.OpenList()
	for _, d := range devices {
		o.Open()
		o.String("anonymousId", d.AnonymousID)
		o.Text("type", d.Device.Type)
		o.Text("os", d.Device.OS)
		o.Text("browser", d.Device.Browser)
		o.Text("language", d.Device.Language)
		o.Text("timezone", d.Device.Timezone)
		o.Text("screen", d.Device.Screen)
		o.Time("firstSeen", d.First)
		o.Time("lastSeen", d.Last)
		o.Int("sessions", d.Sessions)
		o.Close()
	}
	o.CloseList()
}

// appendOrders writes the newest orders; counts.orders has how many there are.
func appendOrders(o *event.Writer, orders []facet.Placed) {
	o.Key("orders")
	o.OpenList()
	for _, x := range orders {
		o.Open()
		o.String("id", x.ID)
		o.Time("time", x.At.Time)
		o.Raw("revenue", amount(x.Micros))
		o.Text("currency", x.Currency)
		o.Close()
	}
	o.CloseList()
}

// appendFacets writes which devices contributed while they said who they were.
func appendFacets(o *event.Writer, keys []facet.Key) {
	keys = slices.Clone(keys)
	slices.SortFunc(keys, facet.Key.Compare)
	keys = slices.CompactFunc(keys, func(a, b facet.Key) bool { a.Origin = b.Origin; return a == b }) // a restore begins new ones
	o.Key("facets")
	o.OpenList()
	for _, k := range keys {
		o.Open()
		o.Text("anonymousId", k.AnonymousID)
		o.Text("userId", k.UserID)
		o.String("trust", k.Trust.String())
		o.Close()
	}
	o.CloseList()
}
