package chaos

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/devstack/process"
)

// upstream is the API behind the token handler. It accepts access tokens that have not
// expired and whose login was not revoked.
type upstream struct {
	URL string

	pool    *cognitotest.Server
	refused atomic.Int64
	server  *http.Server
	work    sync.WaitGroup
}

func newUpstream(pool *cognitotest.Server) (*upstream, error) {
	listener, err := process.Listen(0)
	if err != nil {
		return nil, err
	}
	u := &upstream{URL: "http://" + listener.Addr().String(), pool: pool}
	u.server = &http.Server{Handler: u, ReadHeaderTimeout: time.Minute}
	u.work.Go(func() { _ = u.server.Serve(listener) })
	return u, nil
}

func (u *upstream) close() {
	_ = u.server.Close()
	u.work.Wait()
}

// ServeHTTP implements [http.Handler].
func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	w.Header().Set("Content-Type", "application/json")
	if !u.pool.Accepts(token) {
		u.refused.Add(1)
		if ago := time.Since(expiryOf(token)); ago > 0 {
			w.Header().Set(expiredHeader, ago.String())
		}
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	_, _ = w.Write([]byte(`{"ok":true}`))
}

// expiredHeader tells how long ago a refused token has expired.
const expiredHeader = "X-Expired"

// expiryOf returns the exp of a token, or a time in the far future.
func expiryOf(token string) time.Time {
	var claims struct{ Exp int64 }
	if parts := strings.Split(token, "."); len(parts) == 3 {
		payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
		_ = json.Unmarshal(payload, &claims)
	}
	if claims.Exp == 0 {
		return time.Now().Add(time.Hour)
	}
	return time.Unix(claims.Exp, 0)
}
