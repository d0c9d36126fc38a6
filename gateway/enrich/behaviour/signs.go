package behaviour

import (
	"strings"
	"sync"
	"sync/atomic"
)

// signs are soft signs, two of which decide.
type signs uint8

const (
	dataCentre signs = 1 << iota
	noAssets
	noLanguage
	noHints

	numSigns = 4
)

// signTexts are the reasons, in the order of the signs.
var signTexts = [numSigns]string{
	"sent from a data centre",
	"never fetched the tag's script",
	"no Accept-Language, which every browser sends",
	"no client hints, which the browser it claims to be sends",
}

// loud are the signs that an event shows by itself.
func loud(s *Sighting, public bool) signs {
	var found signs
	if s.DataCentre && public {
		found |= dataCentre
	}
	if s.Language == "" {
		found |= noLanguage
	}
	if !s.HasHints && s.Secure && claimsHints(s.Agent) {
		found |= noHints
	}
	return found
}

// hintsSince is the first Chromium that sent Sec-CH-UA with every request to a
// secure origin: 89, of March 2021.
const hintsSince = 89

// claimsHints says that an agent is a plain Chrome's or Edge's that sends
// client hints. WebViews, apps and the many browsers made of Chromium began to
// at different times, or never did, and are left out.
func claimsHints(agent string) bool {
	const mark = "Chrome/"
	i := strings.Index(agent, mark)
	if i < 0 || len(agent) > 300 { // a plain one has about 120 bytes
		return false
	}
	before, rest := agent[:i], agent[i+len(mark):]
	version := 0
	for len(rest) > 0 && rest[0] >= '0' && rest[0] <= '9' && version < 1000 {
		version = version*10 + int(rest[0]-'0')
		rest = rest[1:]
	}
	if version < hintsSince || version >= 1000 || strings.Contains(before, "; wv") {
		return false
	}
	_, rest, _ = strings.Cut(rest, " ")
	rest = strings.TrimPrefix(rest, "Mobile ")
	rest, ok := strings.CutPrefix(rest, "Safari/537.36")
	return ok && (rest == "" || strings.HasPrefix(rest, " Edg/") && strings.Count(rest, " ") == 1)
}

// maxSites is how many sites' habits are kept; the gateway's config names its
// sites, so that only a mistake could bring more, and those then share one.
const maxSites = 1024

// sites are the habits of each site's visitors.
type sites struct {
	mu    sync.Mutex // one writer
	known atomic.Pointer[map[string]*habits]
}

func (s *sites) of(name string) *habits {
	if m := s.known.Load(); m != nil {
		if h := (*m)[name]; h != nil {
			return h
		}
	}
	return s.add(name)
}

func (s *sites) add(name string) *habits {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := map[string]*habits{}
	if m := s.known.Load(); m != nil {
		if h := (*m)[name]; h != nil {
			return h
		}
		if len(*m) >= maxSites {
			name = "" // no site's name
			if h := (*m)[name]; h != nil {
				return h
			}
		}
		for k, v := range *m {
			next[k] = v
		}
	}
	h := newHabits()
	next[strings.Clone(name)] = h
	s.known.Store(&next)
	return h
}

// habits are what a site's new visitors do. Only the first event of an address
// with an agent is counted, so that one robot that sends ten thousand does not
// change what is usual.
//
// Every site begins with prior visitors who all showed every sign: nothing is
// held against anybody before as many others have shown that on this site it is
// unusual. Whether the script is fetched from here at all, say, must be seen
// first. And no share jumps because of a handful of visitors.
type habits struct {
	signs [numSigns]share // how many show each sign
	again share           // how many new devices were seen again
	more  share           // how many of those by something else than a page view

	// What follows from them, which every event reads.
	usual  atomic.Uint32 // signs that most show, and tellsMore
	chance atomic.Uint32 // share of again, in 1/65,536
}

const (
	prior     = 20   // visitors that a new site is taken to have had
	memory    = 4096 // visitors, after which all counts are halved
	priorBack = 12   // of prior are seen again: the tag's own page views and vitals do better
)

func newHabits() *habits {
	h := &habits{}
	for i := range h.signs {
		h.signs[i].init(prior, prior)
	}
	h.again.init(prior, priorBack)
	h.more.init(prior, prior)
	h.settle()
	return h
}

// learn counts a new visitor with the signs it shows. hints says that it could
// have shown noHints.
func (h *habits) learn(shown signs, hints bool) {
	for i := range h.signs {
		if sign := signs(1) << i; sign != noHints || hints {
			h.signs[i].count(1, b2u(shown&sign != 0))
		}
	}
	h.settle()
}

// made and returned count the new devices that are watched for their return.
func (h *habits) made() { h.again.count(1, 0); h.settle() }
func (h *habits) returned(page bool) {
	h.again.count(0, 1)
	h.more.count(1, b2u(!page))
	h.settle()
}

func (h *habits) settle() {
	var usual signs
	for i := range h.signs {
		if all, with := h.signs[i].get(); 2*with >= all {
			usual |= 1 << i
		}
	}
	if all, with := h.more.get(); 4*with >= all {
		usual |= tellsMore
	}
	h.usual.Store(uint32(usual))
	all, with := h.again.get()
	h.chance.Store(uint32(min(uint64(with)<<16/uint64(all), 65000)))
}

// common are the signs that at least half of the site's new visitors show.
func (h *habits) common() signs { return signs(h.usual.Load()) }

// tellsMore stands beside the signs: the site's tag sends more than page views,
// so that a browser which refuses cookies gives itself away by the rest.
const tellsMore signs = 1 << numSigns

func (h *habits) tellsMore() bool { return h.common()&tellsMore != 0 }

// returnChance is the share of new devices that are seen again: below 1.
func (h *habits) returnChance() float64 { return float64(h.chance.Load()) / 65536 }

// share counts how many there were and how many of them with something; the
// older ones fade.
type share struct{ both atomic.Uint64 } // all << 32 | with

func (s *share) init(all, with uint32) { s.both.Store(uint64(all)<<32 | uint64(with)) }

func (s *share) get() (all, with uint32) {
	b := s.both.Load()
	return uint32(b >> 32), uint32(b)
}

func (s *share) count(all, with uint32) {
	for {
		before := s.both.Load()
		a, x := uint32(before>>32)+all, uint32(before)+with
		if a > memory {
			a, x = a/2, x/2
		}
		if s.both.CompareAndSwap(before, uint64(a)<<32|uint64(min(x, a))) {
			return
		}
	}
}

func b2u(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}
