package collect

import (
	"bytes"
	"compress/zlib"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func compress(t testing.TB, encoding string, text []byte) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch encoding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "br":
		w = brotli.NewWriter(&b)
	case "deflate":
		w = zlib.NewWriter(&b)
	case "zstd":
		z, err := zstd.NewWriter(&b, zstd.WithWindowSize(8<<20))
		if err != nil {
			t.Fatal(err)
		}
		w = z
	default:
		t.Fatal(encoding)
	}
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var encodings = []string{"gzip", "br", "zstd", "deflate"}

func TestEncodings(t *testing.T) {
	w := start(t)
	n := 0
	for _, e := range encodings {
		packed := compress(t, e, []byte(trackBody))
		for _, name := range []string{e, strings.ToUpper(e), " " + e + " "} {
			r := w.post("/v1/track", packed, "Content-Encoding: "+name, "Content-Type: application/json")
			if n++; r.StatusCode != 200 {
				t.Fatalf("%q: %d %s", name, r.StatusCode, r.text)
			}
			if q := w.intake.last(t, n); len(q.Batch.Events) != 1 || q.Batch.Events[0].UserID != "u1" {
				t.Errorf("%q: %+v", name, q.Batch)
			}
		}
		w.want(w.post("/v1/track", packed, "Content-Encoding: "+e+", "+e), 415, "content_encoding")
		w.want(w.post("/v1/track", packed, "Content-Encoding: "+e, "Content-Encoding: "+e), 400, "bad_request")
		w.want(w.post("/v1/track", packed[:len(packed)/2], "Content-Encoding: "+e), 400, "content_encoding")
		w.want(w.post("/v1/track", packed+"more", "Content-Encoding: "+e), 400, "content_encoding")
		w.want(w.post("/v1/track", "{}"+packed, "Content-Encoding: "+e), 400, "content_encoding")
		w.want(w.post("/v1/track", trackBody, "Content-Encoding: "+e), 400, "content_encoding")
		w.want(w.post("/v1/track", "", "Content-Encoding: "+e), 400, "body_empty")
		// A body packed twice under one name is not JSON.
		if r := w.post("/v1/track", compress(t, e, []byte(packed)), "Content-Encoding: "+e); r.StatusCode != 400 {
			t.Errorf("%s twice: %d %s", e, r.StatusCode, r.text)
		}
	}
	w.want(w.post("/v1/track", trackBody, "Content-Encoding: identity"), 200, "")
	for _, e := range []string{"compress", "gzip;q=1", "rot13", strings.Repeat("x", 500), "identity, gzip"} {
		w.want(w.post("/v1/track", trackBody, "Content-Encoding: "+e), 415, "content_encoding")
	}
	form := "data=" + strings.ReplaceAll(trackBody, `"`, "%22")
	w.want(w.post("/v1/track", compress(t, "gzip", []byte(form)), "Content-Encoding: gzip", "Content-Type: application/x-www-form-urlencoded"), 200, "")
}

// A bomb costs no more than the limit and a step: neither memory nor time.
func TestBombs(t *testing.T) {
	w := start(t)
	bomb := bytes.Repeat([]byte(" "), 64<<20)
	for _, e := range encodings {
		packed := compress(t, e, bomb)
		if len(packed) > 2*testLimits.BatchBytes {
			packed = packed[:2*testLimits.BatchBytes] // stands for more than enough
		}
		var before, after runtime.MemStats
		w.want(w.post("/v1/batch", packed, "Content-Encoding: "+e), 413, "body_too_large") // makes the decoder
		runtime.ReadMemStats(&before)
		w.want(w.post("/v1/batch", packed, "Content-Encoding: "+e), 413, "body_too_large")
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 20<<20 {
			t.Errorf("%s: %d bytes allocated for a refused bomb", e, used)
		}
	}
	if len(w.server.decoders) != cap(w.server.decoders) {
		t.Error("a decoder was not given back")
	}
	if len(w.intake.calls) != 0 {
		t.Error(w.intake.calls)
	}
}

// The limit is on the decoded size, to the byte.
func TestDecodedLimit(t *testing.T) {
	w := start(t)
	fit := func(n int) []byte {
		head := `{"writeKey":"wk_shop","batch":[],"x":"`
		return []byte(head + strings.Repeat("x", n-len(head)-2) + `"}`)
	}
	for _, e := range encodings {
		w.want(w.post("/v1/batch", compress(t, e, fit(testLimits.BatchBytes)), "Content-Encoding: "+e), 200, "")
		w.want(w.post("/v1/batch", compress(t, e, fit(testLimits.BatchBytes+1)), "Content-Encoding: "+e), 413, "body_too_large")
	}
	w.want(w.post("/v1/batch", string(fit(testLimits.BatchBytes))), 200, "")
	w.want(w.post("/v1/batch", string(fit(testLimits.BatchBytes+1))), 413, "body_too_large")
}

// Decoders and buffers are shared by requests at the same time, and no byte of
// one shows up in another.
func TestCanary(t *testing.T) {
	w := start(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var wg sync.WaitGroup
	for g := range 8 {
		r := rand.New(rand.NewPCG(seed, uint64(g)))
		wg.Go(func() {
			for range 60 {
				mark := strings.Repeat(string(rune('a'+g)), 1+r.IntN(2000))
				body := `{"writeKey":"wk_shop","event":"` + mark[:1] + `","userId":"` + mark[:1] + `","properties":{"p":"` + mark + `"}}`
				if e := r.IntN(5); e < 4 {
					w.post("/v1/track", compress(t, encodings[e], []byte(body)), "Content-Encoding: "+encodings[e], "User-Agent: "+mark[:1])
				} else {
					w.post("/v1/track", body, "User-Agent: "+mark[:1])
				}
			}
		})
	}
	wg.Wait()
	for _, q := range w.intake.requests {
		e := q.Batch.Events[0]
		p := e.Properties.Get("p").Text()
		if e.UserID != e.Name || q.UserAgent != e.Name || strings.Trim(p, e.Name) != "" || p == "" {
			t.Fatalf("a foreign byte: %q %q %q %.80q", e.Name, e.UserID, q.UserAgent, p)
		}
	}
	if len(w.intake.requests) != 480 {
		t.Errorf("%d requests", len(w.intake.requests))
	}
}

func FuzzDecompress(f *testing.F) {
	for i, e := range encodings {
		f.Add(i, []byte(compress(f, e, []byte(trackBody))))
	}
	const most = 64 << 10
	s := &Server{decoders: newDecoders()}
	f.Fuzz(func(t *testing.T, i int, body []byte) {
		c := call{s: s}
		out, fault := c.decompress(encodings[uint(i)%uint(len(encodings))], body, most)
		if (fault == nil) != (out != nil) && len(out) > 0 || len(out) > most {
			t.Fatalf("%d bytes and %+v", len(out), fault)
		}
		if len(s.decoders) != cap(s.decoders) {
			t.Fatal("a decoder was not given back")
		}
	})
}

func FuzzForm(f *testing.F) {
	f.Add([]byte("data=%7B%7D&x=1"))
	f.Add([]byte("jsonBody=e30="))
	f.Add([]byte(" {}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		var c call
		before := string(body)
		out, fault := c.form(body)
		if fault == nil && len(out) > len(body) {
			t.Fatalf("%q grew to %q", before, out)
		}
	})
}
