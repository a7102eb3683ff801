package s3local

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"cognito-token-handler/test/devstack/process"
)

// AccountID is the account of every server.
const AccountID = "000000000000"

// errIAM is an answer of IAM that is not 200.
var errIAM = errors.New("IAM refused the call")

// startIAM starts IAM and STS, and returns the socket on which the S3 server asks it about credentials and policies.
func (s *Server) startIAM(ctx context.Context, tool string, log io.Writer) (socket string, err error) {
	dir, socket := filepath.Join(s.dir, "iam"), filepath.Join(s.dir, "iam.sock")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	port, err := process.FreePort()
	if err != nil {
		return "", err
	}
	s.IAM = "http://" + process.Addr(port)
	s.iam, err = process.Start(process.Spec{
		Name: "versitygw iam", Path: tool, Dir: s.dir, Log: log,
		Args: []string{"--port", process.Addr(port), "--health", healthPath, "iam", "--dir", dir, "--private-ports", socket},
		Env:  s.environment(),
	})
	if err != nil {
		return "", err
	}
	return socket, s.iam.AwaitOK(ctx, s.IAM+healthPath)
}

// CallIAM calls an action of IAM with the server's own credentials, such as CreateRole. The server needs [Options.IAM].
func (s *Server) CallIAM(ctx context.Context, action string, parameters map[string]string) error {
	form := url.Values{"Action": {action}, "Version": {"2010-05-08"}}
	for name, value := range parameters {
		form.Set(name, value)
	}
	body := []byte(form.Encode())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.IAM+"/", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	sum := sha256.Sum256(body)
	own := aws.Credentials{AccessKeyID: s.AccessKey, SecretAccessKey: s.SecretKey}
	if err := v4.NewSigner().SignHTTP(ctx, own, request, hex.EncodeToString(sum[:]), "iam", s.Region, time.Now()); err != nil {
		return err
	}
	response, err := (&http.Client{Timeout: time.Minute}).Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%w %s: %d %s", errIAM, action, response.StatusCode, text)
	}
	return err
}
