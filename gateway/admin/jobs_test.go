package admin_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/gateway/admin"
	"github.com/reuna/reuna/storage/backup"
)

func TestJobs(t *testing.T) {
	w := &works{list: []*backup.Snapshot{{ID: "20240501-1", Time: time.UnixMilli(day), Files: []backup.File{{Size: 7}}}}}
	d := newDesk(t, func(o *admin.Options) { o.Jobs, o.State = w, w })
	for _, path := range []string{"/admin/v1/backup", "/admin/v1/compact", "/admin/v1/keys", "/admin/v1/log"} {
		var v map[string]any
		d.get(path).ok(&v)
	}
	for _, c := range []struct{ path, body, asked string }{
		{"/admin/v1/backup", ``, "backup "},
		{"/admin/v1/backup", `{"to":"/mnt/b"}`, "backup /mnt/b"},
		{"/admin/v1/backup/verify", `{"from":"/mnt/b","snapshot":"s1"}`, "verify-backup /mnt/b s1"},
		{"/admin/v1/compact", `{}`, "compact "},
		{"/admin/v1/log/settle", `{"olderThan":"90m"}`, "settle 1h30m0s"},
		{"/admin/v1/log/settle", ``, "settle -1ns"},
		{"/admin/v1/keys", `{"action":"rotate-master"}`, "rotate-master "},
	} {
		var v struct{ Job struct{ ID, State string } }
		if d.post(c.path, c.body).accepted(&v); w.asked[len(w.asked)-1] != c.asked || v.Job.ID == "" {
			t.Errorf("%s %s: asked %q, answered %+v", c.path, c.body, w.asked, v)
		}
	}
	for _, c := range []struct{ path, body, code string }{
		{"/admin/v1/backup", `{"to":"b"}`, "invalid_folder"}, {"/admin/v1/backup", `{"dir":"/b"}`, "unknown_field"}, {"/admin/v1/backup/verify", `{"from":"../b"}`, "invalid_folder"},
		{"/admin/v1/compact", `{"x":1}`, "unknown_field"}, {"/admin/v1/log/settle", `{"olderThan":"-1h"}`, "invalid_duration"}, {"/admin/v1/log/settle", `{"olderThan":"soon"}`, "invalid_duration"},
		{"/admin/v1/keys", ``, "invalid_action"}, {"/admin/v1/keys", `{"action":"burn"}`, "invalid_action"},
	} {
		d.post(c.path, c.body).fails(400, c.code)
	}
	for _, path := range []string{"/admin/v1/backup", "/admin/v1/compact", "/admin/v1/keys", "/admin/v1/log"} {
		if a := d.get(path); a.status != 200 || path != "/admin/v1/keys" && path != "/admin/v1/log" && !strings.Contains(a.body, "the disk is gone") {
			t.Errorf("%s: %s", path, a.body)
		}
	}
	var keys struct{ PEM, KeyID string }
	if d.get("/admin/v1/keys").ok(&keys); !strings.Contains(keys.PEM, "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=") || keys.KeyID == "" {
		t.Errorf("%+v", keys)
	}
	w.err = &admin.Refusal{Status: 409, Code: "already_running", Message: "it runs", Err: errors.New("inside")}
	d.post("/admin/v1/backup", ``).fails(409, "already_running")
	w.err = errors.New("rename /srv/secret-place: no space")
	if a := d.post("/admin/v1/keys", `{"action":"rotate-master"}`); a.fails(500, "internal").Error.Code == "" || strings.Contains(a.body, "secret-place") {
		t.Error(a.body)
	}
	outcomes := ""
	for _, e := range d.entries()[len(d.entries())-4:] {
		outcomes += e.Outcome + " "
	}
	if outcomes != "begun refused begun failed " {
		t.Errorf("outcomes %q", outcomes)
	}
}
