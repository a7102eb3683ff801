package storage

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"cognito-token-handler/tokenhandler/web"
)

const (
	// countAge is how old a count may be that admits an upload, from its end.
	countAge = 5 * time.Minute
	// recountAge is how old a count must be to be made again before an upload is refused.
	recountAge = 10 * time.Second
	// claimTries is how often a claim is made again because other replicas have claimed
	// something for the same user in between.
	claimTries = 50
)

// Quota limits what a user may store; 0 is no limit.
type Quota struct {
	Bytes, Objects int64
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

// ledger knows what every user has stored, approximately: what a list showed, and what
// was signed since by any replica. What was signed counts until a list that began when
// nothing of it could arrive any more, because only that list shows for certain what
// has arrived. A signed PUT is for one key and one size, so what a list shows of that
// key is not counted twice.
type ledger struct {
	quota  Quota
	now    func() time.Time
	counts *counts
	claims claimBook
}

func newLedger(cfg Config) *ledger {
	return &ledger{
		quota: cfg.Quota, now: cfg.Now, counts: newCounts(cfg.Now),
		claims: claimBook{own: cfg.Claims, shared: cfg.SharedClaims, now: cfg.Now},
	}
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
		if fits, err := l.claim(q.Context(), q.folder, c, stored{}); fits || err != nil {
			return err
		}
	}
	if c.key == "" {
		return l.exceeded()
	}
	replaced, err := b.stat(q.Context(), c.key)
	switch {
	case isProblem(err, web.CodeNotFound):
		return l.exceeded()
	case err != nil:
		return err
	case aws.ToTime(replaced.LastModified).After(l.counts.of(q.folder).asOf):
		return l.exceeded() // the count does not have it, so it gives no credit
	}
	if fits, err := l.claim(q.Context(), q.folder, c, stored{aws.ToInt64(replaced.ContentLength), 1}); fits || err != nil {
		return err
	}
	return l.exceeded()
}

func (l *ledger) exceeded() error {
	return web.NewProblem(web.CodeQuotaExceeded, "the folder would grow over its quota of "+l.quota.String(), nil)
}

// claim adds the claim if the folder stays within the quota, or grows no more than
// credit, which is what it replaces.
func (l *ledger) claim(ctx context.Context, folder string, c claim, credit stored) (fits bool, err error) {
	counted := l.counts.of(folder)
	counted.claiming.Lock() // this process does not compete with itself
	defer counted.claiming.Unlock()
	for range claimTries {
		page := l.claims.read(ctx, folder)
		if !l.fits(counted, page, c, credit) {
			return false, nil
		}
		if page.crowded(c, l.now()) {
			return false, tooMany("have begun lately", errCrowded)
		}
		if l.claims.add(ctx, page, c) {
			return true, nil
		}
	}
	return false, tooMany("begin at once", errContended)
}

func tooMany(what string, cause error) error {
	return web.NewProblem(web.CodeRateLimited, "too many uploads of this user "+what+"; try again later", cause).RetryAfter(retryAfter).By(web.LimitUploads)
}

// fits reports whether the folder stays within the quota with the claim, or does not
// grow by it.
func (l *ledger) fits(counted *counted, page claimPage, c claim, credit stored) bool {
	used, seen := page.used(counted, c.name), counted.seen[c.name]
	switch {
	case c.name != nameOf(ofKey, c.key):
		used.bytes -= seen.bytes // parts, which become the object
	case credit == (stored{}):
		credit = seen
	}
	bytes, objects := c.bytes-credit.bytes, 1-credit.objects
	overBytes := l.quota.Bytes > 0 && bytes > 0 && used.bytes+bytes > l.quota.Bytes
	overObjects := l.quota.Objects > 0 && objects > 0 && used.objects+objects > l.quota.Objects
	return !overBytes && !overObjects
}

// used returns what the user has stored, and when it was counted.
func (l *ledger) used(ctx context.Context, folder string) (stored, time.Time) {
	counted := l.counts.of(folder)
	return l.claims.read(ctx, folder).used(counted, ""), counted.asOf
}

// outdate says that objects were deleted, so that no replica shows its count or uses it
// for a refusal again.
func (l *ledger) outdate(ctx context.Context, folder string) { l.release(ctx, folder, "") }

// release says that nothing more arrives under a claim, and that objects were deleted or
// created. If its request created an object, the next count has it.
func (l *ledger) release(ctx context.Context, folder, name string) {
	// The request may have ended; what it did counts all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	for range claimTries {
		if l.claims.release(ctx, l.claims.read(ctx, folder), name) {
			return
		}
	}
}

// demand is how new a count must be.
type demand struct {
	// age is how old it may be, from its end.
	age time.Duration
	// current demands a new count, too, if objects were deleted or created since it began.
	current bool
}

// refresh makes sure that there is a count as it is demanded. The count that is under
// way when the request comes may have begun before the user's last deletion; then one
// that begins now is waited for as well.
func (l *ledger) refresh(q *request, b userBucket, d demand) error {
	for range 2 {
		if !l.isDue(q.Context(), q.folder, d) {
			return nil
		}
		err := l.counts.renew(q.Context(), q.folder, func(ctx context.Context, into *counted) error {
			page := l.claims.read(ctx, q.folder)
			into.changed = page.changed()
			return b.countFolder(ctx, q.folder, page.names(), into)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *ledger) isDue(ctx context.Context, folder string, d demand) bool {
	counted := l.counts.of(folder)
	return counted.ended.IsZero() || l.now().Sub(counted.ended) > d.age ||
		d.current && l.claims.read(ctx, folder).changed() != counted.changed
}
