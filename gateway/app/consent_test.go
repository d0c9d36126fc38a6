package app_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/vault"
)

// counting is a shop that keeps all it may, so that what is not there was left out.
var counting = strings.Replace(shopAlone, "identity_keys", "tag: {consent: cookieless}\n    identity_keys", 1) +
	"identifiers: {crm_id: {from: [properties.crmId, context.crmId, traits.crmId]}}\nretention: {ip: full}\n" +
	"placements: [{name: hero, variants: [{name: desktop, when: \"device.type == 'desktop'\"}, {name: known, when: \"counts.pageviews > 0\"}]}]\n"

// What a careless page puts into a batch that says it is nobody's. Each of these
// words would tell one person from another.
const (
	personalBatch = `{"writeKey":"wk_shop","cookieless":true,"token":"tell-token","link":"tell-link","placements":["hero"],
		"context":{"page":{"url":"https://shop.example/books?utm_source=news&gclid=tell-gclid&email=tell@mail.example#tell-hash","search":"?gclid=tell-gclid","path":"/books","referrer":"https://www.google.com/search?q=tell-words","title":"Books"},
			"userAgent":"Mozilla/5.0 (Linux; Android 14; tell-tablet) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36","userAgentData":{"model":"tell-model","brands":[{"brand":"Google Chrome","version":"131"}]},"ip":"203.0.113.77","traits":{"email":"tell@mail.example"},
			"externalIds":[{"id":"tell-external","type":"crm_id"}],"device":{"id":"tell-device","advertisingId":"tell-ad"},"crmId":"tell-crm","locale":"fi-FI","run":"0abc","campaign":{"source":"news","query":"utm_term=kept-term&gclid=tell-gclid"}},
		"batch":[
			{"type":"page","messageId":"m1","anonymousId":"tell-anonymous","userId":"tell-user","traits":{"email":"tell@mail.example"},"integrations":{"tell":"tell-integration"},
				"properties":{"url":"https://shop.example/books?fbclid=tell-fbclid&utm_campaign=may","referrer":"https://shop.example/?_reuna=tell-carried","category":"thrillers"},"context":{"seq":1}},
			{"type":"track","event":"Product Viewed","messageId":"m2","groupId":"tell-group","previousId":"tell-previous","properties":{"category":"thrillers"},"context":{"seq":2}},
			{"type":"identify","messageId":"m3","userId":"tell-user","traits":{"email":"tell@mail.example"}},
			{"type":"alias","messageId":"m4","userId":"tell-user","previousId":"tell-previous"},
			{"type":"track","messageId":"m5","properties":{"x":"tell-refused"},"timestamp":"tell-time"}
		]}`
	personalAgent = "Mozilla/5.0 (Linux; Android 14; tell-phone) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36"
)

var telling = regexp.MustCompile(`tell|Mozilla|203\.0\.113\.77`)

