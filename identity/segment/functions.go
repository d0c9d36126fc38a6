package segment

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/reuna/reuna/identity/trait"
	"github.com/reuna/reuna/identity/trait/rule"
)

// The functions in rules, each of which stands for a computed trait that is made
// for it:
//
//	count(event[, where], window)
//	sum(event, path[, where], window)
//	followed(step(event[, where]), step(event[, where]), …, within)
//	notFollowed(step(event[, where]), step(event[, where]), within)
//
// where is a condition as in a trait's `where`; a window is '30d', '1h', '90m' or
// 'ever'.
const (
	countOf     = "count"
	sumOf       = "sum"
	followed    = "followed"
	notFollowed = "notFollowed"
	step        = "step"
)

var signatures = [...][2]string{
	{countOf, "count('Order Completed', '30d')"},
	{sumOf, "sum('Order Completed', 'properties.total', '30d')"},
	{followed, "followed(step('Product Viewed'), step('Order Completed'), '3d')"},
	{notFollowed, "notFollowed(step('Product Viewed'), step('Order Completed'), '3d')"},
	{step, "followed(step('Product Viewed'), step('Order Completed'), '3d')"},
}

func signature(name string) string {
	for _, s := range signatures {
		if s[0] == name {
			return s[1]
		}
	}
	return ""
}

// Queries gives the computed traits that the functions in a rule stand for:
// hidden ones, each once, to be compiled with the others before the rule is. The
// faults are those of the functions alone, and Compile finds them too; path
// names the rule in them. A text that is no rule has no queries.
func Queries(path, text string) (list []trait.Definition, faults rule.Faults) {
	rule.Calls(text, func(c *rule.Call) {
		d, bad := query(c)
		for i := range bad {
			bad[i].Path = path
		}
		if faults = append(faults, bad...); len(bad) > 0 {
			return
		}
		if !slices.ContainsFunc(list, func(o trait.Definition) bool { return o.Name == d.Name }) {
			list = append(list, d)
		}
	}, countOf, sumOf, followed, notFollowed, step)
	return list, faults
}

// functions put computed.q_… in the place of calls.
func functions(t *trait.Set) (list []rule.Function) {
	expand := func(c *rule.Call) (to [2]string, bad rule.Faults) {
		d, bad := read(c)
		if len(bad) > 0 {
			return to, bad
		}
		if _, ok := t.Slot(d.Name); !ok {
			if bad = check(&d, c); len(bad) == 0 {
				bad = c.Fault("the computed trait that %s stands for was not made", c.Name)
			}
		}
		return [2]string{"computed", d.Name}, bad
	}
	for _, s := range signatures {
		list = append(list, rule.Function{Name: s[0], Expand: expand})
	}
	return list
}

// query reads a call and checks what it asks for.
func query(c *rule.Call) (d trait.Definition, bad rule.Faults) {
	if d, bad = read(c); len(bad) == 0 {
		bad = check(&d, c)
	}
	return d, bad
}

// read makes a definition of a call. Conditions are taken as they are.
func read(c *rule.Call) (d trait.Definition, bad rule.Faults) {
	d.Hidden = true
	wrong := func() (trait.Definition, rule.Faults) {
		return d, c.Fault("saw %s with %d arguments, expected such as %s", c.Name, len(c.Args), signature(c.Name))
	}
	args := c.Args
	if c.Name == step {
		return d, c.Fault("a step stands in a sequence only, as in %s", signature(step))
	}
	if len(args) < 2 {
		return wrong()
	}
	span, bad := window(c, &args[len(args)-1])
	args = args[:len(args)-1]
	switch c.Name {
	case countOf, sumOf:
		d.Kind, d.Window = trait.Count, span
		if d.Event, bad = eventName(c, &args[0], bad); c.Name == sumOf {
			if len(args) < 2 {
				return wrong()
			}
			d.Kind, args = trait.Sum, args[1:]
			if d.Value = args[0].Text; !args[0].IsText {
				bad = append(bad, args[0].Fault("saw %s, expected the path of an amount, such as 'properties.total'", args[0].Source)...)
			}
		}
		switch len(args) {
		case 1:
		case 2:
			d.Where = condition(args[1].Source)
		default:
			return wrong()
		}
	case followed, notFollowed:
		d.Kind, d.Within = trait.Sequence, span
		if len(args) < 2 || c.Name == notFollowed && len(args) != 2 {
			return wrong()
		}
		if span == 0 && len(bad) == 0 {
			last := &c.Args[len(c.Args)-1]
			bad = last.Fault("saw 'ever', expected how long %s waits for the next step, such as '3d'", c.Name)
		}
		for i := range args {
			s, more := readStep(c, &args[i])
			if bad = append(bad, more...); i == 1 && c.Name == notFollowed {
				d.Not = &s
			} else {
				d.Steps = append(d.Steps, s)
			}
		}
	}
	d.Name = "q_" + hash(&d)
	return d, bad
}

