package config

import (
	"net/url"
	"regexp"
)

// knownRegion matches the regions of all partitions of AWS, and those that AWS may open
// in the areas that exist ("AWS Regions", AWS Global Infrastructure). The AWS SDK takes
// every word for a direction.
var knownRegion = regexp.MustCompile(`^(us|eu|ap|sa|ca|me|af|il|mx|cn|us-gov|us-iso[a-z]?|eu-iso[a-z]|eusc-[a-z]{2})` +
	`-(north|south|east|west|central|northeast|northwest|southeast|southwest)-[1-9][0-9]?$`)

// checkRegions warns of regions of AWS that are not known. It does not refuse them,
// because AWS opens new ones.
func (l *loader) checkRegions(c *Config) {
	warn := func(key, region string) {
		if region != "" && !knownRegion.MatchString(region) {
			l.warn(key, "has the region "+quote(region)+", which is not known as one of AWS", "correct it, unless AWS has opened it since this version")
		}
	}
	if c.Storage.Bucket != "" && c.Storage.Endpoint == "" && l.valid("storage.endpoint") {
		warn("storage.region", c.Storage.Region)
	}
	if u, err := url.Parse(c.Provider.Issuer); err == nil {
		if host, ok := parsePoolHost(u.Hostname()); ok {
			warn("provider.issuer", host.region)
		}
	}
	if u, err := url.Parse(c.Provider.Domain); err == nil {
		if host, ok := parseHostedUI(u.Hostname()); ok {
			warn("provider.domain", host.region)
		}
	}
	if u, err := url.Parse(c.Session.Store.Reveal()); err == nil && u.Query().Get("iam") == "true" {
		warn(l.firstSet("session.store", "session.store_file"), u.Query().Get("region"))
	}
}
