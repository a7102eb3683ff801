// Package usercredentials gets AWS credentials that reach one user's folder and no other,
// so that S3 itself keeps the users apart, and not package storage alone. There are three
// kinds, each a [Source]: [SessionPolicy], [WebIdentity] and [IdentityPool]. A [Cache]
// keeps what they issue.
//
// It stands against a mistake in the code of this service: whatever key is signed with a
// user's credentials, S3 refuses it outside the user's folder. Credentials never leave the
// process, except in presigned requests, which do not contain the secret key.
//
// It knows nothing of S3 and of HTTP requests.
package usercredentials
