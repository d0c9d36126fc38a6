package app

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/reuna/reuna/gateway/config"
	"github.com/reuna/reuna/identity/id"
)

func TestIdentifierSettingsReachTheRules(t *testing.T) {
	cfg, err := config.Parse("reuna.yaml", []byte(`
phone_region: FI
identifiers:
  email: {blocked: [shop@example.com], max_per_person: 3}
  crm_id: {from: [traits.crmId, context.externalIds.salesforce], blocked_patterns: ["^TMP-"]}
  whatsapp: {from: [traits.whatsapp], normalise: phone}
`))
	if err != nil {
		t.Fatal(err)
	}
	types, err := identifierTypes(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		typ, raw, want string
		verdict        id.Verdict
	}{
		{"phone", "040 1234567", "+358401234567", id.OK},
		{"whatsapp", "040 1234567", "+358401234567", id.OK},
		{"email", " A@X.com ", "a@x.com", id.OK},
		{"email", "Shop@example.com", "", id.Blocked},
		{"crm_id", "tmp-7", "", id.Blocked},
		{"crm_id", "7-tmp", "7-tmp", id.OK},
		{"user_id", "U1", "U1", id.OK},
	} {
		if x, v := types.Normalise(c.typ, c.raw); v != c.verdict || x.Value != c.want {
			t.Errorf("%s %q became %q, %v; want %q, %v", c.typ, c.raw, x.Value, v, c.want, c.verdict)
		}
	}
	if n := types.MaxPerPerson("email"); n != 3 {
		t.Errorf("a person keeps %d e-mail addresses, want 3", n)
	}
	if typ, _ := types.External("salesforce"); typ != "crm_id" {
		t.Errorf("external ids of salesforce are %q", typ)
	}
}

func TestBoundsOfIdentityReachTheStore(t *testing.T) {
	for _, c := range []struct {
		set       config.Identity
		links, ad int
	}{
		{config.Default().Identity, 200, 1000},
		{config.Identity{MaxLinks: 50, MaxAddresses: 70}, 50, 70},
		{config.Identity{}, -1, -1},
	} {
		cfg := config.Default()
		cfg.Identity = c.set
		if o := (&App{cfg: cfg}).peopleOptions(); o.MaxLinks != c.links || o.MaxAddresses != c.ad {
			t.Errorf("%+v became %d links and %d networks, want %d and %d", c.set, o.MaxLinks, o.MaxAddresses, c.links, c.ad)
		}
	}
}

// What the configuration lets pass, the rules must take: a fault is to be told
// with its place in the file, by -check, and not by the start.
func TestNoIdentifierFaultIsLeftToTheStart(t *testing.T) {
	const seed = 4
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	pick := func(from ...string) string { return from[rng.IntN(len(from))] }
	passed := 0
	for range 600 {
		var b strings.Builder
		fmt.Fprintf(&b, "phone_region: %s\nidentifiers:\n", pick("FI", "US", "fi", "UK", `""`))
		for _, name := range []string{"crm_id", "x", "email", "phone", "user_id", "Bad"} {
			if name != "Bad" && rng.IntN(2) == 0 || name == "Bad" && rng.IntN(20) > 0 {
				continue
			}
			fmt.Fprintf(&b, "  %s: {from: [%s], normalise: %s, max_persons: %s, max_per_person: %s, blocked: [%s], blocked_patterns: [%s]}\n", name,
				pick("traits.a", "context.externalIds.a", "context.externalIds.b", "context.externalIds.email", "context.externalIds.a.b", "properties.b.c", "traits."),
				pick("trim", "lower", "email", "phone", "phone", "upper"), pick("0", "1", "1", "2"), pick("1", "1", "5", "1000", "1001"),
				pick("", "test", `"+358401234567"`, `" "`), pick("", "'^a'", "'[a-z]+$'", "'('", "'a|'", `'\p{Greek}'`))
		}
		cfg, err := config.Parse("reuna.yaml", []byte(b.String()))
		if err != nil {
			continue
		}
		passed++
		if _, err := identifierTypes(cfg); err != nil {
			t.Fatalf("passed as a configuration:\n%s\nand then: %v", b.String(), err)
		}
	}
	if passed < 15 {
		t.Errorf("only %d passed", passed)
	}
}
