package drive

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reuna/reuna/benchmarks/drive/drivetest"
	"github.com/reuna/reuna/benchmarks/workload"
)

const writeKey = "wk_test"

func start(t *testing.T, s *drivetest.Server) *drivetest.Server {
	t.Helper()
	s.WriteKey = writeKey
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func driver(t *testing.T, url string, connections int, change func(*Options)) *Driver {
	t.Helper()
	w, err := workload.New(workload.Options{Visitors: 200, Streams: connections, Seed: 7, Origin: url, WriteKey: writeKey, Placements: []string{"hero"}})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Target: url, Workload: w, Timeout: 5 * time.Second}
	if change != nil {
		change(&o)
	}
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func noFaults(t *testing.T, s *drivetest.Server) {
	t.Helper()
	if f := s.Faults(); len(f) > 0 {
		t.Fatalf("the server saw %d faults, first %s", len(f), f[0])
	}
}

func TestEveryShapeIsWhatTheContractSays(t *testing.T) {
	s := start(t, &drivetest.Server{})
	d := driver(t, s.URL(), 4, nil)
	for _, shape := range []workload.Shape{{Format: workload.Interact}, {Format: workload.Interact, Batch: 20}, {Format: workload.Profile}, {Format: workload.Segment, Batch: 3}} {
		before := len(s.Events())
		r, err := d.Run(t.Context(), Plan{Shape: shape, Duration: 200 * time.Millisecond, Strict: true})
		if err != nil {
			t.Fatalf("%+v: %v (%v)", shape, err, s.Faults())
		}
		if r.Requests == 0 || r.Latency.TotalCount() != r.Requests || r.AnswerSize == 0 || r.Percentile(50) <= 0 {
			t.Errorf("%+v: %+v", shape, r)
		}
		if got := len(s.Events()) - before; got != int(r.Events) {
			t.Errorf("%+v: the server has %d new events and the driver counted %d", shape, got, r.Events)
		}
	}
	noFaults(t, s)
}

func TestOpenLoopKeepsItsSchedule(t *testing.T) {
	s := start(t, &drivetest.Server{})
	d := driver(t, s.URL(), 8, nil)
	r, err := d.Run(t.Context(), Plan{Rate: 400, Duration: 500 * time.Millisecond, Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	if r.Requests != 200 {
		t.Errorf("%d requests: expected 400 a second for half a second to make 200", r.Requests)
	}
}

// A server that stops for a while must show in the latencies of all requests
// that were due meanwhile, not only of those that were under way.
func TestAPauseOfTheServerIsChargedToAllThatWereDue(t *testing.T) {
	const pause = 300 * time.Millisecond
	s := start(t, &drivetest.Server{Before: func(n int, _ http.ResponseWriter, _ *http.Request) bool {
		if n == 20 {
			<-time.After(pause)
		}
		return false
	}})
	d := driver(t, s.URL(), 4, nil)
	r, err := d.Run(t.Context(), Plan{Rate: 200, Duration: 600 * time.Millisecond, Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	// 60 requests were due in the pause; half of them waited at least half of it.
	if got := r.Percentile(80); r.Requests != 120 || got < pause/3 {
		t.Errorf("%d requests, 80th percentile %v: expected 120 and at least %v", r.Requests, got, pause/3)
	}
	if r.Late < 40 {
		t.Errorf("%d late sends: expected 40 or more", r.Late)
	}
}

func TestRefusalsAreCountedApartAndSentAgain(t *testing.T) {
	var second atomic.Bool
	s := start(t, &drivetest.Server{Before: func(n int, w http.ResponseWriter, r *http.Request) bool {
		switch n {
		case 3:
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		case 5:
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		case 7:
			second.Store(true)
			panic(http.ErrAbortHandler) // the connection dies without an answer
		}
		return false
	}})
	d := driver(t, s.URL(), 2, nil)
	r, err := d.Run(t.Context(), Plan{Duration: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if r.Throttled != 1 || r.Busy != 1 || r.Failed != 1 || r.LastError == nil || !second.Load() {
		t.Errorf("throttled %d, busy %d, failed %d: expected one each", r.Throttled, r.Busy, r.Failed)
	}
	if got := len(s.Events()); got != int(r.Events) {
		t.Errorf("the server has %d events and the driver counted %d", got, r.Events)
	}
	noFaults(t, s)
}

func TestRetryAfterIsHonoured(t *testing.T) {
	var told, back time.Time
	s := start(t, &drivetest.Server{Before: func(n int, w http.ResponseWriter, r *http.Request) bool {
		switch n {
		case 1:
			told = time.Now()
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		case 2:
			back = time.Now()
		}
		return false
	}})
	d := driver(t, s.URL(), 1, nil)
	if _, err := d.Run(t.Context(), Plan{Duration: 1500 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	if wait := back.Sub(told); wait < 990*time.Millisecond {
		t.Errorf("came back after %v: was told to wait a second", wait)
	}
}

func TestStrictEndsOnRefusal(t *testing.T) {
	s := start(t, &drivetest.Server{Before: func(n int, w http.ResponseWriter, r *http.Request) bool {
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	}})
	_, err := driver(t, s.URL(), 2, nil).Run(t.Context(), Plan{Duration: time.Minute, Strict: true})
	if err == nil || !strings.Contains(err.Error(), "status 429") {
		t.Errorf("error %v: expected one with status 429", err)
	}
	s.Close()
	_, err = driver(t, s.URL(), 2, nil).Run(t.Context(), Plan{Duration: time.Minute, Strict: true})
	if err == nil || !strings.Contains(err.Error(), "had no answer") {
		t.Errorf("error %v: expected one about no answer", err)
	}
}

func TestAWrongAnswerEndsTheRun(t *testing.T) {
	for name, s := range map[string]*drivetest.Server{
		"lost events":  {Forget: 10},
		"no profile":   {After: func(b []byte) []byte { return bytes.Replace(b, []byte(`"profile"`), []byte(`"p"`), 1) }},
		"bad request":  {Before: func(_ int, w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(400); return true }},
		"no content":   {Before: func(_ int, w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(204); return true }},
		"another site": {Before: func(_ int, w http.ResponseWriter, _ *http.Request) bool { w.Write([]byte("hello")); return true }},
	} {
		t.Run(name, func(t *testing.T) {
			start(t, s)
			_, err := driver(t, s.URL(), 2, nil).Run(t.Context(), Plan{Duration: time.Minute})
			var wrong *WrongAnswer
			if !errors.As(err, &wrong) {
				t.Fatalf("error %v: expected a WrongAnswer", err)
			}
		})
	}
}

func TestAckedNamesEveryAcknowledgedEvent(t *testing.T) {
	s := start(t, &drivetest.Server{})
	var acked bytes.Buffer
	d := driver(t, s.URL(), 1, func(o *Options) { o.Acked = &acked })
	r, err := d.Run(t.Context(), Plan{Shape: workload.Shape{Batch: 5}, Duration: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	events := s.Events()
	ids := strings.Fields(acked.String())
	if int64(len(ids)) != r.Events || len(ids) == 0 {
		t.Fatalf("%d ids for %d events", len(ids), r.Events)
	}
	for _, id := range ids {
		if events[id] != 1 {
			t.Fatalf("id %s came %d times", id, events[id])
		}
	}
}

func TestTheEndOfTheContextEndsTheRun(t *testing.T) {
	s := start(t, &drivetest.Server{})
	for _, rate := range []float64{0, 300} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		r, err := driver(t, s.URL(), 2, nil).Run(ctx, Plan{Rate: rate})
		cancel()
		if err != nil || r.Requests == 0 {
			t.Errorf("rate %g: %d requests, error %v", rate, r.Requests, err)
		}
	}
}

func TestBareAnswersAreMeasuredBySize(t *testing.T) {
	s := start(t, &drivetest.Server{Before: func(_ int, w http.ResponseWriter, _ *http.Request) bool { w.Write(make([]byte, 900)); return true }})
	for size, good := range map[int]bool{900: true, 901: false} {
		d := driver(t, s.URL(), 2, func(o *Options) { o.Bare = size })
		if _, err := d.Run(t.Context(), Plan{Duration: 50 * time.Millisecond, Strict: true}); (err == nil) != good {
			t.Errorf("size %d: error %v", size, err)
		}
	}
}

func TestNewRefusesOtherSchemes(t *testing.T) {
	w, err := workload.New(workload.Options{Origin: "http://127.0.0.1", WriteKey: "k"})
	if err != nil {
		t.Fatal(err)
	}
	for target, good := range map[string]bool{"http://127.0.0.1:1": true, "https://shop.example/edge": true, "ftp://a": false, "127.0.0.1:80": false, "": false, "http://": false} {
		if _, err := New(Options{Target: target, Workload: w}); (err == nil) != good {
			t.Errorf("%q: error %v", target, err)
		}
	}
}

func TestAddress(t *testing.T) {
	for _, c := range []struct {
		host   string
		secure bool
		want   string
	}{{"a.example", false, "a.example:80"}, {"a.example", true, "a.example:443"}, {"a.example:81", true, "a.example:81"}, {"[::1]", false, "[::1]:80"}, {"[::1]:8", false, "[::1]:8"}} {
		if got := address(c.host, c.secure); got != c.want {
			t.Errorf("%s: %s, expected %s", c.host, got, c.want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": time.Second, "0": 0, "7": 7 * time.Second, " 2 ": 2 * time.Second, "99999": time.Minute, "-3": time.Second, "soon": time.Second,
		"Fri, 02 Jan 2026 03:04:09 GMT": 4 * time.Second, "Fri, 02 Jan 2026 03:00:00 GMT": 0,
	} {
		if got := retryAfter([]byte(value), now); got != want {
			t.Errorf("%q: %v, expected %v", value, got, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("3")
	f.Add("Fri, 02 Jan 2026 03:04:09 GMT")
	f.Fuzz(func(t *testing.T, value string) {
		got := retryAfter([]byte(value), time.Unix(1e9, 0))
		if got < 0 || got > maxRetryAfter {
			t.Errorf("%q: %v", value, got)
		}
		// delay-seconds is digits only: "+3" is none.
		if n, err := strconv.Atoi(value); err == nil && value[0] >= '0' && value[0] <= '9' && n <= 60 && got != time.Duration(n)*time.Second {
			t.Errorf("%q: %v", value, got)
		}
	})
}
