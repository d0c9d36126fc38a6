package admin

import "strings"

// route is one row of the desk's table. It serves GET and HEAD.
type route struct {
	// path is written as OpenAPI writes paths, with at most one variable part.
	path  string
	open  bool     // needs no key
	query []string // the parameters that it takes; nil: any
	about string
	serve func(*call) *failure
}

// routes is the desk's whole table; the OpenAPI document describes the same.
func routes() []route {
	return []route{
		{"/", true, nil, "this page", (*call).servePage},
		{"/healthz", true, nil, "the program runs", (*call).serveHealth},
		{"/readyz", true, nil, "the gateway takes traffic", (*call).serveReady},
		{"/openapi.yaml", false, nil, "this interface as an OpenAPI 3.1 document", (*call).serveOpenAPI},
		{"/metrics", false, nil, "counters and gauges for Prometheus", (*call).serveMetrics},
		{"/debug/pprof/", false, nil, "the runtime's profiles", (*call).serveProfiles},
		{"/debug/pprof/{profile}", false, nil, "one profile: heap, goroutine, profile?seconds=10, …", (*call).serveProfile},
		{"/admin/v1/persons/{identifier}", false, []string{"view"}, "who this is and what is known of them", (*call).servePerson},
		{"/admin/v1/persons/{identifier}/events", false, []string{"view", "limit", "before", "type", "event"}, "what they did, newest first", (*call).serveEvents},
		{"/admin/v1/persons/{identifier}/identities", false, []string{"view"}, "their identifiers, and why each link holds or does not", (*call).serveIdentities},
		{"/admin/v1/quarantine", false, []string{"limit", "before"}, "messages that were refused, and why", (*call).serveQuarantine},
	}
}

// match finds the route of a path as it was sent. The path is taken apart
// before it is decoded, so that an identifier may hold "%2F".
func match(table []route, path []byte) (r *route, param string) {
	p := string(path)
	for i := range table {
		if param, ok := table[i].matches(p); ok {
			return &table[i], param
		}
	}
	return nil, ""
}

func (r *route) matches(p string) (param string, ok bool) {
	head, rest, variable := strings.Cut(r.path, "{")
	if !variable {
		return "", p == r.path
	}
	_, tail, _ := strings.Cut(rest, "}")
	if len(p) <= len(head)+len(tail) || !strings.HasPrefix(p, head) || !strings.HasSuffix(p, tail) {
		return "", false
	}
	param = p[len(head) : len(p)-len(tail)]
	return param, !strings.Contains(param, "/")
}
