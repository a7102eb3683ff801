package config

import (
	"fmt"
	"strings"

	"cognito-token-handler/tokenhandler/web"
)

// checkPaths checks that the service's own prefixes do not overlap.
func (l *loader) checkPaths(c *Config) {
	if !l.valid("auth.path") {
		return
	}
	if c.Storage.Bucket != "" && l.valid("storage.path") && (web.Under(c.Storage.Path, c.Auth.Path) || web.Under(c.Auth.Path, c.Storage.Path)) {
		l.fault(l.firstSet("storage.path", "auth.path"),
			fmt.Sprintf("makes the storage path %s overlap the auth path %s", c.Storage.Path, c.Auth.Path), "write two separate paths")
	}
	if c.Auth.ErrorPath != "" && web.Under(c.Auth.ErrorPath, c.Auth.Path) {
		l.fault("auth.error_path", quote(c.Auth.ErrorPath)+" is below auth.path and could redirect in a loop", "write a path of your app")
	}
}

func (l *loader) checkStorage(s *Storage) {
	if s.Bucket == "" {
		l.storageIsOff()
		return
	}
	if l.isSet("storage.kms_key_id") && l.valid("storage.sse") && !strings.HasPrefix(s.SSE, "aws:kms") {
		l.fault("storage.kms_key_id", "is set, but storage.sse is neither aws:kms nor aws:kms:dsse", "set storage.sse, or remove it")
	}
	l.checkKind(s)
	switch {
	case s.Region != "" || !l.valid("storage.region", "storage.endpoint"):
	case s.Endpoint == "":
		l.fault("storage.region", "is missing", "write the bucket's region, such as us-east-1")
	default:
		s.Region = "us-east-1" // other S3 services expect it in signatures
	}
}

// storageIsOff reports storage settings that have no effect without a bucket.
func (l *loader) storageIsOff() {
	if !l.valid("storage.bucket") {
		return
	}
	var unused Storage
	for _, o := range storageOptions(&unused) {
		if o.key != "storage.bucket" && l.isSet(o.key) {
			l.fault(o.key, "is set, but storage.bucket is not", "set storage.bucket, or remove it")
		}
	}
}
