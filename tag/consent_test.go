package tag_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/reuna/reuna/tag"
)

// inStorage is what the browser keeps for the page that its scripts can see.
const inStorage = `JSON.stringify({...localStorage, ...sessionStorage})`

// nobodys says that a request carries nobody's id.
func nobodys(b batch) bool {
	return strings.Contains(b.Raw, `"cookieless":true`) && b.Cookie == "" && b.Token == "" && !strings.Contains(b.Raw, `"u1`) && !strings.Contains(b.Raw, "userId")
}

// holding is the request that has an event or a message of that type.
func holding(t *testing.T, all []batch, event string) batch {
	t.Helper()
	for _, b := range all {
		if named(event)([]batch{b}) {
			return b
		}
	}
	t.Fatalf("no request holds %s", event)
	return batch{}
}

func ready(t *testing.T, ctx context.Context, url string) {
	t.Helper()
	open(t, ctx, url)
	until(t, ctx, "window.reuna?.version && !Array.isArray(reuna)")
}

func TestCountingWithoutACookie(t *testing.T) {
	o := tag.Standard("")
	o.Consent, o.Hints = tag.ConsentCookieless, true
	c := newCollector(t, o)
	c.page("/", `<script>NavigatorUAData.prototype.getHighEntropyValues = () => { window.hinted = true; return Promise.resolve({}) }</script>%s`)
	ctx := tab(t)
	ready(t, ctx, c.URL+"/")
	do(t, ctx, `document.cookie = "vid=9; path=/"; reuna.identify("u1", {plan: "pro"}, {token: "t"}); reuna.group("u1-friends"); reuna.reset(); reuna.identify("u1", {plan: "pro"}, {token: "t"}); reuna.track("Before"); reuna.flush(); dispatchEvent(new Event("pagehide"))`)
	all := c.wait(t, "what is counted", named("Before"))
	if got := kinds(all); got != "page /, track Before" {
		t.Errorf("counted: %s", got)
	}
	for _, b := range all {
		if !nobodys(b) || b.Context.Consent.CategoryPreferences != nil || len(b.Placements) != 0 {
			t.Errorf("before consent: %q %s", b.Cookie, b.Raw)
		}
	}
	if got := value[string](t, ctx, inStorage); got != "{}" {
		t.Errorf("before consent the browser keeps %s", got)
	}
	for _, b := range all {
		if b.Path != "/v1/interact" {
			t.Errorf("before consent: %s %s", b.Path, b.Raw)
		}
	}
	if value[bool](t, ctx, `!!window.hinted`) {
		t.Error("the browser was asked for its full version")
	}
	// The answer told of a person, and the page is not to know.
	if got := value[string](t, ctx, `reuna.profile() + "" + reuna.user().anonymousId`); got != "undefinednull" {
		t.Errorf("before consent the page knows %s", got)
	}

	do(t, ctx, `reuna.track("Still"); reuna.consent("granted"); reuna.track("After"); reuna.flush()`)
	all = c.wait(t, "what was kept", named("After"))
	if b := holding(t, all, "Still"); !nobodys(b) {
		t.Errorf("made before consent: %s", b.Raw)
	}
	if b := holding(t, all, "identify"); nobodys(b) || b.Cookie != "vid=9" || b.Batch[0].UserID != "u1" || b.Token != "t" {
		t.Errorf("kept until consent: %q %s", b.Cookie, b.Raw)
	}
	until(t, ctx, `reuna.profile()?.id`)

	// Withdrawn: the gateway is asked to take its cookie back, and counting goes on.
	before := len(all)
	do(t, ctx, `reuna.consent("denied"); reuna.identify("u1"); reuna.track("Refused"); reuna.flush()`)
	all = c.wait(t, "counting after a refusal", named("Refused"))[before:]
	if b := all[0]; b.Path != "/v1/reset" || !strings.Contains(b.Raw, `"forget":true`) || b.Cookie == "" {
		t.Errorf("first after the refusal: %q %s %s", b.Cookie, b.Path, b.Raw)
	}
	if b := holding(t, all, "Refused"); !nobodys(b) || b.Context.Consent.CategoryPreferences["analytics"] {
		t.Errorf("after the refusal: %q %s", b.Cookie, b.Raw)
	}
	if got := value[string](t, ctx, `Object.keys(JSON.parse(`+inStorage+`)).join()`); got != "reuna-consent.wk_test" {
		t.Errorf("after the refusal the browser keeps %s", got)
	}
	ready(t, ctx, c.URL+"/?again")
	all = c.wait(t, "the next page", func(all []batch) bool { return strings.Contains(kinds(all), "?again") })
	if b := all[len(all)-1]; !nobodys(b) || strings.Contains(kinds(all[before:]), "identify") {
		t.Errorf("the next page: %q %s", b.Cookie, b.Raw)
	}
}