// nobody sends a batch of nobody's.
func (g *gateway) nobody(body string, headers ...string) (http.Header, string) {
	g.t.Helper()
	req, err := http.NewRequest("POST", g.SiteURL()+"/v1/interact", strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("User-Agent", personalAgent)
	req.Header.Set("X-Forwarded-For", "203.0.113.77")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(resp.Body); err != nil || resp.StatusCode != 200 {
		g.t.Fatalf("answered %d %s (%v)", resp.StatusCode, text.String(), err)
	}
	return resp.Header, text.String()
}

// unsealed reads the whole log of a data folder whose gateway has stopped, as it
// is under the seal.
func unsealed(t *testing.T, dir string) (entries []string) {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	db, err := engine.Open(engine.Options{Dir: dir, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	v, _, err := vault.OpenWithFile(db, filepath.Join(dir+".keys", "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	log, err := eventlog.Open(db, v, eventlog.Options{Logger: quiet, MinFree: -1})
	if err != nil {
		t.Fatal(err)
	}
	err = log.Read(1, func(_ uint64, _ int64, entry []byte) (bool, error) {
		entries = append(entries, string(entry))
		return true, nil
	})
	if err := errors.Join(err, log.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	return entries
}

var dailyID = regexp.MustCompile(`c_[a-z2-7]{26}`)

func TestNobodyIsCounted(t *testing.T) {
	g := start(t, counting)
	b := g.browser()
	b.interact(page(`{}`), "") // somebody, whose cookie comes along
	mine := at(b.profile(), "profile", "id").(string)
	header, text := g.nobody(personalBatch, "Cookie", "reuna="+b.cookie())
	if cookies := header["Set-Cookie"]; len(cookies) != 0 {
		t.Errorf("set %v", cookies)
	}
	var answer map[string]any
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		t.Fatal(err)
	}
	rejected, _ := answer["rejected"].([]any)
	if strings.Contains(text, mine) || dailyID.MatchString(text) || at(answer, "profile", "id") != "" || answer["token"] != nil || answer["link"] != nil ||
		at(answer, "profile", "visit", "pageviews") != 0.0 || at(answer, "profile", "device", "type") != "tablet" || len(rejected) != 3 || at(rejected[0], "code") != "cookieless" {
		t.Errorf("answered %s", text)
	}
	// Rules that need nobody in particular decide.
	if _, text := g.nobody(`{"writeKey":"wk_shop","cookieless":true,"placements":["hero"],"batch":[{"type":"page"}]}`, "User-Agent", "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"); !strings.Contains(text, `"variant":"desktop"`) {
		t.Errorf("answered %s", text)
	}
	_, quarantine := g.desk("quarantine")
	if text := fmt.Sprint(quarantine); telling.MatchString(strings.ReplaceAll(text, "tells", "")) {
		t.Errorf("the quarantine holds %s", text)
	}
	g.stop()

	// Under the seal nothing tells either; what was counted is there.
	entries := unsealed(t, g.dir)
	ids, counted := map[string]int{}, ""
	for _, e := range entries {
		if found := telling.FindString(e); found != "" {
			t.Errorf("the log holds %q in %q", found, e)
		}
		for _, id := range dailyID.FindAllString(e, -1) {
			ids[id]++
			counted += e
		}
		if dailyID.MatchString(e) && strings.Contains(e, mine) {
			t.Errorf("an entry joins nobody with the browser's visitor: %q", e)
		}
	}
	for _, kept := range []string{"https://shop.example/books?utm_source=news", "https://shop.example/books?utm_campaign=may", "https://www.google.com/search", "Product Viewed", "thrillers", "203.0.113.0", "Chrome", "fi-FI", "0abc", "kept-term"} {
		if !strings.Contains(counted, kept) {
			t.Errorf("%q was not kept in %q", kept, counted)
		}
	}
	if len(ids) != 2 { // two agents
		t.Errorf("the visitors are %v", ids)
	}
	// Nor in clear in any file, of the keys beside it, too.
	for _, root := range []string{g.dir, g.dir + ".keys"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			if found := regexp.MustCompile(`tell-|203\.0\.113\.77|c_[a-z2-7]{26}`).Find(text); found != nil {
				t.Errorf("%s holds %q", path, found)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}

	// The gateway shows them as what they are: a visitor of the day that is nobody else's.
	g.run(counting)
	for id := range ids {
		p := g.person("anonymous_id", id)
		if list, _ := p["identifiers"].([]any); len(list) != 1 || p["known"] != false {
			t.Errorf("%s is %v", id, p)
		}
	}
	if p := g.person("anonymous_id", mine); at(p, "counts", "events") != 1.0 {
		t.Errorf("the browser's own visitor is %v", p)
	}
	for _, x := range []string{"user_id:tell-user", "anonymous_id:tell-anonymous", "crm_id:tell-crm", "email:tell@mail.example", "crm_id:tell-external"} {
		if status, p := g.desk("persons/" + x); status != 404 {
			t.Errorf("%s answered %d %v", x, status, p)
		}
	}
}

// dayOf is the daily id of a fresh batch of nobody's.
func (g *gateway) dayOf(event string, headers ...string) string {
	g.t.Helper()
	g.nobody(fmt.Sprintf(`{"writeKey":"wk_shop","cookieless":true,"batch":[{"type":"track","event":%q}]}`, event), headers...)
	dir := g.dir
	g.stop()
	defer func() { g.run(counting) }()
	for _, e := range slices.Backward(unsealed(g.t, dir)) {
		if strings.Contains(e, event) {
			return dailyID.FindString(e)
		}
	}
	g.t.Fatalf("%s was not counted", event)
	return ""
}

// One visitor a day: the same until midnight through restarts, another one after
// it, and no two sites, networks or browsers share one.
func TestNobodysDay(t *testing.T) {
	g := start(t, counting)
	first := g.dayOf("First")
	if again := g.dayOf("Again"); again != first || !dailyID.MatchString(first) {
		t.Errorf("%s came again as %s", first, again)
	}
	if near := g.dayOf("Near", "X-Forwarded-For", "203.0.113.1"); near != first {
		t.Errorf("another address of the network is %s", near)
	}
	for name, headers := range map[string][]string{"network": {"X-Forwarded-For", "203.0.114.77"}, "browser": {"User-Agent", "Mozilla/5.0 Firefox/140"}} {
		if other := g.dayOf("Other "+name, headers...); other == first {
			t.Errorf("another %s is the same visitor", name)
		}
	}
	salt := filepath.Join(g.dir, "daily.salt")
	text, err := os.ReadFile(salt)
	if err != nil {
		t.Fatal(err)
	}
	// The day goes by while the gateway is off.
	g.stop()
	if err := os.WriteFile(salt, append([]byte("2001-01-01"), text[10:]...), 0o600); err != nil {
		t.Fatal(err)
	}
	g.run(counting)
	if next := g.dayOf("Next"); next == first || !dailyID.MatchString(next) {
		t.Errorf("the next day's visitor is %s", next)
	}
	if now, err := os.ReadFile(salt); err != nil || bytes.Contains(now, text[11:43]) {
		t.Errorf("the elder salt is still there (%v)", err)
	}
}

// A backup has no salt, and what is restored from one counts by another.
func TestABackupHoldsNoSalt(t *testing.T) {
	g := start(t, counting)
	first := g.dayOf("First")
	salt, err := os.ReadFile(filepath.Join(g.dir, "daily.salt"))
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "backups")
	if status, a := tell(t, g.DeskURL(), "backup", fmt.Sprintf(`{"to":%q}`, to)); status != 202 {
		t.Fatalf("%d %v", status, a)
	}
	if j := job(t, g.DeskURL(), "backup", "job"); j["state"] != "done" {
		t.Fatalf("%v", j)
	}
	files := 0
	err = filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		text, err := os.ReadFile(path)
		if strings.Contains(path, "salt") || bytes.Contains(text, salt[11:43]) || bytes.Contains(text, []byte("daily.salt")) {
			t.Errorf("%s holds the salt", path)
		}
		return err
	})
	if err != nil || files < 3 {
		t.Fatalf("%d files (%v)", files, err)
	}
	if again := g.dayOf("Again"); again != first {
		t.Errorf("the backup made %s of %s", again, first)
	}
}

// After kill -9 a visitor of the day is the same one.
func TestAKillKeepsTheDaysSalt(t *testing.T) {
	bin := buildGateway(t)
	dir := filepath.Join(t.TempDir(), "data")
	conf := filepath.Join(t.TempDir(), "reuna.yaml")
	if err := os.WriteFile(conf, []byte(counting), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, event := range []string{"One", "Two", "Three"} {
		p := launch(t, bin, dir, "-config", conf)
		resp, err := http.Post(p.site+"/v1/interact", "text/plain", strings.NewReader(fmt.Sprintf(`{"writeKey":"wk_shop","cookieless":true,"batch":[{"type":"track","event":%q}]}`, event)))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if err := p.cmd.Process.Kill(); err != nil || resp.StatusCode != 200 {
			t.Fatalf("%d (%v)", resp.StatusCode, err)
		}
		<-p.done
	}
	ids := map[string]int{}
	for _, e := range unsealed(t, dir) {
		if id := dailyID.FindString(e); id != "" {
			ids[id]++
		}
	}
	for _, n := range ids {
		if len(ids) != 1 || n != 3 {
			t.Errorf("three events of one day are of %v", ids)
		}
	}
	if len(ids) == 0 {
		t.Error("nothing was counted")
	}
}
