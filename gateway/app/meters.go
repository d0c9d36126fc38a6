package app

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/reuna/reuna/gateway/ops"
	"github.com/reuna/reuna/gateway/pipeline"
)

// meters are the figures of /metrics. Every label comes from a fixed set, so
// nothing that a visitor sends can make a series or stand in one.
type meters struct {
	set  *metrics.Set
	flow pipeline.Stats

	mu      sync.RWMutex
	answers map[answer]*metrics.Counter
}

type answer struct {
	route  string
	status int
	code   string
}

func newMeters(a *App) *meters {
	m := &meters{set: metrics.NewSet(), answers: map[answer]*metrics.Counter{}}
	gauge := func(name string, read func() float64) { m.set.NewGauge(name, read) }
	counter := func(name string, read func() int64) {
		// Counters that live elsewhere are read when somebody asks.
		gauge(name, func() float64 { return float64(read()) })
	}
	counter("reuna_requests_total", m.flow.Requests.Load)
	counter("reuna_events_total", m.flow.Events.Load)
	counter("reuna_events_duplicate_total", m.flow.Duplicates.Load)
	counter("reuna_events_refused_total", m.flow.Refused.Load)
	counter("reuna_events_bot_total", m.flow.Bots.All)
	counter("reuna_events_human_total", func() int64 { return max(m.flow.Events.Load()-m.flow.Bots.All(), 0) })
	m.flow.Bots.Each(func(class string, n *atomic.Int64) {
		counter(fmt.Sprintf("reuna_bot_events_total{class=%q}", class), n.Load)
	})
	counter("reuna_bot_excluded_total", m.flow.BotsExcluded.Load)
	counter("reuna_bot_refused_total", m.flow.BotsRefused.Load)
	counter("reuna_identity_blocked_total", m.flow.Blocked.Load)
	counter("reuna_sessions_started_total", m.flow.Sessions.Load)
	counter("reuna_tokens_refused_total", m.flow.TokensRefused.Load)
	gauge("reuna_log_entries", func() float64 { return float64(a.events.Durable()) })
	gauge("reuna_log_queued_bytes", func() float64 { return float64(a.events.Queued()) })
	gauge("reuna_store_disk_bytes", func() float64 { return float64(a.db.Metrics().DiskBytes) })
	gauge("reuna_store_memtable_bytes", func() float64 { return float64(a.db.Metrics().MemTableBytes) })
	gauge("reuna_store_compaction_debt_bytes", func() float64 { return float64(a.db.Metrics().CompactionDebt) })
	gauge("reuna_store_read_amplification", func() float64 { return float64(a.db.Metrics().ReadAmp) })
	counter("reuna_store_wal_written_bytes_total", func() int64 { return int64(a.db.Metrics().WALBytesWritten) })
	counter("reuna_store_flushed_bytes_total", func() int64 { return int64(a.db.Metrics().FlushedBytes) })
	counter("reuna_store_compacted_bytes_total", func() int64 { return int64(a.db.Metrics().CompactedBytes) })
	gauge("reuna_people_facets_in_memory", func() float64 { return float64(a.people.Stats().Facets) })
	gauge("reuna_people_identifiers_in_memory", func() float64 { return float64(a.people.Stats().Identifiers) })
	gauge("reuna_people_unsaved", func() float64 { return float64(a.people.Stats().Unsaved) })
	counter("reuna_people_checkpoints_total", func() int64 { return a.people.Stats().Checkpoints })
	counter("reuna_people_evictions_total", func() int64 { return a.people.Stats().Evictions })
	gauge("reuna_identity_held", func() float64 { return float64(a.people.Stats().Held) })
	counter(`reuna_identity_holds_total{why="links"}`, func() int64 { return a.people.Stats().HeldLinks })
	counter(`reuna_identity_holds_total{why="addresses"}`, func() int64 { return a.people.Stats().HeldAddresses })
	counter(`reuna_identity_holds_total{why="operator"}`, func() int64 { return a.people.Stats().HeldOperator })
	counter("reuna_people_clusters_known_total", func() int64 { return a.people.Stats().ClusterHits })
	counter("reuna_people_clusters_resolved_total", func() int64 { return a.people.Stats().Resolved })
	counter("reuna_people_profiles_known_total", func() int64 { return a.people.Stats().JoinHits })
	counter("reuna_people_profiles_joined_total", func() int64 { return a.people.Stats().Joins })
	gauge("reuna_people_last_checkpoint_seconds", func() float64 { return a.people.Stats().LastCheckpoint.Seconds() })
	gauge("reuna_ready", func() float64 { return truth(a.Ready() == nil) })
	m.storage(a, gauge, counter)
	m.set.RegisterMetricsWriter(a.writeLoss)
	return m
}

