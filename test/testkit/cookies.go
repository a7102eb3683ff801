package testkit

import (
	"net/url"
	"strings"
)

// CookieNames are the names of the service's cookies, with the default of
// session.cookie_name. That of a login follows Login with its id.
type CookieNames struct{ Session, Active, Began, Login string }

// Cookies returns the names at a public URL. With http it must be one of this machine,
// and have a port.
func Cookies(publicURL string) CookieNames {
	before, after := "__Host-Http-", ""
	if u, err := url.Parse(publicURL); err == nil && u.Scheme == "http" {
		before, after = "", "-"+u.Port()
	}
	return CookieNames{
		Session: before + "session" + after, Active: before + "active" + after, Began: before + "began" + after, Login: before + "login" + after + "-",
	}
}

// Ours reports whether the service sets a cookie of this name.
func (n CookieNames) Ours(name string) bool {
	return name == n.Session || name == n.Session+".1" || name == n.Active || name == n.Began || strings.HasPrefix(name, n.Login)
}
