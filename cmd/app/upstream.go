package app

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"cognito-token-handler/config"
)

var errNoCertificates = errors.New("the file holds no PEM certificate")

// upstreamCAs reads a route's own authorities; nil if it has none. The error
// names the key.
func upstreamCAs(r *config.Route) (*x509.CertPool, error) {
	if r.UpstreamCAFile == "" {
		return nil, nil
	}
	content, err := os.ReadFile(r.UpstreamCAFile)
	pool := x509.NewCertPool()
	if err == nil && !pool.AppendCertsFromPEM(content) {
		err = errNoCertificates
	}
	if err != nil {
		return nil, fmt.Errorf("api.routes %s upstream_ca_file: reading %s: %w", r.Path, r.UpstreamCAFile, err)
	}
	return pool, nil
}
