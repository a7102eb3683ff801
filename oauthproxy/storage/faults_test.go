package storage_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/test/testkit"
)

// faultyS3 returns a handler whose S3 is the given one, in this process: in a bubble of
// synctest, the SDK's pauses between two attempts take no time.
func faultyS3(t *testing.T, log *testkit.Log, s3 http.Handler) *storage.Handler {
	t.Helper()
	cfg := goodConfig(t)
	cfg.HTTPClient, cfg.Log = inProcess{s3}, log.Logger()
	cfg.Site = newSite(log)
	return mustNew(t, cfg, authority{subject: subject})
}

type inProcess struct{ http.Handler }

// Do implements the SDK's interface of an HTTP client.
func (c inProcess) Do(r *http.Request) (response *http.Response, err error) {
	defer func() {
		if recover() != nil {
			err = io.ErrUnexpectedEOF
		}
	}()
	rec := httptest.NewRecorder()
	c.ServeHTTP(rec, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	response = rec.Result()
	response.Request = r
	return response, nil
}

// plantedText is in all answers of the faulty S3. No browser may see it.
const plantedText = "planted-by-s3"

func s3Error(status int, code string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			_, _ = fmt.Fprintf(w, `<Error><Code>%s</Code><Message>%s</Message><RequestId>%s</RequestId></Error>`, code, plantedText, plantedText)
		}
	})
}

// Every operation that calls S3 answers a fault of S3 with a code of the contract, with
// nothing of S3's text, and with Retry-After where another try helps.
func TestFaultsOfS3(t *testing.T) {
	requests := map[string][3]string{
		"list":   {"GET", "/storage/objects", ""},
		"get":    {"GET", "/storage/objects/a", ""},
		"head":   {"HEAD", "/storage/objects/a", ""},
		"delete": {"DELETE", "/storage/objects/a", ""},
		"folder": {"DELETE", "/storage/objects/a/?recursive=true", ""},
		"copy":   {"POST", "/storage/copies", `{"from":"a","to":"b"}`},
		"create": {"POST", "/storage/multipart", minimal},
		"usage":  {"GET", "/storage/usage", ""},
	}
	dropped := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	for name, c := range map[string]struct {
		s3     http.Handler
		status int
		code   string
		retry  bool
	}{
		"down":          {dropped, 502, "upstream_error", true},
		"500":           {s3Error(500, "InternalError"), 502, "upstream_error", true},
		"slow down":     {s3Error(503, "SlowDown"), 429, "rate_limited", true},
		"forbidden":     {s3Error(403, "AccessDenied"), 502, "upstream_error", false},
		"wrong region":  {s3Error(301, "PermanentRedirect"), 502, "upstream_error", false},
		"region":        {s3Error(400, "AuthorizationHeaderMalformed"), 502, "upstream_error", false},
		"clock":         {s3Error(403, "RequestTimeTooSkewed"), 502, "upstream_error", false},
		"bucket gone":   {s3Error(404, "NoSuchBucket"), 502, "upstream_error", false},
		"bad key":       {s3Error(403, "InvalidAccessKeyId"), 502, "upstream_error", false},
		"no such thing": {s3Error(405, "MethodNotAllowed"), 502, "upstream_error", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log testkit.Log
				h := faultyS3(t, &log, c.s3)
				for operation, r := range requests {
					rec := send(t, h, r[0], r[1], "application/json", r[2])
					if rec.Code != c.status || (rec.Header().Get("Retry-After") != "") != c.retry {
						t.Errorf("%s: %d %s, Retry-After %q", operation, rec.Code, rec.Body, rec.Header().Get("Retry-After"))
					}
					if strings.Contains(rec.Body.String(), plantedText) || strings.Contains(rec.Body.String(), "127.0.0.1") || rec.Header().Get("Set-Cookie") == "" {
						t.Errorf("%s: %s %v", operation, rec.Body, rec.Header())
					}
					var problem struct{ Code string }
					if r[0] != "HEAD" && (json.Unmarshal(rec.Body.Bytes(), &problem) != nil || problem.Code != c.code) {
						t.Errorf("%s: %s", operation, rec.Body)
					}
				}
				if log.Contains(secretKey) || log.Contains("X-Amz-Signature") {
					t.Error("the log holds a secret")
				}
			})
		})
	}
}

