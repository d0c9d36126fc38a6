package app

import (
	"sync"
	"time"
)

// geoCheck is how often the geo files are looked at: updaters bring new ones a
// few times a week.
const geoCheck = 30 * time.Second

// watchGeo takes new geo files into use when they lie there, as updaters such as
// geoipupdate leave them, without a signal. Files that cannot be used are logged,
// and the old ones answer on.
func (a *App) watchGeo() error {
	if g := a.cfg.Geo; g.City == "" && g.Country == "" && g.ASN == "" {
		return nil
	}
	stop := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(geoCheck)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				_ = a.enricher.Refresh() // which has logged it
			}
		}
	})
	a.opened("geo files", func() error {
		close(stop)
		done.Wait()
		return nil
	})
	return nil
}
