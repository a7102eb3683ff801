package web

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// ClientIP returns the address of the client. That is the peer's address or, if the peer
// is a trusted proxy, the right-most address in X-Forwarded-For that is not one of a trusted
// proxy. The list is read from the right, because the client can write anything to the left
// of it, and only up to an entry that is not an address (ASVS V15.3.4).
func (s *Site) ClientIP(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	client := plainAddr(peer.Addr())
	if !s.trusted(client) {
		return client
	}
	fields := r.Header.Values("X-Forwarded-For")
	for _, field := range slices.Backward(fields) {
		for _, entry := range slices.Backward(strings.Split(field, ",")) {
			hop, err := parseHop(strings.TrimSpace(entry))
			if err != nil {
				return client
			}
			client = plainAddr(hop)
			if !s.trusted(client) {
				return client
			}
		}
	}
	return client
}

// trustedPeer reports whether r comes from a trusted proxy.
func (s *Site) trustedPeer(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && s.trusted(plainAddr(peer.Addr()))
}

// ClientNet returns the network by which limits count the client of a request: its IPv4
// address, or the /64 of its IPv6 address, because a single customer gets that many (RFC
// 6177). It is the zero value if the client is not known. That is so, too, if a peer with
// a private address sends X-Forwarded-For and is not a trusted proxy: it probably is a
// proxy, and a limit by its address would be one for all users together. That is logged
// once.
func (s *Site) ClientNet(r *http.Request) netip.Prefix {
	client := s.ClientIP(r)
	if !client.IsValid() {
		return netip.Prefix{}
	}
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil && len(r.Header["X-Forwarded-For"]) > 0 {
		if addr := plainAddr(peer.Addr()); isPrivate(addr) && !s.trusted(addr) {
			if s.hiddenClients.CompareAndSwap(false, true) {
				s.log.WarnContext(r.Context(), "the clients' addresses are not known: a peer sends X-Forwarded-For and is not in trusted_proxies; "+
					"if it is a proxy, add its address there; until then nothing is limited by client address", "peer", addr.String())
			}
			return netip.Prefix{}
		}
	}
	return NetOf(client)
}

// NetOf returns the network of a client with this address, see [Site.ClientNet].
func NetOf(client netip.Addr) netip.Prefix {
	bits := client.BitLen()
	if client.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(client, bits).Masked()
}

// isPrivate reports whether addr is one of a machine in the same network, as proxies have
// (RFC 1918, RFC 4193, RFC 6598), or of this machine.
func isPrivate(addr netip.Addr) bool {
	return addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast() || sharedAddresses.Contains(addr)
}

//nolint:gochecknoglobals // a constant
var sharedAddresses = netip.MustParsePrefix("100.64.0.0/10")

// parseHop parses an entry of X-Forwarded-For. Some proxies write the port, too.
func parseHop(entry string) (netip.Addr, error) {
	if addr, err := netip.ParseAddr(entry); err == nil {
		return addr, nil
	}
	hop, err := netip.ParseAddrPort(entry)
	return hop.Addr(), err
}

// plainAddr returns addr in the form that is compared and logged. It has no zone, which
// means something on one machine only and may be any text.
func plainAddr(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

func (s *Site) trusted(addr netip.Addr) bool {
	for _, prefix := range s.proxies {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}
