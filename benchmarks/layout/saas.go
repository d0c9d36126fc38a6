package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"github.com/reuna/reuna/gateway/enrich"
	"github.com/reuna/reuna/identity/event"
)

// saas is a second kind of site, to keep the first from being all that a
// layout is good at: people at work in a program of projects and pipelines.
// Two events in three come from the Segment SDK in the browser, one from the
// firm's own servers, with other names, nested properties and other ids.
type saas struct {
	now    func() time.Time
	people []member
	twist  bool // no words of any dictionary
}

type member struct {
	r        *rand.Rand
	user     string
	anon     string
	team     string
	plan     string
	seats    int
	locale   string
	zone     string
	addr     string
	agent    string
	projects []string
}

// newUnheardOf is the same program with names of events and properties that no
// dictionary has.
func newUnheardOf(visitors int, seed uint64, now func() time.Time) (source, error) {
	s, err := newSaaS(visitors, seed, now)
	if err == nil {
		s.(*saas).twist = true
	}
	return s, err
}

// word gives a text's letters another place in the alphabet where that is asked for.
func (s *saas) word(text string) string {
	if !s.twist {
		return text
	}
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return 'a' + (r-'a'+13)%26
		}
		return r
	}, text)
}

func newSaaS(visitors int, seed uint64, now func() time.Time) (source, error) {
	s := &saas{now: now, people: make([]member, visitors)}
	zones := []string{"Europe/Helsinki", "America/New_York", "America/Los_Angeles", "Asia/Kolkata", "Europe/London", "Australia/Sydney"}
	locales := []string{"fi-FI", "en-US", "en-US", "en-IN", "en-GB", "en-AU"}
	agents := []string{
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36 Edg/%[1]d.0.0.0",
		"Mozilla/5.0 (X11; Linux x86_64; rv:%d.0) Gecko/20100101 Firefox/%[1]d.0",
	}
	for i := range s.people {
		r := rand.New(rand.NewPCG(seed, uint64(i)<<1|1))
		place := r.IntN(len(zones))
		m := member{
			r: r, user: fmt.Sprintf("usr_%s", base36(r, 14)), anon: uuid(r, 4), team: fmt.Sprintf("org_%s", base36(r, 10)),
			plan: pick(r, "starter", "team", "enterprise"), seats: 1 + r.IntN(200), locale: locales[place], zone: zones[place],
			addr: fmt.Sprintf("%d.%d.%d.%d", 20+r.IntN(180), r.IntN(256), r.IntN(256), 1+r.IntN(250)),
		}
		m.agent = fmt.Sprintf(agents[r.IntN(len(agents))], 136+r.IntN(8))
		for range 1 + r.IntN(4) {
			m.projects = append(m.projects, "prj_"+base36(r, 12))
		}
		s.people[i] = m
	}
	return s, nil
}

func (s *saas) next(visitor int) (string, event.Source, enrich.Input) {
	m, now := &s.people[visitor], s.now()
	when := now.UTC().Format("2006-01-02T15:04:05.000Z")
	project := m.projects[m.r.IntN(len(m.projects))]
	if m.r.IntN(3) == 0 {
		return fmt.Sprintf(`{"sentAt":"%s","batch":[{"type":"track","event":"%s","userId":"%s","messageId":"node-next-%d-%s","timestamp":"%s","properties":%s,`+
			`"context":{"library":{"name":"@segment/analytics-node","version":"2.3.0"},"groupId":"%s","ip":"%s","app":{"name":"worker","version":"4.18.%d","build":"%s"},"timezone":"%s"},"integrations":{"Salesforce":false}}]}`,
			when, s.word(serverEvent(m)), m.user, now.UnixMilli(), uuid(m.r, 4), when, s.word(s.serverProperties(m, project)), m.team, m.addr, now.Day(), buildOf(now), m.zone), event.FromServer, enrich.Input{UserAgent: "@segment/analytics-node/2.3.0", Client: address("203.0.113.7")}
	}
	screen := pick(m.r, "board", "timeline", "settings/members", "settings/billing", "insights", "runs")
	path := "/w/" + m.team + "/" + project + "/" + screen
	title := strings.ToUpper(screen[:1]) + screen[1:]
	message := fmt.Sprintf(`"type":"page","name":"%s","category":"workspace","properties":{"url":"https://app.flowdeck.example%s","path":"%[2]s","search":"","title":"%[1]s · Flowdeck","referrer":"https://app.flowdeck.example/"}`, title, path)
	if m.r.IntN(5) > 1 {
		name, props := browserEvent(m, project)
		message = fmt.Sprintf(`"type":"track","event":"%s","properties":%s`, s.word(name), s.word(props))
	}
	return fmt.Sprintf(`{"sentAt":"%s","batch":[{%s,"userId":"%s","anonymousId":"%s","messageId":"ajs-next-%d-%s","timestamp":"%s",`+
		`"context":{"library":{"name":"analytics.js","version":"next-1.81.1"},"userAgent":"%s","locale":"%s","timezone":"%s","groupId":"%s","page":{"path":"%s","referrer":"https://app.flowdeck.example/","search":"","title":"%s · Flowdeck","url":"https://app.flowdeck.example%[12]s"}},"integrations":{}}]}`,
		when, message, m.user, m.anon, now.UnixMilli(), uuid(m.r, 4), when, m.agent, m.locale, m.zone, m.team, path, title), event.FromSDK, enrich.Input{UserAgent: m.agent, Client: address(m.addr), Origin: "https://app.flowdeck.example"}
}

