// Package storage owns everything under /storage: it lets a signed-in browser
// put files into the user's own folder of an S3 bucket, without the bytes
// passing through this service and without the browser holding a credential.
// What the browser gets is a presigned request for one key, one size, one type.
//
// It stands against a user who names another user's folder (dot segments,
// slashes, backslashes, a prefix that is a prefix of another), and against a
// presigned request that carries more than was asked: any size, any type, an
// overwrite (FACTS S3-05, S3-16 to S3-19). A presigned URL is a bearer
// capability with the signer's rights until it expires (S3-03), so it is
// short-lived and never logged.
//
// It knows nothing of sessions, cookies, tokens or Cognito: an [Authorizer]
// tells whose request it is.
//
// # Metrics
//
//	tokenhandler_storage_presigns_total{operation,outcome}
//
// counts answered requests for a presigned URL. operation is "upload"; outcome
// is "ok" or the code of the problem that was answered.
package storage
