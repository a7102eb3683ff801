// Package storage serves everything under /storage: it lets a signed-in browser put
// files into the user's own folder of an S3 bucket. The bytes do not pass through this
// service, and the browser gets no credentials: it gets a presigned request for one
// key, one size and one content type.
//
// It stands against a user who names another user's folder (dot segments, slashes,
// backslashes, a folder whose name is a prefix of another's), and against a presigned
// request that permits more than was asked for: any size, any type, an overwrite. A
// presigned URL is a bearer capability with the signer's rights until it expires
// (Amazon S3 User Guide, "Download and upload objects with presigned URLs"), so it is
// short-lived and never logged.
//
// It knows nothing of sessions, cookies, tokens or Cognito: an [Authorizer] says who
// makes a request.
package storage
