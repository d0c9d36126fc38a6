package collect

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/valyala/fasthttp"
)

// HTTP is what bounds connections. Zero fields of Timeouts mean none, which is
// for tests only: fasthttp has no defaults of its own.
type HTTP struct {
	ReadTimeout  time.Duration // first byte to last byte of a request
	WriteTimeout time.Duration // the answer
	IdleTimeout  time.Duration // between two requests of a connection
	Connections  int           // open at once; 0: fasthttp's 262,144
	Stream       bool          // bodies for Options.Otherwise come as streams of any length
}

const (
	headerRoom = 16 << 10 // request line and headers
	bodySlack  = 64 << 10
)

// Configure sets hs up to serve this Server. The body limit holds for what
// travels, compressed or in a form; the decoded text has its own (limits.batch).
// It leaves room above that limit, so that a sender who is a little over gets an
// answer instead of a closed connection.
func (s *Server) Configure(hs *fasthttp.Server, o HTTP) {
	hs.Handler = s.Handle
	hs.ErrorHandler = s.malformed
	hs.ReadTimeout, hs.WriteTimeout, hs.IdleTimeout = o.ReadTimeout, o.WriteTimeout, o.IdleTimeout
	hs.Concurrency = o.Connections
	hs.ReadBufferSize = headerRoom
	hs.MaxRequestBodySize = s.mostBody()
	hs.StreamRequestBody = o.Stream
	hs.NoDefaultServerHeader = true
	hs.NoDefaultContentType = true
	hs.DisablePreParseMultipartForm = true
	hs.SecureErrorLogMessage = true
	hs.CloseOnShutdown = true
	hs.TCPKeepalive = true
	hs.Logger = quiet{s}
}

func (s *Server) mostBody() int { return 2*s.o.Limits.BatchBytes + bodySlack }

// arrive takes a streamed body in whole, for what is answered here, under the
// limit that holds without streams.
func (c *call) arrive() *failure {
	r := &c.ctx.Request
	if !r.IsBodyStream() {
		return nil
	}
	most := c.s.mostBody()
	// What stays unread would be taken for the next request.
	refuse := func(f *failure) *failure {
		c.ctx.SetConnectionClose()
		drain(c.ctx.Conn())
		return f
	}
	n := r.Header.ContentLength()
	if n > most {
		return refuse(tooLarge(-1, c.s.o.Limits.BatchBytes))
	}
	var b bytes.Buffer
	b.Grow(min(max(n, 0), bodySlack))
	_, err := b.ReadFrom(io.LimitReader(c.ctx.RequestBodyStream(), int64(most)+1))
	var network net.Error
	switch {
	case b.Len() > most:
		return refuse(tooLarge(-1, c.s.o.Limits.BatchBytes))
	case errors.As(err, &network) && network.Timeout():
		c.ctx.SetConnectionClose()
		return late()
	case err != nil || n >= 0 && b.Len() < n:
		c.ctx.SetConnectionClose()
		return badRequest("bad_request", "the body did not arrive whole, or is not chunked as RFC 9112 writes it")
	}
	r.SetBodyRaw(b.Bytes())
	return nil
}

func late() *failure {
	return fail(fasthttp.StatusRequestTimeout, "timeout", "the request did not arrive in time (setting limits.read_timeout)")
}

// quiet sends fasthttp's own lines, which tell of broken connections, to where
// nobody has to read them.
type quiet struct{ s *Server }

func (q quiet) Printf(format string, args ...any) {
	q.s.log.Debug("connection", "detail", fmt.Sprintf(format, args...))
}

// malformed answers what never became a request. fasthttp closes the
// connection afterwards.
func (s *Server) malformed(ctx *fasthttp.RequestCtx, err error) {
	c := s.acquire(ctx)
	defer s.release(c)
	c.route = &s.other
	var small *fasthttp.ErrSmallBuffer
	var network net.Error
	switch {
	case errors.As(err, &small):
		c.fail(fail(fasthttp.StatusRequestHeaderFieldsTooLarge, "headers_too_large", fmt.Sprintf("the request line and headers have more than %d bytes; send fewer or smaller ones", headerRoom)))
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		// The headers did arrive: with them a page of ours can read the answer.
		c.head.read(ctx.Request.Header.RawHeaders())
		drain(ctx.Conn())
		c.fail(tooLarge(-1, s.o.Limits.BatchBytes))
	case errors.As(err, &network) && network.Timeout():
		c.fail(late())
	default:
		s.log.Debug("malformed request", "error", err)
		c.fail(badRequest("bad_request", "this is not an HTTP/1.1 request as RFC 9112 writes them"))
	}
}

const (
	drainMost  = 16 << 20
	drainQuiet = 200 * time.Millisecond
	drainTime  = 3 * time.Second
)

// drain reads what the sender of a body far too large is still sending, within
// bounds. Closing a connection with unread data resets it, and the sender would
// never see the answer that tells why.
func drain(conn net.Conn) {
	end := time.Now().Add(drainTime)
	b := make([]byte, 32<<10)
	for n := 0; n < drainMost && time.Now().Before(end); {
		if conn.SetReadDeadline(time.Now().Add(drainQuiet)) != nil {
			return
		}
		m, err := conn.Read(b)
		if err != nil {
			return
		}
		n += m
	}
}
