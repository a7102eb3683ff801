package doctor_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cognito-token-handler/cmd/doctor"
	"cognito-token-handler/test/cognitotest"
)

// fakeAWS plays STS, Cognito's API and S3 on one port.
type fakeAWS struct {
	*httptest.Server

	// refused names what is answered with AccessDenied: "sts", "cognito", or what S3 is
	// asked for ("list", "public", "lifecycle", "put", "delete").
	refused []string
	// errors are codes with which S3 answers instead, by the same names.
	errors map[string]string
	// client are fields of the app client's settings.
	client map[string]any
	// public and lifecycle are the bucket's settings in XML.
	public, lifecycle string
	// origin is the only one that CORS allows; methods are those that it allows.
	origin, methods string

	// onlyAssumes means that the role of the service may only assume another one. policy is
	// that of the last one that was assumed with rights.
	onlyAssumes bool
	policy      string
	// lost means that the answer to a PUT is lost.
	lost bool

	mu      sync.Mutex
	objects []string
}

// newAWS starts the servers, and gives this process credentials for them.
func newAWS(t *testing.T, change func(*fakeAWS)) *fakeAWS {
	t.Helper()
	f := &fakeAWS{
		errors: map[string]string{}, origin: publicURL, methods: "GET, PUT", client: goodClient(),
		public:    "<BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>true</RestrictPublicBuckets>",
		lifecycle: "<Rule><ID>x</ID><Status>Enabled</Status><Filter><Prefix>users/</Prefix></Filter><AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>",
	}
	if change != nil {
		change(f)
	}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	for name, value := range map[string]string{"AWS_ENDPOINT_URL": f.URL, "AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "planted-secret-of-aws"} {
		t.Setenv(name, value)
	}
	return f
}

func goodClient() map[string]any {
	return map[string]any{
		"ClientId": cognitotest.DefaultClientID, "ClientSecret": "planted-secret-of-the-client", "AllowedOAuthFlowsUserPoolClient": true, "AllowedOAuthFlows": []string{"code"},
		"AllowedOAuthScopes": []string{"openid", "email", "profile"}, "EnableTokenRevocation": true,
		"CallbackURLs": []string{publicURL + "/auth/callback", publicURL + "/auth/passkeys/done"}, "LogoutURLs": []string{publicURL + "/", publicURL + "/auth/logout/done"},
	}
}

func (f *fakeAWS) serve(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Header.Get("X-Amz-Target") != "":
		f.cognito(w)
	case r.Method == http.MethodPost:
		f.sts(w, r)
	default:
		f.s3(w, r)
	}
}

func (f *fakeAWS) cognito(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	code := f.errors["cognito"]
	if slices.Contains(f.refused, "cognito") {
		code = "AccessDeniedException"
	}
	if code != "" {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, `{"__type":%q,"message":%q}`, code, cognitotest.Canary)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"UserPoolClient": f.client})
}

