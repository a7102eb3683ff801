//go:build e2e

package doctor_test

import (
	"fmt"
	"strings"
	"testing"

	"cognito-token-handler/cmd/doctor"
	"cognito-token-handler/test/cognitolocal"
	"cognito-token-handler/test/redislocal"
	"cognito-token-handler/test/s3local"
)

// TestLocalServers examines cognito-local, versitygw and a Redis server, which are set up
// well except for what the local servers do not have.
func TestLocalServers(t *testing.T) {
	pool, err := cognitolocal.Start(t.Context(), cognitolocal.Options{
		Addr: "localhost:0", CallbackURLs: []string{publicURL + "/auth/callback"}, LogoutURLs: []string{publicURL + "/"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	bucket, err := s3local.Start(t.Context(), s3local.Options{AppOrigins: []string{publicURL}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bucket.Close)
	store := startRedis(t, redislocal.Options{Password: "planted-secret-of-redis", Args: []string{"--maxmemory-policy", "noeviction"}})
	t.Setenv("AWS_ENDPOINT_URL_STS", "http://"+free(t))
	t.Setenv("AWS_ACCESS_KEY_ID", bucket.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", bucket.SecretKey)
	of := func(secret string) doctor.Report {
		return setup{
			issuer: pool.Issuer, client: pool.ClientID, secret: secret, session: fmt.Sprintf(", store: %q", store.URL()), write: true,
			lines: fmt.Sprintf("storage: {bucket: %s, region: %s, endpoint: %q, path_style: true}", bucket.Bucket, bucket.Region, bucket.Endpoint),
		}.examine(t)
	}
	r := of(pool.ClientSecret)
	wantNone(t, r, doctor.Fault, doctor.AreaProvider, doctor.AreaClient, doctor.AreaStore, doctor.AreaAWS, doctor.AreaBucket)
	want(t, r, doctor.AreaProvider, doctor.Good, "names itself", "")
	want(t, r, doctor.AreaClient, doctor.Good, "The client secret is accepted", "")
	want(t, r, doctor.AreaClient, doctor.Good, "/auth/callback leads to a login page", "")
	want(t, r, doctor.AreaClient, doctor.Good, publicURL+"/ is registered", "")
	want(t, r, doctor.AreaClient, doctor.Warning, "Only users who add a passkey need it", "allowed callback URL")
	want(t, r, doctor.AreaClient, doctor.Warning, "Only logouts with return_to need it", "allowed sign-out URL")
	want(t, r, doctor.AreaStore, doctor.Good, "is Redis ", "")
	want(t, r, doctor.AreaStore, doctor.Good, "noeviction", "")
	want(t, r, doctor.AreaStore, doctor.Good, "takes writes", "")
	want(t, r, doctor.AreaAWS, doctor.Warning, "AWS STS is not reached", "AWS_ENDPOINT_URL_STS")
	want(t, r, doctor.AreaBucket, doctor.Good, "allow PUT from "+publicURL, "")
	want(t, r, doctor.AreaBucket, doctor.Good, "The bucket is there", "")
	want(t, r, doctor.AreaBucket, doctor.Good, "stored by a presigned PUT, and deleted", "")
	want(t, r, doctor.AreaBucket, doctor.Warning, "public access block", "")
	want(t, r, doctor.AreaBucket, doctor.Warning, "lifecycle rule", "")
	want(t, of("planted-secret-of-nobody"), doctor.AreaClient, doctor.Fault, "The client secret or provider.client_id is refused", "Copy both again")
}

// TestRedisServers examines servers that the service should not use, and a cluster.
func TestRedisServers(t *testing.T) {
	of := func(url string) doctor.Report { return setup{session: fmt.Sprintf(", store: %q", url)}.examine(t) }
	primary := startRedis(t, redislocal.Options{Args: []string{"--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"}})
	want(t, of(primary.URL()), doctor.AreaStore, doctor.Warning, "is allkeys-lru: it may drop leases and revocations.", "noeviction")
	host, port, _ := strings.Cut(primary.Addr(), ":")
	replica := startRedis(t, redislocal.Options{Args: []string{"--replicaof", host + " " + port}})
	want(t, of(replica.URL()), doctor.AreaStore, doctor.Fault, "takes no writes: the server is a read-only replica", "primary")
	full := startRedis(t, redislocal.Options{Args: []string{"--maxmemory", "1", "--maxmemory-policy", "noeviction"}})
	want(t, of(full.URL()), doctor.AreaStore, doctor.Fault, "takes no writes: the server is full", "memory")
	locked := startRedis(t, redislocal.Options{Password: "planted-secret-of-redis"})
	want(t, of(redislocal.URL(locked.Addr(), "planted-secret-too")), doctor.AreaStore, doctor.Fault, "does not take the user and password", "user and password")
	want(t, of(locked.URL()), doctor.AreaStore, doctor.Good, "takes writes", "")
}

func TestRedisCluster(t *testing.T) {
	cluster, err := redislocal.StartCluster(t.Context(), 3, redislocal.Options{Args: []string{"--maxmemory-policy", "noeviction"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	r := setup{session: fmt.Sprintf(", store: %q", cluster.Nodes[0].URL()+"?cluster=true")}.examine(t)
	wantNone(t, r, doctor.Fault, doctor.AreaStore)
	for _, node := range cluster.Nodes {
		want(t, r, doctor.AreaStore, doctor.Good, "The store's server "+node.Addr()+" is Redis ", "")
	}
	want(t, r, doctor.AreaStore, doctor.Good, "takes writes", "")
	alone := setup{session: fmt.Sprintf(", store: %q", cluster.Nodes[0].URL())}.examine(t)
	if !strings.Contains(fmt.Sprint(alone.Findings), "one of a cluster") && alone.ExitCode() != 1 {
		t.Errorf("a node of a cluster without cluster=true: %+v", alone.Findings)
	}
}

func startRedis(t *testing.T, options redislocal.Options) *redislocal.Server {
	t.Helper()
	server, err := redislocal.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}
