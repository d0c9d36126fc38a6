package app_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// helper is how a language of the README's runs its block. The file is the
// block, as it stands there, between what the language needs around it.
type helper struct {
	fence         string // of the block
	marks         string // tells it from other blocks of the language
	file          string
	before, after string
	command       []string // the file's name and the arguments come behind
}

var helpers = []helper{
	{fence: "js", marks: "function identityToken", file: "token.cjs", command: []string{"node"},
		after: "process.stdout.write(identityToken(process.argv[2], process.argv[3]));\n"},
	{fence: "python", marks: "def identity_token", file: "token.py", command: []string{"python3"},
		after: "import sys\nprint(identity_token(sys.argv[1], sys.argv[2]), end=\"\")\n"},
	{fence: "php", marks: "function identity_token", file: "token.php", command: []string{"php"},
		after: "echo identity_token($argv[1], $argv[2]);\n"},
	{fence: "go", marks: "func identityToken", file: "token.go", command: []string{"go", "run"},
		before: "package main\n", after: "func main() { os.Stdout.WriteString(identityToken(os.Args[1], os.Args[2])) }\n"},
}

// TestTheReadmesHelpersSignTokens: the text that a site's developer copies is
// what is run here, and a real gateway takes what it signs. A language that the
// machine lacks is named in the log; Node and Go, which the tests need anyway,
// must be there.
func TestTheReadmesHelpersSignTokens(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	g := start(t, shopAlone)
	var ran, missing []string
	for _, h := range helpers {
		block := h.block(t, string(readme))
		if _, err := exec.LookPath(h.command[0]); err != nil {
			missing = append(missing, h.fence)
			continue
		}
		file := filepath.Join(t.TempDir(), h.file)
		if err := os.WriteFile(file, []byte(h.before+block+h.after), 0o600); err != nil {
			t.Fatal(err)
		}
		// Ids as sites have them; the last one is what JSON writers treat differently.
		for i, user := range []string{"42", "ada@example.com", `Äänne "/<&>\` + "\u2028" + `漢字😀`} {
			user += h.fence
			b := g.browser()
			visitor := at(b.interact(page(`{}`), ""), "profile", "id").(string)
			shown := h.run(t, file, user, visitor)
			a := b.interact(identify(user, `{"plan":"pro"}`), fmt.Sprintf(`,"token":%q`, shown))
			if a["token"] != nil || !known(a) || at(a, "profile", "traits", "plan") != "pro" {
				t.Errorf("%s signed %s for %q: %v", h.fence, shown, user, a)
			}
			if p := g.person("user_id", user); at(p, "traits", "plan", "trust") != "verified" {
				t.Errorf("%s: %q is %v", h.fence, user, p)
			}
			if i > 0 {
				continue
			}
			// It is bound to that visitor, and the next one has an id of its own.
			if a := g.browser().interact(page(`{}`), fmt.Sprintf(`,"token":%q`, h.run(t, file, user, visitor))); at(a, "token", "error", "code") != "token_visitor" {
				t.Errorf("%s: in another browser: %v", h.fence, a)
			}
			if h.run(t, file, user, visitor) == shown {
				t.Errorf("%s signs the same token twice", h.fence)
			}
		}
		ran = append(ran, h.fence)
	}
	t.Logf("ran: %s; not on this machine: %s", strings.Join(ran, ", "), strings.Join(missing, ", "))
	for _, m := range missing {
		if m == "js" || m == "go" {
			t.Errorf("%s is not on PATH", m)
		}
	}
}

// block is the one fenced block of the language that has the mark.
func (h *helper) block(t *testing.T, readme string) string {
	t.Helper()
	var found []string
	for _, m := range regexp.MustCompile("(?s)\n```"+h.fence+"\n(.*?\n)```\n").FindAllStringSubmatch(readme, -1) {
		if strings.Contains(m[1], h.marks) {
			found = append(found, m[1])
		}
	}
	if len(found) != 1 {
		t.Fatalf("README.md has %d blocks of %s with %q; expected one", len(found), h.fence, h.marks)
	}
	return found[0]
}

// run signs a token in a process of its own, with the secret where the README
// says that it is.
func (h *helper) run(t *testing.T, file, user, visitor string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), h.command[0], append(append([]string{}, h.command[1:]...), file, user, visitor)...)
	cmd.Env = append(os.Environ(), "SHOP_ID_SECRET="+idSecret)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", h.file, err, errs.String())
	}
	return string(out)
}
