// Command run starts the local stack and runs it until Ctrl-C. With the first argument "servers" it starts only what a token handler
// needs: Cognito, S3 and Redis.
package main
