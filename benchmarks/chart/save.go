package chart

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
)

// Save writes a report into a folder in its three forms: name.json, the table
// name.md, and the chart name.svg.
func (c *Chart) Save(dir, name string, report any, table string) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	at := filepath.Join(dir, name)
	if err := os.WriteFile(at+".json", append(data, '\n'), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(at+".md", []byte(table), 0o644); err != nil {
		return err
	}
	file, err := os.Create(at + ".svg")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	_, err = c.WriteTo(file)
	return err
}
