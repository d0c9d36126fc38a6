package app

import (
	"sync"
	"time"

	"github.com/reuna/reuna/gateway/decide"
	"github.com/reuna/reuna/gateway/define"
	"github.com/reuna/reuna/gateway/pipeline"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/storage/people"
)

// judge says who is in which audience, for answers and for the store alike, by
// the definitions of the moment.
type judge struct {
	a        *App
	subjects sync.Pool // of *segment.Subject
}

func (j *judge) get(l *define.Live, p *facet.Profile, present []string, now int64) *segment.Subject {
	sub, ok := j.subjects.Get().(*segment.Subject)
	if !ok {
		sub = new(segment.Subject)
	}
	sub.Profile, sub.Identifiers, sub.Now = p, present, now
	sub.Computed.Reset(l.Traits, p, now)
	return sub
}

func (j *judge) put(sub *segment.Subject) {
	sub.Reset()
	j.subjects.Put(sub)
}

// Judge is the store's.
func (j *judge) Judge(x *people.Snapshot, now int64) *segment.Standing {
	l := j.a.defs.Live()
	sub := j.get(l, x.Profile, x.Present, now)
	defer j.put(sub)
	return l.Segments.Judge(sub, x.Standing, x.Changed)
}

// Append judges whoever the answer is about and writes what their page may see.
// It makes judge the pipeline's Decider.
func (j *judge) Append(dst []byte, v *pipeline.View, site string, placements []string) []byte {
	l := j.a.defs.Live()
	sub := j.get(l, v.Profile, v.Present, v.Now)
	defer j.put(sub)
	if v.Unfolded {
		sub.Event = v.Event
		l.Segments.Members(sub)
	} else {
		st := l.Segments.Judge(sub, v.Standing, v.Changed)
		j.a.people.Stand(&v.Snapshot, st, v.Now)
		sub.Stand(l.Segments, st)
	}
	return decider(l).Append(dst, &decide.View{
		ID: v.Visitor, Person: v.Person, Known: v.Known, Subject: sub,
		Profile: v.Profile, Now: v.Now, Event: sub.Event, Identifiers: v.Present,
	}, site, placements)
}

// derive is what the desk shows of a person.
func (j *judge) derive(p *people.Person, now time.Time) (computed map[string]any, segments []string) {
	var present []string
	for _, x := range p.Cluster.Members {
		if len(present) == 0 || present[len(present)-1] != x.Type {
			present = append(present, x.Type)
		}
	}
	l := j.a.defs.Live()
	sub := j.get(l, p.Profile, present, now.UnixMilli())
	defer j.put(sub)
	return namesOf(l, sub)
}
