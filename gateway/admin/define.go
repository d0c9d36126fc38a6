package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/identity/event"
)

// defineTime is how long one request about definitions may take.
const defineTime = 45 * time.Second

// moment is a time in an answer; the zero one is left out.
type moment int64 // ms

// MarshalJSON writes it as all times of the desk.
func (m moment) MarshalJSON() ([]byte, error) {
	return time.UnixMilli(int64(m)).UTC().AppendFormat(nil, `"2006-01-02T15:04:05.000Z"`), nil
}

type definitionView struct {
	Kind       string          `json:"kind"`
	Name       string          `json:"name"`
	Source     string          `json:"source"`
	Version    int             `json:"version"`
	At         moment          `json:"at,omitzero"`
	Actor      string          `json:"actor,omitempty"`
	State      string          `json:"state"`
	Reason     string          `json:"reason,omitempty"`
	Definition json.RawMessage `json:"definition"`
	Backfill   backfillView    `json:"backfill"`
	Members    *estimateView   `json:"members,omitempty"`
	Cost       uint64          `json:"cost,omitzero"`
	Uses       []string        `json:"uses"`
	UsedBy     []string        `json:"usedBy"`
}

type backfillView struct {
	State       string  `json:"state"`
	Progress    float64 `json:"progress"`
	Events      int64   `json:"events"`
	Begun       moment  `json:"begun,omitzero"`
	SecondsLeft *int64  `json:"secondsLeft,omitempty"`
	Reason      string  `json:"reason,omitempty"`
}

type estimateView struct {
	Estimate int64 `json:"estimate"`
	Low      int64 `json:"low"`
	High     int64 `json:"high"`
}

func viewDefinition(d *Definition) definitionView {
	v := definitionView{
		Kind: d.Kind, Name: d.Name, Source: d.Source, Version: d.Version, At: moment(d.At), Actor: d.Actor, State: d.State, Reason: d.Reason,
		Definition: d.Body, Cost: d.Cost, Uses: append([]string{}, d.Uses...), UsedBy: append([]string{}, d.UsedBy...),
		Backfill: backfillView{State: d.Backfill.State, Progress: hundredths(d.Backfill.Progress), Events: d.Backfill.Events, Begun: moment(d.Backfill.Begun), Reason: d.Backfill.Reason},
	}
	if d.Members != nil {
		v.Members = viewEstimate(*d.Members)
	}
	if b := d.Backfill; b.State == BackfillRunning && b.Left >= 0 {
		seconds := (b.Left + 999) / 1000
		v.Backfill.SecondsLeft = &seconds
	}
	return v
}

func viewEstimate(e Estimate) *estimateView { return &estimateView{e.Count, e.Low, e.High} }

// hundredths leaves out digits that an estimate does not have; only what is done
// is 1.
func hundredths(x float64) float64 { return math.Floor(min(max(x, 0), 1)*100) / 100 }

// plural is a kind as paths write it.
func plural(kind string) string { return kind + "s" }

// most is how many of a kind there may be.
func most(kind string) int {
	switch kind {
	case KindTrait:
		return MaxTraits
	case KindSegment:
		return MaxSegments
	}
	return MaxPlacements
}

// knowledge is what keeps definitions.
func (c *call) knowledge() (Knowledge, *failure) {
	if c.s.o.Knowledge == nil {
		f := refuse(fasthttp.StatusServiceUnavailable, "definitions_unavailable", "this gateway keeps no definitions yet: it is starting, or its store could not be opened for them; its log says which")
		f.retryAfter = retryNotReady
		return nil, f
	}
	return c.s.o.Knowledge, nil
}

// nameForm is what every definition's name is at least. Traits are narrower,
// which their own faults say.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$`)

// named reads the path's name.
func (c *call) named(kind string) (string, *failure) {
	name, err := url.PathUnescape(c.param)
	if err != nil || !nameForm.MatchString(name) {
		return "", c.undefined(kind)
	}
	return name, nil
}

// oneOf gives what knows of definitions, and the path's name.
func (c *call) oneOf(kind string) (k Knowledge, name string, f *failure) {
	if k, f = c.knowledge(); f == nil {
		name, f = c.named(kind)
	}
	return k, name, f
}

