package admin

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/storage/audit"
	"github.com/reuna/reuna/storage/backup"
	"github.com/reuna/reuna/storage/eventlog"
)

// Jobs starts an operator's work. What cannot be started gives a *Refusal.
type Jobs interface {
	Backup(to string) (Job, error)            // "": to the configured folder
	VerifyBackup(dir, id string) (Job, error) // "": the configured folder, the newest
	Compact() (Job, error)
	Settle(age time.Duration) (Job, error) // negative: the configured age
	// Rotate returns when another master key opens the folder, and says what is
	// left for the operator to do.
	Rotate() (j Job, next string, err error)
}

// State tells how the store is.
type State interface {
	// Job gives the newest job of a kind; false when there has been none.
	Job(kind string) (Job, bool)
	// Snapshots lists the configured backup folder.
	Snapshots() (dir string, list []*backup.Snapshot, err error)
	Keys(ctx context.Context) (Keys, error)
	Log() (Log, error)
}

// Kinds of job.
const (
	JobBackup       = "backup"
	JobVerifyBackup = "verify-backup"
	JobCompact      = "compact"
	JobSettle       = "settle"
	JobRotateMaster = "rotate-master"
)

// Job is one piece of work and how far it is.
type Job struct {
	ID      string
	Kind    string
	State   string // running, done or failed
	Step    string
	Done    int64 // of Total,
	Total   int64 // bytes or pieces; 0 while it is not known
	Started time.Time
	Ended   time.Time // zero while it runs
	Error   string
	Result  any // for encoding/json
}

// Keys are the public sides of the install's keys.
type Keys struct {
	PublicKey  []byte // Ed25519
	Master     string // fingerprint of the master key
	MasterFile string // "" when the configuration names the key
	Groups     int
	Owners     int64
	Epochs     int64
	Unfinished int
}

// Log is how the event log is.
type Log struct {
	Origin              [16]byte
	Head, Last, Durable uint64
	Queued              int64
	Oldest              time.Time
	Tail                time.Duration
	Cursors             []eventlog.Cursor
	Settled             uint64
	SettleError         error
	Free                uint64
	FreeKnown           bool
	FullSince           time.Time
}

// jobView is a Job as callers see it.
type jobView struct {
	ID       string        `json:"id"`
	Kind     string        `json:"kind"`
	State    string        `json:"state"`
	Started  string        `json:"started"`
	Ended    string        `json:"ended,omitempty"`
	Progress *progressView `json:"progress,omitempty"`
	Message  string        `json:"message,omitempty"`
	Result   any           `json:"result,omitempty"`
}

type progressView struct {
	Step  string `json:"step,omitempty"`
	Done  int64  `json:"done"`
	Total int64  `json:"total"`
}

func viewJob(j Job) *jobView {
	v := &jobView{ID: j.ID, Kind: j.Kind, State: j.State, Started: stamp(j.Started), Ended: stamp(j.Ended), Message: j.Error, Result: j.Result}
	if j.Ended.IsZero() {
		v.Progress = &progressView{j.Step, j.Done, j.Total}
	}
	return v
}

// newest gives the newest job of a kind; nil when there has been none.
func (c *call) newest(kind string) *jobView {
	if j, ok := c.s.o.State.Job(kind); ok {
		return viewJob(j)
	}
	return nil
}

// stamp is a time as the contract writes it; "" for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

type jobBody struct {
	Job *jobView `json:"job"`
}

// start begins a job between two notes and answers with it.
func (c *call) start(action string, detail any, begin func() (Job, error)) *failure {
	var j Job
	f := c.change(action, "", detail, func() (_ any, err error) {
		j, err = begin()
		return map[string]string{"job": j.ID}, err
	})
	if f != nil {
		return f
	}
	return c.encode(fasthttp.StatusAccepted, jobBody{viewJob(j)})
}

// folder checks the path of a backup folder; "" means the configured one.
func folder(field, path string) *failure {
	if path != "" && !filepath.IsAbs(path) {
		return badRequest("invalid_folder", field, fmt.Sprintf("%s is %q; expected the whole path of a folder on the gateway's machine, or nothing for the setting backup.to", field, clip([]byte(path))))
	}
	return nil
}

