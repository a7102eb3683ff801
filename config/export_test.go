package config

// KeyInfo is what the tests need to know of an option.
type KeyInfo struct {
	Key, Env string
	Later    bool
}

// AllKeys lists every option, so that a table of tests can miss none.
func AllKeys() []KeyInfo {
	var c Config
	var infos []KeyInfo
	for _, o := range options(&c, nil) {
		infos = append(infos, KeyInfo{Key: o.key, Env: o.env(), Later: o.later})
	}
	return infos
}

// AllRouteKeys lists every option of a route.
func AllRouteKeys() []KeyInfo {
	var r Route
	var infos []KeyInfo
	for _, o := range routeOptions(&r) {
		infos = append(infos, KeyInfo{Key: o.key, Later: o.later})
	}
	return infos
}
