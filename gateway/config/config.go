// Package config is the gateway's one typed configuration: its defaults, its
// strict reading from YAML, and the list of everything that is wrong with it.
//
// Load reads a file and resolves its secrets, Parse reads bytes and touches
// nothing else, Default is what runs without a file. All faults of a file are
// reported together, each with line and column. Rules in CEL stay text here:
// whoever compiles them adds its findings with Config.Fault.
package config

import (
	"net/netip"
	"time"
)

// Config is everything that can be set about a gateway. Relative paths are
// relative to the working folder of the process, as paths in flags are.
//
// Invariant: a Config from Load, Parse or Default has passed Validate. Whoever
// changes one afterwards (a flag, a test) calls Validate again.
type Config struct {
	DataDir        string         `yaml:"data_dir"`        // where everything lasting is kept
	SiteAddr       string         `yaml:"site_addr"`       // host:port that browsers and SDKs reach; port 0 picks a free one
	DeskAddr       string         `yaml:"desk_addr"`       // host:port for operators
	TrustedProxies []netip.Prefix `yaml:"trusted_proxies"` // peers whose X-Forwarded-For is believed; a plain address means that one host
	Geo            Geo            `yaml:"geo"`
	// Demo serves the demo shop at /demo/. When the file does not say, it is on
	// as long as the file names no site.
	Demo      bool   `yaml:"demo"`
	APIPrefix string `yaml:"api_prefix"` // path in front of the collecting routes: begins with "/", does not end with one
	TagPrefix string `yaml:"tag_prefix"` // path in front of the tags: begins and ends with "/"
	// AdminKeys are bearer keys of the desk listener, at least 16 bytes each.
	AdminKeys []Secret `yaml:"admin_keys"`
	// MasterKey wraps every data key: 32 bytes as 64 hex digits or as base64
	// (MasterKeyBytes decodes it). Without one the gateway makes a key file.
	MasterKey Secret `yaml:"master_key"`
	// NextMasterKey is what the master key is to become: a rotation at the desk
	// has the data folder opened by it, and it then takes MasterKey's place here.
	NextMasterKey Secret `yaml:"next_master_key"`
	Log           Log    `yaml:"log"`
	// Sites may be empty: the gateway then makes one site with a random write key.
	Sites []Site `yaml:"sites"`
	// Identifiers always holds user_id, anonymous_id, email and phone; the file
	// changes these or adds others.
	Identifiers map[string]Identifier `yaml:"identifiers"`
	// PhoneRegion is the country of phone numbers that are written without one,
	// in the two letters of ISO 3166-1: FI. Without it such a number identifies
	// nobody, since two countries' people may share it. What it changes holds for
	// events from then on.
	PhoneRegion  string        `yaml:"phone_region"`
	Identity     Identity      `yaml:"identity"`
	Retention    Retention     `yaml:"retention"`
	Backup       Backup        `yaml:"backup"`
	Limits       Limits        `yaml:"limits"`
	Behaviour    Behaviour     `yaml:"behaviour"`
	DedupeWindow time.Duration `yaml:"dedupe_window"` // how long a messageId is remembered
	CacheBytes   Size          `yaml:"cache_bytes"`   // memory for the store's block cache
	// Builtins adds the program's own computed traits, each until a trait of the
	// same name stands here.
	Builtins   bool        `yaml:"builtins"`
	Traits     []Trait     `yaml:"traits"`
	Segments   []Segment   `yaml:"segments"`
	Placements []Placement `yaml:"placements"`

	source source
}

// Geo names MaxMind database files (.mmdb). All empty: the built-in country
// database is used.
type Geo struct {
	City    string `yaml:"city"`
	Country string `yaml:"country"`
	ASN     string `yaml:"asn"`
}

// Log says what is logged and how.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn or error
	Format string `yaml:"format"` // text or json
}

// Site is one web site (or app, or shop) that sends events.
type Site struct {
	Name     string `yaml:"name"`
	WriteKey string `yaml:"write_key"` // public: it stands in the page
	// ServerKeys are secret: events sent with one are verified. At least 16 bytes each.
	ServerKeys []Secret `yaml:"server_keys"`
	// Origins are the site's own, exactly as a browser writes them in the Origin
	// header: "https://shop.example", no path, no default port, lower case.
	Origins  []string `yaml:"origins"`
	Identify string   `yaml:"identify"` // claimed, or verified: a claimed identify is kept but links nothing
	// Bots says what becomes of robots' events: flag counts them apart in profiles,
	// exclude keeps them out of profiles, refuse takes none.
	Bots         string        `yaml:"bots"`
	IdentityKeys []IdentityKey `yaml:"identity_keys"`
	Session      time.Duration `yaml:"session"`     // how long a verified session lives after its token
	BindTokens   string        `yaml:"bind_tokens"` // optional, or required: a token must name the visitor it was made for
	PageTraits   []string      `yaml:"page_traits"` // the only traits a page of this site may see
	// InternalHosts count as the site itself when they appear as a referrer; the
	// hosts of Origins always do.
	InternalHosts []string `yaml:"internal_hosts"`
	URL           URL      `yaml:"url"`
	Cookie        Cookie   `yaml:"cookie"`
	// LinkedDomains are the site's other domains, with all hosts below them: a
	// visitor who follows a link from one to another stays the same visitor.
	LinkedDomains []string `yaml:"linked_domains"`
	Tag           Tag      `yaml:"tag"`
	// Upstream is the origin of the site's own server: http://127.0.0.1:3000. With
	// it the gateway stands in front of the site: what is asked of one of Origins,
	// and is none of the gateway's own paths, is the server's to answer.
	Upstream string  `yaml:"upstream"`
	Rewrite  Rewrite `yaml:"rewrite"`
}

