// Package main turns the crawler-user-agents list into the table that the
// gateway embeds: go run ./tools/crawlers FILE > gateway/enrich/bot/data/crawlers.txt
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run ./tools/crawlers crawler-user-agents.json > gateway/enrich/bot/data/crawlers.txt")
		os.Exit(2)
	}
	text, err := os.ReadFile(os.Args[1])
	if err == nil {
		err = write(os.Stdout, text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "crawlers:", err)
		os.Exit(1)
	}
}

// crawler is what is taken of an entry: its instances and description stay behind.
type crawler struct {
	Pattern string   `json:"pattern"`
	Tags    []string `json:"tags"`
	URL     string   `json:"url"`
}

// write prints a line for each entry, "pattern<TAB>tag,tag<TAB>url", in the
// order of the list. It refuses a list that the gateway could not read.
func write(w io.Writer, list []byte) error {
	var entries []crawler
	if err := json.Unmarshal(list, &entries); err != nil {
		return fmt.Errorf("expected a JSON array of objects with pattern, tags and url: %w", err)
	}
	out := bufio.NewWriter(w)
	for i, e := range entries {
		if _, err := regexp.Compile(e.Pattern); err != nil || e.Pattern == "" {
			return fmt.Errorf("entry %d: %q is no pattern: %v", i, e.Pattern, err)
		}
		line := e.Pattern + "\t" + strings.Join(e.Tags, ",") + "\t" + e.URL
		if strings.ContainsAny(line, "\r\n") || strings.Count(line, "\t") != 2 || len(e.Tags) == 0 {
			return fmt.Errorf("entry %d: %q has a line break, a tab or no tag", i, line)
		}
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return out.Flush()
}
