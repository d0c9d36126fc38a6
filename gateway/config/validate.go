package config

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Validate lists every value that cannot be. Nil, or Faults.
func (c *Config) Validate() error {
	faults := c.check()
	faults.sort()
	return faults.Err()
}

// checker collects faults of one configuration.
type checker struct {
	c      *Config
	faults Faults
}

func (c *Config) check() Faults {
	k := &checker{c: c}
	k.listeners()
	k.keys()
	k.choice("log.level", c.Log.Level, "debug", "info", "warn", "error")
	k.choice("log.format", c.Log.Format, "text", "json")
	k.retention()
	k.backup()
	k.between("dedupe_window", c.DedupeWindow, time.Minute, 90*day)
	k.size("cache_bytes", c.CacheBytes, MiB, 1<<50)
	k.limits()
	k.behaviour()
	k.sites()
	k.identifiers()
	k.identity()
	k.traits()
	k.segments()
	k.placements()
	return k.faults
}

func (k *checker) fault(path, format string, args ...any) {
	k.faults = append(k.faults, k.c.Fault(path, fmt.Sprintf(format, args...)))
}

// suggest is a fault with what was probably meant.
func (k *checker) suggest(path, suggestion, format string, args ...any) {
	k.fault(path, format, args...)
	k.faults[len(k.faults)-1].Suggestion = suggestion
}

func (k *checker) listeners() {
	c := k.c
	if c.DataDir == "" {
		k.fault("data_dir", "saw nothing, expected a folder")
	}
	k.address("site_addr", c.SiteAddr)
	k.address("desk_addr", c.DeskAddr)
	if c.SiteAddr == c.DeskAddr && !strings.HasSuffix(c.SiteAddr, ":0") {
		k.fault("desk_addr", "saw the address of site_addr, %s; the two listeners need one each", quoted(c.DeskAddr))
	}
	for i, p := range c.TrustedProxies {
		at := index("trusted_proxies", i)
		switch {
		case !p.IsValid():
			k.fault(at, "saw nothing, expected an address range such as 10.0.0.0/8, or one address")
		case p.Bits() == 0:
			k.fault(at, "saw %s, which trusts everyone: any visitor could choose their own address; name your proxies", p)
		case p != p.Masked():
			k.fault(at, "saw %s, whose address has bits behind the /%d; expected %s", p, p.Bits(), p.Masked())
		}
	}
	k.prefixes()
}

// fixedPaths are the site listener's own; no setting may cover them.
var fixedPaths = [...]string{"/demo", "/healthz", "/readyz", "/openapi.yaml"}

func (k *checker) prefixes() {
	api, tag := k.c.APIPrefix, k.c.TagPrefix
	apiOK := k.urlPath("api_prefix", api, api, "/v1")
	tagOK := k.urlPath("tag_prefix", tag, strings.TrimSuffix(tag, "/"), "/tag/")
	if tagOK && !strings.HasSuffix(tag, "/") {
		k.fault("tag_prefix", "saw %s, expected a path that ends with a slash, such as /tag/", quoted(tag))
	}
	if apiOK && tagOK && strings.TrimSuffix(tag, "/") == api {
		k.fault("tag_prefix", "saw the path of api_prefix, %s; the two need one each", quoted(tag))
	}
}

