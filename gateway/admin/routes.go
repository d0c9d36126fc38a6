package admin

import (
	"strings"

	"github.com/valyala/fasthttp"
)

// route is one row of the desk's table.
type route struct {
	method string // GET, which answers HEAD too, POST, PUT or DELETE
	// path is written as OpenAPI writes paths, with at most one variable part.
	path  string
	open  bool     // needs no key
	query []string // the parameters that it takes; nil: any
	about string
	serve func(*call) *failure
}

const (
	get  = fasthttp.MethodGet
	post = fasthttp.MethodPost
	put  = fasthttp.MethodPut
	del  = fasthttp.MethodDelete
)

// routes is the desk's whole table; the OpenAPI document describes the same.
func routes() []route {
	none := []string{}
	rows := []route{
		{get, "/", true, nil, "this page", (*call).servePage},
		{get, "/healthz", true, nil, "the program runs", (*call).serveHealth},
		{get, "/readyz", true, nil, "the gateway takes traffic, or why not", (*call).serveReady},
		{get, "/openapi.yaml", false, nil, "this interface as an OpenAPI 3.1 document", (*call).serveOpenAPI},
		{get, "/metrics", false, nil, "counters and gauges for Prometheus", (*call).serveMetrics},
		{get, "/debug/pprof/", false, nil, "the runtime's profiles", (*call).serveProfiles},
		{get, "/debug/pprof/{profile}", false, nil, "one profile: heap, goroutine, profile?seconds=10, …", (*call).serveProfile},
		{get, "/admin/v1/persons/{identifier}", false, []string{"view"}, "who this is and what is known of them", (*call).servePerson},
		{get, "/admin/v1/persons/{identifier}/events", false, []string{"view", "limit", "before", "type", "event"}, "what they did, newest first", (*call).serveEvents},
		{get, "/admin/v1/persons/{identifier}/identities", false, []string{"view"}, "their identifiers, and why each link holds or does not", (*call).serveIdentities},
		{get, "/admin/v1/persons/{identifier}/explain", false, []string{"view", "segment", "trait", "placement", "site", "at"}, "why they are in an audience, have a trait or are shown a variant, or not", (*call).serveExplain},
		{get, "/admin/v1/persons/{identifier}/history", false, []string{"view", "limit", "before"}, "the audiences that they entered and left, newest first", (*call).serveHistory},
		{post, "/admin/v1/identities/preview", false, none, "what a link, cut, lift, hold or release would change", (*call).servePreview},
		{post, "/admin/v1/identities/link", false, none, "say that two identifiers are one person's", (*call).serveLink},
		{post, "/admin/v1/identities/cut", false, none, "say that they are not", (*call).serveCut},
		{post, "/admin/v1/identities/lift", false, none, "take a cut back", (*call).serveLift},
		{get, "/admin/v1/identities/held", false, []string{"limit", "after"}, "identifiers that join nobody, and why", (*call).serveHeld},
		{post, "/admin/v1/identities/hold", false, none, "keep an identifier from joining anybody", (*call).serveHold},
		{post, "/admin/v1/identities/release", false, none, "let it join again", (*call).serveRelease},
		{get, "/admin/v1/subjects", false, []string{"limit", "before"}, "erasures, newest first", (*call).serveSubjects},
		{post, "/admin/v1/subjects/access", false, none, "everything about a person, as one archive", (*call).serveAccess},
		{post, "/admin/v1/subjects/erase", false, none, "erase a person for good", (*call).serveErase},
		{get, "/admin/v1/subjects/erase-{number}", false, none, "how far an erasure is, and its receipt", (*call).serveErasure},
		{get, "/admin/v1/subjects/erase-{number}/receipt", false, none, "an erasure's signed receipt, as a file", (*call).serveReceipt},
		{get, "/admin/v1/quarantine", false, []string{"limit", "before"}, "messages that were refused, and why", (*call).serveQuarantine},
		{get, "/admin/v1/sites", false, none, "the sites, and how much of what their pages made arrived", (*call).serveSites},
		{get, "/admin/v1/sites/{name}", false, none, "a site: its tag, the headers advised, what was lost by browser and page", (*call).serveSite},
		{get, "/admin/v1/audit", false, []string{"actor", "action", "object", "before", "limit"}, "who read or changed what", (*call).serveAudit},
		{get, "/admin/v1/audit/verify", false, none, "whether the activity log is whole", (*call).serveAuditVerify},
		{post, "/admin/v1/audit/verify", false, none, "the same, against heads that were kept elsewhere", (*call).serveAuditVerify},
		{get, "/admin/v1/backup", false, none, "backups, and the one that is being made", (*call).serveBackups},
		{post, "/admin/v1/backup", false, none, "make a backup", (*call).serveBackup},
		{post, "/admin/v1/backup/verify", false, none, "read a backup and compare it with what was signed", (*call).serveVerifyBackup},
		{get, "/admin/v1/compact", false, none, "how far a compaction is", (*call).serveCompaction},
		{post, "/admin/v1/compact", false, none, "rewrite the whole store without what was deleted", (*call).serveCompact},
		{get, "/admin/v1/keys", false, none, "the public signing key, and how many keys there are", (*call).serveKeys},
		{post, "/admin/v1/keys", false, none, "rotate the master key", (*call).serveRotate},
		{get, "/admin/v1/log", false, none, "the event log: its ends, its readers, the disk", (*call).serveLog},
		{post, "/admin/v1/log/settle", false, none, "move events from the log into histories now", (*call).serveSettle},
		{get, "/admin/v1/definitions", false, none, "all definitions, as the YAML of a configuration file", (*call).serveExport},
		{post, "/admin/v1/segments/preview", false, none, "how many would be in an audience", (*call).servePreviewSegment},
		{get, "/admin/v1/segments/{name}/members", false, []string{"limit", "after", "with"}, "who is in an audience", (*call).serveMembers},
		{get, "/admin/v1/placements/{name}/results", false, none, "what a placement's variants led to", (*call).serveResults},
	}
	for _, x := range []struct{ kind, some, one string }{
		{KindTrait, "computed traits, and how far each is filled", "a computed trait"},
		{KindSegment, "audiences, and how many are in them", "an audience"},
		{KindPlacement, "placements", "a placement"},
	} {
		path := "/admin/v1/" + plural(x.kind)
		rows = append(rows,
			route{get, path, false, none, x.some, serveDefinitions(x.kind)},
			route{get, path + "/{name}", false, none, x.one, serveDefinition(x.kind)},
			route{put, path + "/{name}", false, none, "define " + x.one, servePutDefinition(x.kind)},
			route{del, path + "/{name}", false, none, "take " + x.one + " away", serveDeleteDefinition(x.kind)},
			route{get, path + "/{name}/versions", false, none, "what " + x.one + " was before", serveVersions(x.kind)})
	}
	return rows
}

// match finds the route of a path as it was sent. The path is taken apart
// before it is decoded, so that an identifier may hold "%2F". A nil r with
// allow says that the path is there for those methods only.
func match(table []route, path, method []byte) (r *route, param, allow string) {
	p, m := string(path), string(method)
	if m == fasthttp.MethodHead {
		m = get
	}
	for i := range table {
		part, ok := table[i].matches(p)
		switch {
		case !ok:
		case table[i].method == m:
			return &table[i], part, ""
		default:
			if allow != "" {
				allow += ", "
			}
			if allow += table[i].method; table[i].method == get {
				allow += ", HEAD"
			}
		}
	}
	return nil, "", allow
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
