package rewrite

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// upload is a request's body on its way to the site's server, of any length and
// never whole in memory.
//
// Invariant: nothing is read from the visitor's connection once stop has
// returned: from then on it belongs to the next request.
type upload struct {
	mu      sync.Mutex // held while reading
	from    io.Reader
	conn    net.Conn
	timeout time.Duration
	left    int64 // bytes to come; -1: nobody knows
	whole   bool  // all of it was read
	stopped bool
	err     error
}

var errStopped = errors.New("rewrite: the answer came before the request's end")

// attach puts the request's body into the one for the site's server.
func (x *exchange) attach() {
	r := &x.ctx.Request
	n := r.Header.ContentLength()
	if !r.IsBodyStream() {
		if body := r.Body(); len(body) > 0 {
			x.up = &upload{from: bytes.NewReader(body), left: int64(len(body))}
		}
	} else if n != 0 {
		x.up = &upload{from: x.ctx.RequestBodyStream(), conn: x.conn, timeout: x.p.o.ReadTimeout, left: int64(max(n, -1))}
	}
	if x.up == nil {
		x.req.Body = http.NoBody
		return
	}
	x.req.Body, x.req.ContentLength = x.up, x.up.left
}

func (u *upload) Read(p []byte) (n int, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.stopped {
		return 0, errStopped
	}
	n, err = u.read(p)
	if err != nil && err != io.EOF {
		u.err = err
	}
	return n, err
}

func (u *upload) read(p []byte) (n int, err error) {
	if u.whole {
		return 0, io.EOF
	}
	if u.conn != nil && u.timeout > 0 {
		if err := u.conn.SetReadDeadline(time.Now().Add(u.timeout)); err != nil {
			return 0, err
		}
	}
	n, err = u.from.Read(p)
	if u.left >= 0 {
		u.left -= int64(n)
		u.whole = u.left == 0
		if err == io.EOF && !u.whole {
			err = io.ErrUnexpectedEOF
		}
		return n, err
	}
	u.whole = err == io.EOF
	return n, err
}

// Close is net/http's, which is done with the body, or gives it up.
func (u *upload) Close() error { return nil }

// failed says that the visitor's part of the body did not come.
func (u *upload) failed() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err != nil
}

const (
	drainMost = 16 << 20
	drainTime = 3 * time.Second
)

// complete says that nothing is left on the visitor's connection.
func (u *upload) complete() bool {
	if !u.mu.TryLock() {
		return false // it is being read
	}
	defer u.mu.Unlock()
	return u.whole || u.conn == nil
}

// stop ends the reading. What the visitor is still sending is read and thrown
// away, within bounds: closing a connection with unread data resets it, and the
// answer would be lost. whole is as of complete.
func (u *upload) stop() (whole bool) {
	if !u.mu.TryLock() {
		// Wakes a Read that waits for the visitor.
		if u.conn != nil && u.conn.SetReadDeadline(time.Unix(1, 0)) != nil {
			return false
		}
		u.mu.Lock()
	}
	defer u.mu.Unlock()
	again := u.stopped
	u.stopped = true
	if u.whole || u.conn == nil || again {
		return u.whole || u.conn == nil
	}
	b := make([]byte, 32<<10)
	u.timeout = drainTime
	for n, end := 0, time.Now().Add(drainTime); n < drainMost && !u.whole && time.Now().Before(end); {
		m, err := u.read(b)
		if n += m; err != nil {
			break
		}
	}
	return u.whole
}

// leave ends what the handler began, unless the answer's body does.
func (x *exchange) leave() {
	if x.handed {
		return
	}
	if x.up != nil && !x.up.stop() {
		x.ctx.SetConnectionClose()
	}
	if x.cancel != nil {
		x.cancel()
	}
}
