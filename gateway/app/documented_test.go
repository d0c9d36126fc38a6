package app

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/reuna/reuna/gateway/config"
)

var (
	yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")
	inline    = regexp.MustCompile("`([^`\n]+)`")
	isRule    = regexp.MustCompile(`==|>=|>|<| in |orValue\(|^(count|sum|followed|notFollowed)\('`)
)

// chapter is the part of the guide that tells of definitions.
func chapter(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n## Traits, audiences, decisions\n")
	head, _, ended := strings.Cut(rest, "\n## ")
	if !found || !ended {
		t.Fatal("the chapter is gone")
	}
	return head
}

// TestWhatTheGuideDefines: every example of the guide is a configuration without
// a fault, alone and with the others.
func TestWhatTheGuideDefines(t *testing.T) {
	var all config.Definitions
	blocks := yamlBlock.FindAllStringSubmatch(chapter(t), -1)
	if len(blocks) < 3 {
		t.Fatalf("%d examples", len(blocks))
	}
	for _, b := range blocks {
		c, err := config.Parse("README.md", []byte(b[1]))
		if err != nil {
			t.Fatalf("%v in\n%s", err, b[1])
		}
		all.Traits, all.Segments, all.Placements = append(all.Traits, c.Traits...), append(all.Segments, c.Segments...), append(all.Placements, c.Placements...)
	}
	c, err := config.Parse("README.md", all.YAML())
	if err == nil {
		err = CheckDefinitions(c)
	}
	if err != nil {
		t.Error(err)
	}
}

// TestWhatTheGuideAsks: every rule in its tables is one.
func TestWhatTheGuideAsks(t *testing.T) {
	_, audiences, _ := strings.Cut(chapter(t), "\n### Audiences\n")
	audiences, _, _ = strings.Cut(audiences, "\n### ")
	c := config.Default()
	c.Segments = []config.Segment{{Name: "thriller-fans", When: "true"}}
	n := 0
	for line := range strings.Lines(audiences) {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		for _, x := range inline.FindAllStringSubmatch(line, -1) {
			text := x[1]
			if !isRule.MatchString(text) {
				continue
			}
			n++
			c.Segments = append(c.Segments, config.Segment{Name: "s" + strings.Repeat("x", n), When: text})
		}
	}
	if n < 9 {
		t.Fatalf("%d rules", n)
	}
	if err := CheckDefinitions(c); err != nil {
		t.Error(err)
	}
}
