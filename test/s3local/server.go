package s3local

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"cognito-token-handler/test/devstack/process"
)

const (
	region     = "us-east-1"
	healthPath = "/health"
	startTries = 3
)

// Options configure the server's address, its bucket, and which origin may call it from a browser.
type Options struct {
	Port       int       // on localhost; 0 for a free one
	Bucket     string    // default "user-files"
	AppOrigins []string  // the only origins that CORS allows; required for browsers
	AccessKey  string    // of the server's one account, with SecretKey; default new ones
	SecretKey  string    // of AccessKey
	IAM        bool      // runs IAM and STS, too
	Log        io.Writer // optional; receives the output of versitygw
}

// Server is a running S3 server with its bucket.
type Server struct {
	Endpoint  string // supports path-style addressing only
	Region    string
	AccessKey string // of the server's one account
	SecretKey string
	Bucket    string
	IAM       string // the endpoint of IAM and STS, with Options.IAM

	child *process.Process
	iam   *process.Process // nil without Options.IAM
	dir   string
}

// Start starts versitygw and creates the bucket. The context bounds the start only; the caller must Close the server.
func Start(ctx context.Context, options Options) (*Server, error) {
	if options.Bucket == "" {
		options.Bucket = "user-files"
	}
	if options.AccessKey == "" {
		options.AccessKey, options.SecretKey = "AKIA"+rand.Text()[:16], rand.Text()
	}
	s, err := startAny(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("starting the S3 server: %w", err)
	}
	if err := s.createBucket(ctx, options.AppOrigins); err != nil {
		s.Close()
		return nil, fmt.Errorf("starting the S3 server: %w", err)
	}
	return s, nil
}

// startAny starts the server, on a free port if options has none. It tries again if another process took the port before versitygw
// did. versitygw cannot choose the port itself, because it does not report which port it got.
func startAny(ctx context.Context, options Options) (*Server, error) {
	if options.Port != 0 {
		return start(ctx, options)
	}
	var s *Server
	err := errors.New("no free port")
	for range startTries {
		if options.Port, err = process.FreePort(); err != nil {
			return nil, err
		}
		if s, err = start(ctx, options); err == nil || ctx.Err() != nil {
			break
		}
	}
	return s, err
}

func start(ctx context.Context, options Options) (*Server, error) {
	tool, err := process.Tool("versitygw")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "s3local-")
	if err != nil {
		return nil, err
	}
	s := &Server{
		Endpoint: "http://" + process.Addr(options.Port), Region: region, Bucket: options.Bucket,
		AccessKey: options.AccessKey, SecretKey: options.SecretKey, dir: dir,
	}
	if err := s.run(ctx, tool, options); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// run starts versitygw and waits until it responds. Metadata is stored in a folder of its own, because not every file system has
// extended attributes. Keep-alive stays off, because versitygw would take the unread rest of a refused upload for the next request on
// the connection.
func (s *Server) run(ctx context.Context, tool string, options Options) error {
	data, metadata := filepath.Join(s.dir, "data"), filepath.Join(s.dir, "metadata")
	for _, dir := range []string{data, metadata} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	args := []string{"--port", process.Addr(options.Port), "--region", region, "--health", healthPath}
	if options.IAM {
		socket, err := s.startIAM(ctx, tool, options.Log)
		if err != nil {
			return err
		}
		args = append(args, "--iam-standalone-endpoint", socket)
	}
	var err error
	s.child, err = process.Start(process.Spec{
		Name: "versitygw", Path: tool, Dir: s.dir, Log: options.Log,
		Args: append(args, "posix", "--sidecar", metadata, data),
		Env:  s.environment(),
	})
	if err != nil {
		return err
	}
	return s.child.AwaitOK(ctx, s.Endpoint+healthPath)
}

func (s *Server) environment() []string {
	return process.Environment("ROOT_ACCESS_KEY="+s.AccessKey, "ROOT_SECRET_KEY="+s.SecretKey)
}

func (s *Server) createBucket(ctx context.Context, appOrigins []string) error {
	client := s.Client()
	if _, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &s.Bucket}); err != nil {
		return err
	}
	_, err := client.PutBucketCors(ctx, &s3.PutBucketCorsInput{
		Bucket: &s.Bucket,
		CORSConfiguration: &types.CORSConfiguration{CORSRules: []types.CORSRule{{
			AllowedOrigins: appOrigins,
			AllowedMethods: []string{http.MethodGet, http.MethodPut},
			AllowedHeaders: []string{"*"},
			ExposeHeaders:  []string{"ETag", "x-amz-checksum-sha256", "x-amz-checksum-crc32", "x-amz-request-id"},
			MaxAgeSeconds:  aws.Int32(600),
		}}},
	})
	return err
}

// Client returns an S3 client with the server's own credentials.
func (s *Server) Client() *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: &s.Endpoint, Region: s.Region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, ""),
	})
}

// Done returns a channel that is closed when versitygw has ended.
func (s *Server) Done() <-chan struct{} { return s.child.Done() }

// Err returns why versitygw has ended, after Done is closed.
func (s *Server) Err() error { return s.child.Err() }

// Close stops the server and deletes its data. It may be called more than once.
func (s *Server) Close() {
	for _, child := range []*process.Process{s.child, s.iam} {
		if child != nil {
			child.Stop(2 * time.Second)
		}
	}
	_ = os.RemoveAll(s.dir)
}
