package app_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

// issuingAWS is a server with the calls of STS and of an identity pool. It keeps the
// requests and can refuse them.
type issuingAWS struct {
	*httptest.Server

	mu      sync.Mutex
	refuse  string     // the code of the error, or ""
	actions []string   // the names of the calls
	last    url.Values // the form, or the fields of the JSON document
}

const issuedCredentials = `<Credentials><AccessKeyId>ASIAUSER</AccessKeyId><SecretAccessKey>planted-aws-secret-key</SecretAccessKey>
<SessionToken>token-of-the-user</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>`

func newIssuingAWS(t *testing.T) *issuingAWS {
	t.Helper()
	a := &issuingAWS{}
	a.Server = httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(a.Close)
	for _, name := range []string{"AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_COGNITO_IDENTITY"} {
		t.Setenv(name, a.URL)
	}
	return a
}

func (a *issuingAWS) serve(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, action, pool := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	_ = r.ParseForm()
	a.last = r.PostForm
	if pool {
		var fields map[string]any
		_ = json.NewDecoder(r.Body).Decode(&fields)
		a.last = url.Values{}
		logins, _ := fields["Logins"].(map[string]any)
		for issuer, token := range logins {
			a.last.Set("issuer", issuer)
			text, _ := token.(string)
			a.last.Set("WebIdentityToken", text)
		}
	} else {
		action = r.PostForm.Get("Action")
	}
	a.actions = append(a.actions, action)
	switch {
	case a.refuse != "":
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte("<ErrorResponse><Error><Code>" + a.refuse + "</Code><Message>planted-remote-text</Message></Error></ErrorResponse>"))
	case action == "GetId":
		_, _ = w.Write([]byte(`{"IdentityId":"us-east-1:id"}`))
	case pool:
		_, _ = w.Write([]byte(`{"IdentityId":"us-east-1:id","Credentials":{"AccessKeyId":"ASIAUSER","SecretKey":"planted-aws-secret-key","SessionToken":"token-of-the-user","Expiration":4070908800}}`))
	default:
		_, _ = w.Write([]byte("<" + action + "Response><" + action + "Result>" + issuedCredentials + "</" + action + "Result></" + action + "Response>"))
	}
}

// calls returns the names of the calls since the last look.
func (a *issuingAWS) calls() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	made := strings.Join(a.actions, " ")
	a.actions = nil
	return made
}

func (a *issuingAWS) refuseWith(code string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refuse = code
}

func (a *issuingAWS) field(name string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last.Get(name)
}

const (
	roleKeys = `, role_arn: "arn:aws:iam::123456789012:role/files"`
	poolKeys = `, identity_pool_id: "us-east-1:12345678-90ab-cdef-1234-567890abcdef"`
	aFile    = `{"key":"a","content_type":"text/plain","size":1}`
)

