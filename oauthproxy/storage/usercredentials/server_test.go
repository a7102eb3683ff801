//go:build e2e && linux

package usercredentials_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentity"
	pooltypes "github.com/aws/aws-sdk-go-v2/service/cognitoidentity/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"

	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/oauthproxy/storage/usercredentials"
	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/s3local"
	"cognito-token-handler/test/testkit"
)

// The STS of the test's server fetches the keys of an issuer from a public address only,
// at port 443. So the test runs in a network of its own, where this address for examples
// (RFC 5737) leads to the test itself.
const (
	publicAddress = "203.0.113.7"
	issuerURL     = "https://" + publicAddress + "/" + cognitotest.PoolID
	roleName      = "my-app-user-files"
	roleARN       = "arn:aws:iam::" + s3local.AccountID + ":role/" + roleName
)

// inOwnNetwork runs the test again, in a network of its own, and reports whether this is
// that run.
func inOwnNetwork(t *testing.T) bool {
	t.Helper()
	const inside = "TOKENHANDLER_TEST_OWN_NETWORK"
	if os.Getenv(inside) != "" { //nolint:forbidigo // this test runs itself
		for _, args := range [][]string{{"link", "set", "lo", "up"}, {"addr", "add", publicAddress + "/32", "dev", "lo"}} {
			if text, err := exec.CommandContext(t.Context(), "ip", args...).CombinedOutput(); err != nil {
				t.Fatalf("ip %v: %v %s", args, err, text)
			}
		}
		return true
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	again := exec.CommandContext(t.Context(), program, "-test.run=^"+t.Name()+"$", "-test.v")
	again.Env = append(os.Environ(), inside+"=1") //nolint:forbidigo // as this process has
	again.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	text, err := again.CombinedOutput()
	if err != nil || !bytes.Contains(text, []byte("--- PASS: "+t.Name())) {
		t.Errorf("in a network of its own: %v\n%s", err, text)
	}
	return false
}

// startIssuer publishes the keys that sign the ID tokens of package cognitotest, and
// returns the thumbprint of its certificate.
func startIssuer(t *testing.T) (thumbprint string) {
	t.Helper()
	pool := cognitotest.New(t, cognitotest.Options{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /"+cognitotest.PoolID+"/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, issuerURL, issuerURL+"/.well-known/jwks.json")
	})
	mux.HandleFunc("GET /"+cognitotest.PoolID+"/.well-known/jwks.json", func(w http.ResponseWriter, r *http.Request) {
		request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, pool.Issuer()+"/.well-known/jwks.json", http.NoBody)
		if err != nil {
			panic(err)
		}
		answer, err := (&http.Client{}).Do(request)
		if err != nil {
			panic(err)
		}
		defer func() { _ = answer.Body.Close() }()
		_, _ = io.Copy(w, answer.Body)
	})
	certificate := newCertificate(t)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", publicAddress+":443")
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}, TLS: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}}
	server.StartTLS()
	t.Cleanup(server.Close)
	sum := sha1.Sum(certificate.Certificate[0])
	return hex.EncodeToString(sum[:])
}

func newCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.ParseIP(publicAddress)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// deployed returns a policy of config/deploy/s3 with the values of this test.
func deployed(t *testing.T, server *s3local.Server, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../../config/deploy/s3/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(
		"arn:aws:s3:::my-app-user-files", "arn:aws:s3:::"+server.Bucket, "123456789012", s3local.AccountID,
		"cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI", strings.TrimPrefix(issuerURL, "https://"),
		"1example23456789", cognitotest.DefaultClientID,
	).Replace(string(text))
}

