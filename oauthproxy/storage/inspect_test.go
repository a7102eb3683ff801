package storage_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"cognito-token-handler/oauthproxy/storage"
)

// inspecting returns an inspector of a bucket at the given S3.
func inspecting(t *testing.T, s3 http.Handler) *storage.Inspector {
	t.Helper()
	cfg := goodConfig(t)
	cfg.HTTPClient = inProcess{s3}
	inspector, err := storage.NewInspector(cfg, aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}, "doctor")
	if err != nil {
		t.Fatal(err)
	}
	return inspector
}

// answering answers with the same XML.
func answering(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		_, _ = io.WriteString(w, text)
	})
}

func TestInspectorNeedsAFolder(t *testing.T) {
	for prefix, who := range map[string]string{"users/": "doctor", "users/{sub}/": "a/b"} {
		cfg := goodConfig(t)
		cfg.Prefix = prefix
		if _, err := storage.NewInspector(cfg, aws.Credentials{}, who); err == nil {
			t.Errorf("%s with %s was accepted", prefix, who)
		}
	}
}

// TestInspectorTellsReasons: what S3 says becomes one of few reasons.
func TestInspectorTellsReasons(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		code   string
		want   error
	}{
		"denied":           {403, "AccessDenied", storage.ErrDenied},
		"no bucket":        {404, "NoSuchBucket", storage.ErrNoBucket},
		"nothing there":    {404, "", storage.ErrNoBucket},
		"another region":   {301, "PermanentRedirect", storage.ErrOtherRegion},
		"signed elsewhere": {400, "AuthorizationHeaderMalformed", storage.ErrOtherRegion},
		"not offered":      {501, "NotImplemented", storage.ErrUnsupported},
		"not known":        {501, "Other", storage.ErrUnsupported},
		"not known either": {400, "NotImplemented", storage.ErrUnsupported},
		"no such method":   {405, "MethodNotAllowed", storage.ErrUnsupported},
		"not configured":   {404, "NoSuchPublicAccessBlockConfiguration", storage.ErrNotConfigured},
		"no rules":         {404, "NoSuchLifecycleConfiguration", storage.ErrNotConfigured},
	} {
		t.Run(name, func(t *testing.T) {
			i := inspecting(t, s3Error(c.status, c.code))
			_, private := i.IsPrivate(t.Context())
			_, aborts := i.AbortsUploads(t.Context())
			for _, err := range []error{i.List(t.Context()), private, aborts} {
				if !errors.Is(err, c.want) || strings.Contains(err.Error(), plantedText) {
					t.Errorf("%v, want %v", err, c.want)
				}
			}
		})
	}
	if err := inspecting(t, s3Error(400, "Other")).List(t.Context()); err == nil {
		t.Error("another fault is none")
	}
	if err := inspecting(t, answering(`<ListBucketResult></ListBucketResult>`)).List(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestPrivateBuckets: all four kinds of access must be blocked.
func TestPrivateBuckets(t *testing.T) {
	kinds := []string{"BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"}
	for open := range 1 + len(kinds) {
		var block strings.Builder
		for i, kind := range kinds {
			fmt.Fprintf(&block, "<%s>%t</%[1]s>", kind, i != open)
		}
		got, err := inspecting(t, answering("<PublicAccessBlockConfiguration>"+block.String()+"</PublicAccessBlockConfiguration>")).IsPrivate(t.Context())
		if err != nil || got != (open == len(kinds)) {
			t.Errorf("%s: %t, %v", block.String(), got, err)
		}
	}
}

// TestRulesForUnfinishedUploads: a rule helps if it is on, aborts uploads, and is for all users.
func TestRulesForUnfinishedUploads(t *testing.T) {
	const abort = "<AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload>"
	for rule, want := range map[string]bool{
		"<Filter><Prefix></Prefix></Filter><Status>Enabled</Status>" + abort:               true,
		"<Filter><Prefix>users/</Prefix></Filter><Status>Enabled</Status>" + abort:         true,
		"<Prefix>users/</Prefix><Status>Enabled</Status>" + abort:                          true,
		"<Status>Enabled</Status>" + abort:                                                 true,
		"<Filter><Prefix>other/</Prefix></Filter><Status>Enabled</Status>" + abort:         false,
		"<Prefix>other/</Prefix><Status>Enabled</Status>" + abort:                          false,
		"<Filter><Prefix></Prefix></Filter><Status>Disabled</Status>" + abort:              false,
		"<Filter><Prefix></Prefix></Filter><Status>Enabled</Status>":                       false,
		"<Filter><Prefix>users/doctor/x</Prefix></Filter><Status>Enabled</Status>" + abort: false,
	} {
		got, err := inspecting(t, answering("<LifecycleConfiguration><Rule>"+rule+"</Rule></LifecycleConfiguration>")).AbortsUploads(t.Context())
		if err != nil || got != want {
			t.Errorf("%s: %t, %v", rule, got, err)
		}
	}
}

// roundTrips answers what browsers would send.
type roundTrips func(r *http.Request) (*http.Response, error)

func (f roundTrips) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

var errNetwork = errors.New("no route")

// closing counts how often a body was closed.
type closing struct {
	io.Reader

	closed *int
}

func (c closing) Close() error { *c.closed++; return nil }

// TestPreflight asks as a browser does, and understands the answer as one.
func TestPreflight(t *testing.T) {
	const origin, all = "https://app.example.com", "Content-Type, if-none-match , X-Amz-Checksum-Sha256"
	for name, c := range map[string]struct {
		status                  int
		origin, methods, header string
		want                    bool
	}{
		"allowed":            {200, origin, "GET, PUT", all, true},
		"by stars":           {204, "*", "*", "*", true},
		"another origin":     {200, "https://other.example", "PUT", all, false},
		"no origin":          {200, "", "PUT", all, false},
		"another method":     {200, origin, "GET", all, false},
		"a header less":      {200, origin, "PUT", "content-type, if-none-match", false},
		"another header":     {200, origin, "PUT", "content-typ, if-none-match, x-amz-checksum-sha256", false},
		"refused":            {403, origin, "PUT", all, false},
		"redirected":         {300, origin, "PUT", all, false},
		"as good as allowed": {299, origin, "PUT", all, true},
	} {
		t.Run(name, func(t *testing.T) {
			closed := 0
			got, err := inspecting(t, nil).Preflight(t.Context(), roundTrips(func(r *http.Request) (*http.Response, error) {
				if r.Method != http.MethodOptions || r.URL.RawQuery != "" || r.URL.Path != "/files/users/doctor/preflight" || r.Header.Get("Origin") != origin ||
					r.Header.Get("Access-Control-Request-Method") != "PUT" || r.Header.Get("Access-Control-Request-Headers") != "content-type,if-none-match,x-amz-checksum-sha256" {
					t.Errorf("asked %s %s %v", r.Method, r.URL, r.Header)
				}
				rec := httptest.NewRecorder()
				rec.Header().Set("Access-Control-Allow-Origin", c.origin)
				rec.Header().Set("Access-Control-Allow-Methods", c.methods)
				rec.Header().Set("Access-Control-Allow-Headers", c.header)
				rec.WriteHeader(c.status)
				answer := rec.Result()
				answer.Body = closing{http.NoBody, &closed}
				return answer, nil
			}), origin, "PUT")
			if err != nil || got != c.want || closed != 1 {
				t.Errorf("%t, %v, closed %d times", got, err, closed)
			}
		})
	}
	_, err := inspecting(t, nil).Preflight(t.Context(), roundTrips(func(*http.Request) (*http.Response, error) { return nil, errNetwork }), origin, "PUT")
	if !errors.Is(err, errNetwork) {
		t.Error(err)
	}
}

// TestTrial puts an object and deletes it, whatever came of the first.
func TestTrial(t *testing.T) {
	for name, c := range map[string]struct {
		status, deletion int   // 0 for no answer to the PUT
		put              error // nil if it is stored
		calls            string
		removed          bool
	}{
		"good":         {200, 204, nil, "PUT DELETE", true},
		"denied":       {403, 204, storage.ErrDenied, "PUT", true},
		"no bucket":    {404, 204, storage.ErrNoBucket, "PUT", true},
		"another":      {300, 204, errors.New("putting an object: S3 answers 300"), "PUT DELETE", true},
		"lost":         {0, 204, errNetwork, "PUT DELETE", true},
		"stays behind": {200, 403, nil, "PUT DELETE", false},
	} {
		t.Run(name, func(t *testing.T) {
			var calls []string
			closed := 0
			ctx, cancel := context.WithCancel(t.Context())
			i := inspecting(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls = append(calls, r.Method)
				if c.deletion != http.StatusNoContent {
					s3Error(c.deletion, "AccessDenied").ServeHTTP(w, r)
					return
				}
				w.WriteHeader(c.deletion)
			}))
			key, put, remove := i.Try(ctx, roundTrips(func(r *http.Request) (*http.Response, error) {
				defer cancel() // the deletion does not depend on it
				calls = append(calls, r.Method)
				text, err := io.ReadAll(r.Body)
				if err != nil || string(text) != "tokenhandler doctor" || r.Header.Get("Content-Type") != "text/plain" || r.Header.Get("If-None-Match") != "*" {
					t.Errorf("put %q with %v: %v", text, r.Header, err)
				}
				if c.status == 0 {
					return nil, errNetwork
				}
				rec := httptest.NewRecorder()
				rec.WriteHeader(c.status)
				answer := rec.Result()
				answer.Body = closing{http.NoBody, &closed}
				return answer, nil
			}))
			if (closed == 1) != (c.status != 0) {
				t.Errorf("the body was closed %d times", closed)
			}
			if !strings.HasPrefix(key, "users/doctor/trial-") || strings.Join(calls, " ") != c.calls || (remove == nil) != c.removed {
				t.Errorf("%s: %v, %v", key, calls, remove)
			}
			if !errors.Is(put, c.put) && (put == nil || c.put == nil || put.Error() != c.put.Error()) {
				t.Errorf("%v, want %v", put, c.put)
			}
			if put != nil && strings.Contains(put.Error(), "X-Amz-") {
				t.Errorf("the fault quotes the URL: %v", put)
			}
		})
	}
}
