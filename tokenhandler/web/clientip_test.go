package web_test

import (
	"strings"
	"testing"

	"cognito-token-handler/tokenhandler/web"
)

// TestClientAddressWithoutProxies: the address in logs is the peer's, in its usual spelling.
func TestClientAddressWithoutProxies(t *testing.T) {
	cfg := siteConfig(t, t.Output())
	cfg.TrustedProxies = nil
	s := web.NewSite(cfg)
	for peer, want := range map[string]string{
		"203.0.113.9:1234": "203.0.113.9", "[::ffff:203.0.113.9]:1234": "203.0.113.9", "[2001:db8::9]:1234": "2001:db8::9",
		"[fe80::1%eth0]:1234": "fe80::1", "@": "", "": "",
	} {
		r := request(t, "GET", "/", nil)
		r.RemoteAddr = peer
		if got := s.ClientAddress(r); got != want {
			t.Errorf("%q: %q, want %q", peer, got, want)
		}
	}
}

func TestClientIP(t *testing.T) {
	s := newSite(t)
	for name, c := range map[string]struct {
		peer      string
		forwarded []string
		want      string
	}{
		"direct":                         {"203.0.113.9:1234", nil, "203.0.113.9"},
		"direct, header is the client's": {"203.0.113.9:1234", []string{"198.51.100.1"}, "203.0.113.9"},
		"one proxy":                      {"10.0.0.1:1234", []string{"203.0.113.9"}, "203.0.113.9"},
		"spoofed on the left":            {"10.0.0.1:1234", []string{"127.0.0.1, 203.0.113.9"}, "203.0.113.9"},
		"two proxies":                    {"10.0.0.1:1234", []string{"203.0.113.9, 10.0.0.2"}, "203.0.113.9"},
		"two headers":                    {"10.0.0.1:1234", []string{"198.51.100.1", "203.0.113.9, 10.0.0.2"}, "203.0.113.9"},
		"proxy in the second header":     {"10.0.0.1:1234", []string{"203.0.113.9", "10.0.0.2"}, "203.0.113.9"},
		"no header":                      {"10.0.0.1:1234", nil, "10.0.0.1"},
		"empty header":                   {"10.0.0.1:1234", []string{""}, "10.0.0.1"},
		"only proxies":                   {"10.0.0.1:1234", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"garbage on the right":           {"10.0.0.1:1234", []string{"203.0.113.9, unknown"}, "10.0.0.1"},
		"garbage behind a proxy":         {"10.0.0.1:1234", []string{"203.0.113.9, x, 10.0.0.2"}, "10.0.0.2"},
		"garbage on the left":            {"10.0.0.1:1234", []string{"<script>, 203.0.113.9"}, "203.0.113.9"},
		"two headers, spoofed first":     {"10.0.0.1:1234", []string{"127.0.0.1", "127.0.0.1, 203.0.113.9", "10.0.0.2, 10.0.0.3"}, "203.0.113.9"},
		"empty entries":                  {"10.0.0.1:1234", []string{"203.0.113.9,, 10.0.0.2"}, "10.0.0.2"},
		"comma at the end":               {"10.0.0.1:1234", []string{"203.0.113.9,"}, "10.0.0.1"},
		"with a port":                    {"10.0.0.1:1234", []string{"127.0.0.1:1, 203.0.113.9:5678"}, "203.0.113.9"},
		"proxies with ports":             {"10.0.0.1:1234", []string{"203.0.113.9:5678, 10.0.0.2:80"}, "203.0.113.9"},
		"impossible port":                {"10.0.0.1:1234", []string{"203.0.113.9:65536"}, "10.0.0.1"},
		"IPv6 with a port":               {"[fd00::1]:1234", []string{"[2001:db8::9]:5678"}, "2001:db8::9"},
		"IPv6 in brackets":               {"[fd00::1]:1234", []string{"[2001:db8::9]"}, "fd00::1"},
		"IPv6 proxies":                   {"[fd00::1]:1234", []string{"2001:db8::9, fd00::2", "10.0.0.3"}, "2001:db8::9"},
		"IPv6 with a zone":               {"[fd00::1]:1234", []string{"2001:db8::9%\"><script>"}, "2001:db8::9"},
		"proxy with a zone":              {"[fd00::1%eth0]:1234", []string{"2001:db8::9, fd00::2%eth0"}, "2001:db8::9"},
		"host name":                      {"10.0.0.1:1234", []string{"localhost"}, "10.0.0.1"},
		"octal":                          {"10.0.0.1:1234", []string{"0313.0.113.9"}, "10.0.0.1"},
		"RFC 7239 inside":                {"10.0.0.1:1234", []string{`for="203.0.113.9"`}, "10.0.0.1"},
		"IPv6":                           {"[fd00::1]:1234", []string{"2001:db8::9"}, "2001:db8::9"},
		"IPv6 direct":                    {"[2001:db8::9]:1234", nil, "2001:db8::9"},
		"IPv4 in IPv6":                   {"[::ffff:10.0.0.1]:1234", []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		"spaces":                         {"10.0.0.1:1234", []string{"  203.0.113.9  "}, "203.0.113.9"},
		"socket":                         {"@", []string{"203.0.113.9"}, "invalid IP"},
		"no peer":                        {"", nil, "invalid IP"},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(t, "GET", "/", nil)
			r.RemoteAddr = c.peer
			r.Header["X-Forwarded-For"] = c.forwarded
			r.Header.Set("X-Real-IP", "192.0.2.66")
			r.Header.Set("Forwarded", "for=192.0.2.66")
			if got := s.ClientIP(r).String(); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestClientNet checks by which network limits count a client, and that a peer that looks
// like a proxy which was not configured turns such limits off and is logged once.
func TestClientNet(t *testing.T) {
	for name, c := range map[string]struct {
		peer, forwarded, want string
		logged                bool
	}{
		"IPv4":                        {"203.0.113.9:1234", "", "203.0.113.9/32", false},
		"IPv6":                        {"[2001:db8:1:2:3:4:5:6]:1234", "", "2001:db8:1:2::/64", false},
		"IPv4 in IPv6":                {"[::ffff:203.0.113.9]:1234", "", "203.0.113.9/32", false},
		"behind a trusted proxy":      {"10.0.0.1:1234", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", false},
		"public peer":                 {"203.0.113.9:1234", "198.51.100.1", "203.0.113.9/32", false},
		"private peer without header": {"192.168.1.1:1234", "", "192.168.1.1/32", false},
		"private peer":                {"192.168.1.1:1234", "198.51.100.1", "invalid Prefix", true},
		"this machine":                {"127.0.0.1:1234", "198.51.100.1", "invalid Prefix", true},
		"this machine, IPv6":          {"[::1]:1234", "198.51.100.1", "invalid Prefix", true},
		"link-local":                  {"[fe80::1%eth0]:1234", "198.51.100.1", "invalid Prefix", true},
		"shared address space":        {"100.64.0.1:1234", "198.51.100.1", "invalid Prefix", true},
		"public, near shared":         {"100.128.0.1:1234", "198.51.100.1", "100.128.0.1/32", false},
		"no peer":                     {"@", "198.51.100.1", "invalid Prefix", false},
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			s := web.NewSite(siteConfig(t, &log))
			for range 2 {
				r := request(t, "GET", "/", nil)
				r.RemoteAddr = c.peer
				if c.forwarded != "" {
					r.Header.Set("X-Forwarded-For", c.forwarded)
				}
				if got := s.ClientNet(r).String(); got != c.want {
					t.Errorf("got %s, want %s", got, c.want)
				}
			}
			if n := strings.Count(log.String(), "trusted_proxies"); n != map[bool]int{true: 1}[c.logged] {
				t.Errorf("logged %d times: %s", n, log.String())
			}
		})
	}
}
