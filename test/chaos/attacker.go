package chaos

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// attackers is the number of connections that send made-up codes, from so many
	// addresses.
	attackers         = 50
	attackerAddresses = 5
	// attackPause is the pause of one attacker after each code.
	attackPause = 500 * time.Millisecond
)

// attack lets attackers begin logins and open their callbacks with made-up codes until
// ctx ends. Nobody may lose a session because of them.
func (w *world) attack(ctx context.Context, work *sync.WaitGroup) {
	for i := range attackers {
		work.Go(func() {
			a := newAttacker(w.balancer.URL, "127.0.0."+strconv.Itoa(2+i%attackerAddresses))
			defer a.client.CloseIdleConnections()
			for ctx.Err() == nil {
				w.attacks.Add(int64(a.try(ctx)))
				pause(ctx, attackPause)
			}
		})
	}
}

// attacker is a client with an address of its own on this machine.
type attacker struct {
	base   string
	client *http.Client
}

func newAttacker(base, address string) *attacker {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	return &attacker{base: base, client: &http.Client{
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, target string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(target)
			if err != nil {
				return nil, err
			}
			return dialer.DialContext(ctx, "tcp4", net.JoinHostPort("127.0.0.1", port))
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// try begins a login and opens its callback with made-up codes. It returns how many
// were answered.
func (a *attacker) try(ctx context.Context) (answered int) {
	began := a.get(ctx, a.base+"/auth/login", "")
	target, err := url.Parse(began.Get("Location"))
	if err != nil {
		return 0
	}
	var cookies []string
	for _, line := range began["Set-Cookie"] {
		pair, _, _ := strings.Cut(line, ";")
		cookies = append(cookies, pair)
	}
	callback := a.base + "/auth/callback?state=" + url.QueryEscape(target.Query().Get("state"))
	for i := range 5 {
		if a.get(ctx, callback+fmt.Sprintf("&code=x%d", i), strings.Join(cookies, "; ")) != nil {
			answered++
		}
	}
	return answered
}

// get returns the header of the answer, or nil if there is none.
func (a *attacker) get(ctx context.Context, target, cookie string) http.Header {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	if err != nil {
		return nil
	}
	r.Header.Set("Cookie", cookie)
	answer, err := a.client.Do(r)
	if err != nil {
		return nil
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswer))
	_ = answer.Body.Close()
	return answer.Header
}
