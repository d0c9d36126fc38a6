package enrich

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/mssola/useragent"
	"github.com/ua-parser/uap-go/uaparser"

	"github.com/reuna/reuna/gateway/enrich"
	"github.com/reuna/reuna/identity/event"
)

// reading is what a subject says of an agent.
type reading struct {
	browser, major  string
	system, osMajor string
	kind            string
	bot             bool
	botName         string
	class           string
}

// subject is a reader of agents that is measured.
type subject interface {
	read(l *labelled) reading
}

// ours reads with the gateway's Enricher, whole, as a request of the tag does.
type ours struct {
	enricher *enrich.Enricher
	ev       event.Event
	in       enrich.Input
}

// newOurs makes an Enricher that remembers few agents or many.
func newOurs(agents int) (*ours, error) {
	e, err := enrich.New(enrich.Options{UACacheSize: agents, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		return nil, fmt.Errorf("enrich.New: %w", err)
	}
	return &ours{enricher: e}, nil
}

func (o *ours) read(l *labelled) reading {
	o.ev = event.Event{Type: event.Page, Source: event.FromTag}
	o.in = enrich.Input{UserAgent: l.agent, Hints: enrich.Hints{
		UA: l.hints.brands, Mobile: l.hints.mobile, Platform: l.hints.platform,
		PlatformVersion: l.hints.platformVersion, Model: l.hints.model, FullVersionList: l.hints.fullVersions,
	}}
	o.enricher.Enrich(&o.ev, &o.in)
	d, bot := &o.ev.Device, &o.ev.Bot
	return reading{
		browser: d.Browser, major: majorOf(d.BrowserVersion), system: d.OS, osMajor: majorOf(d.OSVersion),
		kind: d.Type, bot: bot.Is, botName: bot.Name, class: bot.Class,
	}
}

// majorOf is the first part of a version.
func majorOf(version string) string {
	version, _, _ = strings.Cut(version, ".")
	return version
}

// mssola is github.com/mssola/useragent alone, its names put into uap-core's
// words where it means the same.
type mssola struct{}

func (mssola) read(l *labelled) reading {
	a := useragent.New(l.agent)
	name, version := a.Browser()
	r := reading{browser: name, major: majorOf(version), system: a.OSInfo().Name, osMajor: majorOf(a.OSInfo().Version), bot: a.Bot()}
	if r.bot {
		r.botName = name
	}
	switch r.system {
	case "iPhone OS", "CPU OS", "OS", "CPU iPhone OS":
		r.system = "iOS"
	}
	switch {
	case name == "Internet Explorer":
		r.browser = "IE"
	case name == "Safari" && r.system == "iOS":
		r.browser = "Mobile Safari"
	case name == "Chrome" && r.system == "iOS":
		r.browser = "Chrome Mobile iOS"
	case name == "Chrome" && a.Mobile(), name == "Firefox" && a.Mobile():
		r.browser += " Mobile"
	}
	r.kind = "desktop"
	if a.Mobile() {
		r.kind = "mobile"
	}
	return r
}

// uapGo is github.com/ua-parser/uap-go with uap-core's rules. It is what the
// labels of real visitors come from, so it says nothing about itself there.
type uapGo struct{ *uaparser.Parser }

func (u uapGo) read(l *labelled) reading {
	c := u.Parse(l.agent)
	return reading{
		browser: c.UserAgent.Family, major: c.UserAgent.Major, system: c.Os.Family, osMajor: c.Os.Major,
		bot: c.Device.Family == "Spider", botName: c.UserAgent.Family,
	}
}
