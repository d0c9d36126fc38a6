// Package tagserve serves each site's tag: built once, compressed once, and
// answered from memory.
//
//	GET /tag/{writeKey}.js          short cache, ETag, stale-while-revalidate
//	GET /tag/{writeKey}.{hash}.js   the same bytes, immutable
//	GET /tag/{writeKey}.js?profile  the same behind the visitor's profile and decisions, private
//	GET /tag/{writeKey}.mjs         the same as a module
//	GET /tag/reuna.d.ts             its types
//
// A site may give its tag a name that stands for the write key.
package tagserve

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/tag"
)

// Site is one site whose tag is served.
type Site struct {
	Name     string // for errors and logs
	WriteKey string
	File     string      // the tag is called so, too, and in the snippet: letters, digits, '-' and '_'; empty: WriteKey
	Tag      tag.Options // its WriteKey is taken from the site, and Given follows from Profile, too
	// Profile lets the snippet ask for profile and decisions with the tag.
	Profile bool
}

// Options say what is served, and where.
type Options struct {
	Sites  []Site
	Prefix string // path before the write key, with a slash at both ends; empty means "/tag/"
	// Answer appends the JSON object of the answer that comes with the tag, with
	// the members "profile" and "decisions", to dst, safe inside a script. false:
	// this request gets none. nil: none does.
	Answer func(ctx *fasthttp.RequestCtx, site string, dst []byte) ([]byte, bool)
	// Packs has what other servers have compressed, and is given what this one
	// does; nil: there is none.
	Packs *Packs
}

// Server answers for the tags of all sites.
//
// Invariant: files and sites are complete before New returns and are never
// written again, so requests read them without a lock.
type Server struct {
	prefix string
	answer func(ctx *fasthttp.RequestCtx, site string, dst []byte) ([]byte, bool)
	files  map[string]*file // by what stands behind the prefix
	sites  map[string]*built
	packs  sync.Pool // of *brotli.Writer
}

// built is a site's tag.
type built struct {
	tag.Bundle
	path string // in the snippet
}

// file is one answer, in every form that is asked for.
type file struct {
	pack
	plain             []byte
	etag, cache, kind string

	// Of a tag that may come with an answer:
	site, global string
}

const (
	cacheShort = "public, max-age=300, stale-while-revalidate=86400"
	cacheLong  = "public, max-age=31536000, immutable"

	script = "text/javascript; charset=utf-8"
)

// New builds every site's tag, on all processors, and reports every site that
// cannot be built.
func New(o Options) (*Server, error) {
	if o.Prefix == "" {
		o.Prefix = "/tag/"
	}
	if !strings.HasPrefix(o.Prefix, "/") || !strings.HasSuffix(o.Prefix, "/") {
		return nil, fmt.Errorf("tagserve: prefix %q: expected a slash at both ends, such as \"/tag/\"", o.Prefix)
	}
	s := &Server{prefix: o.Prefix, answer: o.Answer, files: make(map[string]*file, 4*len(o.Sites)+1), sites: make(map[string]*built, len(o.Sites))}
	if o.Packs == nil {
		o.Packs = new(Packs)
	}
	types, err := newFile([]byte(tag.Types()), "text/plain; charset=utf-8", o.Packs)
	if err != nil {
		return nil, fmt.Errorf("tagserve: the types: %w", err)
	}
	s.files["reuna.d.ts"] = types
	var (
		mu    sync.Mutex
		wait  sync.WaitGroup
		errs  = make([]error, len(o.Sites))
		slots = make(chan struct{}, runtime.GOMAXPROCS(0))
	)
	for i, site := range o.Sites {
		wait.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			b, files, err := build(site, o.Packs)
			if err != nil {
				errs[i] = fmt.Errorf("tagserve: site %q: %w", site.Name, err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if _, twice := s.sites[site.WriteKey]; twice {
				errs[i] = fmt.Errorf("tagserve: site %q: write key %q belongs to another site, too; give each its own", site.Name, site.WriteKey)
				return
			}
			b.path = s.prefix + b.path
			s.sites[site.WriteKey] = b
			for name, f := range files {
				if s.files[name] != nil {
					errs[i] = fmt.Errorf("tagserve: site %q: there is another file %q; give the tag another name", site.Name, name)
				}
				s.files[name] = f
			}
		})
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

// build makes a site's tag and its files, by their names behind the prefix.
func build(site Site, packs *Packs) (*built, map[string]*file, error) {
	o := site.Tag
	o.WriteKey = site.WriteKey
	o.Given = o.Given || site.Profile
	b, err := tag.Build(o)
	if err != nil {
		return nil, nil, err
	}
	short, err := newFile(b.JS, script, packs)
	if err != nil {
		return nil, nil, err
	}
	module, err := newFile(b.ESM, script, packs)
	if err != nil {
		return nil, nil, err
	}
	forever := *short
	forever.cache = cacheLong
	if o.Given { // another tag would not look at an answer
		short.site, short.global = site.Name, cmp.Or(o.Global, "reuna")
	}
	files := map[string]*file{}
	one := &built{Bundle: b}
	for _, name := range []string{site.WriteKey, site.File} {
		if name != "" {
			files[name+".js"], files[name+".mjs"], files[name+"."+b.Hash+".js"] = short, module, &forever
			one.path = name + ".js"
		}
	}
	if site.Profile {
		one.path += "?profile"
	}
	return one, files, nil
}

func newFile(text []byte, kind string, packs *Packs) (*file, error) {
	sum := sha256.Sum256(text)
	made, err := packs.of(sum, text)
	return &file{pack: made, plain: text, etag: `"` + hex.EncodeToString(sum[:8]) + `"`, cache: cacheShort, kind: kind}, err
}

// Snippet is the HTML that a page of the site pastes into its head; empty for
// an unknown write key. Its address is a path: a page of another origin puts
// the gateway's origin before it.
func (s *Server) Snippet(writeKey string) string {
	b := s.sites[writeKey]
	if b == nil {
		return ""
	}
	return b.Snippet(b.path)
}

// Parts are what Snippet is made of: the inline script's text and the tag's path.
func (s *Server) Parts(writeKey string) (stub, src string) {
	b := s.sites[writeKey]
	if b == nil {
		return "", ""
	}
	return b.Stub, b.path
}

// SRI is the integrity value ("sha384-…") of the site's tag, for pages that
// name it by its hash; empty for an unknown write key.
func (s *Server) SRI(writeKey string) string {
	b := s.sites[writeKey]
	if b == nil {
		return ""
	}
	return b.SRI
}

// Path is where the site's tag is served, as the snippet names it; empty for an
// unknown write key.
func (s *Server) Path(writeKey string) string {
	_, path := s.Parts(writeKey)
	return path
}

// ImmutablePath is where the site's present tag is served for ever; empty for
// an unknown write key.
func (s *Server) ImmutablePath(writeKey string) string {
	b, ok := s.sites[writeKey]
	if !ok {
		return ""
	}
	return s.other(writeKey, "."+b.Hash+".js")
}

// ModulePath is where the site's tag is served as a module; empty for an unknown
// write key.
func (s *Server) ModulePath(writeKey string) string { return s.other(writeKey, ".mjs") }

// other is the tag's path with another end.
func (s *Server) other(writeKey, end string) string {
	path, _, _ := strings.Cut(s.Path(writeKey), "?")
	name, ok := strings.CutSuffix(path, ".js")
	if !ok {
		return ""
	}
	return name + end
}
