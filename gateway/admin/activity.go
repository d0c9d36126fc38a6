package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/storage/audit"
)

func (c *call) serveAudit() *failure {
	p, f := c.page()
	if f != nil {
		return f
	}
	args := c.ctx.QueryArgs()
	q := audit.Query{Before: p.before, Limit: p.limit + 1,
		Actor: string(args.Peek("actor")), Action: string(args.Peek("action")), Object: string(args.Peek("object"))}
	if f := c.note("audit.read", "", "ok", nil); f != nil {
		return f
	}
	o := event.NewWriter(nil)
	o.Open()
	o.Key("entries")
	o.OpenList()
	shown, next := 0, uint64(0)
	var last uint64
	err := c.s.o.Activity.Read(context.Background(), q, func(r audit.Record) (bool, error) {
		if shown == p.limit || len(o.Bytes()) >= maxBody {
			next = last
			return false, nil
		}
		shown, last = shown+1, r.N
		appendRecord(o, &r)
		return true, nil
	})
	if err != nil {
		return c.internal(err)
	}
	o.CloseList()
	if next != 0 {
		o.String("next", strconv.FormatUint(next, 10))
	}
	o.Close()
	c.json(fasthttp.StatusOK, o.Bytes())
	return nil
}

func appendRecord(o *event.Writer, r *audit.Record) {
	o.Open()
	defer o.Close()
	o.Int("n", int64(r.N))
	if r.Fault != "" {
		o.String("fault", r.Fault)
		return
	}
	o.Time("time", r.Time.UnixMilli())
	o.String("actor", r.Actor)
	o.Text("role", r.Role)
	o.String("action", r.Action)
	o.Text("object", r.Object)
	o.Text("outcome", r.Outcome)
	o.Text("remote", r.Remote)
	if len(r.Detail) > 0 {
		o.Raw("detail", event.Value(r.Detail))
	}
	o.String("hash", r.Hash.String())
}

// headsBody is what a log is compared with.
type headsBody struct {
	Heads []audit.Head `json:"heads"`
}

func (c *call) serveAuditVerify() *failure {
	var b headsBody
	if c.ctx.IsPost() {
		if f := c.body(&b); f != nil {
			return f
		}
	}
	if f := c.note("audit.verify", "", "ok", nil); f != nil {
		return f
	}
	report, err := c.s.o.Activity.Verify(context.Background(), audit.VerifyOptions{Expect: b.Heads})
	if err != nil {
		return c.internal(err)
	}
	if !report.OK {
		c.s.log.Error("the activity log is not whole", "faults", len(report.Faults), "more", report.More)
	}
	return c.encode(fasthttp.StatusOK, report)
}

// encode answers with a value as encoding/json writes it, but with < and > as
// they are: people read rules in it, and no browser takes it for a page.
func (c *call) encode(status int, v any) *failure {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return c.internal(err)
	}
	c.json(status, bytes.TrimSuffix(b.Bytes(), []byte("\n")))
	return nil
}
