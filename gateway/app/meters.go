package app

import (
	"fmt"
	"sync"

	"github.com/VictoriaMetrics/metrics"

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
	counter("reuna_events_bot_total", m.flow.Bots.Load)
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
	gauge("reuna_people_last_checkpoint_seconds", func() float64 { return a.people.Stats().LastCheckpoint.Seconds() })
	gauge("reuna_ready", func() float64 {
		if a.Ready() != nil {
			return 0
		}
		return 1
	})
	return m
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
