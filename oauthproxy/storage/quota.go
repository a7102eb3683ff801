package storage

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"golang.org/x/sync/singleflight"

	"cognito-token-handler/tokenhandler/web"
)

const (
	// countTimeout bounds the counting of one folder, which goes on if the request that
	// needs it has ended.
	countTimeout = 2 * time.Minute
	// countAge is how old a count may be that admits an upload.
	countAge = 5 * time.Minute
	// recountAge is how old a count must be to be made again before an upload is refused.
	recountAge = 10 * time.Second
	// claimTimes bounds, roughly, the times of expiry that an account tells apart.
	claimTimes = 64
	// maxAccounts bounds the users that are remembered. Another one costs a count.
	maxAccounts = 10_000
)

// Quota limits what a user may store; 0 is no limit.
type Quota struct {
	Bytes, Objects int64
}

// ledger knows what every user has stored, approximately: what a list showed, and what
// was signed since. What was signed counts until a list that began after its URL
// expired, because only that list shows for certain whether it arrived. Until then an
// object can count twice, so the ledger never knows too little of what this process
// has signed. It does not know what others sign.
type ledger struct {
	quota Quota
	// grain is what the expiry of claims is rounded to, in seconds.
	grain int64
	now   func() time.Time
	// counting makes requests of a user wait for the same count.
	counting singleflight.Group

	mu       sync.Mutex
	accounts map[string]*account // folder → what is known of it
}

// account is what is known of one folder.
type account struct {
	count count
	// asOf is when the count began; zero if there is none.
	asOf time.Time
	// outdated says that objects were deleted or created since.
	outdated bool
	// claims are what was signed since, by the Unix time at which it has expired for
	// certain. Times are rounded up, so that there are few.
	claims map[int64]count
	// uploads are uploads in parts: S3's id → the claim for the whole.
	uploads map[string]claim
}

// claim is what one signed request may store.
type claim struct {
	// id is S3's id of an upload in parts, "" for other requests. A further claim with
	// the same id replaces the one before.
	id    string
	bytes int64
	// key is the full key, whose object the request would replace. It is "" for parts,
	// which lie beside that object.
	key string
	// until is when the signed request expires.
	until time.Time
}

func newLedger(cfg Config) *ledger {
	grain := max(1, int64(cfg.Expires/time.Second)/claimTimes)
	return &ledger{quota: cfg.Quota, grain: grain, now: cfg.Now, accounts: make(map[string]*account)}
}

// admit counts a claim against the user's quota, or returns quota_exceeded. Before it
// refuses, it counts again, and looks whether an object would be replaced.
func (l *ledger) admit(q *request, b userBucket, c claim) error {
	if l.quota == (Quota{}) {
		return nil
	}
	for _, demand := range []demand{{age: countAge}, {age: recountAge, current: true}} {
		if err := l.refresh(q, b, demand); err != nil {
			return err
		}
		if l.claim(q.folder, c, count{}) {
			return nil
		}
	}
	if c.key == "" {
		return l.exceeded()
	}
	replaced, err := b.stat(q.Context(), c.key)
	if err != nil && !isProblem(err, web.CodeNotFound) {
		return err
	}
	if err == nil && l.claim(q.folder, c, count{bytes: aws.ToInt64(replaced.ContentLength), objects: 1}) {
		return nil
	}
	return l.exceeded()
}

func (l *ledger) exceeded() error {
	return web.NewProblem(web.CodeQuotaExceeded, "the folder would grow over its quota of "+l.quota.String(), nil)
}

// String describes the quota.
func (q Quota) String() string {
	switch {
	case q.Objects == 0:
		return fmt.Sprintf("%d bytes", q.Bytes)
	case q.Bytes == 0:
		return fmt.Sprintf("%d objects", q.Objects)
	}
	return fmt.Sprintf("%d bytes and %d objects", q.Bytes, q.Objects)
}

// claim adds the claim if the folder stays within the quota, or grows no more than
// credit, which is what it replaces.
func (l *ledger) claim(folder string, c claim, credit count) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.account(folder)
	used := a.used(c.id)
	bytes, objects := used.bytes+c.bytes-credit.bytes, used.objects+1-credit.objects
	if c.id != "" {
		bytes -= a.count.unfinished[c.id] // they are part of the claim
	}
	overBytes := l.quota.Bytes > 0 && bytes > l.quota.Bytes && c.bytes > credit.bytes
	overObjects := l.quota.Objects > 0 && objects > l.quota.Objects && credit.objects == 0
	if overBytes || overObjects {
		return false
	}
	a.add(c, l.grain)
	return true
}

