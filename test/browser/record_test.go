//go:build e2e

package browser_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"cognito-token-handler/test/testkit"
)

// answer is one answer of the app or of S3, redirects included, as the browser got it.
type answer struct {
	method  string
	url     string
	status  int64
	headers []string // "name: value", those that scripts can read among them
	body    string
}

func (a answer) String() string { return fmt.Sprintf("%d %s %s", a.status, a.method, a.url) }

// head is the raw header of an answer from any origin, with the fields that scripts cannot read. Its event may arrive before or after
// that of the answer, and without the answer's address.
type head struct {
	url   string
	lines []string // "name: value"
}

// cookies returns the values of Set-Cookie.
func (h head) cookies() []string {
	var values []string
	for _, line := range h.lines {
		if name, value, _ := strings.Cut(line, ": "); strings.EqualFold(name, "set-cookie") {
			values = append(values, value)
		}
	}
	return values
}

// record collects the DevTools events of one tab.
type record struct {
	// paused requests wait here; the listener must not block, and nothing is read until the tab is up
	paused chan *fetch.EventRequestPaused

	mu         sync.Mutex
	answers    []answer
	heads      []head
	complaints []string                               // errors, warnings and violations in the page's console and issues
	refused    []string                               // cookies that the browser did not take
	failed     []string                               // requests without an answer
	documents  []string                               // the addresses that the tab went to, redirects included
	sent       map[network.RequestID]*network.Request // the requests that are under way
	withheld   []string                               // cookies that were not sent because they are Strict
	downloads  []string                               // the names of files that were to be downloaded
	heap       strings.Builder                        // a snapshot of the page's heap, as JSON
}

func newRecord() *record {
	return &record{
		paused: make(chan *fetch.EventRequestPaused, 1000), sent: map[network.RequestID]*network.Request{},
	}
}

