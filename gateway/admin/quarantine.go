package admin

import (
	"strconv"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/storage/people"
)

func (c *call) serveQuarantine() *failure {
	p, f := c.page()
	if f != nil {
		return f
	}
	if f := c.note("quarantine.read", "", "ok", nil); f != nil {
		return f
	}
	refused, err := c.s.o.People.Quarantine(p.before, p.limit+1)
	if err != nil {
		return c.internal(err)
	}
	shown := answerPage(c, p, "refused", refused, func(x people.Refused) uint64 { return x.Seq }, appendRefused)
	c.s.log.Info("refused messages were read", "route", c.route.path, "key", c.key, "from", c.from, "messages", shown)
	return nil
}

func appendRefused(o *event.Writer, x people.Refused) {
	o.Open()
	o.String("id", strconv.FormatUint(x.Seq, 10))
	o.String("site", x.Site)
	o.Text("source", x.Source.String())
	o.Time("receivedAt", x.ReceivedAt)
	o.String("code", string(x.Code))
	o.Text("field", x.Field)
	o.String("message", x.Message)
	o.String("raw", x.Raw)
	o.Close()
}
