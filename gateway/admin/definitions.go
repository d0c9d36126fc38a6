package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
)

// Kinds of definitions.
const (
	KindTrait     = "trait"
	KindSegment   = "segment"
	KindPlacement = "placement"
)

// Where definitions come from.
const (
	SourceFile    = "file"    // the configuration's: changed there alone
	SourceAPI     = "api"     // put here
	SourceDemo    = "demo"    // the demo shop's
	SourceProgram = "program" // built-in traits; one of the same name stands in its place
)

// States of a definition.
const (
	StateActive  = "active"  // at work
	StatePending = "pending" // counts what comes in, and is read once the past is in it
	StateRefused = "refused" // cannot work with what else is defined now; Reason says why
)

// States of a backfill.
const (
	BackfillWaiting = "waiting" // for another one
	BackfillRunning = "running"
	BackfillDone    = "done"
	BackfillFailed  = "failed" // Reason says why; it is tried again
)

// Definitions keeps traits, audiences and placements. Its errors are
// ErrUndefined, DefinitionFaults, a *Refusal or what the log alone may know.
type Definitions interface {
	// Definitions lists those of a kind, by name.
	Definitions(kind string) ([]Definition, error)
	Definition(kind, name string) (Definition, error)
	// Define puts a definition in the place of what has that name. It is durable
	// and at work, or pending, on return. What is there already with the same
	// body stays as it is, its version too.
	Define(ctx context.Context, d NewDefinition) (Definition, error)
	// Undefine takes it away, as a version of its own, which it gives.
	Undefine(ctx context.Context, kind, name, actor string) (version int, err error)
	// Versions gives all that were, the newest first.
	Versions(kind, name string) ([]DefinitionVersion, error)
	// Export writes what is in force, of every source but the demo and the
	// program, as the YAML that a configuration file takes.
	Export() ([]byte, error)
}

// Audiences tells who is in audiences and who would be. Errors as those of
// Definitions.
type Audiences interface {
	// Preview estimates, from a sample, how many would be in an audience. It
	// defines nothing, and ends when ctx does.
	Preview(ctx context.Context, body DefinitionBody) (AudiencePreview, error)
	// AudienceMembers gives up to most, from after a place on; "" begins, next ""
	// ends. ErrCursor: after is no place that it gave.
	AudienceMembers(ctx context.Context, name, after string, most int) (list []AudienceMember, next string, err error)
}

// Reasons says why a person is in an audience, has a trait or was shown a
// variant. Errors as those of Definitions.
type Reasons interface {
	Explain(ctx context.Context, q ExplainQuery) (Explanation, error)
	// Transitions are the audiences that the person entered and left, the newest
	// first, from before a place on; "" begins, next "" ends. ErrCursor: before
	// is no place that it gave.
	Transitions(ctx context.Context, x id.ID, v id.View, before string, most int) (list []Transition, next string, err error)
}

// Results tells what placements led to. Errors as those of Definitions.
type Results interface {
	Results(ctx context.Context, placement string) (PlacementResults, error)
}

// Knowledge is all that the desk knows of definitions.
type Knowledge interface {
	Definitions
	Audiences
	Reasons
	Results
}

// ErrUndefined says that nothing is defined under a name.
var ErrUndefined = errors.New("admin: nothing is defined under this name")

// ErrCursor says that a list cannot be gone on with from there.
var ErrCursor = errors.New("admin: not a place of this list")

// DefinitionFault is one thing that is wrong with a definition.
type DefinitionFault struct {
	Field string `json:"field,omitempty"` // its key in the body: when, variants[1].holdout; another definition's in full: segments[fans].when
	// Line and Column count from 1, columns in characters: of the body, or of the
	// rule where the body's form does not say. 0: unknown.
	Line       int    `json:"line,omitempty"`
	Column     int    `json:"column,omitempty"`
	Message    string `json:"message"`              // what was seen, what was expected
	Suggestion string `json:"suggestion,omitempty"` // what to write instead
}

// DefinitionFaults is everything that is wrong with it.
type DefinitionFaults []DefinitionFault

// Error is one line for each fault.
func (fs DefinitionFaults) Error() string {
	var b strings.Builder
	for i, f := range fs {
		if i > 0 {
			b.WriteByte('\n')
		}
		if f.Field != "" {
			b.WriteString(f.Field + ": ")
		}
		if f.Line > 0 {
			fmt.Fprintf(&b, "%d:%d: ", f.Line, f.Column)
		}
		b.WriteString(f.Message)
	}
	return b.String()
}

// Formats of a body.
const (
	FormatAny  = "" // JSON where it is JSON, else YAML
	FormatJSON = "json"
	FormatYAML = "yaml"
)

// DefinitionBody is a definition as it was sent: the keys that it has in the
// configuration file. The text is not kept beyond the call.
type DefinitionBody struct {
	Format string
	Text   []byte
}

// NewDefinition is a definition to put.
type NewDefinition struct {
	Kind, Name string // the body may say the same name, or none
	Actor      string // who puts it, as the activity log names them
	Body       DefinitionBody
}

