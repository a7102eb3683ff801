// Package s3local runs versitygw, an S3 server that stores objects in a folder. It has one bucket, whose CORS rules allow requests
// from the origins of the apps. With [Options.IAM] it has IAM and an STS with AssumeRoleWithWebIdentity as well.
//
// It is independent of the token handler. It listens on localhost only, and its data is deleted when it is closed.
package s3local
