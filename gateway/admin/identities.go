package admin

import (
	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/people"
)

func (c *call) serveIdentities() *failure {
	p, f := c.person("person.identities")
	if f != nil {
		return f
	}
	o := event.NewWriter(nil)
	if err := c.appendIdentities(o, p, maxBody); err != nil {
		return c.internal(err)
	}
	c.json(fasthttp.StatusOK, o.Bytes())
	return nil
}

// appendIdentities writes the graph around a person, as one object. Who floods a
// user_id with false claims makes its pairs many: they end after so many bytes,
// and their number is told.
func (c *call) appendIdentities(o *event.Writer, p *people.Person, most int) error {
	reasons, err := c.s.o.People.Explain(p.Cluster.Representative, p.Cluster.View)
	if err != nil {
		return err
	}
	o.Open()
	c.appendHead(o, p)
	o.Flag("ambiguous", p.Cluster.Ambiguous)
	appendMembers(o, "members", p.Cluster)
	appendIDs(o, "shared", p.Cluster.Shared)
	appendHolds(o, p.Cluster.Held)
	appendConflicts(o, p.Cluster.Conflicts)
	o.Key("pairs")
	o.OpenList()
	shown := 0
	for shown < len(reasons) && len(o.Bytes()) < most {
		appendReason(o, &reasons[shown])
		shown++
	}
	o.CloseList()
	if shown < len(reasons) {
		o.Int("pairCount", int64(len(reasons)))
	}
	o.Close()
	return nil
}

func appendConflicts(o *event.Writer, conflicts []graph.Conflict) {
	o.Key("conflicts")
	o.OpenList()
	for _, x := range conflicts {
		o.Open()
		appendEnds(o, x.A, x.B)
		appendWhy(o, x.Why)
		o.Time("since", x.Since.Time)
		o.Close()
	}
	o.CloseList()
}

func appendReason(o *event.Writer, r *graph.Reason) {
	o.Open()
	appendEnds(o, r.A, r.B)
	o.Flag("holds", r.Holds)
	appendWhy(o, r.Why)
	o.String("trust", r.Trust.String())
	o.Time("since", r.Earliest.Time)
	o.Time("newest", r.Newest.Time)
	if len(r.Cuts) > 0 {
		o.Key("cuts")
		o.OpenList()
		for _, x := range r.Cuts {
			o.Item(evidenceName(x))
		}
		o.CloseList()
	}
	appendHolds(o, r.Held)
	o.Close()
}

func appendEnds(o *event.Writer, a, b id.ID) {
	for _, end := range [...]struct {
		key string
		id  id.ID
	}{{"a", a}, {"b", b}} {
		o.Key(end.key)
		appendIDItem(o, end.id)
	}
}

func appendWhy(o *event.Writer, y graph.Why) {
	o.String("why", y.String())
	o.String("text", y.Text())
}
