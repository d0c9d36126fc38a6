package enrich

import (
	"encoding/json"
	"fmt"
)

// crawler is an agent that a program sends, with the kinds that
// crawler-user-agents gives it.
type crawler struct {
	agent string
	tags  []string
}

func readCrawlers(files map[string][]byte) ([]crawler, error) {
	var rows []struct {
		Instances []string `json:"instances"`
		Tags      []string `json:"tags"`
	}
	if err := json.Unmarshal(files["crawler-user-agents.json"], &rows); err != nil {
		return nil, err
	}
	var all []crawler
	for _, r := range rows {
		for _, agent := range r.Instances {
			all = append(all, crawler{agent: agent, tags: r.Tags})
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("crawler-user-agents.json holds no instances")
	}
	return all, nil
}