func (a *account) add(c claim, grain int64) {
	if c.id != "" {
		if before, ok := a.uploads[c.id]; ok && before.until.After(c.until) {
			c.until = before.until
		}
		a.uploads[c.id] = c
		return
	}
	over := (c.until.Unix()/grain + 1) * grain
	sum := a.claims[over]
	a.claims[over] = count{bytes: sum.bytes + c.bytes, objects: sum.objects + 1}
}

// used returns what the folder holds, and what may have arrived, without the claim of
// the upload except.
func (a *account) used(except string) count {
	used := count{bytes: a.count.bytes, objects: a.count.objects}
	for _, sum := range a.claims {
		used.bytes += sum.bytes
		used.objects += sum.objects
	}
	for id, c := range a.uploads {
		if id != except {
			used.bytes += max(0, c.bytes-a.count.unfinished[id])
			used.objects++
		}
	}
	return used
}

// used returns what the user has stored, and when it was counted.
func (l *ledger) used(folder string) (count, time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.account(folder)
	return a.used(""), a.asOf
}

// outdate says that objects were deleted or created, so that the count is not shown or
// used for a refusal again.
func (l *ledger) outdate(folder string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a, ok := l.accounts[folder]; ok {
		a.outdated = true
	}
}

// release forgets the claim of an upload in parts that was completed or aborted.
// Completed, its object is in the next count.
func (l *ledger) release(folder, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a, ok := l.accounts[folder]; ok {
		a.outdated = true
		if c, ok := a.uploads[id]; ok {
			c.until = l.now()
			a.uploads[id] = c
		}
	}
}

// demand is how new a count must be.
type demand struct {
	// age is how old it may be.
	age time.Duration
	// current demands a new count, too, if objects were deleted or created since.
	current bool
}

// refresh makes sure that there is a count as it is demanded.
func (l *ledger) refresh(q *request, b userBucket, d demand) error {
	if !l.isDue(q.folder, d) {
		return nil
	}
	done := l.counting.DoChan(q.folder, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(q.Context()), countTimeout)
		defer cancel()
		return nil, l.recount(ctx, b, q.folder)
	})
	select {
	case result := <-done:
		return result.Err
	case <-q.Context().Done():
		return web.NewProblem(web.CodeUpstreamTimeout, "the folder is being counted; try again later", q.Context().Err()).RetryAfter(retryAfter)
	}
}

func (l *ledger) isDue(folder string, d demand) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.account(folder)
	return a.asOf.IsZero() || l.now().Sub(a.asOf) > d.age || d.current && a.outdated
}

func (l *ledger) recount(ctx context.Context, b userBucket, folder string) error {
	began := l.now()
	l.mu.Lock()
	l.account(folder).outdated = false // what is deleted from here on outdates this count, too
	l.mu.Unlock()
	counted, err := b.countFolder(ctx, folder)
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.account(folder)
	if err != nil {
		a.outdated = true
		return err
	}
	a.count, a.asOf = counted, began
	a.settle()
	return nil
}

// settle drops the claims that the count has covered.
func (a *account) settle() {
	for over := range a.claims {
		if over <= a.asOf.Unix() {
			delete(a.claims, over)
		}
	}
	for id, c := range a.uploads {
		if !c.until.After(a.asOf) {
			delete(a.uploads, id)
		}
	}
}

// account returns the account of a folder.
func (l *ledger) account(folder string) *account {
	if a, ok := l.accounts[folder]; ok {
		return a
	}
	if len(l.accounts) >= maxAccounts {
		l.forget()
	}
	a := &account{claims: make(map[int64]count), uploads: make(map[string]claim)}
	l.accounts[folder] = a
	return a
}

// forget drops the accounts without claims, or all if all have some: a claim that is
// forgotten is seen by the next count if it has arrived.
func (l *ledger) forget() {
	for folder, a := range l.accounts {
		if len(a.claims) == 0 && len(a.uploads) == 0 {
			delete(l.accounts, folder)
		}
	}
	if len(l.accounts) >= maxAccounts {
		clear(l.accounts)
	}
}
