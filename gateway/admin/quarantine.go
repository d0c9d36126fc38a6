package admin

import (
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/identity/event"
)

func (c *call) serveQuarantine() *failure {
	limit, f := c.limit()
	if f != nil {
		return f
	}
	before, f := c.before()
	if f != nil {
		return f
	}
	if f := c.note("quarantine.read", "", "ok", nil); f != nil {
		return f
	}
	refused, err := c.s.o.People.Quarantine(before, limit+1)
	if err != nil {
		return c.internal(err)
	}
	more := len(refused) > limit
	if more {
		refused = refused[:limit]
	}
	o := event.NewWriter(nil)
	o.Open()
	o.Key("refused")
	o.OpenList()
	shown := 0
	for i := range refused {
		if len(o.Bytes()) >= maxBody {
			more = true
			break
		}
		x := &refused[i]
		shown++
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
	o.CloseList()
	if more && shown > 0 {
		o.String("next", strconv.FormatUint(refused[shown-1].Seq, 10))
	}
	o.Close()
	c.s.log.Info("refused messages were read", "route", c.route.path, "key", c.key, "from", c.from, "messages", shown)
	c.json(fasthttp.StatusOK, o.Bytes())
	return nil
}
