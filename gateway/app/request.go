package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// BackupOptions say what the gateway that runs on a data folder is asked for.
type BackupOptions struct {
	Offline
	To       string // folder; "" for the setting backup.to of that gateway
	AdminKey string // from REUNA_ADMIN_KEY; "": the configuration's, or the generated one
}

// job is what the desk answers of a job.
type job struct {
	ID       string
	State    string
	Message  string
	Progress struct {
		Step        string
		Done, Total int64
	}
	Result struct {
		To          string
		Snapshot    string
		NewBytes    int64
		ReusedBytes int64
	}
}

// Backedup is what came of a backup.
type Backedup struct {
	To, Snapshot          string
	NewBytes, ReusedBytes int64
}

// Backup asks the running gateway for a backup and waits until it is made.
func Backup(ctx context.Context, o BackupOptions) (*Backedup, error) {
	o.fill()
	d, err := o.findDesk()
	if err != nil {
		return nil, err
	}
	body := map[string]string{}
	if o.To != "" {
		if body["to"], err = filepath.Abs(o.To); err != nil {
			return nil, err
		}
	}
	var answer struct{ Job job }
	if err := d.ask(ctx, http.MethodPost, "/admin/v1/backup", body, &answer); err != nil {
		return nil, err
	}
	id := answer.Job.ID
	poll := time.NewTicker(200 * time.Millisecond)
	defer poll.Stop()
	for answer.Job.State == "running" {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: the gateway goes on with %s", ctx.Err(), id)
		case <-poll.C:
		}
		if err := d.ask(ctx, http.MethodGet, "/admin/v1/backup", nil, &answer); err != nil {
			return nil, err
		}
		if answer.Job.ID != id {
			return nil, fmt.Errorf("%s is over, and %s has begun since; the gateway's log says how it ended", id, answer.Job.ID)
		}
		p := answer.Job.Progress
		if p.Step != "" {
			o.Progress(p.Step, p.Done, p.Total)
		}
	}
	if answer.Job.State != "done" {
		return nil, errors.New(answer.Job.Message)
	}
	r := answer.Job.Result
	return &Backedup{r.To, r.Snapshot, r.NewBytes, r.ReusedBytes}, nil
}

// deskClient speaks to a running gateway's desk.
type deskClient struct{ base, key string }

func (o *BackupOptions) findDesk() (d deskClient, err error) {
	path := filepath.Join(o.Config.DataDir, runName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return d, fmt.Errorf("no gateway runs on %s (there is no %s); start it, or name its folder with -data", o.Config.DataDir, path)
	}
	if err != nil {
		return d, err
	}
	var run runFile
	if err := json.Unmarshal(text, &run); err != nil || run.Desk == "" {
		return d, fmt.Errorf("%s does not say where the desk is; restart the gateway", path)
	}
	d.base, d.key = run.Desk, o.AdminKey
	if d.key == "" && len(o.Config.AdminKeys) > 0 {
		d.key = o.Config.AdminKeys[0].Reveal()
	}
	if d.key == "" {
		text, err := os.ReadFile(filepath.Join(keyDir(o.Config.DataDir), adminFile))
		if err != nil {
			return d, fmt.Errorf("no admin key is known: set REUNA_ADMIN_KEY, or name the configuration with -config (%w)", err)
		}
		d.key = strings.TrimSpace(string(text))
	}
	return d, nil
}

// maxAnswer bounds what is read of an answer: a list of many snapshots.
const maxAnswer = 16 << 20

func (d deskClient) ask(ctx context.Context, method, path string, body, answer any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, d.base+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+d.key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("the desk does not answer; does the gateway still run? %w", err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		var refused struct {
			Error struct{ Code, Message string }
		}
		if err := json.Unmarshal(raw, &refused); err != nil || refused.Error.Message == "" {
			return fmt.Errorf("the desk answered %s", resp.Status)
		}
		return fmt.Errorf("%s (%s)", refused.Error.Message, refused.Error.Code)
	}
	return json.Unmarshal(raw, answer)
}
