package backfill

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/reuna/reuna/benchmarks/serve"
)

// desk is the admin API of a gateway.
type desk struct {
	server *serve.Server
	key    string
}

// definition is what the desk says of one, as far as is read here.
type definition struct {
	State    string `json:"state"`
	Reason   string `json:"reason"`
	Backfill struct {
		State       string   `json:"state"`
		Progress    float64  `json:"progress"`
		Events      int64    `json:"events"`
		SecondsLeft *float64 `json:"secondsLeft"`
		Reason      string   `json:"reason"`
	} `json:"backfill"`
	Members *struct {
		Estimate int64 `json:"estimate"`
	} `json:"members"`
}

const askTime = 10 * time.Second

// ask sends a request to the desk and reads the answer, which must be good.
func (d *desk) ask(ctx context.Context, method, path, body string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, d.server.Desk+"/admin/v1/"+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+d.key)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: the desk answered %s: %.600s", method, path, response.Status, text)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s %s: %w in %.300s", method, path, err, text)
	}
	return nil
}
