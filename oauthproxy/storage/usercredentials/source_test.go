package usercredentials_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentity"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/oauthproxy/storage/usercredentials"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/web"
)

const (
	role    = "arn:aws-cn:iam::123456789012:role/files"
	subject = "0f9e-sub"
	pool    = "eu-west-1:12345678-90ab-cdef-1234-567890abcdef"
)

func folder(t *testing.T) usercredentials.Folder {
	t.Helper()
	of, err := storage.FolderOf("users/{sub}/")
	if err != nil {
		t.Fatal(err)
	}
	return usercredentials.Folder{Bucket: "files", Of: of, KMS: true}
}

const issuedBySTS = `<Credentials><AccessKeyId>ASIAUSER</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>
<Expiration>2026-03-04T13:00:00Z</Expiration></Credentials>`

func stsAnswer(action string) []string {
	return []string{"<" + action + "Response><" + action + "Result>" + issuedBySTS + "</" + action + "Result></" + action + "Response>"}
}

// wantPolicy is the whole policy of subject, as other programs read it.
const wantPolicy = `{"Version":"2012-10-17","Statement":[
	{"Effect":"Allow","Action":["s3:AbortMultipartUpload","s3:DeleteObject","s3:GetObject","s3:ListMultipartUploadParts","s3:PutObject"],
	 "Resource":"arn:aws-cn:s3:::files/users/0f9e-sub/*"},
	{"Effect":"Allow","Action":["s3:ListBucket"],"Resource":"arn:aws-cn:s3:::files","Condition":{"StringLike":{"s3:prefix":"users/0f9e-sub/*"}}},
	{"Effect":"Allow","Action":["s3:ListBucketMultipartUploads"],"Resource":"arn:aws-cn:s3:::files"},
	{"Effect":"Allow","Action":["kms:Decrypt","kms:GenerateDataKey"],"Resource":"*"}]}`

// TestRequestsToSTS compares whole requests.
func TestRequestsToSTS(t *testing.T) {
	for name, c := range map[string]struct {
		source func(*sts.Client) usercredentials.Source
		want   url.Values // without the policy
		signed bool
	}{
		"session policy": {
			func(api *sts.Client) usercredentials.Source {
				return usercredentials.SessionPolicy(api, role, folder(t))
			},
			url.Values{"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "RoleArn": {role}, "RoleSessionName": {subject}, "DurationSeconds": {"3600"}},
			true,
		},
		"web identity": {
			func(api *sts.Client) usercredentials.Source { return usercredentials.WebIdentity(api, role, folder(t)) },
			url.Values{
				"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {role}, "RoleSessionName": {subject}, "DurationSeconds": {"3600"},
				"WebIdentityToken": {"id-token"},
			},
			false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := &remote{status: 200, answers: stsAnswer(c.want.Get("Action")), header: http.Header{"Content-Type": {"text/xml"}}}
			got, err := c.source(sts.NewFromConfig(server.config()))(t.Context(), usercredentials.Holder{Subject: subject, IDToken: secret.New("id-token")})
			want := aws.Credentials{AccessKeyID: "ASIAUSER", SecretAccessKey: "s", SessionToken: "t", CanExpire: true, Expires: time.Date(2026, 3, 4, 13, 0, 0, 0, time.UTC)}
			if diff := cmp.Diff(usercredentials.Issued{Credentials: want}, got); diff != "" || err != nil {
				t.Errorf("%v\n%s", err, diff)
			}
			form, err := url.ParseQuery(server.bodies[0])
			if err != nil {
				t.Fatal(err)
			}
			wantSameJSON(t, wantPolicy, form.Get("Policy"))
			form.Del("Policy")
			if diff := cmp.Diff(c.want, form); diff != "" {
				t.Error(diff)
			}
			if signed := server.last.Header.Get("Authorization") != ""; signed != c.signed {
				t.Errorf("signed: %v", signed)
			}
		})
	}
}

func wantSameJSON(t *testing.T, want, got string) {
	t.Helper()
	var parsed [2]any
	for i, text := range []string{want, got} {
		if err := json.Unmarshal([]byte(text), &parsed[i]); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
	}
	if diff := cmp.Diff(parsed[0], parsed[1]); diff != "" {
		t.Error(diff)
	}
}

