// Package rule compiles the conditions that definitions are written in: CEL
// expressions over a fixed set of names, of bounded cost, that say yes or no.
// (https://github.com/google/cel-spec)
package rule

import (
	"fmt"
	"regexp/syntax"
	"strings"
	"sync/atomic"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
)

// Bounds of one rule. CEL counts about one for each step of the evaluation and
// a tenth for each byte that is looked at.
const (
	maxText    = 4096 // bytes
	maxDepth   = 40   // levels of nesting
	maxLoops   = 2    // loops within one another
	maxPattern = 1000 // steps of a regular expression's program

	// MaxCost is the worst case above which a rule is refused: a few
	// milliseconds of one core, for somebody with everything that limits allow.
	//
	// It is told before the first evaluation, from the sizes in cost.go, and
	// those sizes are held when a rule runs (Map, FromJSON). CEL's own meter is
	// not used: its bookkeeping grows with the square of a loop's length, so it
	// would cost a hundred times what it guards.
	MaxCost = 100_000
)

// Var is a name that rules may use.
type Var struct {
	Name string
	Type *cel.Type
	// Moving says that it goes on with the time, as a *Moving does.
	Moving bool
}

// Options say what rules may be about.
type Options struct {
	Vars    []Var
	Objects []*Object
	// Size bounds what stands at a path ("traits", "@values"): its entries if it
	// is a map or a list, its bytes if it is a text. 0 means the default.
	Size func(path []string) uint64
	// Owner is whose places the fields have that have any (Places).
	Owner any
	// Functions are put in the place of what they stand for before a rule is
	// checked.
	Functions []Function
}

// Env is a set of names with their types. Making one is slow (milliseconds):
// one serves all the rules that speak of the same names. It is safe for
// concurrent use.
type Env struct {
	cel       *cel.Env
	provider  *provider
	names     []string
	vars      map[string]*cel.Type
	moving    map[string]bool
	functions []Function
	size      func(path []string) uint64
	zones     zones
	owner     any
}

// NewEnv makes an environment. An error is a mistake of the caller.
func NewEnv(o Options) (*Env, error) {
	p, err := newProvider(o.Objects)
	if err != nil {
		return nil, err
	}
	opts := []cel.EnvOption{
		cel.CustomTypeProvider(p),
		cel.CustomTypeAdapter(p),
		cel.OptionalTypes(),
		cel.DefaultUTCTimeZone(true),
		cel.CrossTypeNumericComparisons(true),
		cel.ParserExpressionSizeLimit(maxText),
		cel.ParserRecursionLimit(maxDepth),
		cel.EnableMacroCallTracking(), // to write parts of rules out again
		cel.ASTValidators(cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals()),
	}
	e := &Env{size: o.Size, provider: p, vars: map[string]*cel.Type{}, moving: map[string]bool{}, functions: o.Functions, owner: o.Owner}
	for _, v := range o.Vars {
		opts = append(opts, cel.Variable(v.Name, v.Type))
		e.names = append(e.names, v.Name)
		e.vars[v.Name], e.moving[v.Name] = v.Type, v.Moving
	}
	if e.cel, err = cel.NewEnv(opts...); err != nil {
		return nil, fmt.Errorf("rule: make the environment: %w", err)
	}
	return e, nil
}

// Check looks at a rule that is well-typed and gives what is wrong with it
// beyond that.
type Check func(r *Reader)

// Compile makes a rule of its text. path names the text in faults. A rule must
// be of type bool and its worst case must cost no more than MaxCost.
func (e *Env) Compile(path, text string, checks ...Check) (*Rule, Faults) {
	if strings.TrimSpace(text) == "" {
		return nil, Faults{{Path: path, Message: "saw no rule, expected one such as counts.orders > 0"}}
	}
	if len(text) > maxText {
		return nil, Faults{{Path: path, Message: fmt.Sprintf("the rule has %d bytes; the limit is %d", len(text), maxText)}}
	}
	parsed, issues := e.cel.Parse(text)
	if issues.Err() != nil {
		return nil, Faults{misreading(path, text, issues)}
	}
	if bad := e.expand(path, text, parsed.NativeRep()); len(bad) > 0 {
		return nil, bad
	}
	tree, issues := e.cel.Check(parsed)
	if issues.Err() != nil {
		return nil, e.faults(path, parsed.NativeRep(), issues)
	}
	r := &Reader{path: path, tree: tree.NativeRep()}
	if got := tree.OutputType(); !got.IsExactType(types.BoolType) {
		r.whole("the rule gives %s, expected a bool; %s", typeName(got), asCondition(strings.TrimSpace(text), got.String()))
		return nil, r.faults
	}
	r.patterns()
	m := &motion{r: r, moving: func(name string) bool { return e.moving[name] }, zones: &e.zones, calls: map[int64]bool{}, parts: map[int64]bool{}}
	m.is(r.tree.Expr())
	for _, check := range checks {
		check(r)
	}
	cost := e.price(r)
	if len(r.faults) > 0 {
		return nil, r.faults
	}
	rule := &Rule{env: e, tree: tree, motion: m, cost: cost, uses: uses(e, r.tree)}
	var err error
	if rule.program, err = e.cel.Program(tree, m.decorate(), cel.EvalOptions(cel.OptOptimize)); err != nil {
		return nil, Faults{{Path: path, Message: fmt.Sprintf("cannot be made to run: %v", err)}}
	}
	q := &quick{env: e, tree: r.tree, motion: m}
	rule.quick = q.condition(r.tree.Expr())
	if rule.trends = trends(q); e.owner != nil {
		rule.steps = q.steps()
	}
	return rule, nil
}

