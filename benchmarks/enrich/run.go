// Package enrich measures how often enrichment is right, on public fixtures that
// are fetched for the run and on agents made here, and what it costs.
package enrich

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/reuna/reuna/benchmarks/measure"
)

// Options of a run.
type Options struct {
	Cache    string // folder where fixtures are kept; "": below the user's cache folder
	Failures int    // how many wrong answers of each class are printed; those held out never are
	Quick    bool   // shorter rounds of the costs
}

// Run fetches, reads, asks and measures.
func Run(ctx context.Context, o Options, stdout, log io.Writer) (*Report, error) {
	began := time.Now()
	dir := o.Cache
	if dir == "" {
		var err error
		if dir, err = defaultStore(); err != nil {
			return nil, err
		}
	}
	d, err := load(ctx, &store{dir: dir, log: log})
	if err != nil {
		return nil, err
	}
	we, err := newOurs(2)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(log, "asking about %d visitors, %d tests of uap-core, %d made agents, %d robots\n",
		len(d.visitors), len(d.core.browsers)+len(d.core.systems)+len(d.core.devices), len(d.generated), len(d.crawlers))
	r := &Report{Environment: measure.Here(), Common: d.common, Left: d.left}
	for _, f := range fixtures() {
		r.Fixtures = append(r.Fixtures, Fixture{Name: f.name, Version: f.version, License: f.license, Source: f.source})
	}
	classes, failures := d.ask(we)
	channels, wrong, err := askChannels()
	if err != nil {
		return nil, err
	}
	r.Classes, failures = append(classes, channels...), append(failures, wrong...)
	if o.Failures > 0 {
		print(stdout, failures, o.Failures)
	}
	fmt.Fprintln(log, "measuring what it costs")
	round := time.Second
	if o.Quick {
		round /= 5
	}
	if r.Costs, err = costs(ctx, d, round); err != nil {
		return nil, err
	}
	r.Seconds = time.Since(began).Seconds()
	return r, ctx.Err()
}

// print shows the first failures of each class.
func print(out io.Writer, failures []failure, most int) {
	seen := map[string]int{}
	for i := range failures {
		if seen[failures[i].class]++; seen[failures[i].class] <= most {
			fmt.Fprintln(out, failures[i].String())
		}
	}
}

// load reads all fixtures and makes the rest.
func load(ctx context.Context, s *store) (*data, error) {
	var d data
	var releases []map[string][]byte
	var visits [][]labelled
	for _, f := range fixtures() {
		files, err := s.open(ctx, &f)
		if err != nil {
			return nil, err
		}
		switch f.name {
		case uapCore:
			d.core, err = readCore(files)
		case crawlers:
			var all []crawler
			all, err = readCrawlers(files)
			for _, c := range all {
				d.crawlers = append(d.crawlers, labelled{agent: c.agent})
				d.tags = append(d.tags, c.tags)
			}
		case visitors:
			var release []labelled
			release, err = readVisitors(files)
			visits = append(visits, release)
		case caniuse:
			releases = append(releases, files)
		}
		if err != nil {
			return nil, fmt.Errorf("fixture %s %s: %w", f.name, f.version, err)
		}
	}
	var err error
	if d.common, err = common(releases); err != nil {
		return nil, fmt.Errorf("%s: %w", caniuse, err)
	}
	d.visitors, d.left = d.people(joinVisitors(visits))
	isCommon := d.isCommon()
	for _, l := range d.core.browsers {
		if isCommon(&l) && d.core.oracle.ParseDevice(l.agent).Family != "Spider" {
			d.browsing = append(d.browsing, l)
		}
	}
	d.generated = generate()
	return &d, nil
}

// people labels visitors with what uap-core says of their agents, and leaves
// out those who are no people.
func (d *data) people(all []labelled) (people []labelled, left Left) {
	for _, l := range all {
		if containsAny(l.agent, selfDeclared()) {
			left.Robots++
			continue
		}
		c := d.core.oracle.Parse(l.agent)
		l.browser, l.major, l.system = c.UserAgent.Family, c.UserAgent.Major, c.Os.Family
		if containsAny(l.agent, strangers()) {
			l.rare = true
			left.Strangers++
		}
		people = append(people, l)
	}
	return people, left
}

func containsAny(s string, words []string) bool {
	for _, w := range words {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

// selfDeclared are programs among user-agents' visitors that ran its script and
// say in plain words that they are none: a profiler of sites, renderers of pages
// as pictures, an archiver, a measurer of speed, a scanner.
func selfDeclared() []string {
	return []string{"BuiltWith/", " splash Version/", "wkhtmlto", "ArchiveBox/", "Chrome-Lighthouse", ", Foregenix)"}
}

// strangers are products that name themselves in their agents and that uap-core's
// rules do not know, so that it takes them for the browser they are built on.
// None of them had a share of its own that would make it common, and what
// uap-core says of them is no truth to compare with.
func strangers() []string {
	return []string{
		"DuckDuckGo/", "Ddg/", "MicroMessenger/", "OPX/", "OPT/", "HuaweiBrowser/", "VivoBrowser/", "HeyTapBrowser/",
		"LinkedInApp", "Ecosia ", "BytedanceWebview", "musical_ly", "trill_",
	}
}
