package main

import (
	"context"
	"os"
	"slices"
	"time"

	"cognito-token-handler/cmd/app"
	"cognito-token-handler/config"
)

// machine returns what the check of a configuration asks about this machine.
func machine(ctx context.Context, environ []string) config.Machine {
	return config.Machine{
		ReadFile: readFile, Now: time.Now, Container: isContainer(environ, exists),
		AWSCredentials: func(region string) (bool, error) { return app.CheckAWSCredentials(ctx, region) },
	}
}

// isContainer reports whether the process runs in a container: one of Docker, Podman,
// Kubernetes or Amazon ECS.
func isContainer(environ []string, exists func(path string) bool) bool {
	if slices.ContainsFunc([]string{"/.dockerenv", "/run/.containerenv"}, exists) {
		return true
	}
	for _, name := range []string{"container", "KUBERNETES_SERVICE_HOST", "ECS_CONTAINER_METADATA_URI_V4"} {
		if isSet(name, environ) {
			return true
		}
	}
	return false
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
