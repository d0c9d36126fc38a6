package enrich

import (
	"hash/maphash"
	"strings"

	"github.com/reuna/reuna/gateway/enrich/bot"
	"github.com/reuna/reuna/gateway/enrich/device"
	"github.com/reuna/reuna/gateway/enrich/memo"
	"github.com/reuna/reuna/identity/event"
)

// typeBot is the kind of device of those who are no browser, which the agent
// alone does not tell.
const typeBot = "bot"

// agentKey is everything that decides about a device and its bot verdict.
type agentKey struct {
	ua     string
	hints  device.Hints
	uaData string // context.userAgentData, JSON text
}

// agent is the answer for one key.
type agent struct {
	key    agentKey
	device event.Device
	bot    event.Bot
}

// agents reads user agents and remembers the answers.
type agents struct {
	seed   maphash.Seed
	known  *memo.Table[agent]
	reader *device.Reader
	judge  *bot.Judge
}

func newAgents(size int) (*agents, error) {
	reader, err := device.New()
	if err != nil {
		return nil, err
	}
	judge, err := bot.New()
	if err != nil {
		return nil, err
	}
	return &agents{seed: maphash.MakeSeed(), known: memo.NewTable[agent](size), reader: reader, judge: judge}, nil
}

// find is the answer for a key, whose strings need not outlive the call. The
// result must not be changed.
func (a *agents) find(key agentKey) *agent {
	// Cutting comes before everything: the parser takes a third of a second for
	// an agent of a megabyte.
	key.ua = memo.Cut(key.ua, memo.MaxAgent)
	key.hints.Bound()
	h := a.hash(&key)
	x, y := a.known.Candidates(h)
	if x != nil && x.key == key {
		return x
	}
	if y != nil && y.key == key {
		return y
	}
	found := a.read(key.clone())
	a.known.Put(h, found)
	return found
}

func (a *agents) hash(key *agentKey) uint64 {
	const mix = 0x9E3779B97F4A7C15
	h := maphash.String(a.seed, key.ua)
	for _, s := range [...]string{
		key.hints.UA, key.hints.Mobile, key.hints.Platform, key.hints.PlatformVersion,
		key.hints.Model, key.hints.FullVersionList, key.hints.Arch, key.hints.FormFactors, key.uaData,
	} {
		h *= mix
		if s != "" {
			h ^= maphash.String(a.seed, s)
		}
	}
	return h
}

// clone frees the key from the request's memory.
func (k agentKey) clone() agentKey {
	h := k.hints
	return agentKey{
		ua: strings.Clone(k.ua),
		hints: device.Hints{
			UA: strings.Clone(h.UA), Mobile: strings.Clone(h.Mobile), Platform: strings.Clone(h.Platform),
			PlatformVersion: strings.Clone(h.PlatformVersion), Model: strings.Clone(h.Model),
			FullVersionList: strings.Clone(h.FullVersionList), Arch: strings.Clone(h.Arch), FormFactors: strings.Clone(h.FormFactors),
		},
		uaData: strings.Clone(k.uaData),
	}
}

// read works out device and verdict from the start.
func (a *agents) read(key agentKey) *agent {
	found := &agent{key: key}
	if key.ua == "" && key.hints == (device.Hints{}) && key.uaData == "" {
		return found // nothing was said, so nothing is known
	}
	c := device.ClaimsOf(key.hints, event.Value(key.uaData))
	found.device = a.reader.Read(key.ua, &c)
	found.bot = a.judge.Verdict(key.ua, c.Headless)
	if found.device.Type == "" {
		found.device.Type = device.Other
	}
	// A headless browser is a real browser on a real system; any other robot's
	// device is the robot.
	if found.bot.Is && found.bot.Class != bot.Headless {
		found.device.Type = typeBot
	}
	return found
}
