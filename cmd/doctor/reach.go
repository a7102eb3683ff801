package doctor

import (
	"context"
	"crypto/tls"
	"net"
	"net/url"
	"time"

	"cognito-token-handler/tokenhandler/provider"
)

// target is a server to connect to.
type target struct {
	area string
	// name begins the sentences about it.
	name string
	// network is "tcp" or "unix", address a host and port or the path of a socket.
	network, address string
	secure           *tls.Config // nil without TLS
	// authorities is what to do if nobody trusted has issued the certificate.
	authorities string
}

// endsSoon is how long before its end a certificate is warned about.
const endsSoon = 14 * 24 * time.Hour

// ofURL returns the target that the URL names. If the URL has no port, it is the
// scheme's.
func ofURL(area, name string, u *url.URL) target {
	t := target{area: area, name: name, network: "tcp", authorities: "Install the authority's certificate on this machine, or name a file with it in the variable SSL_CERT_FILE."}
	port := map[bool]string{true: "443", false: "80"}[u.Scheme == "https"]
	if u.Port() != "" {
		port = u.Port()
	}
	t.address = net.JoinHostPort(u.Hostname(), port)
	if u.Scheme == "https" {
		t.secure = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: u.Hostname()}
	}
	return t
}

// reach connects to the target: DNS, TCP and TLS. It reports false if that fails.
func (d *doctor) reach(ctx context.Context, t target) (Finding, bool) {
	ctx, cancel := context.WithTimeout(ctx, d.Call)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, t.network, t.address)
	if err != nil {
		return t.unreachable(err), false
	}
	defer func() { _ = conn.Close() }()
	if t.secure == nil {
		return good(t.area, "%s is reached at %s.", t.name, t.address), true
	}
	secure := tls.Client(conn, t.secure)
	if err := secure.HandshakeContext(ctx); err != nil {
		return t.unreachable(err), false
	}
	state := secure.ConnectionState()
	ends := state.PeerCertificates[0].NotAfter
	if ends.Sub(d.Now()) < endsSoon {
		return warning(t.area, t.name+" is reached at "+t.address+", and its certificate ends on "+ends.UTC().Format(time.RFC3339)+".", "Renew the certificate."), true
	}
	return good(t.area, "%s is reached at %s: %s, certificate valid until %s.", t.name, t.address, tls.VersionName(state.Version), ends.UTC().Format(time.DateOnly)), true
}

// unreachable is the finding for a target to which there is no connection.
func (t target) unreachable(err error) Finding {
	cause := provider.CauseOf(err)
	what, cure := explainCause(cause)
	if cause == provider.CauseUnknownAuthority {
		cure = t.authorities
	}
	return fault(t.area, t.name+" is not reached at "+t.address+": "+what+" ("+string(cause)+").", cure)
}

// explainCause says in words why a server was not reached, and what to do.
func explainCause(cause provider.Cause) (what, cure string) {
	switch cause {
	case provider.CauseDNS:
		return "the name is not resolved", "Check its spelling, and the name servers of this machine."
	case provider.CauseRefused:
		return "nothing listens there", "Start the server, or correct host and port."
	case provider.CauseTimeout:
		return "there is no answer", "Check routes, security groups and firewalls between here and there."
	case provider.CauseReset:
		return "the connection breaks off", "Look at the server's log, and at what is in between."
	case provider.CauseUnknownAuthority:
		return "its certificate is from an authority that is not trusted here", "Let this machine trust the authority."
	case provider.CauseExpired:
		return "its certificate has expired, or is not valid yet", "Renew the certificate there; if it is valid, correct the clock here."
	case provider.CauseName:
		return "its certificate is for other names", "Write a name that the certificate has, or renew it with this name."
	case provider.CauseTLS:
		return "TLS fails", "Check that the port speaks TLS, version 1.2 or later."
	case provider.CauseOther:
		return "the connection fails", "Check the address and the network."
	}
	return "the connection fails", "Check the address and the network."
}
