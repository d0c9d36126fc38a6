package config

import (
	"bytes"
	"fmt"
	"reflect"
	"regexp"
	"slices"

	"github.com/goccy/go-yaml/ast"

	"github.com/reuna/reuna/identity/trait/rule"
)

// Format is the form of a definition that stands by itself.
type Format string

const (
	AnyFormat Format = "" // JSON where it is JSON, else YAML
	JSON      Format = "json"
	YAML      Format = "yaml"
)

// Body is one definition that was read by itself, with the keys that it has in
// a file. Exactly one of Trait, Segment and Placement is there.
type Body struct {
	Trait     *Trait
	Segment   *Segment
	Placement *Placement

	source source
}

// ReadTrait reads a trait. Its name is name, whether the text says it or not;
// "" leaves it to the text. The error is Faults, whose paths begin within the
// definition: where, steps[0].event.
func ReadTrait(name string, f Format, text []byte) (*Body, error) {
	b := &Body{Trait: new(Trait)}
	return b, b.read(f, text, b.Trait, &b.Trait.Name, name, func(k *checker) {
		b.Trait.settle()
		k.trait("", b.Trait)
	})
}

// ReadSegment reads a segment, as ReadTrait does a trait.
func ReadSegment(name string, f Format, text []byte) (*Body, error) {
	b := &Body{Segment: new(Segment)}
	return b, b.read(f, text, b.Segment, &b.Segment.Name, name, func(k *checker) { k.segment("", b.Segment) })
}

// ReadPlacement reads a placement, as ReadTrait does a trait.
func ReadPlacement(name string, f Format, text []byte) (*Body, error) {
	b := &Body{Placement: new(Placement)}
	return b, b.read(f, text, b.Placement, &b.Placement.Name, name, func(k *checker) { k.placement("", b.Placement) })
}

// Preview is an audience that is not saved yet, with traits that only it needs.
type Preview struct {
	When   string  `yaml:"when"`
	Site   string  `yaml:"site"`
	Traits []Trait `yaml:"traits"`
}

// ReadPreview reads an audience to preview. The Body says where its faults are:
// Segment is when and site, without a name.
func ReadPreview(f Format, text []byte) (*Preview, *Body, error) {
	p, b := new(Preview), &Body{Segment: new(Segment)}
	var noName string
	err := b.read(f, text, p, &noName, "", func(k *checker) {
		if p.When == "" {
			k.fault("when", "saw no rule, expected one such as counts.orders > 0")
		}
		k.atMost("traits", len(p.Traits), MaxTraits)
		names := map[string]int{}
		for i := range p.Traits {
			p.Traits[i].settle()
			at := index("traits", i)
			k.trait(at, &p.Traits[i])
			k.unique(at+".name", p.Traits[i].Name, names, i, "a trait of that name")
		}
	})
	b.Segment.When, b.Segment.Site = p.When, p.Site
	return p, b, err
}

func (b *Body) read(f Format, text []byte, into any, has *string, name string, check func(*checker)) error {
	d := newDecoder("", text)
	if root := d.body(f, text); root != nil {
		d.value(root, "", reflect.ValueOf(into).Elem())
	}
	d.source.at[""] = position{1, 1}
	b.source = d.source
	k := &checker{c: &Config{source: d.source}}
	if name != "" {
		if *has != "" && *has != name {
			k.fault("name", "saw %s, expected %s, as the address says, or no name at all", quoted(*has), quoted(name))
		}
		*has = name
	}
	if !slices.Contains(d.broken, "") {
		check(k)
	}
	for _, f := range k.faults {
		if !slices.ContainsFunc(d.broken, func(root string) bool { return under(f.Path, root) }) {
			d.faults = append(d.faults, f)
		}
	}
	d.faults.sort()
	return d.faults.Err()
}

// body is the tree of a definition's text.
func (d *decoder) body(f Format, text []byte) ast.Node {
	trimmed := bytes.TrimSpace(text)
	start := position{1, 1}
	switch {
	case len(text) > maxFile:
		d.fault(start, "", fmt.Sprintf("saw more than %s, expected a definition of at most that size", Size(maxFile)))
		return nil
	case len(trimmed) == 0:
		d.fault(start, "", "saw nothing, expected a definition's keys as JSON or YAML")
		return nil
	}
	if f == JSON || f == AnyFormat && (trimmed[0] == '{' || trimmed[0] == '[') {
		root, at, message := readJSON(text)
		if message == "" {
			return root
		}
		if f == JSON {
			d.fault(at, "", message)
			return nil
		}
	}
	return d.tree(text)
}

// Faults gives faults of a rule or of a value their places in the body. Their
// paths begin with prefix, as in segments[0], which is taken off; those of other
// definitions keep theirs and have no place.
func (b *Body) Faults(prefix string, list rule.Faults) Faults {
	var all Faults
	for _, f := range list {
		path, own := within(f.Path, prefix)
		if !own {
			all = append(all, Fault{Path: f.Path, Message: f.Text(), Suggestion: f.Suggestion})
			continue
		}
		all = append(all, b.source.faultIn(path, f.Line, f.Column, f.Message, f.Suggestion))
	}
	for i := range all {
		if m := meant.FindStringSubmatch(all[i].Message); m != nil && all[i].Suggestion == "" {
			all[i].Suggestion = m[1]
		}
	}
	all.sort()
	return all
}

// meant finds in a message what to write instead.
var meant = regexp.MustCompile(`; did you mean ([^?]+)\?$`)

// CheckSite is a fault where the definition is for a site that c does not have.
func (b *Body) CheckSite(c *Config) Faults {
	k := &checker{c: &Config{source: b.source, Sites: c.Sites, Demo: c.Demo}}
	switch {
	case b.Trait != nil:
		k.site("", b.Trait.Site)
	case b.Segment != nil:
		k.site("", b.Segment.Site)
	case b.Placement != nil:
		k.site("", b.Placement.Site)
	}
	return k.faults
}

// within takes prefix off a path.
func within(path, prefix string) (rest string, ok bool) {
	if prefix == "" {
		return path, true
	}
	if !under(path, prefix) {
		return path, false
	}
	if rest = path[len(prefix):]; rest != "" && rest[0] == '.' {
		rest = rest[1:]
	}
	return rest, true
}

// Faults gives rules' faults their places in the file.
func (c *Config) Faults(list rule.Faults) Faults {
	var all Faults
	for _, f := range list {
		all = append(all, c.source.faultIn(f.Path, f.Line, f.Column, f.Message, f.Suggestion))
	}
	all.sort()
	return all
}
