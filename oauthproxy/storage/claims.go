package storage

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// slowest is the rate, in bytes a second, at which an upload is expected to arrive at
	// least: 1 Mbit/s. S3 compares the expiry when a request begins, so a slow one ends
	// later.
	slowest = 125_000
	// latency is what an upload may take beside that.
	latency = time.Minute
	// claimLife is how long a claim is kept after nothing of it can arrive any more: any
	// count that is in use by then has begun later.
	claimLife = countAge + countTimeout
	// maxClaims bounds the claims of a folder that are told apart. Others are summed up by
	// their end, and count twice when they have arrived.
	maxClaims = 500
	// maxPartsClaims is how many claims a folder has when a further upload in parts is
	// refused. Its claim is not summed up, because it is renewed with each part.
	maxPartsClaims = 2 * maxClaims
	// maxNumber bounds the numbers of an entry.
	maxNumber = 1 << 50
	// releaseTimeout bounds how long a request waits until others know what it has done.
	releaseTimeout = time.Second
)

var (
	errContended = errors.New("the claims of the folder changed at every try")
	errCrowded   = errors.New("the folder has too many claims")
)

// Maps keeps small maps of texts by name. It may be called concurrently. memory.Maps
// implements it for one process, and valkey.Store for many.
type Maps interface {
	// ReadMap returns a map and its version. A map that does not exist is empty and has
	// the version "".
	ReadMap(ctx context.Context, name string) (entries map[string]string, version string, err error)
	// ChangeMap sets and removes entries of a map if it still has this version, and keeps
	// it for the given time. It reports false if the map has another version.
	ChangeMap(ctx context.Context, name, version string, set map[string]string, remove []string, keep time.Duration) (changed bool, err error)
}

// claim is what one signed request may store.
type claim struct {
	// name is that of the key or of the upload in parts, see [nameOf]. A further claim
	// with the same name replaces the one before.
	name  string
	bytes int64
	// key is the full key, whose object the request would replace. It is "" for parts,
	// which lie beside that object.
	key string
	// until is when nothing of it can arrive any more.
	until time.Time
}

// arrived returns when the body of a request has arrived that begins before it expires.
func arrived(expires time.Time, size int64) time.Time {
	return expires.Add(latency + time.Duration(size/slowest)*time.Second)
}

// The kinds of names of claims.
const (
	ofKey    = "key"
	ofCopy   = "copy"
	ofUpload = "upload"
)

// nameOf returns the name of a claim. It is a hash, because others may read where it is
// kept.
func nameOf(kind, id string) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + id))
	return base64.RawURLEncoding.EncodeToString(sum[:18])
}

// entry is a claim as it is kept.
type entry struct {
	stored

	// until is when nothing of it can arrive any more, and end the same before it was
	// released: other replicas may have kept that. Both are in Unix seconds, rounded up.
	until, end int64
}

// kept returns when the claim is no longer needed.
func (e entry) kept() time.Time { return time.Unix(e.end, 0).Add(claimLife) }

func (e entry) String() string {
	text := make([]byte, 0, 64)
	for i, number := range []int64{e.bytes, e.objects, e.until, e.end} {
		if i > 0 {
			text = append(text, ' ')
		}
		text = strconv.AppendInt(text, number, 10)
	}
	return string(text)
}

// parseEntry reads what String writes. The store is not trusted: sums of what it accepts
// do not overflow.
func parseEntry(text string) (e entry, ok bool) {
	for _, number := range []*int64{&e.bytes, &e.objects, &e.until, &e.end} {
		var word string
		word, text, _ = strings.Cut(text, " ")
		var err error
		if *number, err = strconv.ParseInt(word, 10, 64); err != nil || *number < 0 || *number > maxNumber {
			return entry{}, false
		}
	}
	return e, text == ""
}

// changedEntry is the entry with the mark of the last deletion or creation. It is no
// name of a claim.
const changedEntry = "changed"

// claimPage is what is known of a folder's claims at one moment.
type claimPage struct {
	folder string
	// own is what this process has signed, and shared what all have. shared is nil
	// without a store, and while it is out.
	own, shared               map[string]string
	ownVersion, sharedVersion string
	// claims are all of both by name.
	claims map[string]entry
}

// changed returns the mark of the last deletion or creation.
func (p claimPage) changed() string { return p.own[changedEntry] + "/" + p.shared[changedEntry] }

// entries returns all claims by name. What the store has counts more than what this
// process knows, which may have been released elsewhere.
func entries(own, shared map[string]string) map[string]entry {
	all := make(map[string]entry, max(len(own), len(shared)))
	for _, known := range []map[string]string{own, shared} {
		for name, text := range known {
			if e, ok := parseEntry(text); ok && name != changedEntry {
				all[name] = e
			}
		}
	}
	return all
}

