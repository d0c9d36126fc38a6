package trait

import (
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/trait/rule"
)

// newEnv gives what a `where` may speak of. (api.md, "Definitions")
func newEnv() (*rule.Env, error) {
	object := cel.MapType(cel.StringType, cel.DynType)
	return rule.NewEnv(rule.Options{Vars: []rule.Var{
		{Name: "event", Type: cel.StringType},
		{Name: "type", Type: cel.StringType},
		{Name: "properties", Type: object},
		{Name: "context", Type: object},
		{Name: "time", Type: cel.TimestampType},
	}})
}

// maxMembers is how many properties of an event a rule can walk over.
const maxMembers = 1000

// eventVars are the names of a `where`, resolved from an event when asked for.
type eventVars struct {
	e          *event.Event
	properties members
	traits     members
	asked      [2]rule.Map // properties and context, for CEL
}

// reset makes v ready for another event, or for none.
func (v *eventVars) reset(e *event.Event) {
	v.e, v.asked = e, [2]rule.Map{}
	v.properties.reset()
	v.traits.reset()
}

// ResolveName implements cel.Activation.
func (v *eventVars) ResolveName(name string) (any, bool) {
	switch name {
	case "event":
		return types.String(v.e.Name), true
	case "type":
		return types.String(v.e.Type.String()), true
	case "time":
		return types.Timestamp{Time: time.UnixMilli(v.e.Timestamp).UTC()}, true
	case "properties":
		if !v.asked[0].Ready() {
			v.asked[0].Of((*properties)(v), maxMembers)
		}
		return &v.asked[0], true
	case "context":
		if !v.asked[1].Ready() {
			v.asked[1].Of((*context)(v), maxMembers)
		}
		return &v.asked[1], true
	}
	return nil, false
}

// ResolveText implements rule.Reads.
func (v *eventVars) ResolveText(name string) (string, bool) {
	switch name {
	case "event":
		return v.e.Name, true
	case "type":
		return v.e.Type.String(), true
	}
	return "", false
}

// Parent implements cel.Activation.
func (v *eventVars) Parent() cel.Activation { return nil }

type properties eventVars

// JSON gives a property without making a value of it.
func (p *properties) JSON(key string) event.Value { return p.properties.get(p.e.Properties, key) }

func (p *properties) Find(key string) (ref.Val, bool) {
	v := p.JSON(key)
	return rule.FromJSON(v), v != ""
}

func (p *properties) All() map[string]any { return asMap(p.e.Properties) }

// context is the message's context with what the gateway found out, as the log
// shows it.
type context eventVars

// JSON gives a member without making a value of it.
func (c *context) JSON(key string) event.Value { return contextMember(c.e, key) }

func (c *context) Find(key string) (ref.Val, bool) {
	v := c.JSON(key)
	return rule.FromJSON(v), v != ""
}

func (c *context) All() map[string]any { return asMap(whole(c.e).Get("context")) }

func asMap(v event.Value) map[string]any {
	if m, ok := v.Any().(map[string]any); ok {
		return m
	}
	return map[string]any{}
}

func whole(e *event.Event) event.Value { return event.Value(e.AppendJSON(nil)) }

// contextMember is context.key. The gateway's own members are written out for
// it; what a sender put there under the same name never counts.
func contextMember(e *event.Event, key string) event.Value {
	switch key {
	case "site":
		return text(e.Site)
	case "ip":
		return text(e.IP)
	case "device", "os", "browser", "geo", "traffic", "bot":
		return whole(e).Get("context", key)
	}
	return e.Context.Get(key)
}

func text(s string) event.Value {
	if s == "" {
		return ""
	}
	return event.Quote(s)
}
