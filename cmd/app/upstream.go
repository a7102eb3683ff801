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

// reloadUpstreamCAs returns the load function of a route's authorities. current are those
// that were loaded at start.
func (a *App) reloadUpstreamCAs(r *config.Route, current *x509.CertPool) func() (bool, error) {
	return func() (bool, error) {
		pool, err := UpstreamCAs(r)
		if err != nil || pool.Equal(current) {
			return false, err
		}
		a.api.ReplaceUpstreamCAs(r.Path, pool)
		current = pool
		return true, nil
	}
}
