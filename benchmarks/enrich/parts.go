package enrich

import (
	"github.com/reuna/reuna/gateway/enrich/bot"
	"github.com/reuna/reuna/gateway/enrich/device"
)

// parts read agents without what the Enricher puts around them: no cache, no
// event. They tell what reading alone costs.
type parts struct {
	reader *device.Reader
	judge  *bot.Judge
}

func newParts() (*parts, error) {
	r, err := device.New()
	if err != nil {
		return nil, err
	}
	j, err := bot.New()
	return &parts{r, j}, err
}

func (p *parts) read(l *labelled) reading {
	c := device.ClaimsOf(device.Hints{
		UA: l.hints.brands, Mobile: l.hints.mobile, Platform: l.hints.platform,
		PlatformVersion: l.hints.platformVersion, Model: l.hints.model, FullVersionList: l.hints.fullVersions,
	}, "")
	d := p.reader.Read(l.agent, &c)
	b := p.judge.Verdict(l.agent, c.Headless)
	if b.Is && b.Class != bot.Headless {
		d.Type = "bot"
	}
	return reading{
		browser: d.Browser, major: majorOf(d.BrowserVersion), system: d.OS, osMajor: majorOf(d.OSVersion),
		kind: d.Type, bot: b.Is, botName: b.Name, class: b.Class,
	}
}
