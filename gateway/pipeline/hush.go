package pipeline

import "time"

// hush is how long a request that makes a new claim takes to learn of whom. To
// read somebody who is not in memory takes 0.04 to 0.4 ms, a stranger a tenth of
// that; what takes longer, on a slow disk, is rounded up to whole multiples.
const hush = time.Millisecond

// meet looks up who the events name. The time that it takes for a claim is the
// same whether those are known or not (storage/people, Meet).
func (p *Pipeline) meet(j *job) error {
	began := time.Now()
	news, err := p.o.People.Meet(j.items, j.r.AnonymousID, j.r.Fresh)
	if news {
		pause(hush - time.Since(began)%hush)
	}
	return err
}