var pathForm = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)+$`)

// urlPath checks that bare, which is written as text, is a clean path of ours.
func (k *checker) urlPath(at, text, bare, example string) bool {
	if !pathForm.MatchString(bare) || path.Clean(bare) != bare {
		k.fault(at, "saw %s, expected a path of letters, digits and . _ ~ - such as %s", quoted(text), example)
		return false
	}
	for _, fixed := range fixedPaths {
		if bare == fixed {
			k.fault(at, "saw %s, which the gateway serves itself; choose another path such as %s", quoted(text), example)
			return false
		}
	}
	return true
}

// address checks a listener's host:port.
func (k *checker) address(at, addr string) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		k.fault(at, "saw %s, expected host:port such as 127.0.0.1:8080 (port 0 picks a free one)", quoted(addr))
		return
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		k.fault(at, "saw the port %s, expected a number from 0 to 65535", quoted(port))
	}
	if _, err := netip.ParseAddr(host); host != "" && err != nil && !hostForm.MatchString(host) {
		k.fault(at, "saw the host %s, expected an address, a host name or nothing", quoted(host))
	}
}

const minKey = 16 // bytes; a shorter bearer key can be guessed

func (k *checker) keys() {
	current := k.masterKey("master_key", k.c.MasterKey)
	next := k.masterKey("next_master_key", k.c.NextMasterKey)
	switch {
	case k.c.NextMasterKey.IsZero():
	case k.c.MasterKey.IsZero():
		k.fault("next_master_key", "there is no master_key beside it; the generated key file is rotated without this setting, so leave it out")
	case current != nil && bytes.Equal(current, next):
		k.fault("next_master_key", "saw the key of master_key; expected another one, or leave it out once the rotation is done")
	}
	for i, key := range k.c.AdminKeys {
		k.secret(index("admin_keys", i), key, minKey)
	}
}

// masterKey decodes a master key whose text is known; nil when there is none.
func (k *checker) masterKey(at string, s Secret) []byte {
	if s.IsZero() || s.pending() {
		return nil
	}
	key, err := MasterKeyBytes(s.Reveal())
	if err != nil {
		k.fault(at, "%v", err)
	}
	return key
}

func (k *checker) retention() {
	r := k.c.Retention
	k.choice("retention.ip", r.IP, "truncated", "full", "none")
	k.between("retention.tail", r.Tail, time.Minute, 90*day)
	k.atLeast("retention.events", r.Events, day)
	if r.Events < r.Tail {
		k.fault("retention.events", "saw %s, less than retention.tail (%s); events are deleted from histories, where they go after that time", FormatDuration(r.Events), FormatDuration(r.Tail))
	}
	k.atLeast("retention.refused", r.Refused, time.Hour)
}

func (k *checker) backup() {
	b := k.c.Backup
	k.between("backup.every", b.Every, time.Minute, 90*day)
	k.number("backup.keep", b.Keep, 1, 100_000)
	if b.To == "" {
		return
	}
	data, to := filepath.Clean(k.c.DataDir), filepath.Clean(b.To)
	if to == data || strings.HasPrefix(to, data+string(filepath.Separator)) {
		k.fault("backup.to", "saw %s, which is in data_dir (%s); expected a folder elsewhere, best on another disk", quoted(b.To), k.c.DataDir)
	}
}

// secret checks the length of a secret whose text is known.
func (k *checker) secret(at string, s Secret, least int) {
	switch n := len(s.Reveal()); {
	case s.pending():
	case n == 0:
		k.fault(at, "saw nothing, expected a secret, env:NAME or file:PATH")
	case n < least:
		k.fault(at, "saw %d bytes, expected a secret of at least %d (make one with: openssl rand -hex 32)", n, least)
	}
}

func (k *checker) limits() {
	l := k.c.Limits
	k.size("limits.event", l.Event, KiB, 16*MiB)
	k.size("limits.batch", l.Batch, KiB, 64*MiB)
	if l.Batch < l.Event {
		k.fault("limits.batch", "saw %s, less than limits.event (%s); a batch must have room for one event", l.Batch, l.Event)
	}
	k.size("limits.queue_bytes", l.QueueBytes, MiB, 1<<40)
	if l.QueueBytes < l.Batch {
		k.fault("limits.queue_bytes", "saw %s, less than limits.batch (%s); the queue must have room for one batch", l.QueueBytes, l.Batch)
	}
	if l.ProcessorWait != 0 {
		k.between("limits.processor_wait", l.ProcessorWait, time.Millisecond, 10*time.Second)
	}
	k.between("limits.commit_wait", l.CommitWait, 100*time.Millisecond, 5*time.Minute)
	k.size("limits.min_free", l.MinFree, 0, 1<<50)
	const many = 1 << 31
	k.number("limits.batch_events", l.BatchEvents, 1, 1_000_000)
	k.number("limits.depth", l.Depth, 2, 100)
	k.number("limits.traits_per_person", l.TraitsPerPerson, 1, 1_000_000)
	k.number("limits.connections", l.Connections, 1, 1<<20)
	k.number("limits.connections_per_address", l.ConnectionsPerAddress, 0, 1<<20)
	k.between("limits.read_timeout", l.ReadTimeout, 100*time.Millisecond, time.Hour)
	k.between("limits.write_timeout", l.WriteTimeout, 100*time.Millisecond, time.Hour)
	k.between("limits.idle_timeout", l.IdleTimeout, 100*time.Millisecond, day)
	for _, r := range []struct {
		who         string
		rate, burst int
	}{
		{"address", l.RequestsPerSecondPerAddress, l.BurstPerAddress},
		{"key", l.RequestsPerSecondPerKey, l.BurstPerKey},
	} {
		k.number("limits.requests_per_second_per_"+r.who, r.rate, 0, many)
		if r.rate > 0 {
			k.number("limits.burst_per_"+r.who, r.burst, 1, many)
		}
	}
}

// behaviour refuses what people do, too: somebody who opens ten tabs looks at
// ten pages within a minute, and a family is a few devices on one address.
func (k *checker) behaviour() {
	for _, b := range []struct {
		at          string
		n, low, top int
	}{
		{"behaviour.page_views_per_minute", k.c.Behaviour.PageViewsPerMinute, 20, 60_000},
		{"behaviour.devices_per_address", k.c.Behaviour.DevicesPerAddress, 10, 60_000},
	} {
		if b.n != 0 && (b.n < b.low || b.n > b.top) {
			k.fault(b.at, "saw %d, expected %d to %d, or 0 to leave the sign out: fewer are a person's", b.n, b.low, b.top)
		}
	}
}
