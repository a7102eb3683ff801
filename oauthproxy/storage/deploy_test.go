package storage_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"cognito-token-handler/oauthproxy/storage"
)

// deployed is the folder of the files that operators apply to a bucket.
const deployed = "../../config/deploy/s3/"

// deployedFile decodes a file into a type of the SDK, whose fields the AWS CLI has, too.
func deployedFile[T any](t *testing.T, name string) (value T) {
	t.Helper()
	text, err := os.ReadFile(deployed + name)
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return value
}

// TestDeployedCORSMethods: the CORS rules allow the methods that are signed and no other,
// and the README names the same.
func TestDeployedCORSMethods(t *testing.T) {
	rules := deployedFile[types.CORSConfiguration](t, "cors.json").CORSRules
	if len(rules) != 1 || !slices.Equal(rules[0].AllowedMethods, storage.BrowserMethods()) {
		t.Errorf("the methods are %v, want %v", rules, storage.BrowserMethods())
	}
	readme, err := os.ReadFile("../../README.md")
	if named := "CORS rules for `" + strings.Join(storage.BrowserMethods(), "` and `") + "`"; err != nil || !strings.Contains(string(readme), named) {
		t.Errorf("README.md does not say %q: %v", named, err)
	}
}

// TestDeployedLifecycle: the rule deletes nothing but unfinished uploads.
func TestDeployedLifecycle(t *testing.T) {
	rules := deployedFile[types.BucketLifecycleConfiguration](t, "lifecycle.json").Rules
	if len(rules) != 1 {
		t.Fatalf("%d rules", len(rules))
	}
	rule := rules[0]
	if rule.AbortIncompleteMultipartUpload == nil || *rule.AbortIncompleteMultipartUpload.DaysAfterInitiation != 7 || rule.Status != types.ExpirationStatusEnabled {
		t.Errorf("the rule is %+v", rule)
	}
	if rule.Expiration != nil || rule.NoncurrentVersionExpiration != nil || len(rule.Transitions) != 0 {
		t.Error("the rule deletes or moves objects")
	}
}

func TestDeployedPublicAccessBlock(t *testing.T) {
	got := deployedFile[types.PublicAccessBlockConfiguration](t, "public-access-block.json")
	for i, blocked := range []*bool{got.BlockPublicAcls, got.BlockPublicPolicy, got.IgnorePublicAcls, got.RestrictPublicBuckets} {
		if !aws.ToBool(blocked) {
			t.Errorf("switch %d is off: %+v", i, got)
		}
	}
}

// TestDeployedFilesAreDocumented: README.md links every file.
func TestDeployedFilesAreDocumented(t *testing.T) {
	files, err := filepath.Glob(deployed + "*.json")
	if err != nil || len(files) < 10 {
		t.Fatalf("only %d files: %v", len(files), err)
	}
	readme, err := os.ReadFile(deployed + "README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if name := filepath.Base(file); !strings.Contains(string(readme), "["+name+"]("+name+")") || !strings.Contains(string(readme), "file://"+name) {
			t.Errorf("README.md neither links nor applies %s", name)
		}
	}
}
