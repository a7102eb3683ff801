// Command image writes the container image of the service as an OCI image layout, for
// several architectures and without a container engine:
//
//	go run ./config/deploy/image -out .build/image -version v1.2.3 -created 1767225600 amd64=path arm64=path
//
// The image holds the static binary, the certificate authorities and one user without
// rights, and nothing else. The same arguments give the same bytes. The service does not
// import this package.
package main
