package app

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"time"

	"github.com/reuna/reuna/gateway/admin"
	"github.com/reuna/reuna/gateway/insight/loss"
	"github.com/reuna/reuna/gateway/rewrite"
)

// openLoss begins to count what pages made and never delivered.
func (a *App) openLoss() (err error) {
	a.loss, err = loss.Open(loss.Options{DB: a.db, Log: a.events, Keys: a.vault, Logger: a.log})
	if err == nil {
		a.opened("loss figures", a.loss.Close)
	}
	return err
}

// lossWindow is over which the metrics tell of loss.
const lossWindow = 24 * time.Hour

// writeLoss writes the loss metrics. Their labels are bounded by package loss:
// sites of the configuration, known browsers, and up to 50 pages a site whose
// names are templates.
func (a *App) writeLoss(w io.Writer) {
	for _, r := range a.loss.Rows(time.Now().Add(-lossWindow)) {
		labels := fmt.Sprintf("{site=%q,browser=%q,page=%q}", r.Site, r.Browser, r.Page)
		fmt.Fprintf(w, "reuna_tag_lost_ratio%s %g\nreuna_tag_events_made%s %d\nreuna_tag_events_lost%s %d\n", labels, r.Ratio(), labels, r.Made, labels, r.Lost())
	}
	st := a.loss.State()
	fmt.Fprintf(w, "reuna_tag_loss_runs %d\nreuna_tag_loss_not_judged_total %d\nreuna_tag_loss_lag_entries %d\n",
		st.Runs, st.Unjudged, a.events.Durable()-min(st.UpTo, a.events.Durable()))
}

// sites tells the desk of a front's sites.
type sites struct {
	a *App
	f *front
}

func (x sites) Sites() (list []admin.Site) {
	for i := range x.f.sites {
		s := &x.f.sites[i]
		stub, path := x.f.tags.Parts(s.WriteKey)
		list = append(list, admin.Site{
			Name: s.Name, WriteKey: s.WriteKey, Origins: s.Origins,
			Tag: admin.SiteTag{
				Path: path, Module: x.f.tags.ModulePath(s.WriteKey), Immutable: x.f.tags.ImmutablePath(s.WriteKey),
				Integrity: x.f.tags.SRI(s.WriteKey), Snippet: x.f.snippet(s),
			},
			Headers: advice(stub),
		})
	}
	return list
}

func (x sites) Delivered(hours int) (list []admin.Delivered) {
	for _, r := range x.a.loss.Rows(time.Now().Add(-time.Duration(hours) * time.Hour)) {
		list = append(list, admin.Delivered{Site: r.Site, Browser: r.Browser, Page: r.Page, Made: r.Made, Received: r.Received})
	}
	return list
}

func (x sites) Counted() admin.Counted {
	st := x.a.loss.State()
	return admin.Counted{UpTo: st.UpTo, Durable: x.a.events.Durable(), NotJudged: st.Unjudged}
}

// advice is what a site's own answers should carry for a stub in its pages. The
// policies are those of the browser tests.
func advice(stub string) []admin.Header {
	sum := sha256.Sum256([]byte(stub))
	return []admin.Header{{
		Name: "Content-Security-Policy", Value: "script-src 'nonce-…' 'strict-dynamic'; connect-src 'self'; require-trusted-types-for 'script'",
		Why: "with a nonce: a fresh one for each answer, in the nonce attribute of both script elements; where the gateway has a host of its own, its origin stands in connect-src, too",
	}, {
		Name: "Content-Security-Policy", Value: "script-src 'self' 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; connect-src 'self'; require-trusted-types-for 'script'",
		Why: "or, for pages that are kept in caches, by the hash of the inline script; it changes when the gateway is updated",
	}, {
		Name: "Accept-CH", Value: rewrite.ClientHints,
		Why: "where exact versions and phones' models are wanted: browsers of Chromium's family then send them along, without a script",
	}, {
		Name: "Permissions-Policy", Value: `ch-ua-platform-version=(self "https://GATEWAY"), ch-ua-model=(self "https://GATEWAY"), ch-ua-full-version-list=(self "https://GATEWAY"), ch-ua-form-factors=(self "https://GATEWAY")`,
		Why: "beside Accept-CH, and only where the gateway has a host of its own: it is sent none of them otherwise",
	}}
}
