// Package tagserve serves each site's tag: built once, compressed once, and
// answered from memory.
//
//	GET /tag/{writeKey}.js         short cache, ETag, stale-while-revalidate
//	GET /tag/{writeKey}.{hash}.js  the same bytes, immutable
package tagserve

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"

	"github.com/reuna/reuna/tag"
)

// Site is one site whose tag is served.
type Site struct {
	Name     string // for errors and logs
	WriteKey string
	Tag      tag.Options // its WriteKey is taken from the site
}

// Options say what is served, and where.
type Options struct {
	Sites  []Site
	Prefix string // path before the write key, with a slash at both ends; empty means "/tag/"
}

// Server answers for the tags of all sites.
//
// Invariant: files and sites are complete before New returns and are never
// written again, so requests read them without a lock.
type Server struct {
	prefix string
	files  map[string]*file // by what stands between the prefix and ".js"
	sites  map[string]tag.Bundle
}

// file is one answer, in every form that is asked for.
type file struct {
	plain, brotli, gzip []byte
	etag, cache         string
}

const (
	cacheShort = "public, max-age=300, stale-while-revalidate=86400"
	cacheLong  = "public, max-age=31536000, immutable"
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
	s := &Server{prefix: o.Prefix, files: make(map[string]*file, 2*len(o.Sites)), sites: make(map[string]tag.Bundle, len(o.Sites))}
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
			b, short, long, err := build(site)
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
			s.sites[site.WriteKey] = b
			s.files[site.WriteKey] = short
			s.files[site.WriteKey+"."+b.Hash] = long
		})
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

func build(site Site) (b tag.Bundle, short, long *file, err error) {
	o := site.Tag
	o.WriteKey = site.WriteKey
	if b, err = tag.Build(o); err != nil {
		return b, nil, nil, err
	}
	short = &file{plain: b.JS, etag: `"` + b.Hash + `"`, cache: cacheShort}
	if short.brotli, err = compress(b.JS, func(w *bytes.Buffer) writer { return brotli.NewWriterLevel(w, brotli.BestCompression) }); err != nil {
		return b, nil, nil, err
	}
	if short.gzip, err = compress(b.JS, func(w *bytes.Buffer) writer {
		z, _ := gzip.NewWriterLevel(w, gzip.BestCompression) // its only error is a level that does not exist
		return z
	}); err != nil {
		return b, nil, nil, err
	}
	forever := *short
	forever.cache = cacheLong
	return b, short, &forever, nil
}

type writer interface {
	Write([]byte) (int, error)
	Close() error
}

func compress(text []byte, to func(*bytes.Buffer) writer) ([]byte, error) {
	var b bytes.Buffer
	w := to(&b)
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Snippet is the HTML that a page of the site pastes into its head; empty for
// an unknown write key. Its address is a path: a page of another origin puts
// the gateway's origin before it.
func (s *Server) Snippet(writeKey string) string {
	b, ok := s.sites[writeKey]
	if !ok {
		return ""
	}
	return b.Snippet(s.prefix + writeKey + ".js")
}

// SRI is the integrity value ("sha384-…") of the site's tag, for pages that
// name it by its hash; empty for an unknown write key.
func (s *Server) SRI(writeKey string) string { return s.sites[writeKey].SRI }

// ImmutablePath is where the site's present tag is served for ever; empty for
// an unknown write key.
func (s *Server) ImmutablePath(writeKey string) string {
	b, ok := s.sites[writeKey]
	if !ok {
		return ""
	}
	return s.prefix + writeKey + "." + b.Hash + ".js"
}
