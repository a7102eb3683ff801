package web_test

import (
	"testing"
)

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