func (f *fakeAWS) sts(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/xml")
	if slices.Contains(f.refused, "sts") {
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprintf(w, `<ErrorResponse><Error><Code>InvalidClientTokenId</Code><Message>%s</Message></Error></ErrorResponse>`, cognitotest.Canary)
		return
	}
	if r.FormValue("Action") == "AssumeRole" {
		if policy := r.FormValue("Policy"); strings.Contains(policy, "Allow") {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.policy = policy
		}
		_, _ = io.WriteString(w, `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIATRIAL</AccessKeyId><SecretAccessKey>planted-secret-of-the-role</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`)
		return
	}
	_, _ = io.WriteString(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:sts::123456789012:assumed-role/token-handler/i-1</Arn><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
}

func (f *fakeAWS) s3(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	name := map[string]string{http.MethodPut: "put", http.MethodDelete: "delete", http.MethodOptions: "options"}[r.Method]
	switch {
	case query.Has("publicAccessBlock"):
		name = "public"
	case query.Has("lifecycle"):
		name = "lifecycle"
	case query.Has("list-type"):
		name = "list"
	}
	if f.onlyAssumes && slices.Contains([]string{"list", "put", "delete"}, name) && !strings.Contains(r.Header.Get("Authorization")+query.Get("X-Amz-Credential"), "ASIATRIAL") {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	if name == "put" && f.lost {
		f.answer(w, r, name)
		panic(http.ErrAbortHandler)
	}
	code := f.errors[name]
	if slices.Contains(f.refused, name) {
		code = "AccessDenied"
	}
	if code != "" {
		status := map[string]int{"AccessDenied": 403, "NoSuchBucket": 404, "NoSuchPublicAccessBlockConfiguration": 404, "NoSuchLifecycleConfiguration": 404, "PermanentRedirect": 301, "NotImplemented": 501}[code]
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `<Error><Code>%s</Code><Message>%s</Message></Error>`, code, cognitotest.Canary)
		return
	}
	f.answer(w, r, name)
}

func (f *fakeAWS) answer(w http.ResponseWriter, r *http.Request, name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch name {
	case "public":
		_, _ = io.WriteString(w, "<PublicAccessBlockConfiguration>"+f.public+"</PublicAccessBlockConfiguration>")
	case "lifecycle":
		_, _ = io.WriteString(w, "<LifecycleConfiguration>"+f.lifecycle+"</LifecycleConfiguration>")
	case "list":
		_, _ = io.WriteString(w, "<ListBucketResult></ListBucketResult>")
	case "put", "delete":
		body, _ := io.ReadAll(r.Body)
		f.objects = append(f.objects, name+" "+r.URL.Path+" "+string(body))
		w.WriteHeader(map[string]int{"put": http.StatusOK, "delete": http.StatusNoContent}[name])
	case "options":
		if r.Header.Get("Origin") != f.origin || !strings.Contains(f.methods, r.Header.Get("Access-Control-Request-Method")) || r.URL.RawQuery != "" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.Header().Set("Access-Control-Allow-Origin", f.origin)
		w.Header().Set("Access-Control-Allow-Methods", f.methods)
		w.Header().Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
	}
}

// The further keys of storage with which each kind of credentials is configured.
const (
	sessionPolicy = ", credentials: session_policy, role_arn: 'arn:aws:iam::123456789012:role/my-app-user-files'"
	webIdentity   = ", credentials: web_identity, role_arn: 'arn:aws:iam::123456789012:role/my-app-user-files'"
	identityPool  = ", credentials: identity_pool, identity_pool_id: 'us-east-1:12345678-90ab-cdef-1234-567890abcdef'"
)

func (f *fakeAWS) examine(t *testing.T, write bool) doctor.Report {
	t.Helper()
	return f.examineWith(t, "", write)
}

func (f *fakeAWS) examineWith(t *testing.T, more string, write bool) doctor.Report {
	t.Helper()
	r := setup{lines: fmt.Sprintf("storage: {bucket: files, region: us-east-1, endpoint: %q, path_style: true%s}\nallowed_origins: [%q]", f.URL, more, publicURL), write: write}.examine(t)
	for _, finding := range r.Findings {
		if strings.Contains(finding.What, cognitotest.Canary) {
			t.Errorf("text of AWS: %s", finding.What)
		}
	}
	return r
}

func TestAWSIsGood(t *testing.T) {
	f := newAWS(t, nil)
	r := f.examine(t, true)
	wantNone(t, r, doctor.Fault, doctor.AreaAWS, doctor.AreaBucket, doctor.AreaClient)
	wantNone(t, r, doctor.Warning, doctor.AreaAWS, doctor.AreaBucket, doctor.AreaClient)
	want(t, r, doctor.AreaAWS, doctor.Good, `"arn:aws:sts::123456789012:assumed-role/token-handler/i-1"`, "")
	want(t, r, doctor.AreaClient, doctor.Good, "The settings of the app client fit the configuration.", "")
	for _, what := range []string{"allow GET from " + publicURL, "allow PUT from " + publicURL, "The bucket is there", "has a public access block", "has a lifecycle rule", "stored by a presigned PUT, and deleted"} {
		want(t, r, doctor.AreaBucket, doctor.Good, what, "")
	}
	if len(f.objects) != 2 || !strings.HasPrefix(f.objects[0], "put /files/users/doctor/trial-") || !strings.HasPrefix(f.objects[1], "delete /files/users/doctor/trial-") {
		t.Errorf("the objects: %q", f.objects)
	}
	f = newAWS(t, nil)
	f.examine(t, false)
	if len(f.objects) != 0 {
		t.Errorf("written without --write: %q", f.objects)
	}
}

// TestFaultsOfAWS checks each thing that AWS may refuse, lack, or have set otherwise.
func TestFaultsOfAWS(t *testing.T) {
	refuse := func(name string) func(*fakeAWS) {
		return func(f *fakeAWS) { f.refused = []string{name} }
	}
	fail := func(name, code string) func(*fakeAWS) {
		return func(f *fakeAWS) { f.errors[name] = code }
	}
	for _, tt := range []struct {
		name   string
		change func(*fakeAWS)
		area   string
		level  doctor.Level
		what   string
		cure   string
	}{
		{"credentials", refuse("sts"), doctor.AreaAWS, doctor.Fault, "AWS refuses the credentials: InvalidClientTokenId", "Replace them"},
		{"client denied", refuse("cognito"), doctor.AreaClient, doctor.Warning, "cannot be read: AWS answers AccessDeniedException", "cognito-idp:DescribeUserPoolClient"},
		{"no client", fail("cognito", "ResourceNotFoundException"), doctor.AreaClient, doctor.Fault, "has no app client provider.client_id", "Copy"},
		{"odd code", fail("cognito", "<script> planted"), doctor.AreaClient, doctor.Warning, "AWS answers an unknown error", "permission"},
		{"no list", refuse("list"), doctor.AreaBucket, doctor.Warning, "s3:ListBucket is missing", "s3:ListBucket"},
		{"no bucket", fail("list", "NoSuchBucket"), doctor.AreaBucket, doctor.Fault, "There is no bucket files", "storage.bucket"},
		{"region", fail("list", "PermanentRedirect"), doctor.AreaBucket, doctor.Fault, "in another region than us-east-1", "storage.region"},
		{"public denied", refuse("public"), doctor.AreaBucket, doctor.Warning, "the permission s3:GetBucketPublicAccessBlock is missing", "credentials"},
		{"no block", fail("public", "NoSuchPublicAccessBlockConfiguration"), doctor.AreaBucket, doctor.Warning, "no complete public access block", "public-access-block.json"},
		{"half a block", func(f *fakeAWS) { f.public = "<BlockPublicAcls>true</BlockPublicAcls>" }, doctor.AreaBucket, doctor.Warning, "no complete public access block", "public-access-block.json"},
		{"no settings", fail("public", "NotImplemented"), doctor.AreaBucket, doctor.Warning, "this server has none", "unless the server"},
		{"lifecycle denied", refuse("lifecycle"), doctor.AreaBucket, doctor.Warning, "the permission s3:GetLifecycleConfiguration is missing", "credentials"},
		{"no lifecycle", fail("lifecycle", "NoSuchLifecycleConfiguration"), doctor.AreaBucket, doctor.Warning, "no complete lifecycle rule", "lifecycle.json"},
		{"another prefix", func(f *fakeAWS) { f.lifecycle = strings.Replace(f.lifecycle, "users/", "other/", 1) }, doctor.AreaBucket, doctor.Warning, "no complete lifecycle rule", "lifecycle.json"},
		{"rule off", func(f *fakeAWS) { f.lifecycle = strings.Replace(f.lifecycle, "Enabled", "Disabled", 1) }, doctor.AreaBucket, doctor.Warning, "no complete lifecycle rule", "lifecycle.json"},
		{"another origin", func(f *fakeAWS) { f.origin = "https://other.example" }, doctor.AreaBucket, doctor.Fault, "do not allow PUT from " + publicURL, "cors.json"},
		{"no PUT", func(f *fakeAWS) { f.methods = "GET" }, doctor.AreaBucket, doctor.Fault, "do not allow PUT from " + publicURL, "cors.json"},
		{"put denied", refuse("put"), doctor.AreaBucket, doctor.Fault, "S3 refuses to store users/doctor/trial-", "folders-policy.json"},
		{"delete denied", refuse("delete"), doctor.AreaBucket, doctor.Fault, "was stored and could not be deleted", "by hand"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want(t, newAWS(t, tt.change).examine(t, true), tt.area, tt.level, tt.what, tt.cure)
		})
	}
}

