package config

import (
	"net/netip"
	"time"
)

// MaxCookieAge is the longest life browsers give a cookie (RFC 6265bis, 5.5).
const MaxCookieAge = 400 * 24 * time.Hour

const (
	day   = 24 * time.Hour
	month = day * 487 / 16 // a twelfth of 365.25 days; whole in nanoseconds

	maxPerPerson = 1000 // a cluster holds no more identifiers than this
)

// Default is the configuration of a gateway that was given no file.
func Default() *Config {
	return &Config{
		DataDir:  "./reuna-data",
		SiteAddr: "127.0.0.1:8080",
		DeskAddr: "127.0.0.1:8081",
		// A proxy on the same machine is the usual one, and nobody else can send from there.
		TrustedProxies: []netip.Prefix{
			netip.PrefixFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 32),
			netip.PrefixFrom(netip.IPv6Loopback(), 128),
		},
		Demo:      true,
		APIPrefix: "/v1",
		TagPrefix: "/tag/",
		Log:       Log{Level: "info", Format: "text"},
		Identifiers: map[string]Identifier{
			"user_id":      {MaxPerPerson: 1, Normalise: "trim"},
			"anonymous_id": {MaxPerPerson: 50, Normalise: "trim"},
			"email":        {From: []string{"traits.email"}, MaxPerPerson: 5, Normalise: "email"},
			"phone":        {From: []string{"traits.phone"}, MaxPerPerson: 5, Normalise: "phone"},
		},
		Identity:  Identity{MaxLinks: 200, MaxAddresses: 1000},
		Retention: Retention{Events: 25 * month, Tail: 3 * day, Refused: 30 * day, IP: "truncated"},
		Backup:    Backup{Every: day, Keep: 14},
		Limits: Limits{
			Event:                       32 * KiB,
			Batch:                       500 * KiB,
			BatchEvents:                 2500,
			Depth:                       20,
			TraitsPerPerson:             6000,
			Connections:                 16384,
			ConnectionsPerAddress:       1024,
			ReadTimeout:                 10 * time.Second,
			WriteTimeout:                10 * time.Second,
			IdleTimeout:                 75 * time.Second,
			RequestsPerSecondPerAddress: 200,
			BurstPerAddress:             1000,
			RequestsPerSecondPerKey:     20000,
			BurstPerKey:                 40000,
			QueueBytes:                  64 * MiB,
			ProcessorWait:               50 * time.Millisecond,
			CommitWait:                  10 * time.Second,
			MinFree:                     256 * MiB,
		},
		Behaviour:    Behaviour{PageViewsPerMinute: 60, DevicesPerAddress: 20},
		DedupeWindow: 7 * day,
		CacheBytes:   128 * MiB,
		Builtins:     true,
	}
}

// DefaultSite is what a site is before the file says anything about it. Name
// and write key are still to be given.
func DefaultSite() Site {
	return Site{
		Identify:   "claimed",
		Bots:       "flag",
		Session:    day,
		BindTokens: "optional",
		URL:        URL{Fragment: "drop", Tracking: "keep", TrailingSlash: "keep", IDN: "keep"},
		Cookie:     Cookie{Name: "reuna", MaxAge: MaxCookieAge},
		Tag: Tag{
			Autocapture: true,
			Clicks:      true,
			Forms:       true,
			SPA:         true,
			Engagement:  true,
			Consent:     "none",
			RespectGPC:  true,
			Slots:       true,
			Global:      "reuna",
		},
		Rewrite: Rewrite{Pages: true, Slots: true, Budget: 30 * time.Millisecond, Timeout: time.Minute},
	}
}

// setDefaults makes the decoder start each site of the file from DefaultSite.
func (s *Site) setDefaults() { *s = DefaultSite() }

// setDefaults makes the decoder start each identifier that is not built in from
// these values.
func (i *Identifier) setDefaults() { *i = Identifier{MaxPerPerson: 5, Normalise: "trim"} }

// settle fills the defaults that depend on what else the file says.
func (c *Config) settle() {
	if !c.source.has("demo") {
		c.Demo = len(c.Sites) == 0
	}
	for i := range c.Traits {
		c.Traits[i].settle()
	}
}
