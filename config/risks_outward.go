package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/tokenhandler/web"
)

// eachUpstream calls find with the upstream of every route that has a valid one.
func eachUpstream(c *Config, find func(i int, upstream *url.URL)) {
	for i := range c.API.Routes {
		if u := c.API.Routes[i].Upstream; u != nil {
			find(i, u)
		}
	}
}

// listenAddress takes an address to listen on apart.
func listenAddress(address string) (host, port string, ok bool) {
	host, port, err := net.SplitHostPort(address)
	return host, port, err == nil
}

// riskOwnListeners finds routes that lead back to the service.
func (l *loader) riskOwnListeners(c *Config) {
	eachUpstream(c, func(i int, u *url.URL) {
		switch {
		case leadsTo(u, c.Admin.Listen):
			l.routeFault(i, "upstream", quote(u.String())+" is the admin listener", "write the address of an API")
		case leadsTo(u, c.Listen):
			l.routeFault(i, "upstream", quote(u.String())+" is the service itself", "write the address of an API")
		}
	})
}

// leadsTo reports whether a connection to u reaches a listener of this machine. One
// to an unspecified address, such as 0.0.0.0, reaches the loopback interface.
func leadsTo(u *url.URL, listen string) bool {
	host, port, ok := listenAddress(listen)
	if !ok || u.Scheme == "unix" || port == "0" || port != portOf(u) {
		return false
	}
	local := func(host string) bool { return isLoopback(host) || isUnspecified(host) }
	return host == u.Hostname() || local(host) && local(u.Hostname())
}

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// isUnspecified reports whether host stands for all interfaces.
func isUnspecified(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

// riskMetadata finds routes to the metadata service of a cloud, which gives the
// credentials of the machine to everybody who asks: AWS, Azure and Google use
// 169.254.169.254, ECS and EKS others in that network.
func (l *loader) riskMetadata(c *Config) {
	others := []string{"fd00:ec2::254", "fd00:ec2::23", "100.100.100.200", "192.0.0.192", "metadata.google.internal", "metadata", "instance-data", "instance-data.ec2.internal"}
	eachUpstream(c, func(i int, u *url.URL) {
		ip, err := netip.ParseAddr(u.Hostname())
		if err == nil && ip.Unmap().IsLinkLocalUnicast() || slices.Contains(others, strings.TrimSuffix(u.Hostname(), ".")) {
			l.routeFault(i, "upstream", quote(u.String())+" is an address of cloud metadata, which has the credentials of the machine", "write the address of an API")
		}
	})
}

func (l *loader) riskSocket(c *Config) {
	eachUpstream(c, func(i int, u *url.URL) {
		for _, dir := range []string{"/tmp", "/var/tmp", "/dev/shm"} {
			if u.Scheme == "unix" && web.Under(u.Path, dir) {
				l.routeWarn(i, "upstream", quote(u.String())+" can be created by every user of the machine, who then receives the tokens", "put the socket into a directory of the API's, such as /run/api")
			}
		}
	})
}

// Origin returns the origin to which browsers upload, or "" without a bucket.
func (s Storage) Origin() string {
	if s.Bucket == "" {
		return ""
	}
	endpoint := s.Endpoint
	if endpoint == "" {
		endpoint = "https://s3." + s.Region + ".amazonaws.com"
		if strings.HasPrefix(s.Region, "cn-") {
			endpoint += ".cn"
		}
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return ""
	}
	if !s.PathStyle {
		u.Host = s.Bucket + "." + u.Host
	}
	return web.Origin(u)
}

// riskUploads finds a bucket from which an uploaded page or script would act as the
// app, or as another origin that may call the service (OWASP ASVS 5.0, V3.2.1).
func (l *loader) riskUploads(c *Config) {
	if c.Storage.Bucket == "" || c.PublicURL == nil || !l.valid("storage.endpoint", "storage.content_types") {
		return
	}
	origin := c.Storage.Origin()
	if origin != web.Origin(c.PublicURL) && !slices.Contains(c.AllowedOrigins, origin) {
		return
	}
	types := "all types"
	if len(c.Storage.ContentTypes) > 0 {
		active := slices.IndexFunc(c.Storage.ContentTypes, storage.IsActive)
		if active < 0 {
			return
		}
		types = c.Storage.ContentTypes[active]
	}
	l.fault(l.firstSet("storage.content_types", "storage.endpoint", "storage.bucket"),
		fmt.Sprintf("lets users upload %s to %s, where a page or script acts as the app", types, origin),
		"list types that browsers do not execute, such as image/png, or serve the bucket from another origin")
}