// sign asks for a presigned upload and returns the session token in its URL.
func sign(t *testing.T, ua *useragent.UA) string {
	t.Helper()
	r := ua.Fetch(http.MethodPost, "/storage/uploads", aFile, jsonBody)
	var answer struct{ URL string }
	if err := json.Unmarshal(r.Body, &answer); err != nil || r.Status != http.StatusCreated {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	u, err := url.Parse(answer.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("X-Amz-Security-Token")
}

// TestUserCredentials: with each kind, uploads are signed with credentials of the user's
// own, which are fetched once, and again after the user's logout.
func TestUserCredentials(t *testing.T) {
	for kind, c := range map[string]struct {
		keys, calls string
		dots        int // in the token, which is a JWT
	}{
		"session_policy": {roleKeys, "AssumeRole", 0},
		"web_identity":   {roleKeys, "AssumeRoleWithWebIdentity", 2},
		"identity_pool":  {poolKeys, "GetId GetCredentialsForIdentity", 2},
	} {
		t.Run(kind, func(t *testing.T) {
			aws := newIssuingAWS(t)
			s := startWith(t, cognitotest.Options{}, service{storage: ", credentials: " + kind + c.keys})
			ua := s.login()
			aws.calls() // what readiness has asked
			for range 3 {
				if got := sign(t, ua); got != "token-of-the-user" {
					t.Errorf("signed with %q", got)
				}
			}
			if got := aws.calls(); got != c.calls {
				t.Errorf("calls: %s, want %s", got, c.calls)
			}
			if token := aws.field("WebIdentityToken"); strings.Count(token, ".") != c.dots {
				t.Errorf("the token is %q", token)
			}
			if r := ua.Fetch(http.MethodPost, "/auth/logout", ""); r.Status != http.StatusOK {
				t.Fatalf("logout: %d", r.Status)
			}
			again := s.login()
			testkit.Eventually(t, "the credentials are dropped", func() bool {
				sign(t, again)
				return aws.calls() != ""
			})
			if s.log.Contains("planted-aws-secret-key") || s.log.Contains("token-of-the-user") {
				t.Error("the log has credentials")
			}
		})
	}
}

// TestUserCredentialsAreRefused: the browser sees a code, the log the cause, and /readyz
// that users get none.
func TestUserCredentialsAreRefused(t *testing.T) {
	aws := newIssuingAWS(t)
	s := startWith(t, cognitotest.Options{}, service{storage: ", credentials: web_identity" + roleKeys})
	ua := s.login()
	if _, body := s.admin("/readyz"); !strings.Contains(body, `"storage":"not known before the first user"`) {
		t.Errorf("before the first user: %s", body)
	}
	aws.refuseWith("AccessDenied")
	r := ua.Fetch(http.MethodPost, "/storage/uploads", aFile, jsonBody)
	if r.Status != http.StatusBadGateway || strings.Contains(string(r.Body), "planted") {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	s.log.Wait(t, "AccessDenied", 1)
	if status, body := s.admin("/readyz"); status != http.StatusOK || !strings.Contains(body, `"storage":"AWS refuses to issue credentials"`) {
		t.Errorf("%d %s", status, body)
	}
	if _, metrics := s.admin("/metrics"); !strings.Contains(metrics, `tokenhandler_storage_credentials_issued_total{kind="web_identity",outcome="refused"} 1`) {
		t.Error("the metric does not count the refusal")
	}
	aws.refuseWith("")
	sign(t, ua)
	if _, body := s.admin("/readyz"); !strings.Contains(body, `"storage":"ok"`) {
		t.Errorf("afterwards: %s", body)
	}
}

// TestRoleThatCannotBeAssumed is seen at the start, before any user.
func TestRoleThatCannotBeAssumed(t *testing.T) {
	aws := newIssuingAWS(t)
	aws.refuseWith("AccessDenied")
	s := startWith(t, cognitotest.Options{}, service{storage: ", credentials: session_policy" + roleKeys})
	testkit.Eventually(t, "the refusal is seen", func() bool {
		status, body := s.admin("/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, `"storage":"AWS refuses to issue credentials"`)
	})
	if got := aws.calls(); !strings.Contains(got, "AssumeRole") {
		t.Errorf("calls: %s", got)
	}
}

// TestExpiredIDTokenIsRenewed: the provider's refusal of the ID token costs the user
// nothing, if a refresh gives another one.
func TestExpiredIDTokenIsRenewed(t *testing.T) {
	aws := newIssuingAWS(t)
	s := startWith(t, cognitotest.Options{}, service{storage: ", credentials: web_identity" + roleKeys})
	ua := s.login()
	aws.refuseWith("ExpiredTokenException")
	if r := ua.Fetch(http.MethodPost, "/storage/uploads", aFile, jsonBody); r.Status != http.StatusBadGateway {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	const call = "AssumeRoleWithWebIdentity"
	if got := aws.calls(); got != call+" "+call {
		t.Errorf("calls: %s", got)
	}
	if got := s.pool.Count(cognitotest.TokenRefresh); got != 1 {
		t.Errorf("%d refreshes", got)
	}
}
