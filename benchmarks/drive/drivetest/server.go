// Package drivetest is a small server that speaks the contract's interact,
// profile and batch routes from memory, for tests of what drives a gateway. It
// is strict about what it is sent and writes down every fault.
package drivetest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Server is a gateway of the mind. Its fields are set before its first request.
type Server struct {
	WriteKey string
	// Before, if set, sees the number of each request (from 1). When it gives
	// true it has answered the request itself.
	Before func(n int, w http.ResponseWriter, r *http.Request) bool
	// After, if set, changes an answer before it leaves.
	After func(body []byte) []byte
	// Forget makes it lose the events of every n-th request that it acknowledges.
	Forget int

	server *httptest.Server

	mu       sync.Mutex
	requests int
	events   map[string]int    // times that a messageId came
	visitors map[string]uint32 // cookie value to page views
	faults   []string
}

// Start serves on a loopback port until Close.
func (s *Server) Start() {
	s.events, s.visitors = map[string]int{}, map[string]uint32{}
	s.server = httptest.NewServer(http.HandlerFunc(s.serve))
}

// URL is the server's address.
func (s *Server) URL() string { return s.server.URL }

// Close stops the server.
func (s *Server) Close() { s.server.Close() }

// Events gives how often each messageId came in a request that was read.
func (s *Server) Events() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]int, len(s.events))
	for id, n := range s.events {
		all[id] = n
	}
	return all
}

// Faults are the breaches of the contract that were seen.
func (s *Server) Faults() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.faults...)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if s.Before != nil && s.Before(s.requests, w, r) {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err == nil {
		var answer []byte
		if answer, err = s.answer(w, r, body); err == nil {
			if s.After != nil {
				answer = s.After(answer)
			}
			w.Header().Set("Content-Type", "application/json")
			w.Write(answer)
			return
		}
	}
	s.faults = append(s.faults, err.Error())
	http.Error(w, `{"error":{"code":"bad_request","message":"see the server's faults"}}`, http.StatusBadRequest)
}

type message struct {
	Type        string          `json:"type"`
	Event       string          `json:"event"`
	MessageID   string          `json:"messageId"`
	AnonymousID string          `json:"anonymousId"`
	UserID      string          `json:"userId"`
	Timestamp   time.Time       `json:"timestamp"`
	Properties  map[string]any  `json:"properties"`
	Traits      map[string]any  `json:"traits"`
	Context     map[string]any  `json:"context"`
	Rest        json.RawMessage `json:"integrations"`
}

type envelope struct {
	WriteKey   string         `json:"writeKey"`
	SentAt     time.Time      `json:"sentAt"`
	Context    map[string]any `json:"context"`
	Batch      []message      `json:"batch"`
	Placements []string       `json:"placements"`
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, body []byte) ([]byte, error) {
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	var e envelope
	if err := d.Decode(&e); err != nil {
		return nil, fmt.Errorf("body: %w: %s", err, body)
	}
	if r.Method != http.MethodPost {
		return nil, fmt.Errorf("method %s: expected POST", r.Method)
	}
	if addr, err := netip.ParseAddr(r.Header.Get("X-Forwarded-For")); err != nil || !addr.IsGlobalUnicast() {
		return nil, fmt.Errorf("header X-Forwarded-For is %q: expected one public address", r.Header.Get("X-Forwarded-For"))
	}
	switch r.URL.Path {
	case "/v1/batch":
		want := "Basic " + base64.StdEncoding.EncodeToString([]byte(s.WriteKey+":"))
		if got := r.Header.Get("Authorization"); got != want {
			return nil, fmt.Errorf("header Authorization is %q: expected %q", got, want)
		}
		if _, err := s.take(e, true); err != nil {
			return nil, err
		}
		return []byte(`{"success":true}`), nil
	case "/v1/interact":
		if got := r.Header.Get("Content-Type"); got != "text/plain;charset=UTF-8" {
			return nil, fmt.Errorf("header Content-Type is %q: expected text/plain", got)
		}
		if len(e.Batch) == 0 || e.Context["page"] == nil {
			return nil, fmt.Errorf("no events or no page: %s", body)
		}
	case "/v1/profile":
		if len(e.Batch) > 0 {
			return nil, fmt.Errorf("profile with events: %s", body)
		}
	default:
		return nil, fmt.Errorf("path %s", r.URL.Path)
	}
	if e.WriteKey != s.WriteKey {
		return nil, fmt.Errorf("write key %q: expected %q", e.WriteKey, s.WriteKey)
	}
	pages, err := s.take(e, false)
	if err != nil {
		return nil, err
	}
	return s.profile(w, r, e, pages), nil
}

// take stores the events once each and counts the new page views.
func (s *Server) take(e envelope, whole bool) (pages uint32, err error) {
	for _, m := range e.Batch {
		switch {
		case len(m.MessageID) != 36 || m.MessageID[14] != '7':
			return 0, fmt.Errorf("messageId %q: expected a UUIDv7", m.MessageID)
		case m.Timestamp.IsZero() || e.SentAt.IsZero():
			return 0, fmt.Errorf("message %s has no timestamp or no sentAt", m.MessageID)
		case m.Type == "track" && m.Event == "":
			return 0, fmt.Errorf("track %s has no event", m.MessageID)
		case m.Type != "track" && m.Type != "page" && m.Type != "identify":
			return 0, fmt.Errorf("type %q", m.Type)
		case m.Type == "identify" && m.UserID == "":
			return 0, fmt.Errorf("identify %s has no userId", m.MessageID)
		case whole && (m.AnonymousID == "" || m.Context["userAgent"] == nil):
			return 0, fmt.Errorf("message %s has no anonymousId or no agent", m.MessageID)
		case !whole && (m.AnonymousID != "" || m.Context["seq"] == nil):
			return 0, fmt.Errorf("message %s has an anonymousId or no seq", m.MessageID)
		}
	}
	lose := s.Forget > 0 && s.requests%s.Forget == 0
	for _, m := range e.Batch {
		s.events[m.MessageID]++
		if m.Type == "page" && s.events[m.MessageID] == 1 && !lose {
			pages++
		}
	}
	return pages, nil
}

func (s *Server) profile(w http.ResponseWriter, r *http.Request, e envelope, pages uint32) []byte {
	var id string
	if c, err := r.Cookie("reuna"); err == nil {
		id = c.Value
	}
	if _, known := s.visitors[id]; !known {
		id = fmt.Sprintf("%032d", len(s.visitors)+1)
		http.SetCookie(w, &http.Cookie{Name: "reuna", Value: id, Path: "/", HttpOnly: true})
	}
	s.visitors[id] += pages
	decisions := map[string]any{}
	for _, p := range e.Placements {
		decisions[p] = map[string]any{"variant": "default", "holdout": false}
	}
	answer, err := json.Marshal(map[string]any{
		"success": true, "rejected": []any{},
		"profile": map[string]any{
			"id": "v_" + id, "known": false,
			"visit":  map[string]any{"new": true, "sessions": 1, "pageviews": s.visitors[id]},
			"traits": map[string]any{}, "segments": []string{},
		},
		"decisions": decisions,
	})
	if err != nil {
		panic(err) // maps of plain values always marshal
	}
	return answer
}
