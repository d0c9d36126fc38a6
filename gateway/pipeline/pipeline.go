// Package pipeline is the one way of an event: recognise the visitor, enrich,
// resolve who it is, fold it into what we know, commit it to the log, decide
// and answer. Top to bottom, once; what is slow reads the log behind it.
package pipeline

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/token"
	"github.com/reuna/reuna/storage/people"
)

// Request is what a request brings. Its strings own their memory.
type Request struct {
	Site       string
	Source     event.Source
	Trust      id.Trust // of the sender's key; a session may raise it
	ReceivedAt int64    // ms since 1970 UTC

	// AnonymousID is the cookie's, "" where the sender names its own, and Login
	// what the cookie carries since a login. Fresh says that the cookie was made
	// for this request.
	AnonymousID string
	Login       token.Login
	Fresh       bool
	// Cookieless: the events are nobody's and are counted without any id.
	Cookieless bool

	// Interact sets these, for the answer's cookie.
	Begun    token.Login // the session that the request's token began; zero: none
	Revoked  bool        // the visitor was reset: the browser needs another
	Outdated bool        // a live session holds for another cookie of this visitor

	Client    netip.Addr
	UserAgent string
	Referer   string
	Origin    string
	Host      string
	Language  string // Accept-Language, as it was sent
	Hints     Hints

	Batch *event.Batch
}

// Hints are the Sec-CH-UA headers as they were sent.
type Hints struct {
	Brands, Mobile, Platform, PlatformVersion, Model, FullVersions, Arch, FormFactors string
}

// View is what an answer may tell, before the site's allow-list.
type View struct {
	Visitor string // public id, "v_…"; "" without a cookie
	Known   bool   // a verified session is live,
	Person  string // of this user; "" otherwise
	people.Snapshot
	Now   int64
	Event *event.Event // the request's newest event, nil when it brought none
	// Unfolded says that the event was not taken and is nowhere in the profile.
	Unfolded bool
}

// Enricher fills in device, place, traffic source and bot verdict, and takes out
// what must not be kept; Refused does the latter for the text of a message that
// was refused, and for what is said of it, which may quote it.
type Enricher interface {
	Enrich(e *event.Event, r *Request)
	Refused(text string, r *Request) string
}

// Watcher looks at what a client does, and may add to the bot verdict of the
// request's events what that shows. It is called once for each request whose
// events are taken, after they were enriched and before whose they are is
// settled: the request's own visitor, if it has one, is AnonymousID.
type Watcher interface {
	Watch(r *Request)
}

// Decider writes the answer's `profile` and `decisions` members. It is called
// while the disk still works on the request's events.
type Decider interface {
	Append(dst []byte, v *View, site string, placements []string) []byte
}

// Verifier checks an identity token shown by a visitor.
type Verifier interface {
	Verify(token, visitor string, now time.Time) (token.Claims, error)
}

// Site is what the pipeline must know of a site.
type Site struct {
	Tokens Verifier // nil: the site signs no tokens
	// Session is how long a token's session lasts.
	Session time.Duration
	// NoClaimedLinks keeps claimed identifies without letting them link.
	NoClaimedLinks bool
	Bots           BotPolicy
}

// Options are what the pipeline stands on.
type Options struct {
	People   *people.Store
	Types    *id.Types
	Enricher Enricher
	Watcher  Watcher // nil: none
	Decider  Decider
	Sites    map[string]Site
	Counter  Counter // nil: Cookieless is not asked for
	Stats    *Stats  // counted into; nil: nobody reads them
}

// Pipeline takes events in. It is safe for concurrent use.
type Pipeline struct {
	o     Options
	jobs  sync.Pool
	stats *Stats
	hush  hush
}

// Stats count what came through, since the start.
type Stats struct {
	Requests, Duplicates, Refused atomic.Int64
	Events                        atomic.Int64 // of people and robots
	Blocked                       atomic.Int64 // identifiers that identify nobody
	Bots                          Bots
	BotsExcluded                  atomic.Int64 // of Bots, those that were kept out of profiles
	BotsRefused                   atomic.Int64 // events that were not taken, being robots'
	Sessions, TokensRefused       atomic.Int64
}

