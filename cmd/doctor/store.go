package doctor

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/aws"

	"cognito-token-handler/cmd/app"
	"cognito-token-handler/tokenhandler/replicas/memory"
	"cognito-token-handler/tokenhandler/replicas/valkey"
)

// store examines the store that replicas share.
func (d *doctor) store(ctx context.Context) []Finding {
	found, err := valkey.Examine(ctx, valkey.Config{
		URL: d.Service.Session.Store, Local: memory.New(d.Now), Now: d.Now, Log: slog.New(slog.DiscardHandler),
		Credentials: func(region string) (aws.CredentialsProvider, error) {
			cfg, err := app.AWSConfig(ctx, region)
			return cfg.Credentials, err
		},
	})
	if err != nil {
		cure := "Check host, port, scheme (rediss:// is TLS), user and password of session.store."
		if valkey.IsUnreachable(err) {
			cure = "Check host, port and scheme of session.store (rediss:// is TLS, whose authority this machine must trust), and firewalls in between."
		}
		return []Finding{fault(AreaStore, "session.store cannot be used: "+err.Error()+".", cure)}
	}
	return judgeStore(found)
}

// judgeStore returns the findings for each server, and for the write.
func judgeStore(e valkey.Examination) (found []Finding) {
	for _, node := range e.Nodes {
		found = append(found, judgeNode(node)...)
	}
	if e.Write != nil {
		return append(found, fault(AreaStore, "session.store takes no writes: "+e.Write.Error()+".", "Write the address of the primary; give the user the permissions of config/deploy/README.md; free its memory or disk."))
	}
	return append(found, good(AreaStore, "session.store takes writes."))
}

func judgeNode(node valkey.Node) []Finding {
	if node.Err != nil {
		return []Finding{warning(AreaStore, "Version and settings of the store's server "+node.Address+" cannot be read: "+node.Err.Error()+".", "Give the user of session.store the permission +info.")}
	}
	found := []Finding{good(AreaStore, "The store's server %s is %s %s.", node.Address, node.Server, node.Version)}
	if isOld(node.Version) {
		found[0] = fault(AreaStore, found[0].What, "Use Valkey, or Redis from version 6 on.")
	}
	switch node.Policy {
	case "noeviction":
		return append(found, good(AreaStore, "Its maxmemory-policy is noeviction."))
	case "":
		return append(found, warning(AreaStore, "Its maxmemory-policy is not known.", "See that it is noeviction."))
	}
	what := fmt.Sprintf("Its maxmemory-policy is %s: it may drop leases and revocations", node.Policy)
	if node.MaxMemory == "0" {
		what += ", though not as long as maxmemory is 0"
	}
	return append(found, warning(AreaStore, what+".", "Set maxmemory-policy noeviction."))
}

// isOld reports whether a version is before 6.
func isOld(version string) bool {
	return len(version) > 1 && version[0] < '6' && version[1] == '.'
}
