package id

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func mustTypes(t testing.TB, o Options) *Types {
	t.Helper()
	types, err := NewTypes(o)
	if err != nil {
		t.Fatal(err)
	}
	return types
}

func TestNormalise(t *testing.T) {
	types := mustTypes(t, Options{
		PhoneRegion: "FI",
		Rules: []Rule{
			{Name: "crm_id", From: []string{"traits.crmId"}, Blocked: []string{" 'TEST' "}, BlockedPatterns: []string{`^tmp-`, `^Demo`}},
			{Name: "email", Blocked: []string{"shop@example.com"}},
			{Name: "phone", Blocked: []string{"050 1112222"}, BlockedPatterns: []string{`^\+358600`}},
		},
	})
	for _, c := range []struct {
		typ, raw, want string
		verdict        Verdict
	}{
		{UserID, "u1", "u1", OK},
		{UserID, "  U1\t", "U1", OK},
		{UserID, `"U1"`, `"U1"`, OK},
		{UserID, "00a", "00a", OK},
		{UserID, "identity", "identity", OK},
		{UserID, "a\x00b", "", Invalid},
		{UserID, "a\xffb", "", Invalid},
		{UserID, strings.Repeat("x", 512), strings.Repeat("x", 512), OK},
		{UserID, strings.Repeat("x", 513), "", Invalid},
		{UserID, " " + strings.Repeat("x", 512) + " ", strings.Repeat("x", 512), OK},
		{Email, " A@X.com ", "a@x.com", OK},
		{Email, "a@x.com", "a@x.com", OK},
		{Email, "ÅSA@X.SE", "åsa@x.se", OK},
		{Email, "shop@EXAMPLE.com", "", Blocked},
		{Email, "a\u2003b@x.com", "", Invalid},
		{Email, "A.B+c@X.com", "a.b+c@x.com", OK},
		{Email, "a@BÜCHER.example", "a@bücher.example", OK},
		{Email, "a@XN--BCHER-KVA.example", "a@xn--bcher-kva.example", OK}, // the same domain: two addresses to us
		{Email, "no-at", "", Invalid},
		{Email, "@x.com", "", Invalid},
		{Email, "a@", "", Invalid},
		{Email, "a b@x.com", "", Invalid},
		{Phone, "+358401234567", "+358401234567", OK},
		{Phone, "+358 (0) 40 123-45.67", "+358401234567", OK},
		{Phone, "00358 40 1234567", "+358401234567", OK},
		{Phone, "tel:+358-40-1234567", "+358401234567", OK},
		{Phone, "040 1234567", "+358401234567", OK},
		{Phone, "+49 (0)171/1234567", "+491711234567", OK},
		{Phone, "+0401234567", "", Invalid},
		{Phone, "+12345", "", Invalid},
		{Phone, "+1234567890123456", "", Invalid},
		{Phone, "call me", "", Invalid},
		{Phone, "000-000-000", "", Blocked},
		{Phone, "()", "", Invalid},
		{"crm_id", " 0042 ", "0042", OK},
		{"crm_id", "test", "", Blocked},
		{"crm_id", "TMP-9", "", Blocked},
		{"crm_id", "xtmp-9", "xtmp-9", OK},
		{"crm_id", "demo", "", Blocked},
		{"crm_id", "'DEMO'", "", Blocked},
		{Phone, "050 1112222", "", Blocked},
		{Phone, "+358501112222", "", Blocked}, // the same in another writing
		{Phone, "(050) 111-2222", "", Blocked},
		{Phone, "0600 12345", "", Blocked}, // what it became is what the pattern means
		{UserID, "tmp-9", "tmp-9", OK},     // another type's block list
		{"no_such_type", "x", "", Invalid},
	} {
		got, verdict := types.Normalise(c.typ, c.raw)
		want := ID{}
		if c.verdict == OK {
			want = ID{c.typ, c.want}
		}
		if got != want || verdict != c.verdict {
			t.Errorf("Normalise(%s, %.40q) = %.40q, %v; want %.40q, %v", c.typ, c.raw, got, verdict, want, c.verdict)
		}
	}
}

// The words are the rules' own, spelled out again: design, "Identifiers".
func TestBlockedWords(t *testing.T) {
	types := Default()
	words := []string{
		"", "null", "none", "nil", "undefined", "nan", "true", "false", "anonymous", "guest", "unknown",
		"id", "email", "distinct_id", "anonymousid", "userid", "[object object]", "-1",
		"0", "000", "00000000-0000-0000-0000-000000000000", "-", "--0",
	}
	dress := []func(string) string{
		func(s string) string { return s },
		strings.ToUpper,
		strings.ToTitle,
		func(s string) string { return "  " + s + "\n" },
		func(s string) string { return `"` + s + `"` },
		func(s string) string { return ` ' "` + s + ` "'` },
		func(s string) string { return "`" + s + "`" },
	}
	for _, typ := range types.Names() {
		for _, w := range words {
			for i, d := range dress {
				if x, v := types.Normalise(typ, d(w)); v != Blocked || !x.IsZero() {
					t.Errorf("%s %q (dress %d) is %v", typ, d(w), i, v)
				}
			}
		}
	}
	if _, v := types.Normalise(UserID, "un\u212anown"); v != Blocked { // the Kelvin sign lower-cases to k
		t.Errorf("a word in other letters is %v", v)
	}
}