// URL says how the addresses of pages are kept. E-mail addresses, tokens and
// the like are taken out of them in any case.
type URL struct {
	Fragment      string `yaml:"fragment"`       // drop (but for routes: #/… and #!…, and all with tag.hash_routes) or keep
	Tracking      string `yaml:"tracking"`       // keep, or drop: campaign tags and click ids, once they are read
	TrailingSlash string `yaml:"trailing_slash"` // keep, drop or add
	IDN           string `yaml:"idn"`            // hosts in other scripts: keep, unicode or ascii
	// Drop and Keep name parameters: to take out, and whose values stay whatever
	// they hold. In any case.
	Drop []string `yaml:"drop"`
	Keep []string `yaml:"keep"`
}

// Rewrite says what becomes of the pages that come from Upstream.
type Rewrite struct {
	Pages  bool          `yaml:"pages"`  // the tag is put into them
	Slots  bool          `yaml:"slots"`  // and decided variants, unless the tag asks for consent first
	Budget time.Duration `yaml:"budget"` // for a decision, from the request on; a later one is left to the tag
	// Timeout is how long Upstream may take to begin its answer, and for each part of it.
	Timeout     time.Duration `yaml:"timeout"`
	ClientHints bool          `yaml:"client_hints"` // asks browsers for exact versions and models (Accept-CH)
}

// IdentityKey checks identity tokens whose header names its kid. The algorithm
// is pinned here, never taken from the token.
type IdentityKey struct {
	Kid    string `yaml:"kid"`
	Alg    string `yaml:"alg"`    // HS256 (with Secret) or EdDSA (with PublicKey)
	Secret Secret `yaml:"secret"` // at least 32 bytes (RFC 7518, 3.2)
	// PublicKey is an Ed25519 key, PEM (PKIX) or the 32 bytes as base64. It is
	// not secret; the type lets it come from env: or file: too. Ed25519 decodes it.
	PublicKey Secret `yaml:"public_key"`
}

// Cookie is the visitor cookie. On https the gateway puts __Host- before Name,
// or, for a whole Domain, __Secure-.
type Cookie struct {
	Name string `yaml:"name"`
	// Domain shares the visitor among all hosts at and below it: shop.example. Every
	// server there is then sent the cookie. Empty: the host that set it alone.
	Domain string        `yaml:"domain"`
	MaxAge time.Duration `yaml:"max_age"` // at most 400 days, as browsers cap it (RFC 6265bis, 5.5)
}

// Tag is what the site's tag does.
type Tag struct {
	Autocapture bool `yaml:"autocapture"` // page views and what the switches below allow, without any call
	Clicks      bool `yaml:"clicks"`      // clicks, outbound links, downloads
	// Downloads are file extensions that count as downloads beside the usual ones: apk.
	Downloads  []string `yaml:"downloads"`
	Forms      bool     `yaml:"forms"`       // submitted forms: the names of their fields, never a value
	SPA        bool     `yaml:"spa"`         // page views when a script changes the URL
	HashRoutes bool     `yaml:"hash_routes"` // with SPA: the part after # makes another page, too
	Engagement bool     `yaml:"engagement"`  // how long a page was read, and how far
	FetchLater bool     `yaml:"fetch_later"` // the browser itself sends that when the page is gone, where it can
	// Frustration is clicks in anger, and clicks that do nothing.
	Frustration bool `yaml:"frustration"`
	Vitals      bool `yaml:"vitals"` // web vitals: LCP, CLS, INP, TTFB
	Errors      bool `yaml:"errors"` // script errors, at most five a page view
	Search      bool `yaml:"search"` // what was looked for on the site itself
	// SearchParameters may hold the search term in a page's URL; empty: q, s,
	// search, query, keyword.
	SearchParameters []string `yaml:"search_parameters"`
	Campaign         bool     `yaml:"campaign"` // campaign tags and click ids that the page takes out of its URL before the tag arrives
	Hints            bool     `yaml:"hints"`    // asks the browser for its full version, the system's and the model
	// Consent is none: send at once; pending: hold until told; required: send nothing
	// until granted; cookieless: until granted, count without any id.
	Consent string `yaml:"consent"`
	// ConsentFrom are the standards that consent is read from: tcf (IAB TCF v2),
	// gcm (Google Consent Mode v2).
	ConsentFrom []string `yaml:"consent_from"`
	RespectGPC  bool     `yaml:"respect_gpc"` // Global Privacy Control counts as denied
	Slots       bool     `yaml:"slots"`       // fill data-reuna-slot elements
	Global      string   `yaml:"global"`      // name of the tag's global variable
	Name        string   `yaml:"name"`        // the tag's file is called so instead of by its write key: app for /tag/app.js
	Profile     bool     `yaml:"profile"`     // profile and decisions come with the tag, which browsers then do not keep
}

