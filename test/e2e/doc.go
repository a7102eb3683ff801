// Package e2e has the end-to-end tests (build tag e2e). A simulated browser uses the
// built binary with cognito-local and an S3 server. Failures of the provider are tested
// in other packages with test/cognitotest; these tests are for what only separate
// programs can show.
package e2e