// What is under way when consent is withdrawn fails, or is answered: neither
// comes back.
func TestConsentWithdrawnWhileARequestFlies(t *testing.T) {
	for _, status := range []int{http.StatusServiceUnavailable, http.StatusOK} {
		o := tag.Standard("")
		c := newCollector(t, o)
		c.page("/", `%s`)
		free := c.hold("/v1/interact")
		ctx := tab(t)
		ready(t, ctx, c.URL+"/")
		c.requests(t, 1)
		do(t, ctx, `reuna.track("Waiting"); reuna.flush(); window.heard = 0; reuna.on("profile", () => heard++); reuna.consent("denied")`)
		c.reply(func(b batch, w http.ResponseWriter) {
			if b.Path == "/v1/interact" {
				w.WriteHeader(status)
			}
			fmt.Fprint(w, profileAnswer)
		})
		free()
		c.wait(t, "the cookie to be taken back", func(all []batch) bool { return all[len(all)-1].Path == "/v1/reset" })
		do(t, ctx, `dispatchEvent(new Event("online")); reuna.flush()`)
		if all := c.settled(t, ctx); kinds(all) != "page /" || len(all) != 2 {
			t.Errorf("%d: %d requests: %s", status, len(all), kinds(all))
		}
		if got := value[string](t, ctx, `heard + Object.keys(JSON.parse(`+inStorage+`)).join()`); got != "0reuna-consent.wk_test" {
			t.Errorf("%d: afterwards %s", status, got)
		}
		// Given again, it begins like a browser that is new to the gateway.
		c.reply(nil)
		do(t, ctx, `reuna.consent("granted"); reuna.track("Again"); reuna.flush()`)
		c.wait(t, "the second grant", named("Again"))
	}
}

// Global Privacy Control refuses advertising, whatever else is granted.
func TestGlobalPrivacyControl(t *testing.T) {
	for _, respect := range []bool{true, false} {
		o := tag.Standard("")
		o.RespectGPC = respect
		c := newCollector(t, o)
		c.page("/", `<script>Object.defineProperty(navigator, "globalPrivacyControl", {value: true})</script>%s`)
		ctx := tab(t)
		ready(t, ctx, c.URL+"/")
		p := c.requests(t, 1)[0].Context.Consent.CategoryPreferences
		if ads, said := p["advertising"]; said != respect || ads {
			t.Errorf("respected %v: %v", respect, p)
		}
		do(t, ctx, `reuna.consent("granted"); reuna.track("Granted"); reuna.flush()`)
		if p := holding(t, c.wait(t, "the event", named("Granted")), "Granted").Context.Consent.CategoryPreferences; p["advertising"] == respect || !p["analytics"] || !p["personalisation"] {
			t.Errorf("respected %v, all granted: %v", respect, p)
		}
	}
}

// consentManager behaves as the framework's API says: a listener is told at once
// how things stand, and again with each change; success says that it could be.
const consentManager = `<script>
	const listeners = [];
	const told = {tcfPolicyVersion: 5, cmpStatus: "loaded", gdprApplies: true, eventStatus: "cmpuishown", tcString: "",
		purpose: {consents: {}, legitimateInterests: {2: true, 7: true, 8: true}}, vendor: {consents: {}, legitimateInterests: {}}};
	const manager = (command, version, callback, parameter) => {
		if (command == "ping") callback({gdprApplies: told.gdprApplies, cmpLoaded: true, cmpStatus: "loaded", apiVersion: "2.2"}, true);
		else if (command == "addEventListener") { listeners.push(callback); callback({...told, listenerId: listeners.length}, true); }
		else callback(null, false);
	};
	const say = (eventStatus, ...purposes) => {
		Object.assign(told, {eventStatus});
		told.purpose = {...told.purpose, consents: Object.fromEntries([1,2,3,4,5,6,7,8,9,10,11].map(n => [n, purposes.includes(n)]))};
		listeners.forEach((callback, i) => callback({...told, listenerId: i + 1}, true));
	};
	const stub = () => {
		const queue = [];
		window.__tcfapi = (...args) => {
			if (!args.length) return queue;
			if (args[0] == "ping") return args[2]({gdprApplies: undefined, cmpLoaded: false, cmpStatus: "stub", apiVersion: "2.2"}, true);
			queue.push(args);
		};
	};
	const arrive = () => {
		const queue = window.__tcfapi ? __tcfapi() : [];
		window.__tcfapi = manager;
		queue.forEach(args => manager(...args));
	};
</script>`

