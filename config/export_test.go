package config

// KeyInfo describes an option to tests.
type KeyInfo struct {
	Key, Env string
	Means    string
}

// AllKeys lists all options, so that no table of tests can miss one.
func AllKeys() []KeyInfo {
	var c Config
	var infos []KeyInfo
	for _, o := range options(&c, nil) {
		infos = append(infos, KeyInfo{Key: o.key, Env: o.env(), Means: o.means})
	}
	return infos
}

// AllRouteKeys lists all options of a route.
func AllRouteKeys() []KeyInfo {
	var r Route
	var infos []KeyInfo
	for _, o := range routeOptions(&r) {
		infos = append(infos, KeyInfo{Key: o.key, Means: o.means})
	}
	return infos
}
