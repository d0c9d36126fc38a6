package admin_test

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/reuna/reuna/gateway/admin"
	"github.com/reuna/reuna/storage/backup"
	"github.com/reuna/reuna/storage/eventlog"
)

// works stands for what does an operator's work: it takes note of what was asked.
type works struct {
	asked []string
	err   error
	list  []*backup.Snapshot
}

func (w *works) begin(kind, what string) (admin.Job, error) {
	w.asked = append(w.asked, kind+" "+what)
	return admin.Job{ID: kind + "-1", Kind: kind, State: "running", Step: "copying", Done: 1, Total: 2, Started: time.UnixMilli(day)}, w.err
}

func (w *works) Backup(to string) (admin.Job, error) { return w.begin(admin.JobBackup, to) }
func (w *works) VerifyBackup(dir, id string) (admin.Job, error) {
	return w.begin(admin.JobVerifyBackup, dir+" "+id)
}
func (w *works) Compact() (admin.Job, error) { return w.begin(admin.JobCompact, "") }
func (w *works) Settle(age time.Duration) (admin.Job, error) {
	return w.begin(admin.JobSettle, age.String())
}
func (w *works) Rotate() (admin.Job, string, error) {
	j, err := w.begin(admin.JobRotateMaster, "")
	return j, "keep it", err
}

func (w *works) Job(kind string) (admin.Job, bool) {
	for _, x := range w.asked {
		if x[:min(len(kind), len(x))] == kind {
			return admin.Job{ID: kind + "-1", Kind: kind, State: "failed", Started: time.UnixMilli(day), Ended: time.UnixMilli(day + 5), Error: "the disk is gone",
				Result: map[string]any{"n": 1}}, true
		}
	}
	return admin.Job{}, false
}

func (w *works) Snapshots() (string, []*backup.Snapshot, error) { return "/srv/backups", w.list, nil }

func (w *works) Keys(context.Context) (admin.Keys, error) {
	public, err := hex.DecodeString("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a") // RFC 8032, 7.1
	return admin.Keys{PublicKey: public, Master: "0123456789abcdef", Groups: 1025, Owners: 7, Epochs: 1}, err
}

func (w *works) Log() (admin.Log, error) {
	return admin.Log{Head: 3, Last: 9, Durable: 8, Oldest: time.UnixMilli(day), Tail: 72 * time.Hour, Settled: 2, Free: 1 << 30, FreeKnown: true,
		Cursors: []eventlog.Cursor{{Name: "people", Seq: 7, Moved: day, Hold: eventlog.Forever}, {Name: "mail", Seq: 9, Hold: time.Hour}}}, nil
}

func (w *works) Sites() []admin.Site {
	return []admin.Site{
		{Name: "shop", WriteKey: "wk_shop", Origins: []string{"https://shop.example"},
			Tag:     admin.SiteTag{Path: "/tag/wk_shop.js", Module: "/tag/wk_shop.mjs", Immutable: "/tag/wk_shop.0123.js", Integrity: "sha384-abc", Snippet: "<script></script>"},
			Headers: []admin.Header{{Name: "Accept-CH", Value: "Sec-CH-UA-Model", Why: "for models"}}},
		{Name: "blog & more", WriteKey: "wk_blog", Tag: admin.SiteTag{Integrity: "sha384-def"}},
	}
}

func (w *works) Delivered(hours int) []admin.Delivered {
	return []admin.Delivered{
		{Site: "shop", Browser: "Chrome", Page: "/", Made: 100, Received: 97}, {Site: "shop", Browser: "Safari", Page: "/", Made: 10, Received: 10},
		{Site: "shop", Browser: "Chrome", Page: "/order/*", Made: 20 * uint64(hours) / 24, Received: 15}, {Site: "gone", Browser: "Chrome", Page: "/", Made: 1},
	}
}

func (w *works) Counted() admin.Counted { return admin.Counted{UpTo: 7, Durable: 9, NotJudged: 3} }
