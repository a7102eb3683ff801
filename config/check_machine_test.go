package config_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/config"
)

// now is the time of the checks in these tests.
var now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// pair is a self-signed certificate with its key, in PEM.
type pair struct{ cert, key []byte }

func newPair(t *testing.T, host string, from, until time.Time) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotBefore: from, NotAfter: until}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}),
	}
}

// files writes files into a new folder, each with the mode 0600, and returns the
// folder. A name that ends with a slash is a folder.
func files(t *testing.T, contents map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range contents {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(path, 0o700); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// machine is a machine with the files of the test and of readFile.
func machine() config.Machine {
	return config.Machine{
		ReadFile: func(name string) ([]byte, error) {
			if content, err := readFile(name); err == nil {
				return content, nil
			}
			return os.ReadFile(name)
		},
		Now: func() time.Time { return now },
	}
}

// checked returns the faults of a configuration, or its warnings. more are lines at its
// end, in which DIR stands for dir; it stands for it in the result, too.
func checked(t *testing.T, m config.Machine, dir, more string, environ ...string) string {
	t.Helper()
	c, err := config.Load([]byte(smallest+strings.ReplaceAll(more, "DIR", dir)), "m.yaml", environ, m)
	text := warnings(c)
	if err != nil {
		text = err.Error() + "\n"
	}
	return strings.ReplaceAll(text, dir, "DIR")
}

func TestCheckLooksAtTheFiles(t *testing.T) {
	good := newPair(t, "app.example.com", now.Add(-time.Hour), now.AddDate(1, 0, 0))
	other := newPair(t, "app.example.com", now.Add(-time.Hour), now.AddDate(1, 0, 0))
	expired := newPair(t, "app.example.com", now.AddDate(-1, 0, 0), now.Add(-time.Second))
	early := newPair(t, "app.example.com", now.Add(time.Second), now.AddDate(1, 0, 0))
	soon := newPair(t, "app.example.com", now.AddDate(-1, 0, 0), now.AddDate(0, 0, 13))
	named := newPair(t, "other.example.com", now.Add(-time.Hour), now.AddDate(1, 0, 0))
	dir := files(t, map[string][]byte{
		"good.crt": good.cert, "good.key": good.key, "other.key": other.key, "chain.crt": append(bytes.Clone(good.cert), other.cert...),
		"reversed.crt": append(bytes.Clone(other.cert), good.cert...), "expired.crt": expired.cert, "expired.key": expired.key,
		"early.crt": early.cert, "early.key": early.key, "soon.crt": soon.cert, "soon.key": soon.key, "named.crt": named.cert, "named.key": named.key,
		"text": []byte("no PEM"), "broken.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}),
		"encrypted.key":  pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")}),
		"app/index.html": []byte("<!doctype html>"), "unbuilt/": nil, "both.crt": append(bytes.Clone(expired.cert), good.cert...),
	})
	tls := func(cert, key string) string {
		return "tls: {cert_file: DIR/" + cert + ", key_file: DIR/" + key + "}\n"
	}
	const proxied = "; replace it, unless only a proxy in front of the service sees it\n"
	ca := func(name string) string {
		return "api: {routes: [{path: /a/, upstream: 'https://a.example'}, {path: /b/, upstream: 'https://b.example', upstream_ca_file: DIR/" + name + "}]}\n"
	}
	for name, tt := range map[string]struct{ more, want string }{
		"all is there":    {tls("good.crt", "good.key") + ca("chain.crt") + "spa: {dir: DIR/app}\n", ""},
		"chain":           {tls("chain.crt", "good.key"), ""},
		"no files":        {tls("no.crt", "no.key"), "m.yaml:9: tls.cert_file: names a file that does not exist; check the path, and that the file is mounted\nm.yaml:9: tls.key_file: names a file that does not exist; check the path, and that the file is mounted\n"},
		"a folder":        {tls("app", "good.key"), "m.yaml:9: tls.cert_file: names a file that cannot be read; check the path and the file\n"},
		"another's key":   {tls("good.crt", "other.key"), "m.yaml:9: tls.key_file: does not belong to the first certificate in tls.cert_file; write the key that the certificate was requested with; the server's certificate comes first, then the intermediate ones\n"},
		"reversed chain":  {tls("reversed.crt", "good.key"), "m.yaml:9: tls.key_file: does not belong to the first certificate in tls.cert_file; write the key that the certificate was requested with; the server's certificate comes first, then the intermediate ones\n"},
		"swapped":         {tls("good.key", "good.crt"), "m.yaml:9: tls.cert_file: names a file without a PEM certificate; write the path of a PEM certificate chain\nm.yaml:9: tls.key_file: names a file without a PEM private key; write the path of the certificate's key\n"},
		"broken":          {tls("broken.crt", "encrypted.key"), "m.yaml:9: tls.cert_file: names a file with a certificate that cannot be parsed; write the path of a PEM certificate chain\nm.yaml:9: tls.key_file: names a file with a key that has a passphrase; remove the passphrase: openssl pkey -in old -out new\n"},
		"expired":         {tls("expired.crt", "expired.key"), "m.yaml:9: tls.cert_file: names a certificate that expired on 2026-05-01T11:59:59Z; write a current one there\n"},
		"too early":       {tls("early.crt", "early.key"), "m.yaml:9: tls.cert_file: names a certificate that is not valid before 2026-05-01T12:00:01Z" + proxied},
		"ends soon":       {tls("soon.crt", "soon.key"), "m.yaml:9: tls.cert_file: names a certificate that expires on 2026-05-14T12:00:00Z" + proxied},
		"another name":    {tls("named.crt", "named.key"), "m.yaml:9: tls.cert_file: names a certificate that is for other names than app.example.com, the host of public_url" + proxied},
		"app missing":     {"spa: {dir: DIR/dist}\n", "m.yaml:9: spa.dir: cannot be served: open DIR/dist: no such file or directory; build the app, or write the directory of the built one\n"},
		"app unbuilt":     {"spa: {dir: DIR/unbuilt}\n", "m.yaml:9: spa.dir: cannot be served: it has no index.html; build the app, or write the directory of the built one\n"},
		"app is a file":   {"spa: {dir: DIR/text}\n", "m.yaml:9: spa.dir: cannot be served: open DIR/text: not a directory; build the app, or write the directory of the built one\n"},
		"CA missing":      {ca("no.crt"), "m.yaml:9: api.routes[1].upstream_ca_file: names a file that does not exist; check the path, and that the file is mounted\n"},
		"CA is text":      {ca("text"), "m.yaml:9: api.routes[1].upstream_ca_file: names a file without a PEM certificate; write the path of a file with PEM certificates\n"},
		"CA is broken":    {ca("broken.crt"), "m.yaml:9: api.routes[1].upstream_ca_file: names a file with a certificate that cannot be parsed; write the path of a file with PEM certificates\n"},
		"CA expired":      {ca("expired.crt"), "m.yaml:9: api.routes[1].upstream_ca_file: names a file in which every certificate has expired; replace it: no certificate of the upstream can be verified\n"},
		"one CA expired":  {ca("both.crt"), ""},
		"values and more": {"spa: {dir: DIR/unbuilt}\nlog: {level: hunter2}\n" + ca("text"), "m.yaml:9: spa.dir: cannot be served: it has no index.html; build the app, or write the directory of the built one\nm.yaml:10: log.level: \"hunter2\" is not one of the possible values; write debug, info, warn or error\nm.yaml:11: api.routes[1].upstream_ca_file: names a file without a PEM certificate; write the path of a file with PEM certificates\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := checked(t, machine(), dir, tt.more); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestLongPolicies: a page for whose Content-Security-Policy a proxy could answer 502 is named
// before it is served.
func TestLongPolicies(t *testing.T) {
	var scripts strings.Builder
	for i := range 100 {
		fmt.Fprintf(&scripts, "<script>run(%02d)</script>", i)
	}
	dir := files(t, map[string][]byte{
		"one/index.html": []byte(scripts.String()), "two/index.html": []byte(scripts.String()), "two/about.html": []byte(scripts.String()),
		"styled/index.html": []byte(strings.NewReplacer("<script>run", "<p style='margin:", "</script>", "'>").Replace(scripts.String())),
		"good/index.html":   []byte("<!doctype html><script>run()</script>"),
	})
	const head = "; proxies refuse a response with a long head, nginx from 4,096 bytes on; "
	const files = "move the scripts, styles and attributes style of the page into files of their own\n"
	const move = head + files
	const fewer = head + "remove sources, or let the proxy accept more (nginx: proxy_buffer_size)\n"
	long := "img-src https://" + strings.Repeat("a", 3100) + ".example"
	for name, tt := range map[string]struct{ more, want string }{
		"styled":         {"spa: {dir: DIR/styled}\n", "m.yaml:9: spa.dir: has index.html, whose Content-Security-Policy needs 5677 bytes and is sent with 277, in which all attributes style are allowed; " + files},
		"short":          {"spa: {dir: DIR/good}\n", ""},
		"one page":       {"spa: {dir: DIR/one}\n", "m.yaml:9: spa.dir: has index.html, whose Content-Security-Policy needs 5645 bytes" + move},
		"two pages":      {"spa: {dir: DIR/two}\n", "m.yaml:9: spa.dir: has about.html, whose Content-Security-Policy needs 5645 bytes (and 1 more such pages)" + move},
		"extra":          {"spa:\n  dir: DIR/two\n  content_security_policy_extra: " + long + "\n", "m.yaml:11: spa.content_security_policy_extra: makes a Content-Security-Policy of 3362 bytes" + fewer},
		"own":            {"spa:\n  dir: DIR/two\n  content_security_policy: default-src 'self'; frame-ancestors 'none'; " + long + "\n", "m.yaml:11: spa.content_security_policy: makes a Content-Security-Policy of 3168 bytes" + fewer},
		"own, and short": {"spa:\n  dir: DIR/two\n  content_security_policy: default-src 'self'; frame-ancestors 'none'\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := checked(t, machine(), dir, tt.more); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestSecretsAreKept: other users of the machine must not read or change a file with
// secrets, and the app's directory must not contain one.
func TestSecretsAreKept(t *testing.T) {
	good := newPair(t, "app.example.com", now.Add(-time.Hour), now.AddDate(1, 0, 0))
	dir := files(t, map[string][]byte{
		"open/keys": []byte(key(6)), "open/closed": []byte(key(6)), "open/token": []byte(plantedToken), "closed/keys": []byte(key(6)),
		"open/tls.crt": good.cert, "open/tls.key": good.key, "m.yaml": nil, "inline.yaml": nil,
		"app/index.html": []byte("x"), "app/.secret/keys": []byte(key(6)),
	})
	for name, mode := range map[string]os.FileMode{
		"../": 0o755, "": 0o755, "open": 0o755, "app": 0o755, "open/keys": 0o644, "open/closed": 0o660, "open/token": 0o602, "closed/keys": 0o644, "open/tls.key": 0o604, "open/tls.crt": 0o644, "m.yaml": 0o644, "inline.yaml": 0o644,
	} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	const others = ", so other users of this machine can read or change it; give it the mode 0600: chmod 600\n"
	keys := func(name string) string { return "TH_SESSION__KEYS_FILE=" + filepath.Join(dir, name) }
	contained := machine()
	contained.Container = true
	for name, tt := range map[string]struct {
		machine config.Machine
		file    string
		more    string
		environ string
		want    string
	}{
		"readable":      {machine(), "m.yaml", "", keys("open/keys"), "TH_SESSION__KEYS_FILE: session.keys_file: is in the file \"DIR/open/keys\" with the mode 0644" + others},
		"writable":      {machine(), "m.yaml", "admin: {token_file: DIR/open/token}\n", keys("open/closed"), "DIR/m.yaml:9: admin.token_file: is in the file \"DIR/open/token\" with the mode 0602" + others},
		"group":         {machine(), "m.yaml", "", keys("open/closed"), ""},
		"closed folder": {machine(), "m.yaml", "", keys("closed/keys"), ""},
		"TLS":           {machine(), "m.yaml", "tls: {cert_file: DIR/open/tls.crt, key_file: DIR/open/tls.key}\n", keys("open/closed"), "DIR/m.yaml:9: tls.key_file: is in the file \"DIR/open/tls.key\" with the mode 0604" + others},
		"inline":        {machine(), "inline.yaml", "admin: {token: " + plantedToken + "}\n", keys("open/closed"), "DIR/inline.yaml:9: admin.token: is in the file \"DIR/inline.yaml\" with the mode 0644" + others},
		"served key":    {machine(), "m.yaml", "spa: {dir: DIR/app/}\n", keys("app/.secret/keys"), "DIR/m.yaml:9: spa.dir: contains \"DIR/app/.secret/keys\" (session.keys_file), which would be sent to everybody; put that file elsewhere, or write the directory of the built app\n"},
		"served config": {machine(), "app/index.html", "spa: {dir: DIR/open/../app}\n", keys("open/closed"), "DIR/app/index.html:9: spa.dir: contains \"DIR/app/index.html\" (the configuration), which would be sent to everybody; put that file elsewhere, or write the directory of the built app\n"},
		"in a container": {
			contained, "m.yaml", "", keys("open/keys"),
			"DIR/m.yaml: listen: is 127.0.0.1:8080, which browsers and proxies outside this container cannot reach; write :8080, unless they run in the same pod\n" +
				"DIR/m.yaml: admin.listen: is 127.0.0.1:9090, which probes and Prometheus outside this container cannot reach; write :9090, unless they run in the same pod\n",
		},
		"in a container, reachable": {
			contained, "m.yaml", "listen: :8080\nadmin: {listen: ':9090', token_file: DIR/open/token}\n", keys("open/keys"), "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(dir, tt.file)
			c, err := config.Load([]byte(smallest+strings.ReplaceAll(tt.more, "DIR", dir)), file, []string{tt.environ}, tt.machine)
			got := warnings(c)
			if err != nil {
				got = err.Error() + "\n"
			}
			if got = strings.ReplaceAll(got, dir, "DIR"); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestCollectorsKeyInTheClear: the header of an export usually has a key.
func TestCollectorsKeyInTheClear(t *testing.T) {
	for endpoint, want := range map[string]string{
		"http://collector.internal:4318":  "OTEL_EXPORTER_OTLP_HEADERS: are sent to a collector on another machine over plain http; write https:// in the endpoint\n",
		"https://collector.internal:4318": "",
		"http://localhost:4318":           "",
	} {
		c := mustLoad(t, smallest, "OTEL_EXPORTER_OTLP_ENDPOINT="+endpoint, "OTEL_EXPORTER_OTLP_HEADERS=api-key=hunter2")
		if got := warnings(c); got != want {
			t.Errorf("%s: got %s, want %s", endpoint, got, want)
		}
	}
}

// TestCredentialsOfAWS: a bucket and a store with IAM need them.
func TestCredentialsOfAWS(t *testing.T) {
	const bucket, fix = "storage: {bucket: files, region: eu-west-1}\n", "; give the service a role (EKS, ECS, EC2), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY\n"
	const store = "TH_SESSION__STORE=rediss://user@cache:6379?iam=true&cache=c&region=eu-west-1"
	for name, tt := range map[string]struct {
		more     string
		environ  []string
		roleOnly bool
		err      error
		want     string
	}{
		"keys":          {bucket, []string{store}, false, nil, ""},
		"role":          {bucket, nil, true, nil, "m.yaml:9: storage.bucket: needs AWS credentials, and only a role of the machine itself could have them here" + fix},
		"none":          {bucket, nil, false, errors.New("none are there"), "m.yaml:9: storage.bucket: needs AWS credentials: none are there" + fix},
		"users' tokens": {"storage: {bucket: files, region: eu-west-1, credentials: web_identity, role_arn: 'arn:aws:iam::123456789012:role/r'}\n", nil, true, errors.New("none are there"), ""},
		"to assume a role": {
			"storage: {bucket: files, region: eu-west-1, credentials: session_policy, role_arn: 'arn:aws:iam::123456789012:role/r'}\n", nil, false, errors.New("none are there"),
			"m.yaml:9: storage.bucket: needs AWS credentials: none are there" + fix,
		},
		"none, for store": {"", []string{store}, false, errors.New("none are there"), "TH_SESSION__STORE: session.store: needs AWS credentials: none are there" + fix},
		"not needed":      {"", []string{"TH_SESSION__STORE=rediss://cache"}, true, errors.New("none are there"), ""},
	} {
		m := machine()
		m.AWSCredentials = func(string) (bool, error) { return tt.roleOnly, tt.err }
		if got := checked(t, m, "/", tt.more, tt.environ...); strings.ReplaceAll(got, "DIR", "/") != tt.want {
			t.Errorf("%s: got %s\nwant %s", name, got, tt.want)
		}
	}
}
