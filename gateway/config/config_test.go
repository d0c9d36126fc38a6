package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// TestFaults runs testdata/*.txt: each input is a file, each output everything
// that is wrong with it. Rewrite with -rewrite.
func TestFaults(t *testing.T) {
	t.Setenv("SHOP_SERVER_KEY", strings.Repeat("s", 16))
	t.Setenv("SHORT", "tooshort")
	t.Setenv("EMPTY", "")
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		if filepath.Ext(path) != ".txt" {
			return
		}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var c *Config
			var err error
			switch d.Cmd {
			case "parse":
				c, err = Parse("reuna.yaml", []byte(d.Input))
			case "load":
				dir := t.TempDir()
				file := filepath.Join(dir, "reuna.yaml")
				if err := os.WriteFile(file, []byte(d.Input), 0o600); err != nil {
					t.Fatal(err)
				}
				if c, err = Load(file); err != nil {
					return strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), "")
				}
			default:
				d.Fatalf(t, "unknown command %s", d.Cmd)
			}
			if err != nil {
				return err.Error()
			}
			if err := c.Validate(); err != nil {
				return "read without a fault, but then: " + err.Error()
			}
			return "ok"
		})
	})
}

// documented is the example of the HTTP contract, with its definitions.
const documented = `
data_dir: ./reuna-data
site_addr: 127.0.0.1:8080
desk_addr: 127.0.0.1:8081
trusted_proxies: [127.0.0.1/32]
geo: {city: GeoLite2-City.mmdb, asn: GeoLite2-ASN.mmdb}
demo: true
sites:
  - name: shop
    write_key: wk_shop                 # public, in the page
    server_keys: [env:SHOP_SERVER_KEY] # secret: events sent with it are verified
    origins: ["https://shop.example"]
    identify: claimed                  # or: verified (claimed identify is kept, links nothing)
    identity_keys: [{kid: k1, alg: HS256, secret: env:SHOP_ID_SECRET}]
    page_traits: [plan, interests]     # what a page may see
    tag: {autocapture: true, consent: none, respect_gpc: true}
identifiers:
  crm_id: {from: [traits.crmId], max_per_person: 1}
retention: {events: 25 months, ip: truncated}
traits:
  - {name: thriller_orders_30d, kind: count, event: Order Completed, where: "properties.category == 'thrillers'", window: 30d}
  - {name: favourite_category, kind: affinity, event: Product Viewed, by: properties.category, half_life: 14d}
segments:
  - {name: thriller-fans, when: "computed.thriller_orders_30d >= 2"}
placements:
  - name: hero
    variants:
      - {name: thrillers, when: "'thriller-fans' in segments", holdout: 10%}
      - {name: default}
`

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDocumentedExampleLoads(t *testing.T) {
	serverKey, idSecret := strings.Repeat("k", 20), strings.Repeat("i", 32)
	t.Setenv("SHOP_SERVER_KEY", serverKey)
	t.Setenv("SHOP_ID_SECRET", idSecret)
	c, err := Load(writeFile(t, "reuna.yaml", documented))
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Geo = Geo{City: "GeoLite2-City.mmdb", ASN: "GeoLite2-ASN.mmdb"}
	shop := DefaultSite()
	shop.Name, shop.WriteKey = "shop", "wk_shop"
	shop.ServerKeys = []Secret{{ref: "env:SHOP_SERVER_KEY", value: serverKey}}
	shop.Origins = []string{"https://shop.example"}
	shop.IdentityKeys = []IdentityKey{{Kid: "k1", Alg: "HS256", Secret: Secret{ref: "env:SHOP_ID_SECRET", value: idSecret}}}
	shop.PageTraits = []string{"plan", "interests"}
	want.Sites = []Site{shop}
	want.Identifiers["crm_id"] = Identifier{From: []string{"traits.crmId"}, MaxPerPerson: 1, Normalise: "trim"}
	want.Traits = []Trait{
		{Name: "thriller_orders_30d", Kind: "count", Event: "Order Completed", Where: "properties.category == 'thrillers'", Window: 30 * day},
		{Name: "favourite_category", Kind: "affinity", Event: "Product Viewed", By: "properties.category", HalfLife: 14 * day},
	}
	want.Segments = []Segment{{Name: "thriller-fans", When: "computed.thriller_orders_30d >= 2"}}
	want.Placements = []Placement{{Name: "hero", Variants: []Variant{
		{Name: "thrillers", When: "'thriller-fans' in segments", Holdout: 0.1}, {Name: "default"}}}}
	want.Builtins = true
	want.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	got := *c
	got.source = source{}
	if !reflect.DeepEqual(&got, want) {
		g, _ := json.MarshalIndent(&got, "", " ")
		w, _ := json.MarshalIndent(want, "", " ")
		t.Errorf("got %s\nwant %s", g, w)
	}
	if line, column := c.Pos("segments[0].when"); line != 24 || column != 33 {
		t.Errorf("segments[0].when at %d:%d, want 24:33", line, column)
	}
	if line, _ := c.Pos("sites[0].cookie.name"); line != 9 {
		t.Errorf("an absent key stands at line %d, want that of its site, 9", line)
	}
	f := c.Fault("segments[0].when", "no such field")
	if s := f.Error(); !strings.HasSuffix(s, "reuna.yaml:24:33: segments[0].when: no such field") {
		t.Errorf("fault = %s", s)
	}
}

