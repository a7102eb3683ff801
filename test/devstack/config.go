package devstack

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Config is the token handler's configuration file.
type Config map[string]any

// Set writes one key, such as "session.idle_timeout".
func (c Config) Set(key string, value any) {
	section := c
	for {
		name, rest, found := strings.Cut(key, ".")
		if !found {
			section[name] = value
			return
		}
		next, ok := section[name].(Config)
		if !ok {
			next = Config{}
			section[name] = next
		}
		section, key = next, rest
	}
}

func (s *Stack) configFile() string { return filepath.Join(s.dir, "tokenhandler.yaml") }

// configure writes the configuration file and the files of secrets that it names.
func (s *Stack) configure(options Options) error {
	config, err := s.config(options)
	if err != nil {
		return err
	}
	content, err := yaml.Marshal(config)
	if err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	for path, content := range map[string]string{
		s.secretFile(): s.Pool.ClientSecret + "\n",
		s.keysFile():   newKey() + "\n",
		s.configFile(): string(content),
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return fmt.Errorf("writing the configuration: %w", err)
		}
	}
	return nil
}

// newKey returns a key for sessions.
func newKey() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return base64.StdEncoding.EncodeToString(key)
}

func (s *Stack) secretFile() string { return filepath.Join(s.dir, "client_secret") }

func (s *Stack) keysFile() string { return filepath.Join(s.dir, "session_keys") }

func (s *Stack) config(options Options) (Config, error) {
	c := Config{
		"public_url": s.apps(options)[0],
		"listen":     strings.TrimPrefix(s.URL, "http://"),
		"provider": Config{
			"kind":                "cognito",
			"issuer":              s.Pool.Issuer,
			"client_id":           s.Pool.ClientID,
			"client_secret_file":  s.secretFile(),
			"insecure_skip_nonce": true, // cognito-local does not echo it
		},
		"session": Config{"keys_file": s.keysFile()},
		// No load balancer has to notice that the token handler stops.
		"shutdown": Config{"delay": "0s"},
		"admin":    Config{"listen": strings.TrimPrefix(s.AdminURL, "http://")},
	}
	s.addServers(c, options)
	if options.SPADir != "" && s.apps(options)[0] == s.URL {
		dir, err := filepath.Abs(options.SPADir)
		if err != nil {
			return nil, err
		}
		c.Set("spa.dir", dir)
	}
	if options.ExtraConfig != nil {
		options.ExtraConfig(s, c)
	}
	return c, nil
}

// addServers sets what depends on the servers and the apps, and not on where the token handler runs.
func (s *Stack) addServers(c Config, options Options) {
	routes := []Config{}
	for _, api := range options.APIs {
		routes = append(routes, Config{"path": api.Path, "upstream": api.URL, "websocket": true})
	}
	if s.APIURL != "" && !slices.ContainsFunc(options.APIs, func(api API) bool { return api.Path == demoPath }) {
		routes = append(routes, Config{"path": demoPath, "upstream": s.APIURL, "websocket": true})
	}
	c.Set("api.routes", routes)
	c.Set("storage", Config{
		"bucket": s.S3.Bucket, "region": s.S3.Region, "path_style": true, "endpoint": cmp.Or(options.FilesURL, s.S3.Endpoint),
	})
	if further := s.apps(options)[1:]; len(further) > 0 {
		c.Set("allowed_origins", further)
	}
	if options.LoginURL != "" {
		c.Set("provider.endpoints.authorization", options.LoginURL+"/oauth2/authorize")
		c.Set("provider.endpoints.logout", options.LoginURL+"/logout")
	}
	if s.Redis != nil {
		c.Set("session.store", s.Redis.URL())
	}
}

// demoPath is the path of the demo API.
const demoPath = "/api/"
