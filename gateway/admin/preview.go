package admin

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/people"
)

// What a change of a preview does: the names of the routes that do it.
const (
	doLink    = "link"
	doCut     = "cut"
	doLift    = "lift"
	doHold    = "hold"
	doRelease = "release"
)

// previewBody is a list of changes. A single change may stand in the body by
// itself.
type previewBody struct {
	Changes []json.RawMessage `json:"changes"`
}

// change is one piece of a preview: what the route of its name would state.
type change struct {
	do       string
	evidence []graph.Evidence
}

// Changes of a preview are written as the routes' bodies, with `do`.
type (
	pairChange struct {
		Do string `json:"do"`
		pairBody
	}
	liftChange struct {
		Do string `json:"do"`
		liftBody
	}
	holdChange struct {
		Do string `json:"do"`
		holdBody
	}
)

// servePreview tells what changes would change, before they are made.
func (c *call) servePreview() *failure {
	changes, f := c.changes(c.ctx.PostBody())
	if f != nil {
		return f
	}
	var all []graph.Evidence
	for _, x := range changes {
		all = append(all, x.evidence...)
	}
	if len(all) > people.MaxPreview {
		return badRequest("too_many_changes", "changes", fmt.Sprintf("these changes are %d pieces of evidence; expected at most %d: preview them in parts", len(all), people.MaxPreview))
	}
	var views [2]*people.Preview
	for i, v := range previewViews {
		p, err := c.s.o.People.Preview(all, v)
		if err != nil {
			return c.refusal(err)
		}
		views[i] = p
	}
	if f := c.notePreview(changes, views[:]); f != nil {
		return f
	}
	o := event.NewWriter(nil)
	if err := c.appendPreview(o, changes, views[:]); err != nil {
		return c.internal(err)
	}
	c.json(fasthttp.StatusOK, o.Bytes())
	return nil
}

// previewViews are those that a preview tells of, in this order.
var previewViews = [...]id.View{id.AllView, id.VerifiedView}

// changes reads the body of a preview.
func (c *call) changes(body []byte) (list []change, f *failure) {
	var outline struct {
		Do json.RawMessage `json:"do"`
	}
	if err := json.Unmarshal(body, &outline); err == nil && outline.Do != nil && utf8.Valid(body) {
		x, f := c.readChange(body)
		if f != nil {
			return nil, f
		}
		return []change{x}, nil
	}
	var b previewBody
	if f := readBody(body, &b); f != nil {
		return nil, f
	}
	raw := b.Changes
	if len(raw) == 0 || len(raw) > people.MaxPreview {
		return nil, badRequest("invalid_changes", "changes", fmt.Sprintf(`changes has %d members; expected 1 to %d, such as {"changes":[{"do":"link","a":{…},"b":{…}}]}`, len(raw), people.MaxPreview))
	}
	for i := range raw {
		x, f := c.readChange(raw[i])
		if f != nil {
			f.field = strings.TrimSuffix(fmt.Sprintf("changes[%d].%s", i, f.field), ".")
			return nil, f
		}
		list = append(list, x)
	}
	return list, nil
}

// readChange reads one change: the body that the route of its name takes, and `do`.
func (c *call) readChange(raw []byte) (x change, f *failure) {
	var which struct {
		Do string `json:"do"`
	}
	if err := json.Unmarshal(raw, &which); err != nil {
		var none struct{}
		if f := readBody(raw, &none); f != nil && f.code == "invalid_json" {
			return x, f
		}
		return x, badRequest("invalid_type", "do", fmt.Sprintf("do is no text; expected %s", list(doNames)))
	}
	x.do = which.Do
	var e graph.Evidence
	switch which.Do {
	case doLink, doCut:
		var b pairChange
		if f = readBody(raw, &b); f == nil {
			e, f = b.evidence(c, map[string]graph.Kind{doLink: graph.Link, doCut: graph.Cut}[which.Do])
		}
		x.evidence = []graph.Evidence{e}
	case doLift:
		var b liftChange
		if f = readBody(raw, &b); f == nil {
			e, f = b.evidence(c)
		}
		x.evidence = []graph.Evidence{e}
	case doHold:
		var b holdChange
		if f = readBody(raw, &b); f == nil {
			x.evidence, f = b.holds(c)
		}
	case doRelease:
		var b holdChange
		if f = readBody(raw, &b); f == nil {
			x.evidence, f = b.releases(c)
		}
	default:
		f = badRequest("invalid_change", "do", fmt.Sprintf("do is %q; expected %s", clip([]byte(which.Do)), list(doNames)))
	}
	return x, f
}

var doNames = []string{doLink, doCut, doLift, doHold, doRelease}

// actionPreview notes who looked at what would come of a change, and at whom.
const actionPreview = "identity.preview"

// notePreview writes down who was read: the persons before, and those whom the
// changes name. What comes after would be the same people.
func (c *call) notePreview(changes []change, views []*people.Preview) *failure {
	var said []previewed
	seen := map[string]bool{}
	var objects []string
	add := func(name string) {
		if !seen[name] {
			seen[name] = true
			objects = append(objects, name)
		}
	}
	for _, x := range changes {
		for i := range x.evidence {
			about, err := c.about(&x.evidence[i])
			if err != nil {
				return c.internal(err)
			}
			said = append(said, previewed{Do: x.do, stated: about})
			add(about.A)
			if about.B != "" {
				add(about.B)
			}
		}
	}
	for _, v := range views {
		for _, r := range v.Regroupings {
			for _, p := range r.Before {
				add(p.ID)
			}
		}
	}
	if f := c.note(actionPreview, objects[0], "ok", map[string]any{"changes": said, "persons": len(objects)}); f != nil {
		return f
	}
	rest := objects[1:]
	errs := make(chan error, len(rest))
	for _, name := range rest { // together: the activity log then needs the disk but a few times
		go func() {
			errs <- c.append(c.actor, roleAdmin, actionPreview, name, "ok", map[string]string{"with": objects[0]})
		}()
	}
	var failed error
	for range rest {
		if err := <-errs; err != nil {
			failed = err
		}
	}
	c.s.log.Info("a change of identities was previewed", "route", c.route.path, "key", c.key, "from", c.from, "changes", len(changes), "persons", len(objects))
	return c.unnoted(failed)
}

type previewed struct {
	Do string `json:"do"`
	stated
}