func (c *call) serveBackup() *failure {
	var b struct {
		To string `json:"to"`
	}
	f := c.body(&b)
	if f == nil {
		f = folder("to", b.To)
	}
	if f != nil {
		return f
	}
	return c.start("backup.make", b, func() (Job, error) { return c.s.o.Jobs.Backup(b.To) })
}

func (c *call) serveVerifyBackup() *failure {
	var b struct {
		From     string `json:"from"`
		Snapshot string `json:"snapshot"`
	}
	f := c.body(&b)
	if f == nil {
		f = folder("from", b.From)
	}
	if f != nil {
		return f
	}
	return c.start("backup.verify", b, func() (Job, error) { return c.s.o.Jobs.VerifyBackup(b.From, b.Snapshot) })
}

type snapshotView struct {
	ID       string `json:"id"`
	Parent   string `json:"parent,omitempty"`
	Time     string `json:"time"`
	Bytes    int64  `json:"bytes"`
	Files    int    `json:"files"`
	LastSeq  uint64 `json:"lastSeq"`
	Format   uint64 `json:"format"`
	Master   string `json:"master"`
	Erasures int    `json:"erasures"`
}

func (c *call) serveBackups() *failure {
	dir, list, err := c.s.o.State.Snapshots()
	v := struct {
		Job       *jobView       `json:"job,omitempty"`
		Verify    *jobView       `json:"verify,omitempty"`
		To        string         `json:"to,omitempty"`
		Message   string         `json:"message,omitempty"`
		Snapshots []snapshotView `json:"snapshots"`
	}{Job: c.newest(JobBackup), Verify: c.newest(JobVerifyBackup), To: dir, Snapshots: []snapshotView{}}
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist): // none was made yet
	case errors.Is(err, backup.ErrBroken), errors.Is(err, backup.ErrNotBackup):
		v.Message = err.Error()
	default:
		return c.internal(err)
	}
	for _, s := range list {
		v.Snapshots = append(v.Snapshots, snapshotView{s.ID, s.Parent, stamp(s.Time), s.Bytes(), len(s.Files), s.LastSeq, s.Format, s.Master, s.Erasures})
	}
	return c.encode(fasthttp.StatusOK, v)
}

func (c *call) serveCompact() *failure {
	if f := c.body(&struct{}{}); f != nil {
		return f
	}
	return c.start("store.compact", nil, c.s.o.Jobs.Compact)
}

func (c *call) serveCompaction() *failure {
	return c.encode(fasthttp.StatusOK, struct {
		Job *jobView `json:"job,omitempty"`
	}{c.newest(JobCompact)})
}

func (c *call) serveSettle() *failure {
	var b struct {
		OlderThan string `json:"olderThan"`
	}
	if f := c.body(&b); f != nil {
		return f
	}
	age := time.Duration(-1)
	if b.OlderThan != "" {
		var err error
		if age, err = time.ParseDuration(b.OlderThan); err != nil || age < 0 {
			return badRequest("invalid_duration", "olderThan", fmt.Sprintf("olderThan is %q; expected a duration such as 0s, 90m or 72h, or nothing for the setting retention.tail", clip([]byte(b.OlderThan))))
		}
	}
	return c.start("log.settle", b, func() (Job, error) { return c.s.o.Jobs.Settle(age) })
}

type cursorView struct {
	Name  string `json:"name"`
	Seq   uint64 `json:"seq"`
	Lag   uint64 `json:"lag"` // entries
	Moved string `json:"moved,omitempty"`
	// Hold is for how many seconds beyond their age entries wait for it; -1: for ever.
	Hold int64 `json:"holdSeconds"`
}

type diskView struct {
	Free      *uint64 `json:"freeBytes,omitempty"`
	Full      bool    `json:"full"`
	FullSince string  `json:"fullSince,omitempty"`
}

