package limit

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"

	"cognito-token-handler/tokenhandler/web"
)

// MaxKeys is how many clients or sessions a [Limit] remembers. It forgets those that it has
// not seen for the longest time. All take about 2 MB.
const MaxKeys = 10_000

// Config is what a [Limit] needs.
type Config struct {
	// Name is the limit in metrics and logs, one of [web.Limits]. Required.
	Name string
	// Count is how many requests are allowed at once, and Per the time in which as many
	// more are allowed, evenly. Required.
	Count int
	Per   time.Duration
	// Client returns the network by which the client of a request is counted, or the zero
	// value if the client is not limited. Required for limits by client.
	Client func(r *http.Request) netip.Prefix
	// Now is the clock. Required.
	Now func() time.Time
}

// Limit is one limit. All methods may be called concurrently, and on nil, which limits
// nothing. The errors are [*web.Problem] values.
type Limit struct {
	cfg Config

	mu      sync.Mutex
	buckets *simplelru.LRU[string, *rate.Limiter] // network or session → what it may still do
}

// New returns a Limit.
func New(cfg Config) *Limit {
	buckets, err := simplelru.NewLRU[string, *rate.Limiter](MaxKeys, nil)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &Limit{cfg: cfg, buckets: buckets}
}

// Take counts a request of a session. It returns an error if the session has made too many.
func (l *Limit) Take(session string) error {
	if l == nil || session == "" {
		return nil
	}
	return l.answer(l.use(session, 1), "too many such requests of this session; try again later")
}

// TakeClient counts r. It returns an error if its client has made too many.
func (l *Limit) TakeClient(r *http.Request) error { return l.client(r, 1) }

// CheckClient returns the error that [Limit.TakeClient] would return, and counts nothing:
// for requests that count only if they fail.
func (l *Limit) CheckClient(r *http.Request) error { return l.client(r, 0) }

func (l *Limit) client(r *http.Request, n int) error {
	if l == nil {
		return nil
	}
	network := l.cfg.Client(r)
	if !network.IsValid() {
		return nil
	}
	return l.answer(l.use(network.String(), n), "too many such requests from this network; try again later")
}

// use takes n of what key may do, if there is one left. Else it returns how long to wait
// for one.
func (l *Limit) use(key string, n int) time.Duration {
	now := l.cfg.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	bucket, known := l.buckets.Get(key)
	if !known {
		if n == 0 {
			return 0
		}
		bucket = rate.NewLimiter(rate.Limit(float64(l.cfg.Count)/l.cfg.Per.Seconds()), l.cfg.Count)
		l.buckets.Add(key, bucket)
	}
	missing := 1 - bucket.TokensAt(now)
	if missing <= 0 {
		bucket.AllowN(now, n)
		return 0
	}
	return max(time.Duration(missing/float64(bucket.Limit())*float64(time.Second)), 1)
}

// answer returns the answer to a request whose client has to wait.
func (l *Limit) answer(wait time.Duration, detail string) error {
	if wait == 0 {
		return nil
	}
	return web.NewProblem(web.CodeRateLimited, detail, nil).RetryAfter(wait).By(l.cfg.Name)
}
