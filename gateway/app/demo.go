package app

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/reuna/reuna/gateway/config"
	"github.com/reuna/reuna/identity/token"
)

// demoName is the site of the demo shop. It is apart from the operator's own
// sites: its login asks for no password, so its tokens may only ever name users
// of its own, whose ids begin with "demo:".
const demoName = "demo"

type demoSite struct {
	site config.Site
	key  token.Key
}

func (a *App) newDemoSite(cfg *config.Config) (*demoSite, error) {
	for i := range cfg.Sites {
		if cfg.Sites[i].Name == demoName {
			return nil, cfg.Fault(fmt.Sprintf("sites[%d].name", i), `a site is named "demo", which is the demo shop's; rename it, or set demo: false`)
		}
	}
	secret := a.derived("", "demo identity key") + a.derived("", "demo identity key, second half")
	s := config.DefaultSite()
	s.Name, s.WriteKey = demoName, a.derived("wk_demo_", "demo write key")
	s.Session = demoSession
	s.BindTokens = "required"
	s.PageTraits = demoTraits()
	s.IdentityKeys = []config.IdentityKey{{Kid: "demo", Alg: string(token.HS256), Secret: config.NewSecret(secret)}}
	return &demoSite{site: s, key: token.Key{KID: "demo", Alg: token.HS256, Secret: []byte(secret)}}, nil
}

// demoTraits are what the shop's pages may see.
func demoTraits() []string { return []string{"plan", "favourite_shelf"} }

// sign is what a shop's own server would do after checking a password.
func (d *demoSite) sign(userID, visitor string) (string, error) {
	if !strings.HasPrefix(userID, "demo:") {
		return "", fmt.Errorf("the demo signs only for users whose ids begin with demo:, not for %q", userID)
	}
	now := time.Now()
	return token.Sign(d.key, token.Claims{
		Audience: demoName, Subject: userID, ID: rand.Text(), Visitor: visitor,
		IssuedAt: now, Expires: now.Add(5 * time.Minute),
	})
}