// TestPolicyFits: STS refuses session policies of more than 2,048 characters.
func TestPolicyFits(t *testing.T) {
	of, err := storage.FolderOf(strings.Repeat("p", 93) + "/{sub}/")
	if err != nil {
		t.Fatal(err)
	}
	widest := usercredentials.Folder{Bucket: strings.Repeat("b", 63), Of: of, KMS: true}
	server := &remote{status: 200, answers: stsAnswer("AssumeRole")}
	who := usercredentials.Holder{Subject: strings.Repeat("s", 128)}
	if _, err := usercredentials.SessionPolicy(sts.NewFromConfig(server.config()), role, widest)(t.Context(), who); err != nil {
		t.Fatal(err)
	}
	form, _ := url.ParseQuery(server.bodies[0])
	if n := len(form.Get("Policy")); n < 500 || n > 1500 {
		t.Errorf("the policy has %d characters", n)
	}
	if name := form.Get("RoleSessionName"); len(name) > 64 || !strings.HasPrefix(name, "sha256-") {
		t.Errorf("the session is called %q", name)
	}
}

// TestHostileSubjectsGetNothing: a subject that has a meaning in a policy, or leaves the
// folder, makes no request.
func TestHostileSubjectsGetNothing(t *testing.T) {
	server := &remote{status: 200, answers: stsAnswer("AssumeRole")}
	source := usercredentials.SessionPolicy(sts.NewFromConfig(server.config()), role, folder(t))
	for _, hostile := range []string{"", "*", "a*", "?", "${aws:userid}", "a/b", "..", "a\"b", "a b", "ä", strings.Repeat("s", 129)} {
		if _, err := source(t.Context(), usercredentials.Holder{Subject: hostile}); err == nil {
			t.Errorf("%q got credentials", hostile)
		}
	}
	if len(server.bodies) != 0 {
		t.Errorf("%d requests were made: %q", len(server.bodies), server.bodies)
	}
}

// TestRequestsToTheIdentityPool compares whole requests. The second time the user's id
// is known.
func TestRequestsToTheIdentityPool(t *testing.T) {
	const credentials = `{"IdentityId":"eu-west-1:id","Credentials":{"AccessKeyId":"ASIAUSER","SecretKey":"s","SessionToken":"t","Expiration":1772629200}}`
	server := &remote{status: 200, answers: []string{`{"IdentityId":"eu-west-1:id"}`, credentials}}
	source := usercredentials.IdentityPool(cognitoidentity.NewFromConfig(server.config()), pool, "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_A")
	who := usercredentials.Holder{Subject: subject, IDToken: secret.New("id-token")}
	for range 2 {
		got, err := source(t.Context(), who)
		want := aws.Credentials{AccessKeyID: "ASIAUSER", SecretAccessKey: "s", SessionToken: "t", CanExpire: true, Expires: time.Date(2026, 3, 4, 13, 0, 0, 0, time.UTC)}
		if diff := cmp.Diff(usercredentials.Issued{Credentials: want, Identity: "eu-west-1:id"}, got); diff != "" || err != nil {
			t.Fatalf("%v\n%s", err, diff)
		}
		who.Identity = got.Identity
	}
	const logins = `"Logins":{"cognito-idp.eu-west-1.amazonaws.com/eu-west-1_A":"id-token"}`
	wants := []string{
		`{"IdentityPoolId":"` + pool + `",` + logins + `}`, `{"IdentityId":"eu-west-1:id",` + logins + `}`, `{"IdentityId":"eu-west-1:id",` + logins + `}`,
	}
	if len(server.bodies) != len(wants) {
		t.Fatalf("requests: %q", server.bodies)
	}
	for i, want := range wants {
		wantSameJSON(t, want, server.bodies[i])
	}
	if server.last.Header.Get("Authorization") != "" {
		t.Error("the request is signed")
	}
}

// TestLoginNames: an identity pool knows a user pool by the first form of its issuer.
func TestLoginNames(t *testing.T) {
	for issuer, want := range map[string]string{
		"https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_A":        "cognito-idp.eu-west-1.amazonaws.com/eu-west-1_A",
		"https://issuer-cognito-idp.eu-west-1.amazonaws.com/eu-west-1_A": "cognito-idp.eu-west-1.amazonaws.com/eu-west-1_A",
		"https://login.example.com/tenant":                               "login.example.com/tenant",
	} {
		server := &remote{status: 400, answers: []string{"{}"}}
		_, _ = usercredentials.IdentityPool(cognitoidentity.NewFromConfig(server.config()), pool, issuer)(
			t.Context(), usercredentials.Holder{Subject: subject, IDToken: secret.New("t")})
		if got := server.bodies[0]; !strings.Contains(got, `{"`+want+`":"t"}`) {
			t.Errorf("%s: %s", issuer, got)
		}
	}
}

// TestProbe: what shows whether the role can be assumed allows nothing.
func TestProbe(t *testing.T) {
	server := &remote{status: 200, answers: stsAnswer("AssumeRole")}
	got, err := usercredentials.Probe(sts.NewFromConfig(server.config()), role).Retrieve(t.Context())
	if err != nil || got.AccessKeyID != "ASIAUSER" {
		t.Errorf("%v, %v", got.AccessKeyID, err)
	}
	form, _ := url.ParseQuery(server.bodies[0])
	wantSameJSON(t, `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`, form.Get("Policy"))
}

