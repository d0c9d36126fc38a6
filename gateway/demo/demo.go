// Package demo is a small bookshop, Kirjava, that embeds the tag as any site
// would: every page is plain HTML, and a side panel shows what the gateway
// knows about the visitor.
//
// The catalogue, the pages and the covers are made once, by New; a request
// finds its bytes by path. Only the search page is rendered per request, since
// it shows what was typed. The shop keeps nothing about anybody: the cart and
// the name of whoever is logged in live in the browser, the rest is the
// gateway's own store.
package demo

import (
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"strings"
	"time"
)

// Options says where the shop stands and what it needs from the gateway.
type Options struct {
	// Prefix is the path that the shop is served under, with a slash at both
	// ends. "" means "/demo/".
	Prefix string

	// Snippet is the tag's HTML exactly as a site would paste it. Its inline
	// scripts are allowed by hash in the pages' content security policy, and
	// the origin of its script is allowed when it is not the page's own.
	Snippet template.HTML

	// Sign mints the identity token for userID, bound to visitor (the profile
	// id that the page got from the gateway). It is what a site's own server
	// would do after checking a password. It must be safe for concurrent use.
	Sign func(userID, visitor string) (token string, err error)

	// FanFor is how long a purchase makes a fan, as Segments was told; 0: FanFor.
	FanFor time.Duration

	// Log receives what went wrong on the shop's side. nil means slog.Default().
	Log *slog.Logger
}

// Shop answers everything below its prefix. It is safe for concurrent use:
// nothing in it changes after New.
type Shop struct {
	prefix string
	sign   func(userID, visitor string) (string, error)
	log    *slog.Logger

	cat    *catalogue
	policy string               // Content-Security-Policy of the pages
	pages  map[string]*document // by path below the prefix
	assets map[string]*document // the same, for what is cached for ever
	render *renderer
}

// New reads the catalogue, draws the covers and renders the pages.
func New(o Options) (*Shop, error) {
	if o.Prefix == "" {
		o.Prefix = "/demo/"
	}
	if !strings.HasPrefix(o.Prefix, "/") || !strings.HasSuffix(o.Prefix, "/") || strings.ContainsAny(o.Prefix, "?#\"<> ") {
		return nil, fmt.Errorf("demo: prefix is %q, expected a path with a slash at both ends such as %q", o.Prefix, "/demo/")
	}
	if o.Snippet == "" {
		return nil, errors.New("demo: the snippet is empty, expected the tag's HTML: without it the shop shows nothing")
	}
	if o.Sign == nil {
		return nil, errors.New("demo: Sign is nil, expected a function that mints identity tokens: without it nobody can log in")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	policy, err := contentPolicy(string(o.Snippet))
	if err != nil {
		return nil, fmt.Errorf("demo: the snippet: %w", err)
	}
	cat, err := loadCatalogue()
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	s := &Shop{prefix: o.Prefix, sign: o.Sign, log: o.Log, cat: cat, policy: policy}
	names, assets, err := loadAssets()
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	s.assets = assets
	for _, b := range cat.books {
		d := newDocument("image/svg+xml", []byte(b.coverFile()))
		d.cache = cacheDay
		s.assets["covers/"+b.ID+".svg"] = d
	}
	if s.render, err = newRenderer(o, names, cat); err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	if s.pages, err = s.render.all(); err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	return s, nil
}
