// Package storage serves everything under /storage: a signed-in browser stores, lists,
// reads, copies and deletes the files of the user's own folder in an S3 bucket. The
// bytes do not pass through this service, and the browser gets no credentials: it gets
// presigned requests, each for one key, and for a PUT also for one size and one content
// type. README.md describes every request.
//
// Each operation is one handler in a file of its own. [request.key] is the only way
// from what a client calls a key to the key in the bucket, and [request.relative] the
// only way back.
//
// It protects against a user who names another user's folder (dot segments, slashes,
// backslashes, a folder whose name is a prefix of another's), and against a presigned
// request that permits more than was asked for: any size, any type, an overwrite. A
// presigned URL is a bearer capability with the signer's rights until it expires
// (Amazon S3 User Guide, "Download and upload objects with presigned URLs"), so it is
// short-lived and never logged.
//
// What a browser keeps between two requests, the cursor of a list or the id of an upload
// in parts, is sealed for its user, because both would otherwise name a key.
//
// The package does not depend on sessions, cookies, tokens or Cognito. An
// [Authorizer] says who makes a request.
package storage
