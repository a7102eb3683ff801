package main_test

import (
	"testing"

	main "cognito-token-handler/cmd/tokenhandler"
)

func TestContainersAreRecognized(t *testing.T) {
	for name, tt := range map[string]struct {
		environ []string
		file    string
		want    bool
	}{
		"Docker":     {nil, "/.dockerenv", true},
		"Podman":     {[]string{"container=podman"}, "/run/.containerenv", true},
		"Kubernetes": {[]string{"KUBERNETES_SERVICE_HOST=10.0.0.1"}, "", true},
		"ECS":        {[]string{"ECS_CONTAINER_METADATA_URI_V4=http://169.254.170.2/v4/x"}, "", true},
		"machine":    {[]string{"container=", "HOME=/root", "XKUBERNETES_SERVICE_HOST=1"}, "/etc/passwd", false},
	} {
		if got := main.IsContainer(tt.environ, func(path string) bool { return path == tt.file }); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