func readStep(c *rule.Call, a *rule.Arg) (s trait.Step, bad rule.Faults) {
	if a.Call == nil || a.Call.Name != step {
		return s, a.Fault("saw %s, expected a step such as step('Product Viewed')", a.Source)
	}
	args := a.Call.Args
	if len(args) == 0 || len(args) > 2 {
		return s, a.Fault("saw step with %d arguments, expected an event and, if need be, a condition: step('Product Viewed', properties.price > 100)", len(args))
	}
	s.Event, bad = eventName(c, &args[0], nil)
	if len(args) == 2 {
		s.Where = condition(args[1].Source)
	}
	return s, bad
}

func eventName(c *rule.Call, a *rule.Arg, bad rule.Faults) (string, rule.Faults) {
	if !a.IsText || a.Text == "" {
		bad = append(bad, a.Fault("saw %s, expected an event's name such as 'Order Completed', or page, screen, identify, group or alias", a.Source)...)
	}
	return a.Text, bad
}

// window reads '90m', '1h', '30d', '2w' or 'ever', which is 0.
func window(c *rule.Call, a *rule.Arg) (time.Duration, rule.Faults) {
	if a.IsText {
		if a.Text == "ever" {
			return 0, nil
		}
		if d, ok := span(a.Text); ok {
			return d, nil
		}
	}
	return 0, a.Fault("saw %s, expected a time such as '30d', '1h' or 'ever' at the end of %s, as in %s", a.Source, c.Name, signature(c.Name))
}

func span(text string) (time.Duration, bool) {
	for unit, of := range map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		digits, ok := strings.CutSuffix(text, unit)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(digits, 10, 31)
		if err != nil || n == 0 || time.Duration(n) > (1<<62)/of {
			return 0, false
		}
		return time.Duration(n) * of, true
	}
	return 0, false
}

// condition is a condition without what does not matter: blanks outside of texts
// are one, comments none.
func condition(source string) string {
	var b strings.Builder
	blank := false
	for i := 0; i < len(source); {
		switch c := source[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f':
			blank = true
			i++
			continue
		case strings.HasPrefix(source[i:], "//"):
			n := strings.IndexByte(source[i:], '\n')
			if n < 0 {
				n = len(source) - i
			}
			blank = true
			i += n
			continue
		}
		if blank && b.Len() > 0 {
			b.WriteByte(' ')
		}
		blank = false
		n := 1
		if source[i] == '\'' || source[i] == '"' {
			n = rule.Literal(source[i:], i > 0 && (source[i-1] == 'r' || source[i-1] == 'R'))
		}
		b.WriteString(source[i : i+n])
		i += n
	}
	return b.String()
}

// check compiles the conditions of a query where they stand in the rule, so that
// faults have their places there.
func check(d *trait.Definition, c *rule.Call) (bad rule.Faults) {
	copied := *d
	copied.Steps = slices.Clone(d.Steps)
	copied.Where = ""
	if d.Where != "" {
		copied.Where = c.Args[len(c.Args)-2].Padded
	}
	for i := range c.Args {
		call := c.Args[i].Call
		if call == nil || len(call.Args) < 2 {
			continue
		}
		if i < len(copied.Steps) {
			copied.Steps[i].Where = call.Args[1].Padded
		} else if copied.Not != nil {
			not := *copied.Not
			not.Where = call.Args[1].Padded
			copied.Not = &not
		}
	}
	_, err := trait.Compile([]trait.Definition{copied})
	faults, ok := err.(rule.Faults)
	if err != nil && !ok {
		return c.Fault("%v", err)
	}
	for _, f := range faults {
		if f.Line == 0 {
			f.Line, f.Column = c.Line, c.Column
			key := strings.TrimPrefix(f.Path, "traits[0].")
			f.Message = fmt.Sprintf("%s: its %s: %s", c.Name, key, f.Message)
		}
		bad = append(bad, f)
	}
	return bad
}

// hash is of the series and of how it is read: a step that must follow and one
// that must not have the same series.
func hash(d *trait.Definition) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %d %t %s", d.Kind, d.Within, d.Not != nil, d.Fingerprint())
	return fmt.Sprintf("%016x", h.Sum64())
}