func TestDefaultsAreValid(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	for _, text := range []string{"", "# nothing\n", "---\n", "data_dir:\nsites:\n"} {
		c, err := Parse("empty.yaml", []byte(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		c.source = source{}
		if !reflect.DeepEqual(c, Default()) {
			t.Errorf("%q does not read as the default", text)
		}
	}
}

func TestDemoFollowsSites(t *testing.T) {
	for text, want := range map[string]bool{
		"":                                 true,
		"demo: false":                      false,
		"sites: [{name: a, write_key: b}]": false,
		"demo: true\nsites: [{name: a, write_key: b}]": true,
	} {
		c, err := Parse("demo.yaml", []byte(text))
		if err != nil || c.Demo != want {
			t.Errorf("%q: demo = %v, %v; want %v", text, c != nil && c.Demo, err, want)
		}
	}
}

// Norway is no "no": YAML 1.1 would read the bare word as false.
func TestNorwayIsARegion(t *testing.T) {
	c, err := Parse("norway.yaml", []byte("phone_region: NO\n"))
	if err != nil || c.PhoneRegion != "NO" {
		t.Errorf("phone_region: NO is read as %q, %v", c.PhoneRegion, err)
	}
}

// Every key may be changed and misspelt; the misspelt one is named.
func TestEveryKeySuggestsItself(t *testing.T) {
	var walk func(typ reflect.Type, visit func(name string, siblings []string))
	walk = func(typ reflect.Type, visit func(string, []string)) {
		switch typ.Kind() {
		case reflect.Slice, reflect.Map:
			walk(typ.Elem(), visit)
		case reflect.Struct:
			var names []string
			for i := range typ.NumField() {
				if name := typ.Field(i).Tag.Get("yaml"); name != "" {
					names = append(names, name)
					walk(typ.Field(i).Type, visit)
				}
			}
			for _, n := range names {
				visit(n, names)
			}
		}
	}
	keys := 0
	walk(reflect.TypeFor[Config](), func(name string, siblings []string) {
		keys++
		camel := strings.ReplaceAll(strings.ToUpper(name), "_", "")
		dashed := strings.ReplaceAll(name, "_", "-")
		for _, typo := range []string{camel, dashed} {
			if got := nearest(typo, siblings); got != name {
				t.Errorf("%s suggests %q, want %q", typo, got, name)
			}
		}
	})
	if keys < 80 {
		t.Errorf("walked over %d keys only", keys)
	}
}

func TestSecretsNeverShow(t *testing.T) {
	const canary = "canary-canary-canary-canary-canary"
	for _, s := range []Secret{NewSecret(canary), readSecret(canary), {ref: "env:X", value: canary}} {
		c := Default()
		c.AdminKeys = []Secret{s}
		c.Sites = []Site{{ServerKeys: []Secret{s}, IdentityKeys: []IdentityKey{{Kid: "k", Alg: "none", Secret: s}}}}
		var log strings.Builder
		for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
			slog.New(h).Info("x", "secret", s, "config", c, "site", c.Sites[0])
		}
		js, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
			fmt.Fprintf(&log, verb+" "+verb+" "+verb+" "+verb, s, &s, *c, c)
		}
		log.Write(js)
		if err := c.Validate(); err != nil {
			log.WriteString(err.Error())
		}
		text := log.String()
		for _, form := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprint([]byte(canary))} {
			if i := strings.Index(text, form); i >= 0 {
				t.Errorf("a secret stands in %q", text[max(0, i-80):i+8])
			}
		}
		if s.Reveal() != canary {
			t.Errorf("Reveal = %q", s.Reveal())
		}
	}
}