// Identifier is one type of identifier.
type Identifier struct {
	From         []string `yaml:"from"`           // paths in an event, such as traits.crmId
	MaxPerPerson int      `yaml:"max_per_person"` // 1 to 1000
	// MaxPersons is 0 or 1, which say the same: an identifier of two persons is
	// shared and joins neither. The rules know no other bound.
	MaxPersons int `yaml:"max_persons"`
	// Blocked are values that identify nobody, besides the built-in ones, in any
	// case and in any writing that normalises to the same.
	Blocked []string `yaml:"blocked"`
	// BlockedPatterns are regular expressions (RE2, any case); a value in which
	// one matches anywhere identifies nobody.
	BlockedPatterns []string `yaml:"blocked_patterns"`
	Normalise       string   `yaml:"normalise"` // trim, lower, email or phone
}

// Identity bounds what one identifier may join before it is held: shown to the
// operators with its reason, and followed no further until one of them releases
// it. 0 switches a bound off.
type Identity struct {
	MaxLinks int `yaml:"max_links"` // other identifiers that one is linked to, but for a user_id's devices
	// MaxAddresses are networks (/24, /48) that one device is seen from while it is
	// in memory. With retention.ip none there are none to count.
	MaxAddresses int `yaml:"max_addresses"`
}

// Retention says how long and how exactly things are kept.
type Retention struct {
	Events  time.Duration `yaml:"events"`  // months of history that ended before are dropped; what they led to stays
	Tail    time.Duration `yaml:"tail"`    // how long events stay in the log before they settle into histories
	Refused time.Duration `yaml:"refused"` // messages in quarantine
	IP      string        `yaml:"ip"`      // truncated (/24, /48), full or none
}

// Behaviour says from when on what a client does is a robot's, whatever its
// agent says. 0 switches a sign off.
type Behaviour struct {
	// PageViewsPerMinute of one visitor, by the times of the events: no person
	// looks at a page a second for a whole minute.
	PageViewsPerMinute int `yaml:"page_views_per_minute"`
	// DevicesPerAddress that are new within ten minutes, from one address with one
	// agent, when next to none of them is seen again.
	DevicesPerAddress int `yaml:"devices_per_address"`
}

// Backup says where the gateway copies its data folder to by itself, and how
// often. Without To it makes no backups, but the desk can ask for some.
type Backup struct {
	To    string        `yaml:"to"`    // folder, on another disk than data_dir
	Every time.Duration `yaml:"every"` // from one good backup to the next
	Keep  int           `yaml:"keep"`  // snapshots; older ones are removed
}

// Limits bound what one sender may cost. A rate of 0 switches that rate limit
// off, and so does 0 connections per address.
type Limits struct {
	Event                       Size          `yaml:"event"`        // one event's JSON
	Batch                       Size          `yaml:"batch"`        // one body, decoded
	BatchEvents                 int           `yaml:"batch_events"` // events in one body
	Depth                       int           `yaml:"depth"`        // levels of nesting in an event
	TraitsPerPerson             int           `yaml:"traits_per_person"`
	Connections                 int           `yaml:"connections"` // open at once, site listener
	ConnectionsPerAddress       int           `yaml:"connections_per_address"`
	ReadTimeout                 time.Duration `yaml:"read_timeout"`  // first byte to last byte of a request
	WriteTimeout                time.Duration `yaml:"write_timeout"` // the answer
	IdleTimeout                 time.Duration `yaml:"idle_timeout"`  // a kept-alive connection between requests
	RequestsPerSecondPerAddress int           `yaml:"requests_per_second_per_address"`
	BurstPerAddress             int           `yaml:"burst_per_address"`
	RequestsPerSecondPerKey     int           `yaml:"requests_per_second_per_key"`
	BurstPerKey                 int           `yaml:"burst_per_key"`
	QueueBytes                  Size          `yaml:"queue_bytes"`    // events waiting for their commit; above it: 503
	ProcessorWait               time.Duration `yaml:"processor_wait"` // how long work may wait for a processor before a part of the requests is answered 503; 0: none is
	CommitWait                  time.Duration `yaml:"commit_wait"`    // how long a request waits for a full disk before it is answered 503
	MinFree                     Size          `yaml:"min_free"`       // space left on the data folder's disk below which no events are taken; 0: none
}
