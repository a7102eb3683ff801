package usercredentials

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Folder says which part of a bucket a user's credentials reach.
type Folder struct {
	// Bucket is the name of the bucket.
	Bucket string
	// Of returns the prefix of a user's keys, with a slash at its end. It must refuse a
	// subject, and contain no other user's keys, so that no character of it has a
	// meaning in a policy: *, ? and $.
	Of func(subject string) (string, error)
	// KMS allows the encryption with KMS too, as far as the role does. Servers other than
	// AWS may refuse a policy that names it.
	KMS bool
}

// policyDocument is a policy in the language of AWS IAM.
type policyDocument struct {
	Version   string
	Statement []statement
}

type statement struct {
	Effect    string
	Action    []string
	Resource  string
	Condition map[string]map[string]string `json:",omitempty"`
}

// policy returns the session policy of a user. Credentials with it have what both it and
// the role's own policy allow (IAM User Guide, "Session policies"). It has at most
// 1,500 characters; STS accepts 2,048.
func (f Folder) policy(partition, subject string) (string, error) {
	folder, err := f.Of(subject)
	if err != nil {
		return "", fmt.Errorf("naming the user's folder: %w", err)
	}
	bucket := "arn:" + partition + ":s3:::" + f.Bucket
	document := policyDocument{Version: "2012-10-17", Statement: []statement{
		{
			Effect: "Allow", Resource: bucket + "/" + folder + "*",
			Action: []string{"s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"},
		},
		{
			Effect: "Allow", Resource: bucket, Action: []string{"s3:ListBucket"},
			Condition: map[string]map[string]string{"StringLike": {"s3:prefix": folder + "*"}},
		},
		// S3 has no condition for the prefix of this list.
		{Effect: "Allow", Resource: bucket, Action: []string{"s3:ListBucketMultipartUploads"}},
	}}
	if f.KMS {
		document.Statement = append(document.Statement,
			statement{Effect: "Allow", Resource: "*", Action: []string{"kms:Decrypt", "kms:GenerateDataKey"}})
	}
	text, err := json.Marshal(document)
	if err != nil {
		return "", fmt.Errorf("writing the session policy: %w", err)
	}
	return string(text), nil
}

// partitionOf returns the partition of an ARN, such as aws-cn.
func partitionOf(arn string) string {
	_, rest, _ := strings.Cut(arn, ":")
	partition, _, _ := strings.Cut(rest, ":")
	return partition
}
