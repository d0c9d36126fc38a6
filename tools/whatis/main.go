// Command whatis says what the gateway makes of a user agent, an address, a
// referrer or a URL, and which rule says so:
//
//	go run ./tools/whatis 'Mozilla/5.0 (Linux; Android 10; K) …'
//	go run ./tools/whatis 203.0.113.7
//	go run ./tools/whatis 'https://shop.example/?utm_source=news' -referrer https://t.co/abc
//	go run ./tools/whatis -config reuna.yaml -site shop https://shop.example/ https://pay.example/done
//
// What is given together is one visit, whose whole verdict comes last. "-" reads
// lines, each of them one thing by itself.
//
// Exit status: 0 explained, 2 not.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/reuna/reuna/gateway/enrich/device"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// Exit statuses.
const (
	exitSaid = 0
	exitNot  = 2
)

// maxLine bounds a line of the standard input, in bytes. The gateway itself
// reads no more of a URL or an agent than a fraction of it.
const maxLine = 1 << 20

// settings are what a run was asked for.
type settings struct {
	visit  visit
	lines  bool // read the rest from standard input
	asJSON bool
	sources
}

func parse(args []string, stderr io.Writer) (*settings, error) {
	s := &settings{}
	f := flag.NewFlagSet("whatis", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprint(stderr, `whatis says what the gateway makes of a user agent, an address, a referrer or a
URL, and which rule says so.

  whatis [flags] [agent | address | page [referrer] | "Sec-CH-UA…: …"] …

Things given together are one visit; "-" reads lines, each of them one thing by
itself. A URL alone is read as a page and as a referrer.

`)
		f.PrintDefaults()
	}
	f.StringVar(&s.visit.Agent, "agent", "", "user `agent`")
	f.StringVar(&s.visit.IP, "ip", "", "`address` of the visitor")
	f.StringVar(&s.visit.Page, "url", "", "`URL` of the page")
	f.StringVar(&s.visit.Referrer, "referrer", "", "`URL` that the visitor came from")
	f.StringVar(&s.visit.Language, "language", "", "Accept-Language `header`, or a locale")
	f.Func("hints", "client hint `header`, as 'Sec-CH-UA-Platform: \"Windows\"'; may be given more than once", s.visit.hint)
	f.StringVar(&s.config, "config", "", "the gateway's configuration `file`, for its databases, internal hosts and URL settings")
	f.StringVar(&s.site, "site", "", "`name` of the site in it; needed where it has several")
	f.StringVar(&s.City, "city", "", "city database `file`")
	f.StringVar(&s.Country, "country", "", "country database `file`")
	f.StringVar(&s.ASN, "asn", "", "network database `file`")
	f.BoolVar(&s.asJSON, "json", false, "answer in JSON, one object a line")

	// Flags may stand behind what they go with, too.
	var bare []string
	for {
		if err := f.Parse(args); err != nil {
			return nil, err
		}
		if f.NArg() == 0 {
			break
		}
		ended := len(args) > f.NArg() && args[len(args)-f.NArg()-1] == "--"
		if args = f.Args(); ended {
			bare = append(bare, args...)
			break
		}
		bare, args = append(bare, args[0]), args[1:]
	}
	f.Visit(func(g *flag.Flag) {
		if g.Name == "referrer" {
			s.visit.KnowsReferrer = true
		}
	})
	for _, arg := range bare {
		if arg == "-" {
			s.lines = true
			continue
		}
		if err := s.visit.take(arg); err != nil {
			return nil, err
		}
	}
	switch {
	case s.site != "" && s.config == "":
		return nil, errors.New("-site names a site of a configuration: give its file with -config")
	case s.lines && s.visit.given() > 0:
		return nil, errors.New(`"-" reads things one a line: give nothing else to explain beside it`)
	case !s.lines && s.visit.given() == 0:
		f.Usage()
		return nil, errors.New("nothing to explain")
	}
	return s, nil
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	s, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitSaid
	}
	if err == nil {
		err = explain(s, stdin, stdout)
	}
	if err != nil {
		fmt.Fprintf(stderr, "whatis: %v\n", err)
		return exitNot
	}
	return exitSaid
}

func explain(s *settings, stdin io.Reader, stdout io.Writer) error {
	know, err := learn(&s.sources)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(stdout)
	show := func(v *visit) error {
		parts, err := know.explain(v)
		if err != nil {
			return err
		}
		if s.asJSON {
			e := json.NewEncoder(out)
			e.SetEscapeHTML(false)
			return e.Encode(answer{Parts: parts})
		}
		write(out, parts)
		return nil
	}
	if !s.lines {
		return errors.Join(show(&s.visit), out.Flush())
	}
	in := bufio.NewScanner(stdin)
	in.Buffer(nil, maxLine)
	for n := 1; in.Scan(); n++ {
		line := strings.TrimSpace(in.Text())
		if line == "" {
			continue
		}
		var v visit
		err := v.take(line)
		if err == nil {
			err = show(&v)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("line %d: %w", n, err), out.Flush())
		}
	}
	if err := in.Err(); err != nil {
		return errors.Join(fmt.Errorf("reading standard input: %w", err), out.Flush())
	}
	return out.Flush()
}

// hintHeaders are the client hints that are read, by their names in lower case.
func hintHeaders(h *device.Hints) map[string]*string {
	return map[string]*string{
		"sec-ch-ua": &h.UA, "sec-ch-ua-mobile": &h.Mobile, "sec-ch-ua-platform": &h.Platform,
		"sec-ch-ua-platform-version": &h.PlatformVersion, "sec-ch-ua-model": &h.Model,
		"sec-ch-ua-full-version-list": &h.FullVersionList, "sec-ch-ua-arch": &h.Arch,
		"sec-ch-ua-form-factors": &h.FormFactors,
	}
}

// hint takes one header.
func (v *visit) hint(header string) error {
	name, value, found := strings.Cut(header, ":")
	fields := hintHeaders(&v.Hints)
	to := fields[strings.ToLower(strings.TrimSpace(name))]
	if !found || to == nil {
		var names []string
		for n := range fields {
			names = append(names, n)
		}
		slices.Sort(names)
		return fmt.Errorf("%q is no client hint that is read: expected one of %s, a colon and its value", header, strings.Join(names, ", "))
	}
	if *to = strings.TrimSpace(value); *to == "" {
		return fmt.Errorf("%q has no value", header)
	}
	return nil
}
