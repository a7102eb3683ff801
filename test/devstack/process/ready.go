package process

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// AwaitOK returns when the child answers 200 at the URL. If the child ends first it returns its Err, if the context ends first
// that and the child's last lines.
func (p *Process) AwaitOK(ctx context.Context, url string) error {
	client := &http.Client{Timeout: time.Minute}
	defer client.CloseIdleConnections()
	ticker := time.NewTicker(25 * time.Millisecond)
	defer ticker.Stop()
	for !answersOK(ctx, client, url) {
		select {
		case <-p.done:
			return p.Err()
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s to answer at %s: %w; its last lines:\n%s",
				p.name, url, context.Cause(ctx), p.out.tail(tailLines))
		case <-ticker.C:
		}
	}
	return nil
}

func answersOK(ctx context.Context, client *http.Client, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}
