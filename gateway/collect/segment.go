package collect

import (
	"bytes"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/identity/event"
)

// collect takes a Segment message or a batch of them.
func (c *call) collect() *failure {
	b := &c.req.Batch
	if len(b.Events)+len(b.Rejected) > 0 {
		if err := c.s.o.Intake.Collect(&c.req); err != nil {
			return c.refusal(err)
		}
	}
	if c.route.kind == single && len(b.Rejected) > 0 {
		return rejection(&b.Rejected[0]) // kept in quarantine all the same
	}
	c.out = append(c.out[:0], `{"success":true`...)
	if len(b.Rejected) > 0 {
		c.out = appendRejected(append(c.out, ','), b.Rejected)
	}
	c.out = append(c.out, '}')
	c.answer(c.out)
	return nil
}

// settings is what @segment/analytics-next and the mobile SDKs fetch before
// they send anything. Without apiHost and protocol they would send to Segment;
// with a sample rate they would send figures about themselves. The plan's
// defaults let every event through.
func (c *call) settings() *failure {
	path := c.ctx.Request.URI().PathOriginal()
	text, _ := c.s.settingsKey(path)
	k := c.sites.find(view(text))
	if k == nil || k.server {
		return fail(fasthttp.StatusNotFound, "write_key_unknown", "no site has this write key; see write_key of the sites in the config")
	}
	c.site = k.site
	host := c.head.host
	if !isHost(host) {
		return badRequest("host", "the Host header is no host name with an optional port")
	}
	protocol := "http"
	if c.https {
		protocol = "https"
	}
	b := append(c.out[:0], `{"integrations":{"Segment.io":{"apiKey":`...)
	b = event.AppendQuoted(b, c.site.WriteKey)
	b = append(b, `,"apiHost":`...)
	b = event.AppendQuoted(b, view(host)+c.s.o.Prefix)
	b = append(b, `,"protocol":"`...)
	b = append(b, protocol...)
	b = append(b, `","unbundledIntegrations":[],"addBundledMetadata":false,"maybeBundledConfigIds":{},"versionSettings":{"version":"4.4.7","componentTypes":["browser"]}}},`...)
	b = append(b, `"plan":{"track":{"__default":{"enabled":true,"integrations":{}}},"identify":{"__default":{"enabled":true}},"group":{"__default":{"enabled":true}}},`...)
	b = append(b, `"edgeFunction":{},"analyticsNextEnabled":true,"middlewareSettings":{},"enabledMiddleware":{},"metrics":{"sampleRate":0},"legacyVideoPluginsEnabled":false,"remotePlugins":[]}`...)
	c.out = b
	// The text follows the host and the scheme that it was asked under.
	c.ctx.Response.Header.SetBytesK(headerCacheControl, "private, max-age=60")
	c.answer(b)
	return nil
}

// isHost takes what a Host header may hold, so that nothing else is handed to a
// page as the address to send to.
func isHost(h []byte) bool {
	for _, b := range h {
		if !bytes.ContainsRune([]byte(".-:[]_"), rune(b)) && (b < '0' || b > '9') && (lower(b) < 'a' || lower(b) > 'z') {
			return false
		}
	}
	return len(h) > 0
}

// isHTTPS reads the nearest proxy's X-Forwarded-Proto, the first of its list.
func isHTTPS(proto []byte) bool {
	first, _, _ := bytes.Cut(proto, []byte{','})
	first = bytes.TrimSpace(first)
	return len(first) == 5 && equalFold(first, "https")
}