// TestSessionPolicy: the role of the service may only assume storage.role_arn, as
// config/deploy/s3 says. A list and an upload are tried with what that gives for one folder.
func TestSessionPolicy(t *testing.T) {
	f := newAWS(t, func(f *fakeAWS) { f.onlyAssumes = true })
	r := f.examineWith(t, sessionPolicy, true)
	wantNone(t, r, doctor.Fault, doctor.AreaAWS, doctor.AreaBucket)
	wantNone(t, r, doctor.Warning, doctor.AreaAWS, doctor.AreaBucket)
	want(t, r, doctor.AreaBucket, doctor.Good, "folder in it can be listed", "")
	want(t, r, doctor.AreaBucket, doctor.Good, "stored by a presigned PUT, and deleted", "")
	if !strings.Contains(f.policy, ":s3:::files/users/doctor/*") {
		t.Errorf("the policy: %s", f.policy)
	}
	f = newAWS(t, func(f *fakeAWS) { f.refused = []string{"list", "put"} })
	r = f.examineWith(t, sessionPolicy, true)
	want(t, r, doctor.AreaBucket, doctor.Warning, "s3:ListBucket is missing", "Give storage.role_arn the permission")
	want(t, r, doctor.AreaBucket, doctor.Fault, "S3 refuses to store", "the policy of storage.role_arn")
	f = newAWS(t, func(f *fakeAWS) { f.refused = []string{"sts"} })
	want(t, f.examineWith(t, sessionPolicy, true), doctor.AreaAWS, doctor.Fault, "AWS refuses the credentials", "Replace")
}

