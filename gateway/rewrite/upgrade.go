package rewrite

import (
	"context"
	"io"
	"net"
	"net/http"
)

// switched hands the two connections over to each other: a web socket.
func (x *exchange) switched(resp *http.Response) {
	server, ok := resp.Body.(io.ReadWriteCloser)
	if !ok || !x.upgrade {
		resp.Body.Close()
		x.plain(http.StatusBadGateway, "The site switched to another protocol, which nobody asked for.")
		return
	}
	upgrade := resp.Header.Get("Upgrade")
	x.headers(resp.Header)
	r := &x.ctx.Response
	r.SetStatusCode(http.StatusSwitchingProtocols)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", upgrade)
	x.handed = true
	base, cancel := x.p.base, x.cancel
	x.ctx.Hijack(func(c net.Conn) {
		defer cancel()
		end := func() {
			_ = server.Close() // nobody is left to tell
			_ = c.Close()
		}
		defer context.AfterFunc(base, end)()
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = io.Copy(server, c) // either side may end it, and how is theirs
			end()
		}()
		_, _ = io.Copy(c, server)
		end()
		<-done
	})
}
