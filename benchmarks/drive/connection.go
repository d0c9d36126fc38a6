package drive

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/benchmarks/workload"
)

// connection sends one stream's requests, one after the other.
//
// Invariant: all fields but tally belong to the goroutine that works; tally is
// read by progress too, under mu, which is never held across I/O.
type connection struct {
	client   *fasthttp.HostClient
	stream   *workload.Stream
	base     string // URL up to the API's paths
	uri      []byte // of the request under way
	bare     int
	timeout  time.Duration
	request  fasthttp.Request
	response fasthttp.Response

	mu    sync.Mutex
	tally Result
}

func newConnection(target *url.URL, base string, s *workload.Stream, o Options) *connection {
	secure := target.Scheme == "https"
	c := &connection{stream: s, base: base, bare: o.Bare, timeout: o.Timeout}
	c.client = &fasthttp.HostClient{
		Addr:                     address(target.Host, secure),
		IsTLS:                    secure,
		MaxConns:                 1,
		NoDefaultUserAgentHeader: true,
		ReadTimeout:              o.Timeout,
		WriteTimeout:             o.Timeout,
		MaxResponseBodySize:      4 << 20,
		DialDualStack:            true,
		// Sending again is ours to decide and to count.
		MaxIdemponentCallAttempts: 1,
		RetryIfErr:                func(*fasthttp.Request, int, error) (bool, bool) { return false, false },
	}
	if secure {
		c.client.TLSConfig = &tls.Config{ServerName: target.Hostname(), MinVersion: tls.VersionTLS12}
	}
	return c
}

// address adds the scheme's port to a host that names none.
func address(host string, secure bool) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	port := "80"
	if secure {
		port = "443"
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), port)
}

func (c *connection) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.tally.Latency
	if h == nil {
		h = newHistogram()
	}
	h.Reset()
	c.tally = Result{Latency: h}
}

// work sends until the run is over.
func (c *connection) work(ctx context.Context, r *run) {
	for {
		due, more := r.next(ctx)
		if !more {
			return
		}
		request := c.stream.Next(r.plan.Shape)
		c.fill(request)
		if r.slots != nil && time.Since(due) > Late {
			c.count(func(t *Result) { t.Late++ })
		}
		if err := c.deliver(ctx, r, request, due); err != nil {
			r.stop(err)
			return
		}
	}
}

// deliver sends the request until it is answered, and judges the answer. Its
// error ends the run.
func (c *connection) deliver(ctx context.Context, r *run, request *workload.Request, due time.Time) error {
	pause := 50 * time.Millisecond
	for {
		err := c.client.DoTimeout(&c.request, &c.response, c.timeout)
		status := c.response.StatusCode()
		var wait time.Duration
		switch {
		case err != nil:
			c.stream.Lost()
			c.count(func(t *Result) { t.Failed++; t.LastError = err })
			if r.plan.Strict {
				return fmt.Errorf("a request had no answer: %w", err)
			}
			wait = pause
			pause = min(2*pause, time.Second)
		case status == fasthttp.StatusTooManyRequests:
			c.count(func(t *Result) { t.Throttled++ })
			wait = retryAfter(c.response.Header.Peek("Retry-After"), time.Now())
		case status == fasthttp.StatusServiceUnavailable:
			// The events may have been stored before the server gave up.
			c.stream.Lost()
			c.count(func(t *Result) { t.Busy++ })
			wait = retryAfter(c.response.Header.Peek("Retry-After"), time.Now())
		default:
			return c.answered(r, request, due)
		}
		if err == nil && r.plan.Strict {
			return fmt.Errorf("a request was refused with status %d: %.300s", status, c.response.Body())
		}
		if !r.mayWait(ctx, wait) {
			c.count(func(t *Result) { t.Unanswered++ })
			return nil
		}
	}
}

// mayWait waits, unless the run would be over by then.
func (r *run) mayWait(ctx context.Context, wait time.Duration) bool {
	if !r.end.IsZero() && time.Now().Add(wait).After(r.end) {
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (c *connection) answered(r *run, request *workload.Request, due time.Time) error {
	took := time.Since(due)
	answer := workload.Answer{Status: c.response.StatusCode(), Body: c.response.Body()}
	var err error
	if c.bare > 0 {
		err = workload.CheckBare(answer, c.bare)
	} else {
		if answer.Cookie = c.response.Header.PeekCookie("reuna"); answer.Cookie == nil {
			answer.Cookie = c.response.Header.PeekCookie("__Host-reuna")
		}
		err = c.stream.Check(answer)
	}
	// A 200 is a promise whatever else the answer says, so it is noted first.
	if answer.Status == fasthttp.StatusOK && r.acked != nil && len(request.IDs) > 0 {
		if _, werr := r.acked.Write(request.IDs); werr != nil {
			return fmt.Errorf("noting acknowledged events: %w", werr)
		}
	}
	if err != nil {
		return &WrongAnswer{err}
	}
	micros := min(max(took.Microseconds(), 1), MaxLatency.Microseconds())
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &c.tally
	t.Requests++
	t.Events += int64(request.Events)
	t.AnswerSize += int64(len(answer.Body))
	return t.Latency.RecordValue(micros)
}

func (c *connection) count(change func(*Result)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.tally)
}

// fill copies the request into fasthttp's.
func (c *connection) fill(r *workload.Request) {
	q := &c.request
	q.Reset()
	q.Header.SetMethod(fasthttp.MethodPost)
	c.uri = append(append(c.uri[:0], c.base...), r.Path...)
	q.SetRequestURIBytes(c.uri)
	for _, h := range r.Headers {
		q.Header.SetBytesV(h.Name, h.Value)
	}
	q.SetBodyRaw(r.Body)
}

// Bounds of what we do on a Retry-After: its absence asks for a second, and a
// server that asks for an hour gets a minute.
const (
	defaultRetryAfter = time.Second
	maxRetryAfter     = time.Minute
)

// retryAfter reads the header's value: seconds or an HTTP date (RFC 9110, 10.2.3).
func retryAfter(value []byte, now time.Time) time.Duration {
	s := strings.TrimSpace(string(value))
	if n, err := strconv.ParseUint(s, 10, 32); err == nil {
		return min(time.Duration(n)*time.Second, maxRetryAfter)
	}
	if at, err := fasthttp.ParseHTTPDate([]byte(s)); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return defaultRetryAfter
}