// TestCredentialsByIDTokens: what this machine may do in the folders says nothing about the
// users' credentials.
func TestCredentialsByIDTokens(t *testing.T) {
	for _, kind := range []string{webIdentity, identityPool} {
		f := newAWS(t, func(f *fakeAWS) { f.onlyAssumes = true })
		r := f.examineWith(t, kind, false)
		wantNone(t, r, doctor.Fault, doctor.AreaAWS, doctor.AreaBucket)
		wantNone(t, r, doctor.Warning, doctor.AreaAWS, doctor.AreaBucket)
		want(t, r, doctor.AreaBucket, doctor.Good, "has a public access block", "")
		r = f.examineWith(t, kind, true)
		wantNone(t, r, doctor.Fault, doctor.AreaAWS, doctor.AreaBucket)
		want(t, r, doctor.AreaBucket, doctor.Warning, "No object was stored", "Log in and upload a file")
	}
}

// TestLostAnswer: an object that S3 has stored, though its answer is lost, is deleted.
func TestLostAnswer(t *testing.T) {
	f := newAWS(t, func(f *fakeAWS) { f.lost = true })
	want(t, f.examine(t, true), doctor.AreaBucket, doctor.Fault, "users/doctor/trial-", "folders-policy.json")
	if last := f.objects[len(f.objects)-1]; !strings.HasPrefix(last, "delete /files/users/doctor/trial-") {
		t.Errorf("the objects: %q", f.objects)
	}
	f = newAWS(t, func(f *fakeAWS) { f.lost, f.refused = true, []string{"delete"} })
	want(t, f.examine(t, true), doctor.AreaBucket, doctor.Fault, "could not be deleted: the permission is missing", "delete it by hand")
}

func TestWithoutAWS(t *testing.T) {
	f := newAWS(t, nil)
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	r := f.examine(t, true)
	want(t, r, doctor.AreaAWS, doctor.Fault, "There are no AWS credentials, and the service needs some", "AWS_ACCESS_KEY_ID")
	want(t, r, doctor.AreaBucket, doctor.Good, "allow PUT from", "")
	want(t, r, doctor.AreaBucket, doctor.Warning, "settings cannot be read", "credentials of the service")
	want(t, r, doctor.AreaClient, doctor.Warning, "there are no AWS credentials here", "DescribeUserPoolClient")
	if len(f.objects) != 0 {
		t.Errorf("written without credentials: %q", f.objects)
	}
	f.Close()
	want(t, f.examine(t, true), doctor.AreaBucket, doctor.Fault, "S3 is not reached: nothing listens there (refused)", "")
	wantNone(t, setup{}.examine(t), doctor.Fault, doctor.AreaAWS)
}

func TestAWSThatHangs(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL", "http://"+silent(t))
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "planted-secret-of-aws")
	r := setup{call: time.Second}.examine(t)
	want(t, r, doctor.AreaAWS, doctor.Warning, "AWS STS is not reached", "sts.us-east-1")
}