func steps(n uint64) string {
	if n > 1e15 {
		return "endless"
	}
	return fmt.Sprint(n)
}

func typeName(t *cel.Type) string {
	if t.IsExactType(types.DynType) {
		return "a value of any type"
	}
	return t.String()
}

func excerpt(s string) string {
	if r := []rune(s); len(r) > 32 {
		return string(r[:32]) + "…"
	}
	return s
}

// Rule is a compiled condition, safe for concurrent use.
type Rule struct {
	steps    *Steps    // nil: the rule is of another shape
	quick    condition // likewise
	program  cel.Program
	failures atomic.Uint64

	env    *Env
	tree   *cel.Ast
	motion *motion
	cost   uint64
	uses   Uses
	trends map[Use]Trend
}

// Cost is the worst case of one evaluation, at most MaxCost.
func (r *Rule) Cost() uint64 { return r.cost }

// Uses is what the rule reads. The list is the rule's own.
func (r *Rule) Uses() Uses { return r.uses }

// Holds says whether the condition is met. What is missing does not meet it: a
// rule that reads a key nobody set is false, unless its outcome does not hang
// on it ("a || b" with b true). So is a rule that fails in another way, which
// Failures counts.
func (r *Rule) Holds(vars cel.Activation) bool {
	if r.steps != nil {
		if p, ok := vars.(Places); ok && p.PlacesOf(r.env.owner) {
			if holds, ok := r.steps.Holds(0, p); ok {
				return holds
			}
		}
	}
	if r.quick != nil {
		switch a := r.quick(vars, nil); a {
		case unsure:
		case failed:
			r.failures.Add(1)
			return false
		default:
			return a == yes
		}
	}
	v, _, err := r.program.Eval(vars)
	if err != nil {
		if !isMissingKey(err) {
			r.failures.Add(1)
		}
		return false
	}
	return v == types.True
}

// Failures is how often the rule failed for another reason than a missing key:
// a trait of another type than the rule expects, or larger than rules read.
func (r *Rule) Failures() uint64 { return r.failures.Load() }

// isMissingKey tells the errors of absent keys and items. The rule engine keeps
// their types to itself, so their texts must do.
func isMissingKey(err error) bool {
	text := err.Error()
	return strings.HasPrefix(text, "no such key") || strings.HasPrefix(text, "index out of bounds") || strings.HasPrefix(text, "no such attribute")
}

// Reader gives checks the parts of a rule.
type Reader struct {
	path   string
	tree   *ast.AST
	faults Faults
}

// Fault notes that the part with this id is wrong.
func (r *Reader) Fault(id int64, format string, args ...any) {
	line, column := r.Place(id)
	r.faults = append(r.faults, Fault{Path: r.path, Line: line, Column: column, Message: fmt.Sprintf(format, args...)})
}

// Suggest adds what was probably meant to the last fault noted; "" is nothing.
func (r *Reader) Suggest(meant string) { r.faults[len(r.faults)-1].Suggestion = meant }

// Place is where the part with this id begins, both from 1.
func (r *Reader) Place(id int64) (line, column int) { return place(r.tree.SourceInfo(), id) }

func place(info *ast.SourceInfo, id int64) (line, column int) {
	at := info.GetStartLocation(id)
	return max(at.Line(), 1), max(at.Column(), 0) + 1
}

// whole notes a fault of the rule as one.
func (r *Reader) whole(format string, args ...any) {
	line, column := start(r.tree, r.tree.Expr())
	r.faults = append(r.faults, Fault{Path: r.path, Line: line, Column: column, Message: fmt.Sprintf(format, args...)})
}

func (r *Reader) calls(function string, fn func(id int64, args []ast.Expr)) {
	ast.PostOrderVisit(r.tree.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.CallKind && e.AsCall().FunctionName() == function {
			fn(e.ID(), e.AsCall().Args())
		}
	}))
}

// patterns refuses regular expressions that are not written in the rule: one
// that comes with a visitor's event would be compiled at each evaluation, and
// would choose its own cost. Those that are written there have theirs: what a
// character of the text may cost. (CEL's own limit panics at a counted repetition,
// as in ^[0-9]{5}$.)
func (r *Reader) patterns() {
	r.calls("matches", func(id int64, args []ast.Expr) {
		if len(args) == 0 || args[len(args)-1].Kind() != ast.LiteralKind {
			r.Fault(id, "the pattern of matches must be written in the rule, as in matches('^a+$')")
			return
		}
		last := args[len(args)-1]
		pattern, _ := last.AsLiteral().(types.String)
		if n, err := programSize(string(pattern)); err != nil {
			r.Fault(last.ID(), "saw %q, expected a regular expression (RE2): %v", excerpt(string(pattern)), err)
		} else if n > maxPattern {
			r.Fault(last.ID(), "the pattern %q may cost up to %d steps for each character, the limit is %d; repeat less in it", excerpt(string(pattern)), n, maxPattern)
		}
	})
}

// programSize is of how many instructions a regular expression is when it runs.
func programSize(pattern string) (int, error) {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, err
	}
	program, err := syntax.Compile(re.Simplify())
	if err != nil {
		return 0, err
	}
	return len(program.Inst), nil
}

// MembersOf calls fn for each text that the rule looks for in the list name, as
// in 'x' in name.
func (r *Reader) MembersOf(name string, fn func(id int64, text string)) {
	r.calls("@in", func(_ int64, args []ast.Expr) {
		if len(args) != 2 || args[1].Kind() != ast.IdentKind || args[1].AsIdent() != name || args[0].Kind() != ast.LiteralKind {
			return
		}
		if s, ok := args[0].AsLiteral().(types.String); ok {
			fn(args[0].ID(), string(s))
		}
	})
}