// New makes a pipeline.
func New(o Options) *Pipeline {
	p := &Pipeline{o: o, stats: o.Stats}
	if p.stats == nil {
		p.stats = new(Stats)
	}
	p.jobs.New = func() any { return &job{} }
	return p
}

// job is one request on its way. It is pooled: get, reset and put stand in
// Interact and Collect, and nothing of it outlives them.
type job struct {
	r       *Request
	site    Site
	session people.Session
	live    string          // the session's user, "" without one
	grant   *people.Session // begun by this request's token
	daily   string          // who a cookieless request's visitor is today
	refusal error           // of the token
	view    View            // what the answer is made of; here, since it would go to the heap for each
	items   []people.Item
	said    []bool // of the events that came: whether they told of themselves that a robot made them
}

func (p *Pipeline) get(r *Request) *job {
	j := p.jobs.Get().(*job)
	*j = job{r: r, site: p.o.Sites[r.Site], items: j.items[:0], said: j.said[:0]}
	p.stats.Requests.Add(1)
	return j
}

func (p *Pipeline) put(j *job) {
	clear(j.items)
	j.view = View{}
	p.jobs.Put(j)
}

// Interact takes a visitor's events in and appends the answer's members to dst.
// When it returns without an error every event is on disk.
func (p *Pipeline) Interact(r *Request, dst []byte) ([]byte, error) {
	j := p.get(r)
	defer p.put(j)
	if err := p.recognise(j); err != nil {
		return dst, err
	}
	p.enrich(j)
	if err := p.screen(j); err != nil {
		return dst, err
	}
	p.settle(j)
	durable, err := p.take(j)
	if err != nil {
		return dst, err
	}
	answer := dst
	err = p.view(j)
	if err == nil {
		answer = p.answer(dst, j) // while the disk works
	}
	if err := errors.Join(durable.WaitUnlessFull(), err); err != nil {
		return dst, unavailable(err)
	}
	if err := p.cookie(j); err != nil {
		return dst, err
	}
	return answer, nil
}

// Collect takes events in of senders that want no answer.
func (p *Pipeline) Collect(r *Request) error {
	j := p.get(r)
	defer p.put(j)
	if r.Cookieless {
		if err := p.count(j); err != nil {
			return err
		}
	}
	p.enrich(j)
	if err := p.screen(j); err != nil {
		return err
	}
	p.settle(j)
	durable, err := p.take(j)
	if err != nil {
		return err
	}
	return unavailable(durable.WaitUnlessFull())
}

// Profile appends the answer's members for a visitor, and changes nothing.
func (p *Pipeline) Profile(r *Request, dst []byte) ([]byte, error) {
	j := p.get(r)
	defer p.put(j)
	err := p.recall(j)
	if err != nil {
		return dst, err
	}
	if err := p.view(j); err != nil {
		return dst, unavailable(err)
	}
	r.Revoked = j.session.Revoked
	return p.answer(dst, j), nil
}

// Preview appends the answer's members for a visitor as of the request's events,
// of which the newest tells device, place and source of now; and it changes
// nothing: they are neither counted nor kept.
func (p *Pipeline) Preview(r *Request, dst []byte) ([]byte, error) {
	j := p.get(r)
	defer p.put(j)
	if err := p.recall(j); err != nil {
		return dst, err
	}
	if err := p.view(j); err != nil {
		return dst, unavailable(err)
	}
	for i := range r.Batch.Events {
		j.view.Event, j.view.Unfolded = &r.Batch.Events[i], true
		p.o.Enricher.Enrich(j.view.Event, r)
	}
	return p.answer(dst, j), nil
}

// enrich says of each event what it came from, and whether a robot made it.
func (p *Pipeline) enrich(j *job) {
	r := j.r
	for i := range r.Batch.Events {
		e := &r.Batch.Events[i]
		p.o.Enricher.Enrich(e, r)
		j.said = append(j.said, e.Bot.Is)
	}
	if p.o.Watcher != nil && len(r.Batch.Events) > 0 {
		p.o.Watcher.Watch(r)
	}
}

