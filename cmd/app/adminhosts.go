package app

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"cognito-token-handler/config"
	"cognito-token-handler/tokenhandler/web"
)

// knownHosts lets only requests through that name the admin listener by a host which
// no stranger controls in public DNS. Otherwise a page on the internet could point a
// name of its own at the listener's address, and a browser in the same network would
// let that page read the answers (DNS rebinding). Further names are admin.hosts. A
// request without a host is none of a browser's (RFC 9112, section 3.2).
func knownHosts(cfg config.Admin, site *web.Site, next http.Handler) http.Handler {
	further := slices.Clone(cfg.Hosts)
	if host, _, err := net.SplitHostPort(cfg.Listen); err == nil {
		further = append(further, host)
	}
	return site.Handle(func(w http.ResponseWriter, r *http.Request) error {
		if host := hostOf(r.Host); host != "" && !isInternal(host) && !slices.Contains(further, host) {
			return web.NewProblem(web.CodeMisdirectedRequest, "the admin listener does not answer to this host; admin.hosts can add it", nil)
		}
		next.ServeHTTP(w, r)
		return nil
	})
}

// hostOf returns the name or address of a Host header in lower case, without the port,
// the brackets of an IPv6 address, and the dot of a fully qualified name.
func hostOf(header string) string {
	host := header
	if name, _, err := net.SplitHostPort(header); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// isInternal reports whether a host is an address, or a name that no public name server
// resolves: localhost and other names without a dot, and those of clusters and private
// networks (RFC 6762 reserves local, ICANN reserves internal).
func isInternal(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil || !strings.Contains(host, ".") {
		return true
	}
	return slices.ContainsFunc([]string{".svc", ".svc.cluster.local", ".internal"}, func(suffix string) bool { return strings.HasSuffix(host, suffix) })
}
