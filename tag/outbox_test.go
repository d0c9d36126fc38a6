package tag_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// stored is a script for what the tag keeps in the browser, by name: of the
// database, and over it of localStorage.
const stored = `(async () => {
	const all = {}, name = "reuna.wk_test";
	if ((await indexedDB.databases()).some(d => d.name == name)) await new Promise(done => {
		const r = indexedDB.open(name);
		r.onerror = done;
		r.onsuccess = () => {
			const s = r.result.transaction("o").objectStore("o"), keys = s.getAllKeys(), texts = s.getAll();
			texts.onsuccess = () => { keys.result.forEach((k, i) => all[k] = texts.result[i]); r.result.close(); done() };
		};
	});
	for (const k in localStorage) if (k.startsWith(name + ".")) all[k.slice(name.length + 1)] = localStorage[k];
	return all;
})()`

// keeps gives the names that begin with prefix of what the tag keeps in the browser.
func keeps(t *testing.T, ctx context.Context, prefix string) []string {
	t.Helper()
	var names []string
	for name := range value[map[string]string](t, ctx, stored) {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// holds waits until the tag keeps something whose name begins with prefix, or
// nothing.
func holds(t *testing.T, ctx context.Context, prefix string, something bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); (len(keeps(t, ctx, prefix)) > 0) != something; {
		if time.Now().After(deadline) {
			text, _ := json.Marshal(value[map[string]string](t, ctx, stored))
			t.Fatalf("waited %v for %q to be kept: %v; kept: %s", patience, prefix, something, text)
		}
		do(t, ctx, "new Promise(done => setTimeout(done, 20))")
	}
}