// atOnce is how many events of a request are taken under one hold of the state's lock:
// a batch of thousands is not to keep everybody else waiting.
const atOnce = 64

// take resolves, folds and appends the job's events. The ticket also covers what the
// duplicates are duplicates of. When a batch was taken in part, and the rest cannot be,
// the sender comes again with all of it.
func (p *Pipeline) take(j *job) (durable ticket, err error) {
	if err = p.meet(j); err != nil {
		p.unredeem(j)
		return nil, unavailable(err)
	}
	for from := 0; ; from += atOnce {
		to := min(from+atOnce, len(j.items))
		if durable, err = p.takePart(j, from, to); err != nil {
			if from == 0 {
				p.unredeem(j)
			}
			return nil, unavailable(err)
		}
		if to == len(j.items) {
			return durable, nil // and with it all that came before
		}
	}
}

// takePart takes some of the job's events, all under one hold of the state's lock; with
// the first of them the session, with the last what was refused.
func (p *Pipeline) takePart(j *job, from, to int) (ticket, error) {
	items := j.items[from:to]
	tx, err := p.o.People.Begin(items, j.r.AnonymousID, j.r.Fresh && from == 0)
	if err != nil {
		return nil, err
	}
	defer tx.Release() // should one of the following panic
	if j.grant != nil && from == 0 {
		tx.SetSession(j.r.AnonymousID, *j.grant, j.r.ReceivedAt)
	}
	for i := range items {
		it := &items[i]
		if tx.Duplicate(it) {
			p.stats.Duplicates.Add(1)
			continue
		}
		tx.Resolve(it)
		tx.Fold(it, tx.Append(it))
		p.stats.Events.Add(1)
		if it.Event.Bot.Is {
			p.stats.Bots.count(it.Event.Bot.Class, j.said[from+i])
		}
		if it.Excluded {
			p.stats.BotsExcluded.Add(1)
		}
	}
	if to == len(j.items) {
		p.quarantine(j, &tx)
	}
	return tx.End(), nil
}

// quarantine keeps what was refused of the request.
func (p *Pipeline) quarantine(j *job, tx *people.Tx) {
	for i := range j.r.Batch.Rejected {
		if j.r.Batch.Rejected[i].Code == event.CodeAutomated {
			continue // not to be kept, in the quarantine neither
		}
		tx.Refuse(p.refused(j.r, &j.r.Batch.Rejected[i]))
		p.stats.Refused.Add(1)
	}
}

// ticket is a place in the log that is not safe yet.
type ticket interface{ WaitUnlessFull() error }

// view is what the visitor may see: the verified person in a live session, else
// their own device. A cookie that was reset sees nothing.
func (p *Pipeline) view(j *job) (err error) {
	v := &j.view
	*v = View{Visitor: j.r.AnonymousID, Known: j.live != "", Person: j.live, Now: j.r.ReceivedAt}
	if n := len(j.items); n > 0 {
		v.Event, v.Unfolded = j.items[n-1].Event, j.items[n-1].Excluded
	}
	switch {
	case v.Known:
		v.Snapshot, err = p.o.People.Profile(id.ID{Type: id.UserID, Value: j.live}, id.VerifiedView)
	case v.Visitor != "" && !j.session.Revoked:
		v.Snapshot, err = p.o.People.Device(v.Visitor)
	}
	if v.Profile == nil {
		v.Profile, v.Unfolded = &facet.Profile{}, true
	}
	return err
}

// answer appends what the job's view may tell.
func (p *Pipeline) answer(dst []byte, j *job) []byte {
	dst = p.o.Decider.Append(dst, &j.view, j.r.Site, j.r.Batch.Placements)
	j.view.Snapshot.Done()
	if j.refusal != nil {
		dst = appendTokenError(dst, j.refusal)
	}
	return dst
}