func TestNewTypesNamesEveryFault(t *testing.T) {
	_, err := NewTypes(Options{
		PhoneRegion: "Finland",
		Rules: []Rule{
			{Name: "CRM"},
			{Name: "crm_id", Strong: true, MaxPerPerson: -1, MaxPersons: 3, From: []string{"crmId", "traits..x"}, BlockedPatterns: []string{"("}},
			{Name: "loyalty", From: []string{"context.externalIds.crm_id"}},
			{Name: UserID, MaxPerPerson: 2},
			{Name: "twice"}, {Name: "twice"},
		},
	})
	if err == nil {
		t.Fatal("took faulty rules")
	}
	for _, want := range []string{
		`phone region is "Finland"`, `identifier "CRM": the name must`, "only user_id can be strong", "max_per_person is -1",
		"max_persons is 3", `"crmId" is no place`, `"traits..x" is no place`, `blocked pattern "("`,
		`external ids of type "crm_id" already belong`, "a person has one user_id", `"twice": is defined twice`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %q in:\n%v", want, err)
		}
	}
}

func TestRulesOverride(t *testing.T) {
	types := mustTypes(t, Options{Rules: []Rule{
		{Name: Email, MaxPerPerson: 9},
		{Name: "crm_id", From: []string{"traits.crm.id", "context.externalIds.salesforce"}},
	}})
	for typ, want := range map[string]int{UserID: 1, AnonymousID: 50, Email: 9, Phone: 5, "crm_id": 5, "gone": 5} {
		if got := types.MaxPerPerson(typ); got != want {
			t.Errorf("MaxPerPerson(%s) = %d, want %d", typ, got, want)
		}
	}
	if r, ok := types.Rule(Email); !ok || len(r.From) != 1 || r.Normalise == nil {
		t.Errorf("the e-mail rule lost its built-in parts: %+v", r)
	}
	if r, _ := types.Rule(UserID); !r.Strong {
		t.Error("user_id is not strong")
	}
	for ext, want := range map[string]string{"crm_id": "crm_id", "salesforce": "crm_id", "email": Email, "other": ""} {
		if got, _ := types.External(ext); got != want {
			t.Errorf("External(%s) = %q, want %q", ext, got, want)
		}
	}
	var found bool
	for _, p := range types.Paths() {
		found = found || p.Type == "crm_id" && p.Root == Traits && strings.Join(p.Keys, ".") == "crm.id"
	}
	if !found {
		t.Errorf("no path traits.crm.id in %v", types.Paths())
	}
}

func TestNormaliserNames(t *testing.T) {
	for _, n := range []string{"", "trim", "lower", "email", "phone"} {
		if _, err := Normaliser(n, "DE"); err != nil {
			t.Errorf("%q: %v", n, err)
		}
	}
	if _, err := Normaliser("upper", ""); err == nil {
		t.Error("took the normaliser upper")
	}
	trim, err := Normaliser("trim", "")
	if err != nil {
		t.Fatal(err)
	}
	types := mustTypes(t, Options{Rules: []Rule{{Name: Email, Normalise: trim}}})
	if x, v := types.Normalise(Email, " Nick "); v != OK || x.Value != "Nick" {
		t.Errorf("an e-mail that is only trimmed became %q, %v", x.Value, v)
	}
}

// A value in its form is its own form, whatever it was made from.
func FuzzNormalise(f *testing.F) {
	for _, s := range []string{"u1", " A@X.com ", "+358 40 1234567", `"null"`, "İ@x", "\u212a", "00 49 (0) 171"} {
		f.Add(s)
	}
	types := mustTypes(f, Options{PhoneRegion: "DE"})
	f.Fuzz(func(t *testing.T, raw string) {
		for _, typ := range types.Names() {
			x, v := types.Normalise(typ, raw)
			if v != OK {
				if !x.IsZero() {
					t.Fatalf("%s %q: %v with an identifier", typ, raw, v)
				}
				continue
			}
			if x.Type != typ || x.Value == "" || len(x.Value) > MaxValue || !utf8.ValidString(x.Value) {
				t.Fatalf("%s %q became %q", typ, raw, x)
			}
			if again, v := types.Normalise(typ, x.Value); v != OK || again != x {
				t.Fatalf("%s %q became %q, and that %q (%v)", typ, raw, x, again, v)
			}
		}
	})
}

func BenchmarkNormaliseUserID(b *testing.B) {
	types := Default()
	b.ReportAllocs()
	for b.Loop() {
		types.Normalise(UserID, "user-4711")
	}
}
