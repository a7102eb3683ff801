package app

import (
	"crypto/x509"
	"fmt"
	"os"

	"cognito-token-handler/config"
)

// UpstreamCAs reads a route's own authorities; nil if it has none. The error
// names the key.
func UpstreamCAs(r *config.Route) (*x509.CertPool, error) {
	if r.UpstreamCAFile == "" {
		return nil, nil
	}
	pool, err := config.ReadAuthorities(r.UpstreamCAFile, os.ReadFile)
	if err != nil {
		return nil, fmt.Errorf("api.routes %s %w", r.Path, err)
	}
	return pool, nil
}
