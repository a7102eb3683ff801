package refresh_test

import (
	"testing"
	"time"
)

// TestLostResponse: the response with the new cookie never reached the browser. That
// it was written does not confirm the new generation: long after the grace, the old
// cookie still gets it.
func TestLostResponse(t *testing.T) {
	p := &provider{rotate: true, latency: 100 * time.Millisecond}
	inBubble(t, p, func(t *testing.T, f *fixture, j jar) {
		time.Sleep(61 * time.Minute)
		for range 2 {
			if token, h, err := f.request(t, j); err != nil || token != "access 1" || h.Get("Set-Cookie") == "" {
				t.Fatalf("token %q, error %v, header %v", token, err, h)
			}
			time.Sleep(10 * time.Minute)
			f.sweep(t)
		}
		token, _, err := f.request(t, j)
		if err != nil || token != "access 1" {
			t.Errorf("token %q, error %v", token, err)
		}
		if calls := p.count(); calls != 1 {
			t.Errorf("%d calls", calls)
		}
	})
}
