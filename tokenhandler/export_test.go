package tokenhandler

// LoginLifetime is how long a login may take.
const LoginLifetime = loginLifetime