// storage are the figures of what lasts.
func (m *meters) storage(a *App, gauge func(string, func() float64), counter func(string, func() int64)) {
	gauge("reuna_log_head_seq", func() float64 { return float64(a.events.Head()) })
	gauge("reuna_log_last_seq", func() float64 { return float64(a.events.LastSeq()) })
	state := func(read func(*ops.LogState) float64) func() float64 {
		return func() float64 {
			x, err := a.ops.LogState()
			if err != nil {
				a.log.Warn("the log's state cannot be read for the metrics", "err", err)
				return math.NaN()
			}
			return read(&x)
		}
	}
	gauge("reuna_log_settled_seq", state(func(x *ops.LogState) float64 { return float64(x.Settled) }))
	gauge("reuna_log_settle_lag_entries", state(func(x *ops.LogState) float64 { return float64(x.Durable - min(x.Settled, x.Durable)) }))
	gauge("reuna_log_tail_age_seconds", state(func(x *ops.LogState) float64 {
		if x.Oldest.IsZero() {
			return 0
		}
		return max(time.Since(x.Oldest).Seconds(), 0)
	}))
	gauge("reuna_log_settle_failing", func() float64 { return truth(a.people.Stats().SettleErr != nil) })
	gauge("reuna_log_disk_full", func() float64 {
		u := a.Ready()
		return truth(u != nil && u.Code == codeDiskFull)
	})
	gauge("reuna_store_disk_free_bytes", func() float64 {
		free, known := a.db.FreeBytes()
		if !known {
			return math.NaN()
		}
		return float64(free)
	})
	counter("reuna_events_late_total", func() int64 { return a.people.Stats().Late })
	gauge("reuna_erasures_pending", func() float64 {
		n, err := a.pendingErasures()
		if err != nil {
			a.log.Warn("erasures cannot be counted for the metrics", "err", err)
			return math.NaN()
		}
		return float64(n)
	})
	gauge("reuna_backup_last_timestamp_seconds", func() float64 {
		if last := a.ops.LastBackup(); !last.IsZero() {
			return float64(last.Unix())
		}
		return 0
	})
	gauge("reuna_backup_age_seconds", func() float64 {
		if last := a.ops.LastBackup(); !last.IsZero() {
			return time.Since(last).Seconds()
		}
		return math.NaN() // none was made
	})
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// pendingLook is how many of the newest erasures are looked at for the metric.
const pendingLook = 1000

// pendingErasures counts the erasures that are not through yet.
func (a *App) pendingErasures() (n int, err error) {
	list, err := a.people.Erasures(0, pendingLook)
	for _, e := range list {
		if !e.Done {
			n++
		}
	}
	return n, err
}

// Count counts one answer of the site listener.
func (m *meters) Count(route string, status int, code string) {
	k := answer{route, status, code}
	m.mu.RLock()
	c := m.answers[k]
	m.mu.RUnlock()
	if c == nil {
		c = m.set.GetOrCreateCounter(fmt.Sprintf(`reuna_http_answers_total{route=%q,status="%d",code=%q}`, route, status, code))
		m.mu.Lock()
		m.answers[k] = c
		m.mu.Unlock()
	}
	c.Inc()
}
