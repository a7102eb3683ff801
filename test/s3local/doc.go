// Package s3local runs versitygw, an S3 server over a folder, with one bucket whose CORS rules let one app in.
//
// It must not know the token handler. It listens on localhost only, and its data ends with it.
package s3local