// Definition is one that is in force, or is getting there.
type Definition struct {
	Kind, Name string
	Source     string
	Version    int    // of those put under its name, from 1; 0: not kept by version
	At         int64  // ms; when this version came to be; 0: unknown
	Actor      string // who put it; "" where it was not put here
	State      string
	Reason     string // why it is refused; "" else
	Body       json.RawMessage
	Backfill   Backfill
	Members    *Estimate // of an audience: who is in it now; nil: not known
	Cost       uint64    // of a rule, in steps at the most; 0: not known
	Uses       []string  // the definitions that it reads: "traits/orders_30d"
	UsedBy     []string  // and those that read it
}

// Backfill is how far the past is in a definition.
type Backfill struct {
	State    string
	Progress float64 // 0 to 1
	Events   int64   // read so far
	Begun    int64   // ms; 0: not yet
	Left     int64   // ms that it will still take, about; −1: not known
	Reason   string  // what the last attempt failed with; "" else
}

// Estimate is a number of persons and the interval that holds it with a
// confidence of 95 %; both ends are Count where it was counted.
type Estimate struct{ Count, Low, High int64 }

// DefinitionVersion is one version of what was put under a name.
type DefinitionVersion struct {
	Number  int
	At      int64 // ms
	Actor   string
	Source  string
	Deleted bool // the version takes the definition away
	Body    json.RawMessage
}

// AudiencePreview says how large an audience would be.
type AudiencePreview struct {
	Members Estimate
	Persons int64   // that there are, about
	Sampled int64   // that were looked at
	Share   float64 // of the persons
	Cost    uint64  // of the rule, in steps at the most
	Limit   uint64  // above which it is refused
	Parts   []RuleCost
	Took    int64 // ns for one person, on average
	// Partial names what the sample could not know, since it is not filled yet:
	// "traits/orders_30d". Those persons are judged by what there is.
	Partial []string
}

// RuleCost is what a part of a rule costs.
type RuleCost struct {
	Text         string
	Line, Column int // in the rule
	Cost         uint64
}

// AudienceMember is one person of an audience.
type AudienceMember struct {
	Person string // id
	Since  int64  // ms
}

// ExplainQuery asks why.
type ExplainQuery struct {
	Person     id.ID
	View       id.View
	Kind, Name string
	Site       string // whose page: "" for the person's latest
	At         int64  // ms; 0: now
}

// Explanation says why.
type Explanation struct {
	Version int    // of the definition that was asked; 0: not kept by version
	Rule    string // of an audience; "" else
	At      int64  // ms: the time that it speaks of
	// Of an audience.
	In    bool
	Since int64 // ms; 0: not in, or not known
	// Of a trait: JSON; empty when it is not known.
	Value event.Value
	// Of a placement. Variant is "" where the page keeps its own content.
	Variant  string
	Holdout  bool
	Variants []VariantReason
	// Until is when the answer changes by time alone, ms; 0: it does not.
	Until int64
	Parts []RulePart
	Notes []string // what limits the answer, as sentences
}

// VariantReason says why a variant was or was not chosen.
type VariantReason struct {
	Name   string
	Chosen bool
	Code   string // chosen, rule, schedule, cap, holdout, weight, earlier, seen, …
	Reason string // a sentence
	Rule   string
	Parts  []RulePart
}

// RulePart is a part of a rule with what it came to.
type RulePart struct {
	Text         string
	Line, Column int // in the rule, from 1
	Depth        int // how many parts it is inside of
	Value        event.Value
	Holds        *bool // nil: not true or false, or not looked at
}

// Transition is that a person entered or left an audience.
type Transition struct {
	Audience string
	Entered  bool
	At       int64  // ms: when it was so, not when it was found
	Cause    string // event, time, definition, identity or erasure
}

// PlacementResults is what a placement led to, by versions: what is shown
// otherwise is another experiment.
type PlacementResults struct {
	Goal     string             // as a sentence or a rule; "" without one
	Counted  uint64             // the entry of the log up to which it is counted
	Behind   uint64             // entries that are not counted yet
	Versions []PlacementVersion // the newest first
}

// PlacementVersion is one version's results.
type PlacementVersion struct {
	Version     int
	First, Last int64 // ms; shows
	Several     int64 // persons who count for more than one variant
	Variants    []VariantResult
}

// VariantResult is what one variant led to, or being held out of it.
type VariantResult struct {
	Name        string
	Holdout     bool
	Persons     int64 // who were exposed, or held out
	Conversions int64 // of them
	Value       float64
	Rate        Interval    // conversions for each person
	Worth       Interval    // value for each person
	Against     *Comparison // nil: this is what others are compared with
	Best        float64     // probability to have the highest rate; 0 of hold-outs
}

// Comparison is how much more a variant led to than another, or than being held
// out of it.
type Comparison struct {
	Variant     string
	Holdout     bool
	Rate, Worth Interval
}

// Interval is a figure with its interval of 95 %. Bounds that are NaN are not
// known.
type Interval struct{ Value, Low, High float64 }

// Bounds of how many definitions there are, of all sources together.
const (
	MaxTraits     = 256
	MaxSegments   = 1000
	MaxPlacements = 200
)
