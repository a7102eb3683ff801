package redislocal

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"cognito-token-handler/test/devstack/process"
)

// slots is the number of hash slots that a cluster shares out (Redis cluster specification, "Key distribution model").
const slots = 16384

// Cluster is a cluster of servers without replicas, each of which has an equal share of the slots.
type Cluster struct {
	Nodes []*Server
}

// clusterTime bounds the time in which all nodes must know each other. On a machine with
// many busy processes it takes over half a minute.
const clusterTime = 5 * time.Minute

// clusterPoll is the time between two looks at a starting cluster. Each starts a process per node.
const clusterPoll = 200 * time.Millisecond

// StartCluster starts a cluster of that many servers, at least three, and waits until it serves all slots. The context bounds the
// start only; the caller must Close the cluster.
func StartCluster(ctx context.Context, count int, options Options) (*Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, clusterTime)
	defer cancel()
	c := &Cluster{}
	for range count {
		bus, err := process.FreePort()
		if err != nil {
			c.Close()
			return nil, err
		}
		node := options
		node.Args = append([]string{
			"--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(bus),
			"--cluster-node-timeout", "2000", "--cluster-require-full-coverage", "no",
		}, options.Args...)
		server, err := Start(ctx, node)
		if err != nil {
			c.Close()
			return nil, err
		}
		server.bus = bus
		c.Nodes = append(c.Nodes, server)
	}
	if err := c.join(ctx); err != nil {
		c.Close()
		return nil, fmt.Errorf("starting a cluster of redis-server: %w", err)
	}
	return c, nil
}

// join introduces the nodes to each other, shares out the slots, and waits until every node knows that.
func (c *Cluster) join(ctx context.Context) error {
	for i, node := range c.Nodes { // an epoch can only be set while a node is alone
		first, last := i*slots/len(c.Nodes), (i+1)*slots/len(c.Nodes)-1
		if err := node.order(ctx, "CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1)); err != nil {
			return err
		}
		if err := node.order(ctx, "CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(first), strconv.Itoa(last)); err != nil {
			return err
		}
	}
	for _, node := range c.Nodes[1:] {
		if err := c.Nodes[0].order(ctx, "CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(node.Port), strconv.Itoa(node.bus)); err != nil {
			return err
		}
	}
	ticker := time.NewTicker(clusterPoll)
	defer ticker.Stop()
	for !c.works(ctx) {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// works reports whether every node knows the owner of every slot.
func (c *Cluster) works(ctx context.Context) bool {
	for _, node := range c.Nodes {
		info, err := node.Command(ctx, "CLUSTER", "INFO")
		if err != nil || !strings.Contains(info, "cluster_state:ok") ||
			!strings.Contains(info, fmt.Sprintf("cluster_slots_ok:%d", slots)) ||
			!strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d", len(c.Nodes))) {
			return false
		}
	}
	return true
}

// Owner returns the node that has the slot of a key.
func (c *Cluster) Owner(ctx context.Context, key string) (*Server, error) {
	var err error
	for _, node := range c.Nodes {
		var answer string
		if answer, err = node.Command(ctx, "EXISTS", key); err == nil && (answer == "0" || answer == "1") {
			return node, nil
		}
	}
	return nil, errors.Join(fmt.Errorf("no node has the slot of the key %s", key), err)
}

// Move gives the slot of a key to another node, with the keys in it, as resharding does.
func (c *Cluster) Move(ctx context.Context, key string, to *Server) error {
	from, err := c.Owner(ctx, key)
	if err != nil || from == to {
		return err
	}
	slot, err := from.Command(ctx, "CLUSTER", "KEYSLOT", key)
	if err != nil {
		return err
	}
	source, err := from.Command(ctx, "CLUSTER", "MYID")
	if err != nil {
		return err
	}
	target, err := to.Command(ctx, "CLUSTER", "MYID")
	if err != nil {
		return err
	}
	if err := to.order(ctx, "CLUSTER", "SETSLOT", slot, "IMPORTING", source); err != nil {
		return err
	}
	if err := from.order(ctx, "CLUSTER", "SETSLOT", slot, "MIGRATING", target); err != nil {
		return err
	}
	for {
		keys, err := from.Command(ctx, "CLUSTER", "GETKEYSINSLOT", slot, "100")
		if err != nil {
			return err
		}
		if strings.TrimSpace(keys) == "" {
			break
		}
		migrate := append([]string{"MIGRATE", "127.0.0.1", strconv.Itoa(to.Port), "", "0", "1000", "KEYS"}, strings.Fields(keys)...)
		if err := from.order(ctx, migrate...); err != nil {
			return err
		}
	}
	for _, node := range append([]*Server{to, from}, c.Nodes...) {
		if err := node.order(ctx, "CLUSTER", "SETSLOT", slot, "NODE", target); err != nil {
			return err
		}
	}
	return nil
}

// URL is the cluster's, by the address of its first node.
func (c *Cluster) URL() string { return c.Nodes[0].URL() + "?cluster=true" }

// Close stops all nodes and removes their data. It may be called twice.
func (c *Cluster) Close() {
	for _, node := range c.Nodes {
		node.Close()
	}
}