func TestFaultyFilesKeepTheirSecrets(t *testing.T) {
	const canary = "canary7canary7"
	for _, text := range []string{
		"admin_keys: [" + canary + "]",
		"admin_keys: {" + canary + ": 1}\n",
		"master_key: " + canary,
		"master_key: [" + canary + "]",
		"sites: [{name: a, write_key: w, server_keys: [" + canary + ", " + canary + "]}]",
		"sites: [{name: a, write_key: w, identity_keys: [{kid: k, alg: HS256, secret: " + canary + "}]}]",
		"sites: [{name: a, write_key: w, identity_keys: [{kid: k, alg: EdDSA, secret: " + canary + ", public_key: " + canary + "}]}]",
		"master_key: \"" + canary + "\nlog: [",
		"master_key: " + canary + "\n bad",
	} {
		_, err := Parse("x.yaml", []byte(text))
		if err == nil {
			t.Errorf("%q has no fault", text)
		} else if strings.Contains(err.Error(), canary) && !strings.Contains(text, "{"+canary) {
			t.Errorf("%q: the secret stands in %v", text, err)
		}
	}
}

func TestSecretFiles(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	long := strings.Repeat("x", 32)
	for name, text := range map[string]string{"unix": long + "\n", "dos": long + "\r\n", "bare": long} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		path := writeFile(t, "c.yaml", "admin_keys: [\"file:"+name+"\"]")
		c, err := Load(path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := c.AdminKeys[0].Reveal(); got != long {
			t.Errorf("%s: read as %q", name, got)
		}
	}
	for name, text := range map[string]string{"empty": "", "line": "\n", "huge": strings.Repeat("x", maxSecretFile+1)} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var faults Faults
		_, err := Load(writeFile(t, "c.yaml", "\nadmin_keys: [\"file:"+name+"\"]"))
		if !errors.As(err, &faults) || len(faults) != 1 || faults[0].Line != 2 || faults[0].Column != 14 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDurationsReadBack(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "24h": day, "30d": 30 * day, "2 weeks": 14 * day, "1h30m": 90 * time.Minute,
		"0": 0, "250ms": 250 * time.Millisecond, "1 d 1 h": 25 * time.Hour, "12 months": 365*day + day/4, "1 year": 365*day + day/4,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%q = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "90", "-1s", "1.5h", "s", "1x", "1 fortnight", "300 years", "99999999999999999999s", "1h x", "١s"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q = %v, want a fault", text, got)
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for range 2000 {
		unit := []time.Duration{time.Millisecond, time.Second, time.Minute, time.Hour, day}[r.IntN(5)]
		want := time.Duration(r.IntN(1000)) * unit
		if got, err := ParseDuration(FormatDuration(want)); err != nil || got != want {
			t.Fatalf("%v is written %q and read %v, %v", want, FormatDuration(want), got, err)
		}
		size := Size(r.Int64N(1 << (1 + r.IntN(60))))
		if got, err := ParseSize(size.String()); err != nil || got != size {
			t.Fatalf("%d is written %q and read %d, %v", int64(size), size, got, err)
		}
	}
}

func TestSizesAndShares(t *testing.T) {
	for text, want := range map[string]Size{"0": 0, "17": 17, "32KiB": 32 << 10, "2 mib": 2 << 20, "1GB": 1e9, "5B": 5, "1kB": 1000} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%q = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "KiB", "-1", "1.5KiB", "32k", "9999999999GiB", "1 KiB x"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q = %d, want a fault", text, got)
		}
	}
	for text, want := range map[string]Share{"10%": 0.1, "0": 0, "0%": 0, "100 %": 1, "12.5%": 0.125} {
		if got, err := ParseShare(text); err != nil || got != want {
			t.Errorf("%q = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "10", "101%", "-1%", "NaN%", "Inf%", "%", "0.1"} {
		if got, err := ParseShare(text); err == nil {
			t.Errorf("%q = %v, want a fault", text, got)
		}
	}
}

func TestNearness(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"ab", "ba", 1}, {"kitten", "sitting", 3}, {"origin", "origins", 1}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
		if back := distance(c.b, c.a); back != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.b, c.a, back, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(documented))
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		f.Fatalf("no examples: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, part := range strings.Split(string(text), "\n\n") {
			f.Add([]byte(part))
		}
	}
	for _, text := range []string{"&a [*a]", "<<: {a: 1}", "? [a]\n: b", "- - - a", "!!int 3", "%YAML 1.2\n---\na: b", "a: |\n  b", "a:\n\tb", "\xff", "'", "{"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("fuzz.yaml", data)
		if err != nil {
			var faults Faults
			if !errors.As(err, &faults) || len(faults) == 0 {
				t.Fatalf("not a list of faults: %#v", err)
			}
			lines := strings.Count(string(data), "\n") + strings.Count(string(data), "\r") + 1
			for _, f := range faults {
				if f.Line < 1 || f.Line > lines+1 || f.Column < 1 || f.Message == "" || strings.Contains(f.Error(), "\n") {
					t.Errorf("%d lines, fault %+q", lines, f)
				}
			}
			return
		}
		if err := c.Validate(); err != nil {
			t.Errorf("read without a fault, but: %v", err)
		}
	})
}
