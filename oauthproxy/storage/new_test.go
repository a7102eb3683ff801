package storage_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/oauthproxy/storage"
)

func TestNewRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*storage.Config)
		want   string
	}{
		"path":              {func(c *storage.Config) { c.Path = "storage" }, "configuring storage: path must begin with a slash and not end with one"},
		"path, slash":       {func(c *storage.Config) { c.Path = "/storage/" }, "configuring storage: path must begin with a slash and not end with one"},
		"bucket":            {func(c *storage.Config) { c.Bucket = "" }, "configuring storage: bucket is missing"},
		"region":            {func(c *storage.Config) { c.Region = "" }, "configuring storage: region is missing"},
		"endpoint":          {func(c *storage.Config) { c.Endpoint = "s3.example.com" }, "configuring storage: endpoint must be an http or https URL without a path"},
		"endpoint, path":    {func(c *storage.Config) { c.Endpoint = "https://s3.example.com/x" }, "configuring storage: endpoint must be an http or https URL without a path"},
		"endpoint, user":    {func(c *storage.Config) { c.Endpoint = "https://u:p@s3.example.com" }, "configuring storage: endpoint must be an http or https URL without a path"},
		"path, none":        {func(c *storage.Config) { c.Path = "" }, "configuring storage: path must begin with a slash and not end with one"},
		"endpoint, query":   {func(c *storage.Config) { c.Endpoint = "https://s3.example.com?x=1" }, "configuring storage: endpoint must be an http or https URL without a path"},
		"endpoint, anchor":  {func(c *storage.Config) { c.Endpoint = "https://s3.example.com#x" }, "configuring storage: endpoint must be an http or https URL without a path"},
		"endpoint, no host": {func(c *storage.Config) { c.Endpoint = "https:" }, "configuring storage: endpoint must be an http or https URL without a path"},
		"endpoint, broken":  {func(c *storage.Config) { c.Endpoint = "https://%zz" }, "configuring storage: endpoint must be an http or https URL without a path"},
		"claims":            {func(c *storage.Config) { c.Claims = nil }, "configuring storage: the claims are missing"},
		"quota of objects":  {func(c *storage.Config) { c.Quota.Objects = -1 }, "configuring storage: the quota must not be negative"},
		"size 0":            {func(c *storage.Config) { c.MaxSize = 0 }, "configuring storage: max_size must be 1 byte to 50,000 GiB"},
		"size over S3's":    {func(c *storage.Config) { c.MaxSize = 50_000<<30 + 1 }, "configuring storage: max_size must be 1 byte to 50,000 GiB"},
		"expires 0":         {func(c *storage.Config) { c.Expires = 0 }, "configuring storage: expires must be 1 second to 7 days"},
		"expires 8 days":    {func(c *storage.Config) { c.Expires = 8 * 24 * time.Hour }, "configuring storage: expires must be 1 second to 7 days"},
		"credentials":       {func(c *storage.Config) { c.Credentials = nil }, "configuring storage: credentials are missing"},
		"sealer":            {func(c *storage.Config) { c.Sealer = nil }, "configuring storage: the sealer is missing"},
		"log":               {func(c *storage.Config) { c.Log = nil }, "configuring storage: the log is missing"},
		"quota":             {func(c *storage.Config) { c.Quota.Bytes = -1 }, "configuring storage: the quota must not be negative"},
		"sse":               {func(c *storage.Config) { c.SSE = "AES128" }, "configuring storage: sse must be AES256, aws:kms or aws:kms:dsse"},
		"kms key":           {func(c *storage.Config) { c.SSE, c.KMSKeyID = "AES256", "k" }, "configuring storage: kms_key_id needs sse aws:kms or aws:kms:dsse"},
		"clock":             {func(c *storage.Config) { c.Now = nil }, "configuring storage: the clock is missing"},
		"site":              {func(c *storage.Config) { c.Site = nil }, "configuring storage: the site is missing"},
		"prefix empty":      {func(c *storage.Config) { c.Prefix = "" }, `configuring storage: prefix "" does not end with /`},
		"prefix shared":     {func(c *storage.Config) { c.Prefix = "users/" }, `configuring storage: prefix "users/" does not contain {sub} exactly once, as a whole segment`},
		"prefix open":       {func(c *storage.Config) { c.Prefix = "users/{sub}" }, `configuring storage: prefix "users/{sub}" does not end with /`},
		"prefix twice":      {func(c *storage.Config) { c.Prefix = "{sub}/{sub}/" }, `configuring storage: prefix "{sub}/{sub}/" does not contain {sub} exactly once, as a whole segment`},
		"prefix rooted":     {func(c *storage.Config) { c.Prefix = "/users/{sub}/" }, `configuring storage: prefix "/users/{sub}/" starts with /`},
		"prefix dots":       {func(c *storage.Config) { c.Prefix = "a/../{sub}/" }, `configuring storage: prefix "a/../{sub}/" has a dot segment`},
		"prefix other":      {func(c *storage.Config) { c.Prefix = "{tenant}/{sub}/" }, `configuring storage: prefix "{tenant}/{sub}/" does not contain {sub} exactly once, as a whole segment`},
		"prefix part":       {func(c *storage.Config) { c.Prefix = "users-{sub}/" }, `configuring storage: prefix "users-{sub}/" does not contain {sub} exactly once, as a whole segment`},
		"prefix space":      {func(c *storage.Config) { c.Prefix = "a b/{sub}/" }, `configuring storage: prefix "a b/{sub}/" holds characters other than letters, digits and -._~ between the slashes`},
		"prefix end":        {func(c *storage.Config) { c.Prefix = "{sub}//" }, `configuring storage: prefix "{sub}//" has an empty segment`},
		"prefix segment":    {func(c *storage.Config) { c.Prefix = "users//{sub}/" }, `configuring storage: prefix "users//{sub}/" has an empty segment`},
		"prefix too long":   {func(c *storage.Config) { c.Prefix = strings.Repeat("p", 100) + "/{sub}/" }, `configuring storage: prefix "` + strings.Repeat("p", 100) + `/{sub}/" is longer than 100 bytes`},
		"type":              {func(c *storage.Config) { c.ContentTypes = []string{"png"} }, `configuring storage: content type "png" is not a content type`},
		"type, all":         {func(c *storage.Config) { c.ContentTypes = []string{"*/*"} }, `configuring storage: content type "*/*" has a * that is not the whole subtype`},
		"type, half star":   {func(c *storage.Config) { c.ContentTypes = []string{"image/p*"} }, `configuring storage: content type "image/p*" has a * that is not the whole subtype`},
		"type, parameter":   {func(c *storage.Config) { c.ContentTypes = []string{"text/plain; charset=utf-8"} }, `configuring storage: content type "text/plain; charset=utf-8" has parameters`},
		"all at once":       {func(c *storage.Config) { c.Bucket, c.Region = "", "" }, "configuring storage: bucket is missing\nregion is missing"},
		"plaintext scheme":  {func(c *storage.Config) { c.Endpoint = "ftp://s3.example.com" }, "configuring storage: endpoint must be an http or https URL without a path"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := goodConfig(t)
			c.change(&cfg)
			if _, err := storage.New(cfg, authority{}); err == nil || err.Error() != c.want {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
		})
	}
}