func TestConsentFramework(t *testing.T) {
	const all = `1,2,3,4,5,6,7,8,9,10,11`
	for _, c := range []struct {
		name, head, then string
		want             string // analytics, personalisation, advertising; "" when nothing is sent
	}{
		{"chosen behind the stub", "stub()", "arrive(); say('useractioncomplete', " + all + ")", "yyy"},
		{"still asking", "arrive()", "say('cmpuishown', " + all + ")", ""},
		{"chosen on an earlier page", "told.eventStatus = 'tcloaded'; arrive(); say('tcloaded', 1, 8)", "", "ynn"},
		{"a manager that comes late, without a stub", "", "setTimeout(() => { arrive(); say('useractioncomplete', 1, 5, 6, 8) }, 700)", "yyn"},
		{"no law applies", "Object.assign(told, {gdprApplies: false, eventStatus: 'tcloaded'}); arrive()", "", "yyy"},
		{"a manager that fails", "window.__tcfapi = (c, v, callback) => callback(null, false)", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := tag.Standard("")
			o.Consent, o.TCF = tag.ConsentPending, true
			site := newCollector(t, o)
			site.page("/", consentManager+"<script>"+c.head+"</script>%s")
			ctx := tab(t)
			ready(t, ctx, site.URL+"/")
			do(t, ctx, `window.said = []; reuna.on("error", e => said.push(e.message)); `+c.then)
			if c.want == "" {
				if got := value[string](t, ctx, `JSON.stringify(localStorage) + said`); strings.Contains(got, "true") || strings.Contains(got, "reuna.") {
					t.Errorf("the browser keeps %s", got)
				}
				if list := site.settled(t, ctx); len(list) != 0 {
					t.Errorf("sent %s", list[0].Raw)
				}
				return
			}
			got := ""
			p := holding(t, site.wait(t, "the page view", named("page")), "page").Context.Consent.CategoryPreferences
			for _, purpose := range []string{"analytics", "personalisation", "advertising"} {
				got += map[bool]string{true: "y", false: "n"}[p[purpose]]
			}
			if got != c.want {
				t.Errorf("consented to %v", p)
			}
			// Taken back in the manager's own dialogue.
			do(t, ctx, `told.gdprApplies = true; say("useractioncomplete"); reuna.track("Late"); reuna.flush()`)
			list := site.wait(t, "the cookie to be taken back", func(all []batch) bool { return all[len(all)-1].Path == "/v1/reset" })
			if named("Late")(list) || named("Late")(site.settled(t, ctx)) {
				t.Error("sent after the refusal")
			}
		})
	}
}

func TestConsentMode(t *testing.T) {
	const gtag = `<script>window.dataLayer = window.dataLayer || []; function gtag() { dataLayer.push(arguments) }</script>`
	const refused = `gtag("consent", "default", {ad_storage: "denied", ad_user_data: "denied", ad_personalization: "denied", analytics_storage: "denied", wait_for_update: 500});`
	const granted = `gtag("consent", "update", {ad_storage: "granted", ad_user_data: "granted", ad_personalization: "granted", analytics_storage: "granted", personalization_storage: "granted"});`
	for _, c := range []struct{ name, head, then, want string }{
		{"granted later", refused + `gtag("js", new Date()); gtag("config", "G-1")`, granted, "yyy"},
		{"granted before the tag comes", refused + granted, "", "yyy"},
		{"never asked", refused, `gtag("event", "x"); dataLayer.push({event: "gtm.dom"})`, ""},
		{"granted by default", `gtag("consent", "default", {analytics_storage: "granted", ad_storage: "denied"})`, "", "ynn"},
		{"with another tag's push around it", refused, `const {push} = dataLayer; dataLayer.push = (...all) => { window.others = (window.others || 0) + all.length; return push.apply(dataLayer, all) };` + granted, "yyy"},
		{"into a layer that is made later", "", `window.dataLayer = window.dataLayer || [];` + refused + granted, "yyy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := tag.Standard("")
			o.Consent, o.ConsentMode = tag.ConsentPending, true
			site := newCollector(t, o)
			head := gtag
			if c.head == "" {
				head = `<script>function gtag() { dataLayer.push(arguments) }</script>`
			}
			site.page("/", head+"<script>"+c.head+"</script>%s")
			ctx := tab(t)
			ready(t, ctx, site.URL+"/")
			do(t, ctx, c.then)
			if n := value[int](t, ctx, `dataLayer.length`); n == 0 && c.name != "into a layer that is made later" {
				t.Error("the layer lost what was put into it")
			}
			if c.want == "" {
				if list := site.settled(t, ctx); len(list) != 0 {
					t.Errorf("sent %s", list[0].Raw)
				}
				return
			}
			got := ""
			p := holding(t, site.wait(t, "the page view", named("page")), "page").Context.Consent.CategoryPreferences
			for _, purpose := range []string{"analytics", "personalisation", "advertising"} {
				got += map[bool]string{true: "y", false: "n"}[p[purpose]]
			}
			if got != c.want {
				t.Errorf("consented to %v", p)
			}
			do(t, ctx, `gtag("consent", "update", {analytics_storage: "denied"}); reuna.track("Late"); reuna.flush()`)
			list := site.wait(t, "the cookie to be taken back", func(all []batch) bool { return all[len(all)-1].Path == "/v1/reset" })
			if named("Late")(list) || named("Late")(site.settled(t, ctx)) {
				t.Error("sent after the refusal")
			}
		})
	}
}