func browserEvent(m *member, project string) (name, properties string) {
	r := m.r
	team := fmt.Sprintf(`"workspace":{"id":"%s","plan":"%s","seats":%d,"role":"%s"}`, m.team, m.plan, m.seats, pick(r, "owner", "editor", "viewer"))
	task := "tsk_" + base36(r, 12)
	switch r.IntN(5) {
	case 0:
		return "Task Moved", fmt.Sprintf(`{"task_id":"%s","project_id":"%s","from":{"column":"%s","position":%d},"to":{"column":"%s","position":%d},%s}`,
			task, project, pick(r, "backlog", "doing", "review"), r.IntN(30), pick(r, "doing", "review", "done"), r.IntN(30), team)
	case 1:
		return "Filter Applied", fmt.Sprintf(`{"project_id":"%s","filter":{"assignee":["me"],"labels":["%s","%s"],"due":{"within_days":%d}},"matches":%d,%s}`,
			project, pick(r, "bug", "chore", "design"), pick(r, "p1", "p2", "p3"), r.IntN(30), r.IntN(400), team)
	case 2:
		return "Comment Posted", fmt.Sprintf(`{"task_id":"%s","project_id":"%s","length":%d,"mentions":%d,"attachments":[{"kind":"%s","bytes":%d}],%s}`,
			task, project, r.IntN(900), r.IntN(4), pick(r, "image", "log", "pdf"), r.IntN(4_000_000), team)
	case 3:
		return "Invite Sent", fmt.Sprintf(`{"invitees":%d,"role":"%s","surface":"%s",%s}`, 1+r.IntN(5), pick(r, "editor", "viewer"), pick(r, "modal", "onboarding", "settings"), team)
	}
	return "Editor Autosaved", fmt.Sprintf(`{"task_id":"%s","project_id":"%s","dirty_ms":%d,"ops":%d,"perf":{"inp":%d,"ttfb":%d},%s}`, task, project, r.IntN(60_000), r.IntN(80), r.IntN(400), r.IntN(900), team)
}

func serverEvent(m *member) string {
	return pick(m.r, "Pipeline Run Finished", "Seat Provisioned", "Usage Metered")
}

func (s *saas) serverProperties(m *member, project string) string {
	r := m.r
	return fmt.Sprintf(`{"run_id":"%s","project_id":"%s","status":"%s","duration_ms":%d,"steps":[{"name":"checkout","ms":%d},{"name":"build","ms":%d},{"name":"deploy","ms":%d,"region":"%s"}],"billing":{"plan":"%s","credits":%d.%02d}}`,
		uuid(r, 4), project, pick(r, "succeeded", "succeeded", "failed"), r.IntN(900_000), r.IntN(9_000), r.IntN(400_000), r.IntN(90_000), pick(r, "eu-north-1", "us-east-1", "ap-south-1"), m.plan, r.IntN(50), r.IntN(100))
}

func address(s string) netip.Addr { return netip.MustParseAddr(s) }

func buildOf(t time.Time) string { return fmt.Sprintf("%07x", t.YearDay()*7919) }

func pick(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }

func base36(r *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = "0123456789abcdefghijklmnopqrstuvwxyz"[r.IntN(36)]
	}
	return string(b)
}

func uuid(r *rand.Rand, version int) string {
	hi, lo := r.Uint64(), r.Uint64()
	return fmt.Sprintf("%08x-%04x-%x%03x-%04x-%012x", hi>>32, hi>>16&0xffff, version, hi&0xfff, 0x8000|lo>>48&0x3fff, lo&(1<<48-1))
}