// observe is called for every event, in order.
func (r *record) observe(event any) {
	if paused, ok := event.(*fetch.EventRequestPaused); ok {
		r.paused <- paused
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch event := event.(type) {
	case *network.EventRequestWillBeSent:
		r.sent[event.RequestID] = event.Request
		if event.Type == network.ResourceTypeDocument {
			r.documents = append(r.documents, event.Request.URL)
		}
	case *network.EventRequestWillBeSentExtraInfo:
		r.noteSentCookies(event)
	case *network.EventResponseReceivedExtraInfo:
		r.noteHead(event)
		for _, blocked := range event.BlockedCookies {
			r.refused = append(r.refused, fmt.Sprint(blocked.CookieLine, blocked.BlockedReasons))
		}
	case *network.EventLoadingFailed:
		r.noteFailure(event)
	case *browser.EventDownloadWillBegin:
		r.downloads = append(r.downloads, event.SuggestedFilename)
	case *heapprofiler.EventAddHeapSnapshotChunk:
		r.heap.WriteString(event.Chunk)
	case *runtime.EventExceptionThrown:
		r.complaints = append(r.complaints, "exception: "+thrown(event.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		if slices.Contains([]runtime.ConsoleAPICalledType{
			runtime.ConsoleAPICalledTypeError, runtime.ConsoleAPICalledTypeWarning, runtime.ConsoleAPICalledTypeAssert,
		}, event.Type) {
			r.complaints = append(r.complaints, "console: "+describe(event.Args))
		}
	case *log.EventEntryAdded:
		// A bad status is judged by the answer itself; recommendations are about the provider's form.
		if event.Entry.Source != log.EntrySourceNetwork && event.Entry.Source != log.EntrySourceRecommendation {
			r.complaints = append(r.complaints, fmt.Sprintf("%s: %s %s", event.Entry.Source, event.Entry.Text, event.Entry.URL))
		}
	case *audits.EventIssueAdded:
		if !harmless(event.Issue) {
			r.complaints = append(r.complaints, "issue: "+describe(event.Issue))
		}
	}
}

// harmless matches hints about speed, about the provider's form and about a provider that only redirects, and reports of Strict cookies
// that were not sent because another site started the navigation, as intended.
func harmless(issue *audits.InspectorIssue) bool {
	if slices.Contains([]audits.InspectorIssueCode{
		audits.InspectorIssueCodePerformanceIssue, audits.InspectorIssueCodeGenericIssue, audits.InspectorIssueCodeBounceTrackingIssue,
	}, issue.Code) {
		return true
	}
	cookie := issue.Details.CookieIssueDetails
	return issue.Code == audits.InspectorIssueCodeCookieIssue && cookie.Operation == audits.CookieOperationReadCookie &&
		slices.Equal(cookie.CookieExclusionReasons, []audits.CookieExclusionReason{audits.CookieExclusionReasonExcludeSameSiteStrict})
}

func (r *record) noteSentCookies(event *network.EventRequestWillBeSentExtraInfo) {
	for _, cookie := range event.AssociatedCookies {
		if slices.Contains(cookie.BlockedReasons, network.CookieBlockedReasonSameSiteStrict) ||
			slices.Contains(cookie.BlockedReasons, network.CookieBlockedReasonSchemefulSameSiteStrict) {
			r.withheld = append(r.withheld, cookie.Cookie.Name)
		}
	}
}

// kept reports whether the browser once did not send the cookie because it is Strict.
func (r *record) kept(cookie string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.withheld, cookie)
}

func (r *record) noteHead(event *network.EventResponseReceivedExtraInfo) {
	h := head{lines: []string{}}
	if request := r.sent[event.RequestID]; request != nil {
		h.url = request.URL
	}
	for name, value := range event.Headers {
		for line := range strings.SplitSeq(fmt.Sprint(value), "\n") {
			h.lines = append(h.lines, name+": "+line)
		}
	}
	r.heads = append(r.heads, h)
}

// wasSet reports whether an answer of the path, among the heads from the given index on, set the cookie.
func (r *record) wasSet(path, cookie string, from int) bool {
	for _, h := range r.allHeads()[from:] {
		if strings.HasSuffix(h.url, path) && slices.ContainsFunc(h.cookies(), func(line string) bool { return strings.HasPrefix(line, cookie+"=") }) {
			return true
		}
	}
	return false
}

func (r *record) allHeads() []head {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.heads)
}

func (r *record) noteFailure(event *network.EventLoadingFailed) {
	request := r.sent[event.RequestID]
	if request == nil || event.Canceled {
		return // canceled: the page was left
	}
	if strings.HasSuffix(request.URL, "/api/events") && event.ErrorText == "net::ERR_INCOMPLETE_CHUNKED_ENCODING" {
		return // the token handler ends the streams of a session that has ended
	}
	r.failed = append(r.failed, fmt.Sprintf("%s %s: %s %s", request.Method, request.URL, event.ErrorText, event.BlockedReason))
}

// inspect reads every answer before the page receives it, until the tab is closed.
func (r *record) inspect(ctx context.Context) {
	go func() {
		for {
			select {
			case paused := <-r.paused:
				r.take(ctx, paused)
			case <-ctx.Done():
				return
			}
		}
	}()
}

func (r *record) take(ctx context.Context, paused *fetch.EventRequestPaused) {
	seen := answer{method: paused.Request.Method, url: paused.Request.URL, status: paused.ResponseStatusCode}
	for _, header := range paused.ResponseHeaders {
		seen.headers = append(seen.headers, header.Name+": "+header.Value)
	}
	stream := slices.ContainsFunc(seen.headers, func(line string) bool {
		return strings.HasPrefix(strings.ToLower(line), "content-type: text/event-stream")
	})
	if paused.ResponseErrorReason == "" && (seen.status < 300 || seen.status > 399) && !stream { // a stream has no end to wait for
		content, err := chromedp.Call(ctx, fetch.GetResponseBody, fetch.GetResponseBodyParams{RequestID: paused.RequestID})
		if err == nil {
			seen.body = string(content.Body)
		} else if ctx.Err() == nil && !strings.Contains(err.Error(), "Invalid InterceptionId") { // the page was left
			r.complain("reading " + seen.String() + ": " + err.Error())
		}
	}
	if paused.ResponseErrorReason == "" {
		r.mu.Lock()
		r.answers = append(r.answers, seen)
		r.mu.Unlock()
	}
	_, _ = chromedp.Call(ctx, fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: paused.RequestID})
}

// files returns the names of the downloads that have begun.
func (r *record) files() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.downloads)
}

func (r *record) complain(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.complaints = append(r.complaints, text)
}

// seen returns the answers from the nth on.
func (r *record) seen(from int) []answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.answers[from:])
}

// last returns the newest answer to a path.
func (r *record) last(path string) (answer, bool) {
	all := r.seen(0)
	for _, a := range slices.Backward(all) {
		if strings.HasSuffix(a.url, path) {
			return a, true
		}
	}
	return answer{}, false
}

// must calls a command of the protocol.
func must[P, R any](t *tab, command cdp.Command[P, R], params P) R {
	t.t.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, testkit.Deadline)
	defer cancel()
	result, err := chromedp.Call(ctx, command, params)
	if err != nil {
		t.t.Fatalf("calling %s: %v", command.Method, err)
	}
	return result
}
