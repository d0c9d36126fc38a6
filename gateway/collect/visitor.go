package collect

import (
	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/token"
)

// interact collects and answers in the same round trip.
func (c *call) interact() *failure {
	c.req.Source = event.FromTag
	if c.req.Cookieless = c.req.Batch.Cookieless; !c.req.Cookieless {
		c.visitor()
		if c.land(); !c.req.HasVisitor {
			c.mint()
		}
	}
	b := append(c.out[:0], `{"success":true,`...)
	b = append(appendRejected(b, c.req.Batch.Rejected), ',')
	rejected, head := len(c.req.Batch.Rejected), len(b)
	b, err := c.s.o.Intake.Interact(&c.req, b)
	if err != nil {
		return c.refusal(err)
	}
	if len(c.req.Batch.Rejected) > rejected { // by the intake, which stands behind the list
		answer := string(b[head:])
		b = append(b[:0], `{"success":true,`...)
		b = append(append(appendRejected(b, c.req.Batch.Rejected), ','), answer...)
	}
	if c.req.HasVisitor {
		c.renewCookie()
	}
	c.close(b)
	return nil
}

// profile answers what interact would, takes nothing, and makes no visitor.
func (c *call) profile() *failure {
	c.req.Source = event.FromTag
	c.visitor()
	// The cookie alone says who asks: no event, no token, no identifier.
	b := &c.req.Batch
	b.Events, b.Rejected, b.Token = b.Events[:0], b.Rejected[:0], ""
	out, err := c.s.o.Intake.Profile(&c.req, append(c.out[:0], `{"success":true,`...))
	if err != nil {
		return c.refusal(err)
	}
	c.close(out)
	return nil
}

// close ends the answer's object, whether or not the Intake put something in,
// and sends it.
func (c *call) close(b []byte) {
	if n := len(b) - 1; b[n] == ',' {
		b = b[:n]
	}
	c.out = append(c.appendLinks(b), '}')
	c.answer(c.out)
}

// reset ends the visitor's session and gives the browser another visitor, or,
// when it is to forget, none.
func (c *call) reset() *failure {
	c.req.Source = event.FromTag
	c.visitor()
	if c.req.HasVisitor {
		if err := c.s.o.Intake.Reset(&c.req); err != nil {
			return c.refusal(err)
		}
		if !c.req.Batch.Forget {
			c.sendCookie(token.Cookie{Visitor: c.s.o.Cookies.Mint()})
		}
	}
	if c.req.Batch.Forget {
		c.dropCookie()
	}
	c.answer([]byte(`{"success":true}`))
	return nil
}