func stsError(code string) string {
	return `<ErrorResponse><Error><Code>` + code + `</Code><Message>planted-remote-text</Message></Error></ErrorResponse>`
}

// TestFailures: every fault of STS is one of the contract's codes, with Retry-After where
// another try helps, and with nothing of its text.
func TestFailures(t *testing.T) {
	for name, c := range map[string]struct {
		status  int
		code    string
		want    web.Code
		retry   bool
		outcome string
	}{
		"denied":           {403, "AccessDenied", web.CodeUpstreamError, false, "refused"},
		"bad key":          {403, "InvalidClientTokenId", web.CodeUpstreamError, false, "refused"},
		"policy too large": {400, "PackedPolicyTooLarge", web.CodeUpstreamError, false, "refused"},
		"region disabled":  {403, "RegionDisabledException", web.CodeUpstreamError, false, "refused"},
		"token expired":    {400, "ExpiredTokenException", web.CodeUpstreamError, false, "refused"},
		"wrong audience":   {400, "InvalidIdentityToken", web.CodeUpstreamError, false, "refused"},
		"throttled":        {400, "Throttling", web.CodeRateLimited, true, "rate_limited"},
		"too many":         {429, "TooManyRequestsException", web.CodeRateLimited, true, "rate_limited"},
		"keys not reached": {400, "IDPCommunicationError", web.CodeUpstreamError, true, "unavailable"},
		"broken":           {500, "InternalFailure", web.CodeUpstreamError, true, "unavailable"},
		"out of service":   {503, "ServiceUnavailable", web.CodeUpstreamError, true, "unavailable"},
		"not reached":      {0, "", web.CodeUpstreamError, true, "unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			server := &remote{status: c.status, answers: []string{stsError(c.code)}}
			metrics := usercredentials.NewMetrics(nil)
			var observed error
			cache := newCache(t, usercredentials.SessionPolicy(sts.NewFromConfig(server.config()), role, folder(t)), func() time.Time { return noon },
				func(cfg *usercredentials.Config) {
					cfg.Kind, cfg.Metrics, cfg.Observe = usercredentials.KindSessionPolicy, metrics, func(err error) { observed = err }
				})
			_, err := cache.For(t.Context(), &user{subject: subject})
			p := web.AsProblem(err)
			if p.Code != c.want || (p.Header.Get("Retry-After") != "") != c.retry || strings.Contains(p.Detail, "planted") {
				t.Errorf("%s %q, Retry-After %q", p.Code, p.Detail, p.Header.Get("Retry-After"))
			}
			if got := testutil.ToFloat64(metrics.Issued.WithLabelValues("session_policy", c.outcome)); got != 1 {
				t.Errorf("%v counted as %s", got, c.outcome)
			}
			if observed == nil {
				t.Error("nobody was told")
			}
		})
	}
}

// TestMissingIDTokenIsRenewed: a session that began before the storage needed ID tokens
// keeps none until its tokens are refreshed.
func TestMissingIDTokenIsRenewed(t *testing.T) {
	server := &remote{status: 200, answers: stsAnswer("AssumeRoleWithWebIdentity")}
	cache := newCache(t, usercredentials.WebIdentity(sts.NewFromConfig(server.config()), role, folder(t)), func() time.Time { return noon })
	u := &user{subject: subject, renew: func() (string, error) { return "new", nil }}
	got, err := cache.For(t.Context(), u)
	if err != nil || got.AccessKeyID != "ASIAUSER" || len(server.bodies) != 1 {
		t.Errorf("%v after %d requests", err, len(server.bodies))
	}
}

func TestAnswerWithoutCredentials(t *testing.T) {
	for name, source := range map[string]usercredentials.Source{
		"sts":  usercredentials.SessionPolicy(sts.NewFromConfig((&remote{status: 200, answers: []string{"<AssumeRoleResponse><AssumeRoleResult></AssumeRoleResult></AssumeRoleResponse>"}}).config()), role, folder(t)),
		"pool": usercredentials.IdentityPool(cognitoidentity.NewFromConfig((&remote{status: 200, answers: []string{"{}"}}).config()), pool, "https://a"),
	} {
		if _, err := source(t.Context(), usercredentials.Holder{Subject: subject, IDToken: secret.New("t"), Identity: "i"}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestMetricsExist from the start.
func TestMetricsExist(t *testing.T) {
	reg := prometheus.NewRegistry()
	usercredentials.NewMetrics(reg)
	if n, err := testutil.GatherAndCount(reg, "tokenhandler_storage_credentials_issued_total"); n != 15 || err != nil {
		t.Errorf("%d series, %v", n, err)
	}
}
