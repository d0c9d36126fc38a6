package rule

import (
	"strings"
	"testing"
)

// TestFaultsAreForPeople holds what is told of rules that are none to words that
// somebody who writes rules knows.
func TestFaultsAreForPeople(t *testing.T) {
	env := testEnv(t)
	for _, c := range []struct {
		rule         string
		line, column int
		says, meant  string
	}{
		// What other languages write.
		{"o.plan = 'pro'", 1, 8, "saw =, expected an operator", "=="},
		{"o.plan === 'pro'", 1, 8, "saw ===,", "=="},
		{"o.plan <> 'pro'", 1, 8, "saw <>,", "!="},
		{"o.plan !== 'pro'", 1, 8, "saw !==,", "!="},
		{"o.age => 3", 1, 7, "saw =>,", ">="},
		{"o.a == 1 and o.b == 2", 1, 10, "saw and,", "&&"},
		{"o.a == 1 OR o.b == 2", 1, 10, "saw OR,", "||"},
		{"o.a & o.b", 1, 5, "saw &,", "&&"},
		{"not o.a", 1, 1, "saw not,", "!"},
		{"o.a is null", 1, 5, "saw is,", "=="},
		{"o.a like 'b%'", 1, 5, "saw like, expected an operator that rules have; texts are searched with .contains(", ""},
		{"o.a == “b”", 1, 8, "expected a straight quote", "'"},
		{"if o.a then true", 1, 1, "saw if, expected a condition", ""},
		{"o.a == 1; o.b == 2", 1, 9, "saw ;, expected one condition", ""},
		{"o.a == 1 # so", 1, 10, "a remark begins with //", ""},
		// Two values in a row.
		{"'x' 'thrillers' in list", 1, 5, "saw 'thrillers' behind 'x', expected an operator such as == or && between them, or the end of the rule", ""},
		{"o.a ==\n 'x' 'y'", 2, 6, "saw 'y' behind 'x'", ""},
		{"list.exists(s s == 'a')", 1, 15, "saw s behind s, expected an operator such as == or && between them, a comma or a closing bracket", ""},
		{"at > at - 5days", 1, 12, "a time is written duration('36h')", ""},
		// Texts.
		{"text == 'a", 1, 9, "a text that does not end, expected another ' behind it", ""},
		{"text == 'a\nb'", 1, 9, "a text that does not end", ""},
		{"text == 'it's'", 1, 13, `saw s right behind the text 'it', expected an operator or the end; a ' within a text is written \'`, ""},
		{`text == 'a\q'`, 1, 9, `expected a text whose \ begins an escape`, ""},
		{`text == r'a\q' 'b'`, 1, 16, `saw 'b' behind r'a\q'`, ""},
		{"text == '''a\nb''' 'c'", 2, 6, "saw 'c' behind", ""},
		// The end, and brackets.
		{"o.a ==", 1, 7, "saw the end of the rule behind ==, expected a value or a condition", ""},
		{"o.a == 1 && ", 1, 13, "saw the end of the rule behind &&", ""},
		{"(o.a == 1", 1, 10, "expected ) for the ( at column 1", ")"},
		{"true &&\n text in ['a', 'b'", 2, 19, "expected ] for the [ at line 2, column 10", "]"},
		{"o['a' == 1)", 1, 11, "saw ), expected ] for the [ at column 2", "]"},
		{"o.a == 1)", 1, 9, "saw ), expected the end of the rule or an operator: no bracket is open here", ""},
		{"o.a ? true", 1, 11, "expected : and what holds otherwise", ""},
		{"== 3", 1, 1, "saw ==, expected a rule to begin with a value", ""},
		{"o.a || || true", 1, 8, "saw || behind ||, expected a value or a condition", ""},
		{"// nothing", 1, 11, "saw no rule", ""},
		// Members.
		{"o.", 1, 3, "expected the name of a member", ""},
		{"o..a", 1, 3, "expected the name of a member", ""},
		{"o.in == 3", 1, 3, "others are written in brackets, as in traits['in']", ""},
		{"has(o)", 1, 5, "expected a member, as in has(traits.plan)", ""},
		{"list.exists(1, true)", 1, 13, "expected a name for each item", ""},
		{"list.exists(s)", 1, 12, "saw exists with 1 arguments, expected a name for each item and a condition", ""},
		// Values that do not go together.
		{"shop.stock > '3'", 1, 14, `saw shop.stock (int) > "3" (string)`, "3"},
		{"text in 'a'", 1, 9, "expected a list or a map behind in", `["a"]`},
		{"list.contains('x')", 1, 14, "saw contains of list, which is a list(string), with a string", `"x" in list`},
		{"shop.stock && true", 1, 1, "saw shop.stock, which is an int, expected a condition; compare it with something, as in shop.stock > 0", ""},
		{"at - 5 > at", 1, 4, "duration('36h')", ""},
		{"o.a ? 1 : 'x'", 1, 5, `saw 1 (int) or "x" (string) behind the ?, expected two values of one kind`, ""},
		{"list", 1, 1, "as in size(list) > 0", ""},
		{"shop", 1, 1, "name one of its members", ""},
		{"at - at > duration('5 days')", 1, 20, `saw "5 days", expected a time in hours`, "'120h'"},
		{"at > timestamp('2026-02-01')", 1, 16, `saw "2026-02-01", expected a moment`, "'2026-02-01T00:00:00Z'"},
		{"99999999999999999999 == 1", 1, 1, "a number beyond those that rules know", ""},
	} {
		_, bad := env.Compile("p", c.rule)
		if len(bad) == 0 {
			t.Errorf("%q is taken", c.rule)
			continue
		}
		f := bad[0]
		if f.Line != c.line || f.Column != c.column || !strings.Contains(f.Message, c.says) || f.Suggestion != c.meant {
			t.Errorf("%q: %s\nwant line %d, column %d, %q, suggested %q", c.rule, f.Error(), c.line, c.column, c.says, c.meant)
		}
		for _, raw := range []string{"Syntax error", "EOF", "extraneous", "mismatched", "viable", "overload", "macro", "token"} {
			if strings.Contains(f.Message, raw) {
				t.Errorf("%q: %s", c.rule, f.Message)
			}
		}
	}
}

func FuzzMisread(f *testing.F) {
	for _, s := range []string{"o.plan = 'x'", "((", "'a", "r'\\", "o..", "o.1", "a\n//", "'''a", `"""`, "“", "b'a' b'", "o ? : 3", "[1", "🙂 == 1\n)"} {
		f.Add(s)
	}
	env := testEnv(f)
	f.Fuzz(func(t *testing.T, text string) {
		_, bad := env.Compile("p", text)
		lines := strings.Split(text, "\n")
		for _, x := range bad {
			if x.Line > len(lines) || x.Line > 0 && x.Column > len([]rune(lines[x.Line-1]))+1 || strings.Contains(x.Message, "Syntax error") {
				t.Fatalf("%q: %+v", text, x)
			}
		}
	})
}
