package main

import (
	"strings"
	"testing"
)

func TestWrite(t *testing.T) {
	var out strings.Builder
	list := `[
		{"pattern":"Example\\/","url":"https://example.com/bot","instances":["Example/1"],"tags":["search-engine","seo"]},
		{"pattern":"^Other","instances":[],"tags":["seo"]}
	]`
	if err := write(&out, []byte(list)); err != nil {
		t.Fatal(err)
	}
	if want := "Example\\/\tsearch-engine,seo\thttps://example.com/bot\n^Other\tseo\t\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestWriteRefuses(t *testing.T) {
	for list, want := range map[string]string{
		`{}`:                                  "JSON array",
		`[{"pattern":"(","tags":["seo"]}]`:    "no pattern",
		`[{"pattern":"","tags":["seo"]}]`:     "no pattern",
		`[{"pattern":"a"}]`:                   "no tag",
		`[{"pattern":"a\tb","tags":["seo"]}]`: "a tab",
		`[{"pattern":"a\\nb","tags":[","], "url": "x\ny"}]`: "a line break",
	} {
		var out strings.Builder
		if err := write(&out, []byte(list)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", list, err, want)
		}
	}
}