func (c *call) undefined(kind string) *failure {
	return refuse(fasthttp.StatusNotFound, "unknown_definition", fmt.Sprintf("there is no %s %q; GET /admin/v1/%s lists those there are", kind, clip([]byte(c.param)), plural(kind)))
}

// unknown is the answer to an error of Knowledge.
func (c *call) unknown(kind string, err error) *failure {
	var faults DefinitionFaults
	switch {
	case errors.Is(err, ErrUndefined):
		return c.undefined(kind)
	case errors.Is(err, ErrCursor):
		return badRequest("invalid_cursor", "", "this is no place of this list; expected the `next` of an earlier answer, unchanged")
	case errors.As(err, &faults) && len(faults) > 0:
		return faulty(faults)
	case errors.Is(err, context.DeadlineExceeded):
		f := refuse(fasthttp.StatusServiceUnavailable, "too_slow", fmt.Sprintf("this took more than %v, so it was given up; the gateway is busy, try again later", defineTime))
		f.retryAfter = retryNotReady
		return f
	}
	return c.refusal(err)
}

// maxFaults is how many faults one answer tells.
const maxFaults = 50

// faulty is the answer to a definition that cannot be.
func faulty(faults DefinitionFaults) *failure {
	first := faults[0]
	f := refuse(fasthttp.StatusUnprocessableEntity, "invalid_definition", first.Message)
	f.field = first.Field
	if n := len(faults) - 1; n == 1 {
		f.message += " (and one more fault)"
	} else if n > 1 {
		f.message += fmt.Sprintf(" (and %d more faults)", n)
	}
	f.more = func(o *event.Writer) {
		o.Key("faults")
		o.OpenList()
		for _, x := range faults[:min(len(faults), maxFaults)] {
			o.Open()
			o.Text("field", x.Field)
			if x.Line > 0 {
				o.Int("line", int64(x.Line))
				o.Int("column", int64(x.Column))
			}
			o.String("message", x.Message)
			o.Text("suggestion", x.Suggestion)
			o.Close()
		}
		o.CloseList()
		o.Int("faultCount", int64(len(faults)))
	}
	return f
}

func serveDefinitions(kind string) func(*call) *failure {
	return func(c *call) *failure {
		k, f := c.knowledge()
		if f != nil {
			return f
		}
		list, err := k.Definitions(kind)
		if err != nil {
			return c.unknown(kind, err)
		}
		views := make([]definitionView, len(list))
		for i := range list {
			views[i] = viewDefinition(&list[i])
		}
		return c.encode(fasthttp.StatusOK, map[string]any{plural(kind): views, "limit": most(kind)})
	}
}

func serveDefinition(kind string) func(*call) *failure {
	return func(c *call) *failure {
		k, name, f := c.oneOf(kind)
		if f != nil {
			return f
		}
		d, err := k.Definition(kind, name)
		if err != nil {
			return c.unknown(kind, err)
		}
		return c.encode(fasthttp.StatusOK, viewDefinition(&d))
	}
}

type definitionVersionView struct {
	Version    int             `json:"version"`
	At         moment          `json:"at,omitzero"`
	Actor      string          `json:"actor,omitempty"`
	Source     string          `json:"source"`
	Deleted    bool            `json:"deleted,omitempty"`
	Definition json.RawMessage `json:"definition,omitempty"`
}

func serveVersions(kind string) func(*call) *failure {
	return func(c *call) *failure {
		k, name, f := c.oneOf(kind)
		if f != nil {
			return f
		}
		list, err := k.Versions(kind, name)
		if err != nil {
			return c.unknown(kind, err)
		}
		views := make([]definitionVersionView, len(list))
		for i, v := range list {
			views[i] = definitionVersionView{v.Number, moment(v.At), v.Actor, v.Source, v.Deleted, v.Body}
		}
		return c.encode(fasthttp.StatusOK, map[string]any{"kind": kind, "name": name, "versions": views})
	}
}

func (c *call) serveExport() *failure {
	k, f := c.knowledge()
	if f != nil {
		return f
	}
	text, err := k.Export()
	if err != nil {
		return c.unknown("definition", err)
	}
	c.ctx.Response.Header.SetContentType("application/yaml")
	c.ctx.Response.SetBodyRaw(text)
	return nil
}

