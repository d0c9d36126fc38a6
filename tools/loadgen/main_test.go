package main

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/benchmarks/drive/drivetest"
)

func gateway(t *testing.T, s *drivetest.Server) *drivetest.Server {
	t.Helper()
	s.WriteKey = "wk_test"
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func TestSendsAndSumsUp(t *testing.T) {
	for _, extra := range [][]string{nil, {"-rate", "300"}, {"-format", "segment"}, {"-batch", "4", "-rate", "400"}, {"-placements", "hero"}} {
		s := gateway(t, &drivetest.Server{})
		acked := filepath.Join(t.TempDir(), "acked")
		var out, errs bytes.Buffer
		args := append([]string{"-target", s.URL(), "-write-key", "wk_test", "-duration", "1200ms", "-connections", "4", "-visitors", "100", "-acked", acked}, extra...)
		if code := run(t.Context(), args, &out, &errs); code != exitOK {
			t.Fatalf("%v: exit %d\n%s%s%v", extra, code, &out, &errs, s.Faults())
		}
		for _, want := range []string{"acknowledged", "events/s", "p99.9", "refused", "0 with 429, 0 with 503", "0 attempts without an answer"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%v: the summary lacks %q:\n%s", extra, want, &out)
			}
		}
		if !strings.Contains(errs.String(), "events/s") || !strings.Contains(errs.String(), "p99") {
			t.Errorf("%v: no progress line in %q", extra, &errs)
		}
		data, err := os.ReadFile(acked)
		if err != nil {
			t.Fatal(err)
		}
		events := s.Events()
		ids := strings.Fields(string(data))
		if len(ids) != len(events) {
			t.Errorf("%v: %d ids noted, the server has %d events", extra, len(ids), len(events))
		}
		for _, id := range ids {
			if events[id] != 1 {
				t.Fatalf("%v: id %q came %d times", extra, id, events[id])
			}
		}
	}
}

func TestAckedIsAppendedTo(t *testing.T) {
	s := gateway(t, &drivetest.Server{})
	acked := filepath.Join(t.TempDir(), "acked")
	if err := os.WriteFile(acked, []byte("earlier\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code := run(t.Context(), []string{"-target", s.URL(), "-write-key", "wk_test", "-duration", "50ms", "-connections", "2", "-acked", acked}, new(bytes.Buffer), new(bytes.Buffer)); code != exitOK {
		t.Fatal(code)
	}
	if data, err := os.ReadFile(acked); err != nil || !strings.HasPrefix(string(data), "earlier\n") || strings.Count(string(data), "\n") != 1+len(s.Events()) {
		t.Errorf("%v, %d bytes", err, len(data))
	}
}

func TestAWrongAnswerFails(t *testing.T) {
	s := gateway(t, &drivetest.Server{Forget: 5})
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"-target", s.URL(), "-write-key", "wk_test", "-connections", "2"}, &out, &errs); code != exitWrong {
		t.Errorf("exit %d", code)
	}
	if !strings.Contains(errs.String(), "wrong answer: profile.visit.pageviews is") {
		t.Errorf("errors: %s", &errs)
	}
}

func TestRefusalsDoNotFail(t *testing.T) {
	s := gateway(t, &drivetest.Server{Before: func(n int, w http.ResponseWriter, r *http.Request) bool {
		if n%10 != 0 {
			return false
		}
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	}})
	var out bytes.Buffer
	if code := run(t.Context(), []string{"-target", s.URL(), "-write-key", "wk_test", "-duration", "300ms", "-connections", "2"}, &out, new(bytes.Buffer)); code != exitOK {
		t.Errorf("exit %d", code)
	}
	if strings.Contains(out.String(), " 0 with 429") {
		t.Errorf("no 429 was counted:\n%s", &out)
	}
}

func TestEndsWithTheContext(t *testing.T) {
	s := gateway(t, &drivetest.Server{})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	var out bytes.Buffer
	if code := run(ctx, []string{"-target", s.URL(), "-write-key", "wk_test", "-duration", "0", "-connections", "2"}, &out, new(bytes.Buffer)); code != exitOK {
		t.Errorf("exit %d", code)
	}
	if !strings.Contains(out.String(), "acknowledged") {
		t.Errorf("no summary: %s", &out)
	}
}

func TestNobodyThere(t *testing.T) {
	s := gateway(t, &drivetest.Server{})
	s.Close()
	var errs bytes.Buffer
	if code := run(t.Context(), []string{"-target", s.URL(), "-write-key", "wk_test", "-duration", "100ms", "-connections", "1"}, new(bytes.Buffer), &errs); code != exitWrong {
		t.Errorf("exit %d", code)
	}
	if !strings.Contains(errs.String(), "nothing was acknowledged") {
		t.Error(errs.String())
	}
}

func TestUsage(t *testing.T) {
	for want, args := range map[string][]string{
		"-write-key is missing":    {},
		"http or https":            {"-write-key", "k", "-target", "ftp://127.0.0.1"},
		"unknown format":           {"-write-key", "k", "-format", "ga4"},
		"-rate is -1":              {"-write-key", "k", "-rate", "-1"},
		"-batch is 0":              {"-write-key", "k", "-batch", "0"},
		"-connections is 0":        {"-write-key", "k", "-connections", "0"},
		"-duration is -1s":         {"-write-key", "k", "-duration", "-1s"},
		"10 visitors for 64":       {"-write-key", "k", "-visitors", "10"},
		"unexpected argument":      {"-write-key", "k", "now"},
		"flag provided but not":    {"-speed", "9"},
		"no such file":             {"-write-key", "k", "-acked", "/nowhere/at/all"},
		"invalid value \"x\" for ": {"-rate", "x"},
	} {
		var errs bytes.Buffer
		if code := run(t.Context(), args, new(bytes.Buffer), &errs); code != exitUsage || !strings.Contains(errs.String(), want) {
			t.Errorf("%v: exit %d, %q; expected %q", args, code, &errs, want)
		}
	}
}
