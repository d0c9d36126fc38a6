package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/reuna/reuna/gateway/app"
)

// job is one command: what it adds to the flags, and what it does.
type job struct {
	name, about string
	flags       func(set *flag.FlagSet, c *call)
	do          func(ctx context.Context, c *call) (exit int, err error)
}

// call is one run of a command.
type call struct {
	offline app.Offline
	out     io.Writer

	from, snapshot, keys, to string
	replace                  bool
}

func commands() []job {
	return []job{
		{"backup", "have the running gateway copy its data into a folder of backups", func(set *flag.FlagSet, c *call) {
			set.StringVar(&c.to, "to", "", "backup `folder` (default: the gateway's setting backup.to)")
		}, backUp},
		{"restore", "bring a data folder back from a backup", func(set *flag.FlagSet, c *call) {
			set.StringVar(&c.from, "from", "", "backup `folder`")
			set.StringVar(&c.snapshot, "snapshot", "", "`id` of the snapshot (default: the newest)")
			set.StringVar(&c.keys, "keys", "", "key `folder` of the gateway that made the backup, if it is not the one beside the new data folder")
		}, restore},
		{"verify", "check every record of a data folder, and the activity log", nil, verify},
		{"rebuild", "derive all that is known of people from their events alone, and compare", func(set *flag.FlagSet, c *call) {
			set.BoolVar(&c.replace, "replace", false, "put what was derived in the place of what differs")
		}, rebuild},
	}
}

func commandNames() string {
	var names []string
	for _, j := range commands() {
		names = append(names, j.name)
	}
	return strings.Join(names, ", ")
}

// command runs the command of that name.
func command(name string, args []string, stdout, stderr io.Writer) int {
	for _, j := range commands() {
		if j.name == name {
			return j.run(args, stdout, stderr)
		}
	}
	fmt.Fprintf(stderr, "gateway has no command %q; there are %s, and without one it runs the gateway\n", name, commandNames())
	return exitUsage
}

func (j *job) run(args []string, stdout, stderr io.Writer) int {
	var f flags
	c := &call{out: stdout}
	set := flag.NewFlagSet("gateway "+j.name, flag.ContinueOnError)
	set.SetOutput(stderr)
	set.Usage = func() {
		fmt.Fprintf(stderr, "gateway %s: %s\n", j.name, j.about)
		set.PrintDefaults()
	}
	set.StringVar(&f.config, "config", "", "the gateway's configuration `file`")
	set.StringVar(&f.data, "data", "", "data `folder` (setting data_dir; default ./reuna-data)")
	if j.flags != nil {
		j.flags(set, c)
	}
	switch err := set.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case set.NArg() > 0:
		fmt.Fprintf(stderr, "gateway %s takes flags only; seen: %s\n", j.name, strings.Join(set.Args(), " "))
		return exitUsage
	}
	cfg, err := f.read()
	if err == nil {
		err = app.CheckDefinitions(cfg)
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	show := newProgress(stderr)
	// What goes well is told by the command itself.
	log := slog.New(slog.NewTextHandler(show, &slog.HandlerOptions{Level: slog.LevelWarn}))
	c.offline = app.Offline{Config: cfg, Logger: log, Progress: show.step}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	exit, err := j.do(ctx, c)
	show.end()
	if err != nil {
		fmt.Fprintf(stderr, "gateway %s: %v\n", j.name, err)
	}
	return exit
}

func backUp(ctx context.Context, c *call) (int, error) {
	done, err := app.Backup(ctx, app.BackupOptions{Offline: c.offline, To: c.to, AdminKey: os.Getenv("REUNA_ADMIN_KEY")})
	if err != nil {
		return exitFailed, err
	}
	c.say("snapshot %s is in %s: %s new, %s were there already", done.Snapshot, done.To, size(done.NewBytes), size(done.ReusedBytes))
	return exitOK, nil
}

func restore(ctx context.Context, c *call) (int, error) {
	if c.from == "" {
		return exitUsage, errors.New("-from is missing: name the backup folder")
	}
	done, err := app.Restore(ctx, app.RestoreOptions{Offline: c.offline, From: c.from, Snapshot: c.snapshot, Keys: c.keys})
	if err != nil {
		return exitFailed, err
	}
	s := done.Snapshot
	c.say("%s is snapshot %s of %s: %s, %d log entries read", c.offline.Config.DataDir, s.ID, s.Time.Format("2006-01-02 15:04:05 MST"), size(done.Bytes), done.Entries)
	if done.Erased > 0 {
		c.say("%d erasures that came after it were done again", done.Erased)
	}
	c.say("start the gateway on it as ever")
	return exitOK, nil
}

func verify(ctx context.Context, c *call) (int, error) {
	v, err := app.Verify(ctx, c.offline)
	if err != nil {
		return exitFailed, err
	}
	s := &v.Store
	c.say("%d events: %d entries in the log, %d in histories; %d facets counted one by one", s.Events, s.Tail, s.Settled, s.Checked)
	c.say("%d erasures, %d of them not through yet", s.Erasures, s.Unfinished)
	for _, x := range s.Warnings {
		c.say("harmless: %v", x)
	}
	for _, x := range s.Faults {
		c.say("fault: %v", x)
	}
	if more := s.FaultCount - len(s.Faults); more > 0 {
		c.say("and %d faults more", more)
	}
	for _, x := range s.NotVerified {
		c.say("not looked at: %s", x)
	}
	c.say("activity log: %d entries, %d signed heads", v.Audit.Entries, v.Audit.Heads)
	if v.Restored {
		c.say("activity log: not compared with the head file, since the folder was restored and not started yet")
	}
	for _, x := range v.Audit.Notes {
		c.say("activity log, known: %s", x.Text)
	}
	for _, x := range v.Audit.Faults {
		c.say("activity log, fault (%s): %s", x.Kind, x.Text)
	}
	if !v.OK() {
		return exitFailed, errors.New("something is wrong; restore a backup, or ask with these lines")
	}
	c.say("all of it agrees")
	return exitOK, nil
}

func rebuild(ctx context.Context, c *call) (int, error) {
	r, err := app.Rebuild(ctx, c.offline, c.replace)
	if err != nil {
		return exitFailed, err
	}
	c.say("derived %d facets, %d names and %d links from %d entries", r.Facets, r.Names, r.Pairs, r.Entries)
	if r.Unprovable > 0 {
		c.say("%d records rest on events that were deleted by age, and stay as they are", r.Unprovable)
	}
	if r.Earlier > 0 && c.replace {
		c.say("%d facets of an earlier version were written anew: their page views and visits of people and robots are told apart now", r.Earlier)
	} else if r.Earlier > 0 {
		c.say("%d facets are of an earlier version, which did not tell page views and visits of people from those of robots; -replace writes them anew", r.Earlier)
	}
	for _, x := range r.Differences {
		c.say("differs: %x: %s", x.Key, x.What)
	}
	switch {
	case r.Total == 0:
		c.say("all of it is as it is stored")
	case c.replace:
		c.say("%d records differed, %d were replaced", r.Total, r.Replaced)
	default:
		return exitFailed, fmt.Errorf("%d records differ; with -replace what was derived takes their place (a computed trait that was defined lately differs, too)", r.Total)
	}
	return exitOK, nil
}

func (c *call) say(format string, args ...any) { fmt.Fprintf(c.out, format+"\n", args...) }

// size writes bytes for people.
func size(n int64) string {
	for _, u := range []struct {
		unit int64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.unit {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.unit), u.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
