//go:build e2e

package gateway_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"cognito-token-handler/test/devstack/process"
	"cognito-token-handler/test/useragent"
)

// gateway is a program that Debian has, and how it runs the example for it.
type gateway struct {
	name, example string
	// places are what an example has to be told of a test's world.
	places func(t *testing.T, at places) []place
	// run says how the program is started with its configuration, in dir.
	run func(dir, config string) process.Spec
	// twoCookies are changes that the example asks for where a session takes two.
	twoCookies []place
	// own are the gateway's own ways to the question.
	own []string
	// refused checks what the browser is told if the answer is not yes.
	refused func(t *testing.T, answer *useragent.Response, status int, code string)
	// away is the status while the token handler is.
	away int
}

// each runs a test with every gateway.
func each(t *testing.T, test func(t *testing.T, g gateway)) {
	t.Helper()
	for _, g := range []gateway{nginx(), caddy()} {
		t.Run(g.name, func(t *testing.T) { test(t, g) })
	}
}

func nginx() gateway {
	return gateway{
		name: "nginx", example: "gateways/nginx.conf",
		places: func(t *testing.T, at places) []place {
			t.Helper()
			var own strings.Builder // where nginx writes by default
			for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
				own.WriteString("    " + kind + "_temp_path " + filepath.Join(at.dir, kind) + ";\n")
			}
			include := write(t, filepath.Join(at.dir, "verify_secret.conf"), `proxy_set_header X-Auth-Request-Secret "`+verifySecret+`";`)
			return []place{
				{"http {\n", "http {\n    access_log /dev/stderr;\n" + own.String()},
				{"listen 443 ssl;", "listen 127.0.0.1:" + at.port + " ssl; listen [::1]:" + at.port + " ssl;"},
				{"/etc/nginx/tls/app.crt", at.certificate},
				{"/etc/nginx/tls/app.key", at.key},
				{"/etc/nginx/verify_secret.conf", include},
				{"/srv/app", at.dir},
				{"server 127.0.0.1:8080;", "server " + at.handler + ";"},
				{"server 127.0.0.1:3000;", "server " + at.api + ";"},
			}
		},
		run: func(dir, config string) process.Spec {
			return process.Spec{Env: process.Environment(), Args: []string{
				"-p", dir, "-c", config, "-e", "stderr",
				"-g", "daemon off; user root; worker_processes 1; pid " + filepath.Join(dir, "nginx.pid") + ";",
			}}
		},
		twoCookies: []place{{"# proxy_buffer_size 12k;", "proxy_buffer_size 12k;"}},
		own:        []string{"/_verify"},
		refused: func(t *testing.T, answer *useragent.Response, status int, code string) {
			t.Helper()
			var body struct {
				Status int
				Code   string
			}
			if err := answer.JSON(&body); err != nil || body.Status != status || body.Code != code || answer.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s with %v, want a problem with %d %s", answer.Body, answer.Header, status, code)
			}
		},
		away: http.StatusServiceUnavailable,
	}
}

// caddy is told no more than nginx: its certificate would come from the network,
// and it would listen on port 80, too.
func caddy() gateway {
	return gateway{
		name: "caddy", example: "gateways/Caddyfile",
		places: func(t *testing.T, at places) []place {
			t.Helper()
			return []place{
				{"app.example.com {\n", "{\n\tadmin off\n\tauto_https disable_redirects\n}\n" +
					"https://app.example.com:" + at.port + " {\n\tbind 127.0.0.1 [::1]\n\ttls " + at.certificate + " " + at.key + "\n"},
				{"/srv/app", at.dir},
				{"127.0.0.1:8080", at.handler},
				{"127.0.0.1:3000", at.api},
			}
		},
		run: func(dir, config string) process.Spec {
			return process.Spec{
				Env:  process.Environment("VERIFY_SECRET="+verifySecret, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir),
				Args: []string{"run", "--config", config, "--adapter", "caddyfile"},
			}
		},
		refused: func(t *testing.T, answer *useragent.Response, _ int, code string) {
			t.Helper()
			if len(answer.Body) > 0 || answer.Header.Get("X-Auth-Error") != code {
				t.Errorf("%s with %v, want no body and the code %s", answer.Body, answer.Header, code)
			}
		},
		away: http.StatusBadGateway,
	}
}
