package collect

import (
	"errors"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/token"
)

// gifText is a transparent picture of one pixel, 43 bytes.
const gifText = "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"

// pixel counts a page view, or the event that its query names, for pages
// without scripts and for mails. A URL can be put into anybody's page, so it
// cannot say who the user is: userId and traits are not read.
func (c *call) pixel() *failure {
	q := c.ctx.QueryArgs()
	c.own(nil)
	if f := c.authenticate(string(q.Peek("writeKey"))); f != nil {
		return f
	}
	if c.key.server {
		return fail(403, "server_key_in_page", "this is a server key, and the pixel is for pages and mails; use the site's write key, and change the server key if anybody saw it")
	}
	if f := c.checkOrigin(); f != nil {
		return f
	}
	if f := c.admitKey(); f != nil {
		return f
	}
	c.req.Source = event.FromPixel
	// In another site's page the picture is not the visitor's own doing: it is
	// counted, but not as the visitor's, and leaves no cookie.
	foreign := string(c.head.secFetchSite) == "cross-site"
	c.req.Cookieless = string(q.Peek("cookieless")) == "1"
	if !foreign && !c.req.Cookieless {
		if c.visitor(); !c.req.HasVisitor {
			c.mint()
		}
	}
	// The message is written as JSON and read like any other, so that it meets
	// the same checks.
	text := string(stripLinks(c.pixelMessage(c.out[:0])))
	l := &c.s.o.Limits
	err := event.Parse(&c.req.Batch, text, event.ParseOptions{
		Type:       c.pixelType(),
		Limits:     event.Limits{EventBytes: l.EventBytes, BatchEvents: l.BatchEvents, Depth: l.Depth},
		ReceivedAt: c.req.ReceivedAt,
	})
	if err != nil {
		return parseFailure(err)
	}
	if err := c.s.o.Intake.Collect(&c.req); err != nil {
		var refused *Refused
		if !errors.As(err, &refused) {
			return c.refusal(err)
		}
		// Whoever shows pictures shows this one whatever it is told: a mail's reader
		// sees no broken one, and nothing is kept.
		c.picture()
		return nil
	}
	if len(c.req.Batch.Rejected) > 0 {
		return rejection(&c.req.Batch.Rejected[0])
	}
	if c.req.HasVisitor && c.refresh() {
		c.sendCookie(token.Cookie{Visitor: c.req.Visitor, Login: c.req.Login})
	}
	c.picture()
	return nil
}

func (c *call) picture() {
	c.answer([]byte(gifText))
	c.ctx.SetContentType("image/gif")
}

// pixelType is track when an event is named, else page or screen.
func (c *call) pixelType() event.Type {
	q := c.ctx.QueryArgs()
	if len(q.Peek("event"))+len(q.Peek("e")) > 0 {
		return event.Track
	}
	if t := event.ParseType(string(q.Peek("type"))); t == event.Screen || t == event.Track {
		return t
	}
	return event.Page
}

// pixelMessage writes the query as a message: event (or e), name, category,
// anonymousId, messageId; url, referrer and title, as a page would tell them.
// Without url the page is the one that the browser says embeds the picture.
func (c *call) pixelMessage(dst []byte) []byte {
	q := c.ctx.QueryArgs()
	first := func(names ...string) string {
		for _, n := range names {
			if v := q.Peek(n); len(v) > 0 {
				return string(v)
			}
		}
		return ""
	}
	w := event.NewWriter(dst)
	w.Open()
	w.Text("event", first("event", "e"))
	w.Text("name", first("name"))
	w.Text("category", first("category"))
	w.Text("messageId", first("messageId"))
	if !c.req.HasVisitor {
		w.Text("anonymousId", first("anonymousId"))
	}
	page := func() {
		w.Open()
		url := first("url")
		if url == "" {
			url = c.req.Referer
		}
		w.Text("url", url)
		w.Text("referrer", first("referrer"))
		w.Text("title", first("title"))
		w.Close()
	}
	w.Key("properties")
	page()
	w.Key("context")
	w.Open()
	w.Key("page")
	page()
	w.Close()
	w.Close()
	return w.Bytes()
}