// startServer starts a server whose role trusts the issuer, as config/deploy/s3 says.
func startServer(t *testing.T) *s3local.Server {
	t.Helper()
	thumbprint := startIssuer(t)
	server, err := s3local.Start(t.Context(), s3local.Options{AppOrigins: []string{"https://app.example.com"}, IAM: true, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	for _, call := range []struct {
		action     string
		parameters map[string]string
	}{
		{"CreateOpenIDConnectProvider", map[string]string{
			"Url": issuerURL, "ClientIDList.member.1": cognitotest.DefaultClientID, "ThumbprintList.member.1": thumbprint,
		}},
		{"CreateRole", map[string]string{"RoleName": roleName, "AssumeRolePolicyDocument": deployed(t, server, "trust-web-identity.json")}},
		{"PutRolePolicy", map[string]string{"RoleName": roleName, "PolicyName": "user-files", "PolicyDocument": deployed(t, server, "folders-policy.json")}},
	} {
		if err := server.CallIAM(t.Context(), call.action, call.parameters); err != nil {
			t.Fatal(err)
		}
	}
	return server
}

// tokenOf returns an ID token of the user.
func tokenOf(subject string) string {
	id, _, _ := cognitotest.Tokens(cognitotest.TokenOptions{
		Issuer: issuerURL, IssuedAt: time.Now(), User: cognitotest.User{Username: subject, Sub: subject},
	})
	return id
}

// stsOf returns a client of the server's STS.
func stsOf(server *s3local.Server, endpoint string) *sts.Client {
	return sts.New(sts.Options{Region: server.Region, BaseEndpoint: &endpoint, Credentials: aws.CredentialsProviderFunc(
		func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: server.AccessKey, SecretAccessKey: server.SecretKey}, nil
		})})
}

func folderOf(t *testing.T, server *s3local.Server) usercredentials.Folder {
	t.Helper()
	of, err := storage.FolderOf("users/{sub}/")
	if err != nil {
		t.Fatal(err)
	}
	return usercredentials.Folder{Bucket: server.Bucket, Of: of}
}

// assumeRoleFront is an STS with AssumeRole, which the server's has not: it gets
// credentials with the same policy by AssumeRoleWithWebIdentity.
func assumeRoleFront(t *testing.T, server *s3local.Server) string {
	t.Helper()
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("Action") != "AssumeRole" || !strings.Contains(r.Header.Get("Authorization"), server.AccessKey) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		form := r.PostForm
		form.Set("Action", "AssumeRoleWithWebIdentity")
		form.Set("WebIdentityToken", tokenOf("the-service"))
		text := postForm(r.Context(), server.IAM, form)
		_, _ = io.WriteString(w, strings.ReplaceAll(text, "AssumeRoleWithWebIdentity", "AssumeRole"))
	}))
	t.Cleanup(front.Close)
	return front.URL
}