// Credentials that may list their own prefix only are refused when they ask for an object
// that is not there. The answer is 404 all the same, and 502 if the object is there.
func TestMissingObjectsOfLimitedCredentials(t *testing.T) {
	for name, c := range map[string]struct {
		listed string
		status int
	}{
		"nothing":        {"", 404},
		"a longer key":   {"<Contents><Key>users/0f9e-sub/ab</Key></Contents>", 404},
		"really refused": {"<Contents><Key>users/0f9e-sub/a</Key></Contents>", 502},
	} {
		t.Run(name, func(t *testing.T) {
			var log testkit.Log
			h := faultyS3(t, &log, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodHead || r.URL.Query().Get("prefix") != "users/0f9e-sub/a" {
					s3Error(403, "AccessDenied").ServeHTTP(w, r)
					return
				}
				w.Header().Set("Content-Type", "application/xml")
				_, _ = fmt.Fprintf(w, `<ListBucketResult>%s</ListBucketResult>`, c.listed)
			}))
			for _, r := range [][2]string{{"GET", "/storage/objects/a"}, {"HEAD", "/storage/objects/a"}, {"DELETE", "/storage/objects/a"}} {
				if rec := send(t, h, r[0], r[1], "", ""); rec.Code != c.status {
					t.Errorf("%s: %d %s", r[0], rec.Code, rec.Body)
				}
			}
			if rec := send(t, h, http.MethodPost, "/storage/copies", "application/json", `{"from":"a","to":"b"}`); rec.Code != c.status {
				t.Errorf("copy: %d %s", rec.Code, rec.Body)
			}
		})
	}
}

// An S3 that does not answer holds a request for 20 seconds at most.
func TestSlowS3(t *testing.T) {
	for path, patience := range map[string]time.Duration{
		"/storage/objects": 20 * time.Second, "/storage/objects/a": 20 * time.Second, "/storage/usage": 15 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			var log testkit.Log
			h := faultyS3(t, &log, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
			began := time.Now()
			rec := send(t, h, http.MethodGet, path, "", "")
			if rec.Code != http.StatusGatewayTimeout || !strings.Contains(rec.Body.String(), "upstream_timeout") || rec.Header().Get("Retry-After") == "" {
				t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
			}
			if took := time.Since(began); took != patience {
				t.Errorf("%s: answered after %s", path, took)
			}
			time.Sleep(20 * time.Second) // virtual: a count goes on for others, and ends then
		})
	}
}

// A server whose list leaves the user's folder shows nothing.
func TestListRefusesForeignKeys(t *testing.T) {
	for _, key := range []string{"users/other/a", "users/0f9e-sub", "users/0f9e-subx/a", "%75sers/0f9e-sub%2"} {
		var log testkit.Log
		h := faultyS3(t, &log, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/xml")
			_, _ = fmt.Fprintf(w, `<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>users/0f9e-sub/ok</Key></Contents><Contents><Key>%s</Key></Contents></ListBucketResult>`, key)
		}))
		for _, r := range [][2]string{{"GET", "/storage/objects"}, {"DELETE", "/storage/objects/d/?recursive=true"}} {
			if rec := send(t, h, r[0], r[1], "", ""); rec.Code != http.StatusBadGateway || strings.Contains(rec.Body.String(), "other") {
				t.Errorf("%s with %q: %d %s", r[0], key, rec.Code, rec.Body)
			}
		}
	}
}

