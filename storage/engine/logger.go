package engine

import "fmt"

// pebbleLogger brings Pebble's log lines to slog. Pebble's code goes on as if
// nothing were wrong after a Fatalf that returns, so Fatalf really exits.
type pebbleLogger struct{ db *DB }

func (l pebbleLogger) Infof(format string, args ...any) {
	l.db.log.Debug("pebble: " + fmt.Sprintf(format, args...))
}

func (l pebbleLogger) Errorf(format string, args ...any) {
	l.db.log.Error("pebble: " + fmt.Sprintf(format, args...))
}

func (l pebbleLogger) Fatalf(format string, args ...any) {
	l.db.fail(fmt.Errorf(format, args...))
}