func (c *call) serveLog() *failure {
	x, err := c.s.o.State.Log()
	if err != nil {
		return c.internal(err)
	}
	v := struct {
		Origin      string       `json:"origin"`
		Head        uint64       `json:"head"`
		Last        uint64       `json:"last"`
		Durable     uint64       `json:"durable"`
		Queued      int64        `json:"queuedBytes"`
		Oldest      string       `json:"oldest,omitempty"`
		Age         int64        `json:"ageSeconds"`
		Tail        int64        `json:"tailSeconds"`
		Settled     uint64       `json:"settled"`
		SettleError string       `json:"settleError,omitempty"`
		Settling    *jobView     `json:"settling,omitempty"`
		Cursors     []cursorView `json:"cursors"`
		Disk        diskView     `json:"disk"`
	}{
		Origin: hex.EncodeToString(x.Origin[:]), Head: x.Head, Last: x.Last, Durable: x.Durable, Queued: x.Queued, Oldest: stamp(x.Oldest),
		Tail: int64(x.Tail.Seconds()), Settled: x.Settled, Settling: c.newest(JobSettle), Cursors: []cursorView{},
		Disk: diskView{Full: !x.FullSince.IsZero(), FullSince: stamp(x.FullSince)},
	}
	if !x.Oldest.IsZero() {
		v.Age = max(int64(c.s.o.Now().Sub(x.Oldest).Seconds()), 0)
	}
	if x.SettleError != nil {
		v.SettleError = x.SettleError.Error()
	}
	if x.FreeKnown {
		v.Disk.Free = &x.Free
	}
	for _, k := range x.Cursors {
		w := cursorView{Name: k.Name, Seq: k.Seq, Hold: int64(k.Hold.Seconds())}
		if k.Hold < 0 {
			w.Hold = -1
		}
		if x.Last > k.Seq {
			w.Lag = x.Last - k.Seq
		}
		if k.Moved != 0 {
			w.Moved = stamp(time.UnixMilli(k.Moved))
		}
		v.Cursors = append(v.Cursors, w)
	}
	return c.encode(fasthttp.StatusOK, v)
}

type keysView struct {
	PublicKey  string   `json:"publicKey"` // base64
	PEM        string   `json:"pem"`
	KeyID      string   `json:"keyId"`
	Master     string   `json:"master"`
	MasterFile string   `json:"masterFile,omitempty"`
	Groups     int      `json:"wrappingKeys"`
	Owners     int64    `json:"dataKeys"`
	Epochs     int64    `json:"logKeys"`
	Unfinished int      `json:"unfinishedGroups"`
	Job        *jobView `json:"job,omitempty"`
	Next       string   `json:"next,omitempty"`
}

// keys tells of the keys what anybody may know.
func (c *call) keys() (v keysView, err error) {
	k, err := c.s.o.State.Keys(context.Background())
	if err != nil {
		return v, err
	}
	der, err := x509.MarshalPKIXPublicKey(ed25519.PublicKey(k.PublicKey))
	if err != nil {
		return v, err
	}
	return keysView{
		PublicKey: base64.StdEncoding.EncodeToString(k.PublicKey), PEM: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		KeyID: audit.KeyID(k.PublicKey), Master: k.Master, MasterFile: k.MasterFile,
		Groups: k.Groups, Owners: k.Owners, Epochs: k.Epochs, Unfinished: k.Unfinished, Job: c.newest(JobRotateMaster),
	}, nil
}

func (c *call) serveKeys() *failure {
	v, err := c.keys()
	if err != nil {
		return c.internal(err)
	}
	return c.encode(fasthttp.StatusOK, v)
}

// rotateMaster is the only action on keys there is yet.
const rotateMaster = "rotate-master"

func (c *call) serveRotate() *failure {
	var b struct {
		Action string `json:"action"`
	}
	if f := c.body(&b); f != nil {
		return f
	}
	if b.Action != rotateMaster {
		return badRequest("invalid_action", "action", fmt.Sprintf("action is %q; expected %q", clip([]byte(b.Action)), rotateMaster))
	}
	next := ""
	f := c.change("keys.rotate", "", nil, func() (_ any, err error) {
		var j Job
		j, next, err = c.s.o.Jobs.Rotate()
		return map[string]string{"job": j.ID}, err
	})
	if f != nil {
		return f
	}
	v, err := c.keys()
	if err != nil {
		return c.internal(err)
	}
	v.Next = next
	return c.encode(fasthttp.StatusAccepted, v)
}