// gone returns the names of the claims that are kept no longer.
func (p claimPage) gone(now time.Time) []string {
	names := []string{}
	for name, e := range p.claims {
		if e.kept().Before(now) {
			names = append(names, name)
		}
	}
	return names
}

// size returns how many claims are still kept.
func (p claimPage) size(now time.Time) int { return len(p.claims) - len(p.gone(now)) }

// crowded reports whether the folder has no place for the claim: it is of parts, and the
// folder has too many claims.
func (p claimPage) crowded(c claim, now time.Time) bool {
	_, known := p.claims[c.name]
	return !known && c.key == "" && p.size(now) >= maxPartsClaims
}

// names returns the names of all claims.
func (p claimPage) names() map[string]bool {
	names := make(map[string]bool)
	for name := range p.claims {
		names[name] = true
	}
	return names
}

// used returns what the folder holds, and what may have arrived since the count began,
// without the claim except.
func (p claimPage) used(counted *counted, except string) stored {
	used := counted.stored
	for name, e := range p.claims {
		if name != except && e.until > counted.asOf.Unix() {
			seen := counted.seen[name]
			used.bytes += max(0, e.bytes-seen.bytes)
			used.objects += max(0, e.objects-seen.objects)
		}
	}
	return used
}

// claimBook keeps the claims of all folders: in this process, and in a store that all
// replicas share. While the store is out, the process knows its own claims only. It
// writes them to the store with its next claim.
type claimBook struct {
	own    Maps
	shared Maps // nil without a store
	now    func() time.Time
}

// read returns what is known of a folder's claims.
func (b claimBook) read(ctx context.Context, folder string) claimPage {
	p := claimPage{folder: folder}
	p.own, p.ownVersion, _ = b.own.ReadMap(ctx, folder) // in memory there is no error
	if b.shared != nil {
		if shared, version, err := b.shared.ReadMap(ctx, folder); err == nil {
			p.shared, p.sharedVersion = shared, version
			if p.shared == nil {
				p.shared = map[string]string{}
			}
		}
	}
	p.claims = entries(p.own, p.shared)
	return p
}

// add adds a claim to the page. It reports false if the page is not the newest.
func (b claimBook) add(ctx context.Context, p claimPage, c claim) bool {
	all := p.claims
	before, known := all[c.name]
	until := c.until.Unix() + 1
	e := entry{stored{c.bytes, 1}, max(until, before.until), max(until, before.end)}
	name := c.name
	switch {
	case known:
		e.bytes = max(e.bytes, before.bytes)
	case c.key != "" && p.size(b.now()) >= maxClaims:
		e.until = b.rounded(e.until)
		e.end = e.until
		name = fmt.Sprint("until ", e.until)
		e.bytes += all[name].bytes
		e.objects += all[name].objects
	}
	return b.write(ctx, p, map[string]string{name: e.String()})
}

// rounded rounds a time up, the more the farther it is, so that there are few.
func (b claimBook) rounded(until int64) int64 {
	grain := int64(1) << max(0, bits.Len64(uint64(max(0, until-b.now().Unix())))-4)
	return (until + grain - 1) / grain * grain
}

// release lets a claim end now, and marks that objects were deleted or created. It
// reports false if the page is not the newest.
func (b claimBook) release(ctx context.Context, p claimPage, name string) bool {
	set := map[string]string{changedEntry: rand.Text()}
	if e, ok := p.claims[name]; ok {
		e.until = min(e.until, b.now().Unix()+1)
		set[name] = e.String()
	}
	return b.write(ctx, p, set)
}

// write changes the page in the store, and in this process. It reports false if the page
// is not the newest.
func (b claimBook) write(ctx context.Context, p claimPage, set map[string]string) bool {
	now := b.now()
	gone := slices.DeleteFunc(p.gone(now), func(name string) bool { return set[name] != "" })
	keep := claimLife
	for _, e := range p.claims {
		keep = max(keep, e.kept().Sub(now))
	}
	for _, text := range set {
		if e, ok := parseEntry(text); ok {
			keep = max(keep, e.kept().Sub(now))
		}
	}
	var shared bool // whether the store has it
	if p.shared != nil {
		var err error
		shared, err = b.shared.ChangeMap(ctx, p.folder, p.sharedVersion, p.missing(set, gone), gone, keep)
		if err == nil && !shared {
			return false
		}
	}
	own, _ := b.own.ChangeMap(ctx, p.folder, p.ownVersion, set, gone, keep) // in memory there is no error
	return own || shared
}

// missing returns set with what the store does not have of this process's claims: it was
// out when they were made, or has lost them.
func (p claimPage) missing(set map[string]string, gone []string) map[string]string {
	all := make(map[string]string, len(set))
	for name, text := range p.own {
		if _, known := p.shared[name]; !known && name != changedEntry {
			all[name] = text
		}
	}
	for _, name := range gone {
		delete(all, name)
	}
	maps.Copy(all, set)
	return all
}
