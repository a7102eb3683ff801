package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/tracing"
)

var (
	errNoCredentials = errors.New("no AWS credentials are configured")
	errNoRole        = errors.New("no AWS credentials are configured, and AWS_EC2_METADATA_DISABLED keeps the role of the machine from being asked for")
)

// awsCredentials returns the credentials of the service itself. The AWS SDK looks for
// them in the environment, in shared files, at web identity, and at the role of the
// container or instance. All callers share one lookup, which the SDK does not bound:
// without timeout, which bounds each of its calls, a call that hangs would stop all
// later uploads.
func awsCredentials(ctx context.Context, region string, timeout time.Duration, tracer *tracing.Tracer) (aws.CredentialsProvider, error) {
	cfg, err := awsConfig(ctx, region, timeout, tracer)
	if err != nil {
		return nil, err
	}
	if cfg.Credentials == nil {
		return nil, errNoCredentials
	}
	return cfg.Credentials, nil
}

// AWSConfig returns the configuration of the AWS SDK with which the service itself calls
// AWS in a region.
func AWSConfig(ctx context.Context, region string) (aws.Config, error) {
	return awsConfig(ctx, region, awsCallTimeout, nil)
}

// awsConfig returns the configuration of the AWS SDK. It bounds each call by timeout. The
// SDK has no log of its own: its warnings are no records, quote what servers answer, and
// would wait for a reader of standard error that stalls.
func awsConfig(ctx context.Context, region string, timeout time.Duration, tracer *tracing.Tracer) (aws.Config, error) {
	client := awshttp.NewBuildableClient().WithTimeout(timeout)
	cfg, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithRegion(region), awsconfig.WithHTTPClient(client), awsconfig.WithLogger(logging.Nop{}),
		awsconfig.WithAPIOptions([]func(*middleware.Stack) error{traceAWS(tracer)}))
	if err != nil {
		return aws.Config{}, fmt.Errorf("loading AWS configuration: %w", err)
	}
	return cfg, nil
}

// CheckAWSCredentials looks, without the network, where the AWS SDK would get
// credentials. roleOnly means that nothing but the role of the machine is left, which
// only the machine's metadata service knows. The error is about the configuration of
// the SDK, and contains no secret.
func CheckAWSCredentials(ctx context.Context, region string) (roleOnly bool, err error) {
	credentials, err := awsCredentials(ctx, region, awsCallTimeout, nil)
	if err != nil {
		return false, err
	}
	roleOnly = aws.IsCredentialsProvider(credentials, (*ec2rolecreds.Provider)(nil))
	if roleOnly && strings.EqualFold(os.Getenv("AWS_EC2_METADATA_DISABLED"), "true") { // as the SDK does
		return false, errNoRole
	}
	return roleOnly, nil
}

// credentialsTimeout bounds one look at the credentials.
const credentialsTimeout = 10 * time.Second

// credentialsWatch tries whether there are AWS credentials for the bucket, so that
// their lack is seen at the start and not by the first user who uploads. If only the
// users' ID tokens get them, it shows what the newest call has found.
type credentialsWatch struct {
	provider aws.CredentialsProvider // nil if only users get credentials
	log      *slog.Logger
	up       prometheus.Gauge
	state    atomic.Pointer[string] // nil before the first try
	obtained atomic.Bool            // whether any try succeeded
}

func newCredentialsWatch(credentials aws.CredentialsProvider, log *slog.Logger, reg prometheus.Registerer) *credentialsWatch {
	return &credentialsWatch{provider: credentials, log: log, up: promauto.With(reg).NewGauge(prometheus.GaugeOpts{
		Name: "tokenhandler_storage_credentials_up",
		Help: "Whether there are AWS credentials for the bucket: 1 or 0.",
	})}
}

// run looks at the credentials until ctx ends. They are cached, so most looks use no
// network.
func (w *credentialsWatch) run(ctx context.Context, every time.Duration) {
	if w.provider == nil {
		return
	}
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	for {
		w.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
	}
}

func (w *credentialsWatch) look(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, credentialsTimeout)
	defer cancel()
	credentials, err := w.provider.Retrieve(bounded)
	if err == nil && !credentials.HasKeys() {
		err = errNoCredentials
	}
	if ctx.Err() == nil {
		w.note(err)
	}
}

// note remembers what a call for credentials has found: its error, or nil.
func (w *credentialsWatch) note(err error) {
	state := describeCredentials(err)
	before := w.state.Swap(&state)
	if err == nil {
		w.up.Set(1)
		w.obtained.Store(true)
		return
	}
	w.up.Set(0)
	if before == nil || *before != state {
		w.log.Warn("no AWS credentials for the bucket: uploads fail", "error", state)
	}
}

// describeCredentials returns "ok" without an error. Errors of the SDK may quote what
// AWS answered.
func describeCredentials(err error) string {
	if err == nil {
		return "ok"
	}
	if _, ok := errors.AsType[smithy.APIError](err); ok {
		return "AWS refuses to issue credentials"
	}
	if cause := provider.CauseOf(err); cause != provider.CauseOther {
		return "the service that issues AWS credentials was not reached (" + string(cause) + ")"
	}
	return "there are no AWS credentials"
}

// ready returns the state for /readyz, and whether there have been credentials at any
// time, or nothing is known about that before the first user.
func (w *credentialsWatch) ready() (state string, obtained bool) {
	if state := w.state.Load(); state != nil {
		return *state, w.provider == nil || w.obtained.Load()
	}
	if w.provider == nil {
		return "not known before the first user", true
	}
	return "not known yet", false
}