// Keys are decoded once, and objects that no request can name are left out.
func TestListDecodesKeys(t *testing.T) {
	var log testkit.Log
	h := faultyS3(t, &log, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		_, _ = fmt.Fprint(w, `<ListBucketResult><EncodingType>url</EncodingType>
<Contents><Key>users/0f9e-sub/a+b%2B%2525%C3%A4</Key><Size>3</Size></Contents><Contents><Key>users/0f9e-sub/folder/</Key></Contents>
<Contents><Key>users/0f9e-sub/a%00b</Key></Contents><Contents><Key>users/0f9e-sub/a//b</Key></Contents><Contents><Key>users/0f9e-sub/</Key></Contents>
<CommonPrefixes><Prefix>users/0f9e-sub/p+q/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>users/0f9e-sub//</Prefix></CommonPrefixes></ListBucketResult>`)
	}))
	rec := send(t, h, http.MethodGet, "/storage/objects?delimiter=/", "", "")
	want := `{"objects":[{"key":"a b+%25ä","size":3,"etag":"","last_modified":"0001-01-01T00:00:00Z"}],"prefixes":["p q/"]}`
	if rec.Body.String() != want {
		t.Errorf("%s\nwant %s", rec.Body, want)
	}
}

// A deletion that S3 did not do for all objects says so, and what was done is logged.
func TestFolderDeletionTellsOfFaults(t *testing.T) {
	var log testkit.Log
	h := faultyS3(t, &log, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		if r.Method == http.MethodGet {
			_, _ = fmt.Fprint(w, `<ListBucketResult><Contents><Key>users/0f9e-sub/d/1</Key><Size>5</Size></Contents><Contents><Key>users/0f9e-sub/d/2</Key></Contents></ListBucketResult>`)
			return
		}
		_, _ = fmt.Fprintf(w, `<DeleteResult><Deleted><Key>users/0f9e-sub/d/1</Key></Deleted><Error><Key>users/0f9e-sub/d/2</Key><Code>AccessDenied</Code><Message>%s</Message></Error></DeleteResult>`, plantedText)
	}))
	rec := send(t, h, http.MethodDelete, "/storage/objects/d/?recursive=true", "", "")
	if rec.Code != http.StatusBadGateway || strings.Contains(rec.Body.String(), plantedText) {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	records := log.RecordsOf(t, "storage")
	if len(records) != 1 || records[0]["key"] != "d/1" || records[0]["size"] != 5.0 || records[0]["operation"] != "delete_folder" {
		t.Errorf("logged %v", records)
	}
}

// A call to S3 that fails is made three times, and no more often: not even while S3 asks to
// slow down.
func TestFailingCallsAreRepeatedTwice(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		code   string
		calls  int
	}{
		"500": {500, "InternalError", 3}, "slow down": {503, "SlowDown", 3}, "forbidden": {403, "AccessDenied", 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			var log testkit.Log
			calls := 0
			h := faultyS3(t, &log, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls++
				s3Error(c.status, c.code).ServeHTTP(w, r)
			}))
			began := time.Now()
			send(t, h, http.MethodGet, "/storage/objects", "", "")
			if took := time.Since(began); calls != c.calls || took > 2*time.Second {
				t.Errorf("%s: %d calls in %s", name, calls, took)
			}
		})
	}
}

// Deleting and copying are bounded, too. A copy may take S3 minutes.
func TestSlowS3ForChanges(t *testing.T) {
	for _, c := range []struct {
		method, path, body string
		patience           time.Duration
	}{
		{"DELETE", "/storage/objects/a", "", 20 * time.Second},
		{"DELETE", "/storage/objects/a/?recursive=true", "", 20 * time.Second},
		{"POST", "/storage/multipart", minimal, 20 * time.Second},
		{"POST", "/storage/copies", `{"from":"a","to":"b"}`, 4 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			var log testkit.Log
			h := faultyS3(t, &log, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
			began := time.Now()
			wantCode(t, h, c.method, c.path, c.body, http.StatusGatewayTimeout, "upstream_timeout")
			if took := time.Since(began); took != c.patience {
				t.Errorf("%s %s: answered after %s", c.method, c.path, took)
			}
		})
	}
}