func postForm(ctx context.Context, endpoint string, form url.Values) string {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		panic(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := (&http.Client{}).Do(request)
	if err != nil {
		panic(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// fakePool is an identity pool whose role has own-folder-policy.json. The server has no
// session tags, so the tag is put into the policy here.
type fakePool struct {
	sts    *sts.Client
	policy string
}

//nolint:revive,staticcheck // the SDK calls it so
func (fakePool) GetId(_ context.Context, in *cognitoidentity.GetIdInput, _ ...func(*cognitoidentity.Options)) (*cognitoidentity.GetIdOutput, error) {
	return &cognitoidentity.GetIdOutput{IdentityId: in.IdentityPoolId}, nil
}

func (f fakePool) GetCredentialsForIdentity(
	ctx context.Context, in *cognitoidentity.GetCredentialsForIdentityInput, _ ...func(*cognitoidentity.Options),
) (*cognitoidentity.GetCredentialsForIdentityOutput, error) {
	token := in.Logins[strings.TrimPrefix(issuerURL, "https://")]
	policy := strings.ReplaceAll(f.policy, "${aws:PrincipalTag/sub}", subjectOf(token))
	answer, err := f.sts.AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: aws.String(roleARN), RoleSessionName: aws.String("CognitoIdentityCredentials"), WebIdentityToken: &token, Policy: &policy,
	})
	if err != nil {
		return nil, err
	}
	return poolAnswer(answer.Credentials), nil
}

func poolAnswer(issued *ststypes.Credentials) *cognitoidentity.GetCredentialsForIdentityOutput {
	return &cognitoidentity.GetCredentialsForIdentityOutput{Credentials: &pooltypes.Credentials{
		AccessKeyId: issued.AccessKeyId, SecretKey: issued.SecretAccessKey, SessionToken: issued.SessionToken, Expiration: issued.Expiration,
	}}
}

func subjectOf(token string) string {
	_, rest, _ := strings.Cut(token, ".")
	payload, _, _ := strings.Cut(rest, ".")
	text, _ := base64.RawURLEncoding.DecodeString(payload)
	var claims struct{ Sub string }
	_ = json.Unmarshal(text, &claims)
	return claims.Sub
}

// TestServerKeepsUsersApart: with the credentials of one user, whatever is signed for
// another user's folder is refused by the server itself. The user's own folder works,
// through the whole of /storage.
func TestServerKeepsUsersApart(t *testing.T) {
	if !inOwnNetwork(t) {
		return
	}
	server := startServer(t)
	own := stsOf(server, server.IAM)
	for kind, source := range map[string]usercredentials.Source{
		usercredentials.KindSessionPolicy: usercredentials.SessionPolicy(stsOf(server, assumeRoleFront(t, server)), roleARN, folderOf(t, server)),
		usercredentials.KindWebIdentity:   usercredentials.WebIdentity(own, roleARN, folderOf(t, server)),
		usercredentials.KindIdentityPool:  usercredentials.IdentityPool(fakePool{own, deployed(t, server, "own-folder-policy.json")}, pool, issuerURL),
	} {
		t.Run(kind, func(t *testing.T) {
			cache := newCache(t, source, time.Now, func(cfg *usercredentials.Config) { cfg.Kind = kind })
			for _, subject := range []string{"abc", "abcd"} { // one is the beginning of the other
				u := &user{subject: subject, token: tokenOf(subject)}
				got, err := cache.For(t.Context(), u)
				if err != nil || !got.CanExpire || time.Until(got.Expires) < 50*time.Minute {
					t.Fatalf("%s: until %s, %v", subject, got.Expires, err)
				}
				wantOwnFolderOnly(t, server, got, subject)
				wantStorage(t, server, cache, u)
			}
		})
	}
	t.Run("foreign token", func(t *testing.T) {
		cache := newCache(t, usercredentials.WebIdentity(own, roleARN, folderOf(t, server)), time.Now)
		id, _, _ := cognitotest.Tokens(cognitotest.TokenOptions{Issuer: issuerURL, ClientID: "another-client", IssuedAt: time.Now()})
		if got, err := cache.For(t.Context(), &user{subject: "abc", token: id}); err == nil {
			t.Errorf("another client's token got %s", got.AccessKeyID)
		}
		expired, _, _ := cognitotest.Tokens(cognitotest.TokenOptions{Issuer: issuerURL, IssuedAt: time.Now().Add(-3 * time.Hour)})
		renewed := &user{subject: "abc", token: expired, renew: func() (string, error) { return tokenOf("abc"), nil }}
		if _, err := cache.For(t.Context(), renewed); err != nil {
			t.Errorf("an expired token was not renewed: %v", err)
		}
	})
}

// wantOwnFolderOnly signs requests for keys in and outside the user's folder, with no code
// of package storage in between.
func wantOwnFolderOnly(t *testing.T, server *s3local.Server, credentials aws.Credentials, subject string) {
	t.Helper()
	client := s3.New(s3.Options{
		BaseEndpoint: &server.Endpoint, Region: server.Region, UsePathStyle: true, RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return credentials, nil }),
	})
	presign := s3.NewPresignClient(client)
	for key, allowed := range map[string]bool{
		"users/" + subject + "/a": true, "users/" + subject + "x/a": false, "users/other/a": false, "users/a": false, "a": false,
	} {
		if _, err := server.Client().PutObject(t.Context(), &s3.PutObjectInput{Bucket: &server.Bucket, Key: &key, Body: strings.NewReader("s")}); err != nil {
			t.Fatal(err)
		}
		put, err := presign.PresignPutObject(t.Context(), &s3.PutObjectInput{Bucket: &server.Bucket, Key: &key, ContentLength: aws.Int64(1)})
		if err != nil {
			t.Fatal(err)
		}
		wantStatus(t, put.Method, put.URL, "x", allowed)
		get, err := presign.PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: &server.Bucket, Key: &key})
		if err != nil {
			t.Fatal(err)
		}
		wantStatus(t, get.Method, get.URL, "", allowed)
		if _, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &server.Bucket, Key: &key}); (err == nil) != allowed {
			t.Errorf("%s deletes %s: %v", subject, key, err)
		}
	}
	for prefix, allowed := range map[string]bool{"users/" + subject + "/": true, "users/" + subject: false, "users/": false, "": false, "users/other/": false} {
		if _, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &server.Bucket, Prefix: &prefix}); (err == nil) != allowed {
			t.Errorf("%s lists %q: %v", subject, prefix, err)
		}
	}
}

func wantStatus(t *testing.T, method, target, body string, allowed bool) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: testkit.Deadline}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, _ := io.ReadAll(answer.Body)
	if want := map[bool]int{true: http.StatusOK, false: http.StatusForbidden}[allowed]; answer.StatusCode != want {
		t.Errorf("%s %s: %d %s, want %d", method, request.URL.Path, answer.StatusCode, text, want)
	}
}