// definitionBody is the request's body with its form. A form that says nothing
// of the kind, as curl's own, leaves it to the text.
func (c *call) definitionBody() DefinitionBody {
	media, _, _ := strings.Cut(string(c.ctx.Request.Header.ContentType()), ";")
	b := DefinitionBody{Text: c.ctx.PostBody()}
	switch strings.ToLower(strings.TrimSpace(media)) {
	case "application/json":
		b.Format = FormatJSON
	case "application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml":
		b.Format = FormatYAML
	}
	return b
}

// changeable says why nothing may be put under a name, or taken away: it stands
// elsewhere, or there is no room for another one.
func (c *call) changeable(k Knowledge, kind, name string, put bool) *failure {
	d, err := k.Definition(kind, name)
	switch {
	case errors.Is(err, ErrUndefined) && put:
		list, err := k.Definitions(kind)
		if err != nil {
			return c.unknown(kind, err)
		}
		if len(list) >= most(kind) {
			return refuse(fasthttp.StatusConflict, "too_many_definitions", fmt.Sprintf("there are %d %s, and %d is the limit; delete one that is not used", len(list), plural(kind), most(kind)))
		}
		return nil
	case err != nil:
		return c.unknown(kind, err)
	case d.Source == SourceFile:
		return refuse(fasthttp.StatusConflict, "defined_in_file", fmt.Sprintf("the %s %q stands in the configuration file, which alone changes it; edit it there, or take it out of there first", kind, name))
	case d.Source == SourceDemo:
		return refuse(fasthttp.StatusConflict, "defined_by_demo", fmt.Sprintf("the %s %q is the demo shop's; choose another name, or set demo: false", kind, name))
	case d.Source == SourceProgram && !put:
		return refuse(fasthttp.StatusConflict, "built_in", fmt.Sprintf("the %s %q is built in; put one of the same name in its place, or set builtins: false", kind, name))
	}
	return nil
}

func servePutDefinition(kind string) func(*call) *failure {
	return func(c *call) *failure {
		return c.changeDefinition(kind, "put", func(ctx context.Context, k Knowledge, name string) (any, map[string]int, error) {
			d, err := k.Define(ctx, NewDefinition{Kind: kind, Name: name, Actor: c.actor, Body: c.definitionBody()})
			if err != nil {
				return nil, nil, err
			}
			return viewDefinition(&d), map[string]int{"version": d.Version}, nil
		})
	}
}

func serveDeleteDefinition(kind string) func(*call) *failure {
	return func(c *call) *failure {
		return c.changeDefinition(kind, "delete", func(ctx context.Context, k Knowledge, name string) (any, map[string]int, error) {
			version, err := k.Undefine(ctx, kind, name, c.actor)
			return map[string]any{"kind": kind, "name": name, "version": version, "deleted": true}, map[string]int{"version": version}, err
		})
	}
}

// changeDefinition makes a change, one after the other: each is judged against
// all that is defined, and counted.
func (c *call) changeDefinition(kind, what string, do func(ctx context.Context, k Knowledge, name string) (view any, noted map[string]int, err error)) *failure {
	k, f := c.knowledge()
	if f != nil {
		return f
	}
	name, f := c.named(kind)
	if f != nil {
		if what == "put" {
			f = faulty(DefinitionFaults{{Field: "name", Message: fmt.Sprintf("the address names %q; expected 1 to 64 letters, digits and _ . - that begin with a letter, a digit or _", clip([]byte(c.param)))}})
		}
		return f
	}
	c.s.defining.Lock()
	defer c.s.defining.Unlock()
	var view any
	f = c.changeable(k, kind, name, what == "put")
	if f == nil {
		f = c.change("definition."+what, plural(kind)+"/"+name, nil, func() (any, error) {
			ctx, cancel := context.WithTimeout(context.Background(), defineTime)
			defer cancel()
			v, noted, err := do(ctx, k, name)
			view = v
			if err != nil {
				return nil, &answered{c.unknown(kind, err), err}
			}
			return noted, nil
		})
	}
	outcome := "ok"
	if f != nil {
		outcome = f.code
	}
	c.s.o.Metrics.GetOrCreateCounter(fmt.Sprintf("reuna_desk_definition_changes_total{kind=%q,change=%q,outcome=%q}", kind, what, outcome)).Inc()
	if f != nil {
		return f
	}
	return c.encode(fasthttp.StatusOK, view)
}
