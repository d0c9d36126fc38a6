package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// collector answers as other collectors do, and counts their events.
func collector(t *testing.T, events *atomic.Int64) *httptest.Server {
	list := func(body []byte, field string) int64 {
		var all map[string]json.RawMessage
		var some []json.RawMessage
		if json.Unmarshal(body, &all) != nil || json.Unmarshal(all[field], &some) != nil {
			return -1
		}
		return int64(len(some))
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		n, status, answer := int64(1), http.StatusOK, "ok"
		switch r.Method + r.URL.Path {
		case "POST/com.snowplowanalytics.snowplow/tp2":
			n = list(body, "data")
		case "POST/matomo.php":
			if status = http.StatusNoContent; body[0] == '{' {
				n, status = list(body, "requests"), http.StatusOK
				answer = fmt.Sprintf(`{"status":"success","tracked":%d,"invalid":0}`, n)
			}
		case "POST/api/send":
			answer = `{"cache":"c","sessionId":"s","visitId":"v"}`
		case "POST/api/v0/count":
			n, status = list(body, "hits"), http.StatusAccepted
		case "POST/api/event":
			status = http.StatusAccepted
		default:
			n, status = 0, http.StatusNotFound
		}
		events.Add(n)
		w.WriteHeader(status)
		if status != http.StatusNoContent {
			_, _ = io.WriteString(w, answer) // who has gone sees no answer
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func TestOtherCollectorsFormats(t *testing.T) {
	for _, extra := range [][]string{
		{"-format", "snowplow"}, {"-format", "snowplow", "-batch", "5"}, {"-format", "matomo"}, {"-format", "matomo", "-batch", "5"},
		{"-format", "umami"}, {"-format", "goatcounter", "-batch", "5", "-rate", "500"}, {"-format", "plausible", "-rate", "200"},
	} {
		var events atomic.Int64
		var out, errs bytes.Buffer
		s := collector(t, &events)
		args := append([]string{"-target", s.URL, "-write-key", "site", "-duration", "300ms", "-connections", "4", "-visitors", "100"}, extra...)
		if code := run(t.Context(), args, &out, &errs); code != exitOK {
			t.Fatalf("%v: exit %d\n%s%s", extra, code, &out, &errs)
		}
		if want := fmt.Sprintf("%d events in ", events.Load()); events.Load() == 0 || !strings.Contains(out.String(), want) {
			t.Errorf("%v: the summary lacks %q:\n%s", extra, want, &out)
		}
	}
}

func TestFormatsThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-format", "umami", "-batch", "2"}, "-batch: a request of umami holds 1 events at most"},
		{[]string{"-format", "goatcounter", "-batch", "501"}, "500 events at most"},
		{[]string{"-format", "matomo", "-acked", t.TempDir() + "/acked"}, "-acked notes messageIds"},
		{[]string{"-format", "ga4"}, "expected one of reuna, segment, snowplow, matomo, umami, goatcounter, plausible"},
	} {
		var errs bytes.Buffer
		if code := run(t.Context(), append([]string{"-write-key", "site"}, c.args...), io.Discard, &errs); code != exitUsage || !strings.Contains(errs.String(), c.want) {
			t.Errorf("%v: exit %d, %s: expected %q", c.args, code, &errs, c.want)
		}
	}
	var errs bytes.Buffer
	var events atomic.Int64
	wrong := collector(t, &events)
	if code := run(t.Context(), []string{"-target", wrong.URL + "/elsewhere", "-write-key", "site", "-format", "plausible", "-connections", "2"}, io.Discard, &errs); code != exitWrong || !strings.Contains(errs.String(), "status 404: expected 202 of plausible") {
		t.Errorf("exit %d, %s: expected that the wrong place is told", code, &errs)
	}
}
