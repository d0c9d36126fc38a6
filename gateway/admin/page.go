package admin

import (
	"fmt"
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/identity/event"
)

const (
	defaultLimit = 100
	maxLimit     = 1000
)

// page is what one answer of a list, newest first, is to have.
type page struct {
	limit  int
	before uint64 // the place that it begins before; 0: at the end
}

// page reads ?limit= and ?before=.
func (c *call) page() (p page, f *failure) {
	if p.limit, f = c.limit(); f != nil {
		return p, f
	}
	text := string(c.ctx.QueryArgs().Peek("before"))
	if text == "" {
		return p, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n == 0 {
		return p, invalidCursor("before", text)
	}
	p.before = n
	return p, nil
}

func invalidCursor(name, text string) *failure {
	return badRequest("invalid_cursor", name, fmt.Sprintf("%s is %q; expected the `next` of an earlier answer, unchanged", name, clip([]byte(text))))
}

// limit reads ?limit=.
func (c *call) limit() (int, *failure) {
	text := string(c.ctx.QueryArgs().Peek("limit"))
	if text == "" {
		return defaultLimit, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxLimit {
		return 0, badRequest("invalid_limit", "limit", fmt.Sprintf("limit is %q; expected a whole number from 1 to %d", clip([]byte(text)), maxLimit))
	}
	return n, nil
}

// answerPage answers with a list under a name, and with `next` where there is
// more: items has one beyond the page then. An answer that grows too large ends
// early, but never empty.
func answerPage[T any](c *call, p page, name string, items []T, place func(T) uint64, write func(o *event.Writer, x T)) (shown int) {
	o := event.NewWriter(nil)
	o.Open()
	o.Key(name)
	o.OpenList()
	for shown < min(p.limit, len(items)) && len(o.Bytes()) < maxBody {
		write(o, items[shown])
		shown++
	}
	o.CloseList()
	if shown > 0 && shown < len(items) {
		o.String("next", strconv.FormatUint(place(items[shown-1]), 10))
	}
	o.Close()
	c.json(fasthttp.StatusOK, o.Bytes())
	return shown
}