// A page of another site must not get a URL signed with the user's session, however
// the handler is mounted.
func TestNewGuardsItself(t *testing.T) {
	for name, header := range map[string]http.Header{
		"cross-site page":     {"Sec-Fetch-Site": {"cross-site"}},
		"another origin":      {"Origin": {"https://evil.example"}},
		"neither header":      {},
		"forged with a token": {"Origin": {"https://evil.example"}, "X-Csrf": {"1"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := mustNew(t, goodConfig(t), untouchableAuthorizer{t})
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/storage/uploads", untouchable{t})
			if err != nil {
				t.Fatal(err)
			}
			maps.Copy(r.Header, header)
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			if rec.Code != http.StatusForbidden || !strings.Contains(rec.Body.String(), "cross_site_request") {
				t.Errorf("answered %d %s", rec.Code, rec.Body)
			}
		})
	}
}

// untouchableAuthorizer fails the test if a request is authorised.
type untouchableAuthorizer struct{ t *testing.T }

func (u untouchableAuthorizer) Authorize(*http.Request) (storage.Grant, error) {
	u.t.Error("the request was authorised")
	return grant(subject), nil
}

// The bounds themselves are accepted.
func TestNewAccepts(t *testing.T) {
	for name, change := range map[string]func(*storage.Config){
		"smallest":    func(c *storage.Config) { c.MaxSize, c.Expires = 1, time.Second },
		"largest":     func(c *storage.Config) { c.MaxSize, c.Expires = storage.MaxObjectSize, storage.MaxExpires },
		"encryption":  func(c *storage.Config) { c.SSE, c.KMSKeyID = "aws:kms:dsse", "k" },
		"SSE-S3":      func(c *storage.Config) { c.SSE = "AES256" },
		"AWS":         func(c *storage.Config) { c.Endpoint = "" },
		"plain HTTP":  func(c *storage.Config) { c.Endpoint = "http://localhost:9000" },
		"long prefix": func(c *storage.Config) { c.Prefix = strings.Repeat("p", 93) + "/{sub}/" },
		"no prefix":   func(c *storage.Config) { c.Prefix = "{sub}/" },
		"its middle":  func(c *storage.Config) { c.Prefix = "a/{sub}/b-._~9/" },
	} {
		cfg := goodConfig(t)
		change(&cfg)
		if _, err := storage.New(cfg, authority{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestActiveTypes are those that act when a browser opens an object, or an app loads it.
func TestActiveTypes(t *testing.T) {
	for entry, want := range map[string]bool{
		"text/html": true, "application/xhtml+xml": true, "image/svg+xml": true, "text/xml": true, "application/javascript": true, "text/ecmascript": true, "text/css": true,
		"application/wasm": true, "application/pdf": true, "multipart/x-mixed-replace": true, "multipart/*": true, "image/*": true, "text/*": true, "application/*": true,
		"text/xsl": true, "application/xslt": true, "application/x-shockwave-flash": true,
		"audio/*": false, "video/*": false, "font/*": false, "image/png": false, "text/plain": false, "application/json": false, "application/octet-stream": false,
	} {
		if got := storage.IsActive(entry); got != want {
			t.Errorf("%s: %t", entry, got)
		}
	}
}
