package valkey

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/valkey-io/valkey-go"
)

// Examination is what [Examine] has found.
type Examination struct {
	// Nodes are the servers, one unless the store is a cluster.
	Nodes []Node
	// Write is why the store takes no writes, or nil.
	Write error
}

// Node is one server of the store.
type Node struct {
	// Address is its host and port.
	Address string
	// Err is why nothing is known of it, or nil.
	Err error
	// Server is "Valkey" or "Redis", Version its version, Policy its maxmemory-policy and
	// MaxMemory its limit in bytes as the server writes it. Those that it does not tell are
	// empty.
	Server, Version, Policy, MaxMemory string
}

// Examine connects to a store, asks each of its servers for its version and settings, and
// makes a write of those that every replica makes twice a second. It closes all connections. The
// error says why there is no connection; it contains no text of the server.
func Examine(ctx context.Context, cfg Config) (Examination, error) {
	s, err := New(cfg)
	if err != nil {
		return Examination{}, err
	}
	c, ctx, err := s.target.connect(ctx)
	if err != nil {
		reason, _ := reasonOf(err)
		return Examination{}, fmt.Errorf("connecting to the shared store: %w", reason)
	}
	defer c.close()
	var found Examination
	nodes := c.client.Nodes()
	for _, address := range slices.Sorted(maps.Keys(nodes)) {
		found.Nodes = append(found.Nodes, examineNode(ctx, address, nodes[address]))
	}
	write := script{"examine", "redis.call('HSET', KEYS[1], 'beat', now)\nreturn {id}"} // no report of a replica
	if _, err := write.eval(ctx, c.client, nil, nil); err != nil {
		found.Write, _ = reasonOf(err)
	}
	return found, nil
}

// examineTime bounds the question to one server.
const examineTime = 2 * time.Second

func examineNode(ctx context.Context, address string, client valkey.Client) Node {
	ctx, cancel := context.WithTimeout(ctx, examineTime)
	defer cancel()
	node := Node{Address: address}
	text, err := client.Do(ctx, client.B().Info().Build()).ToString()
	if err != nil {
		node.Err, _ = reasonOf(err)
		return node
	}
	fields := infoFields(text)
	node.Server, node.Version = "Redis", cmp.Or(fields["valkey_version"], fields["redis_version"])
	if fields["valkey_version"] != "" || fields["server_name"] == "valkey" {
		node.Server = "Valkey"
	}
	node.Policy, node.MaxMemory = fields["maxmemory_policy"], fields["maxmemory"]
	if node.Version == "" {
		node.Err = errAnswer
	}
	return node
}

// plainField matches the values of INFO that are used: they go to an operator's terminal.
var plainField = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// infoFields returns the plain fields of an answer to INFO.
func infoFields(text string) map[string]string {
	fields := make(map[string]string)
	for line := range strings.Lines(text) {
		name, value, found := strings.Cut(strings.TrimSpace(line), ":")
		if found && plainField.MatchString(value) {
			fields[name] = value
		}
	}
	return fields
}

// IsUnreachable reports whether an error of [Examine] comes from the network or from TLS.
func IsUnreachable(err error) bool {
	return errors.Is(err, errTimeout) || errors.Is(err, errUnreachable) || errors.Is(err, errHandshake)
}
