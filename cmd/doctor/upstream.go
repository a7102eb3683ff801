package doctor

import (
	"context"
	"crypto/tls"

	"cognito-token-handler/cmd/app"
	"cognito-token-handler/config"
)

// upstream connects to the upstream of a route as the proxy does, but sends no request:
// an API may act on any.
func (d *doctor) upstream(ctx context.Context, route *config.Route) []Finding {
	name := "The upstream of " + route.Path
	u := route.Upstream
	if u.Scheme == "unix" {
		finding, _ := d.reach(ctx, target{area: AreaUpstream, name: name, network: "unix", address: u.Path})
		return []Finding{finding}
	}
	t := ofURL(AreaUpstream, name, u)
	t.authorities = "Name a file with the authority's certificate in upstream_ca_file of this route."
	if route.UpstreamCAFile != "" {
		authorities, err := app.UpstreamCAs(route)
		if err != nil {
			return []Finding{fault(AreaUpstream, err.Error(), "Correct the file.")}
		}
		t.secure = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: u.Hostname(), RootCAs: authorities}
	}
	finding, _ := d.reach(ctx, t)
	return []Finding{finding}
}
