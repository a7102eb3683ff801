package doctor

// explanation says what an error code means to an operator.
type explanation struct{ means, next string }

// explanations returns what each error code means: those of answers, and those of failed
// logins.
func explanations() map[string]explanation {
	return map[string]explanation{
		"invalid_request":      {"a parameter, a header, the path or the body is malformed.", "See the text in the log; it is a mistake in the app, or in what is in front of the service."},
		"not_authenticated":    {"there was no session: the browser sent no session cookie, or one that does not open.", "If the user was logged in: was the page open under public_url, over https, and not in a frame of another site? See \"I am logged out all the time\" in config/deploy/troubleshooting.md."},
		"session_expired":      {"there was a session, and it has ended.", "The user logs in again. If it ends too early, compare session.idle_timeout, session.absolute_lifetime and the lifetimes at the provider."},
		"cross_site_request":   {"it came from another site or origin, or nothing says where it came from.", "The app must be at public_url or in allowed_origins; callers that are no browsers send X-CSRF: 1."},
		"insufficient_scope":   {"the route asks for a scope or a group that the user lacks.", "Give the user the group, or the app the scope in provider.scopes; else correct scopes and groups of the route."},
		"quota_exceeded":       {"the user's folder is full, or too many uploads are unfinished.", "Raise storage.quota, or let the user delete something."},
		"not_found":            {"there is no such path, route, object or upload.", "Compare the path with api.routes, storage.path and auth.path."},
		"method_not_allowed":   {"the path does not have this method.", "Correct the app, or methods of the route."},
		"already_exists":       {"an upload or a copy must not overwrite what is there.", "The app asks the user."},
		"user_changed":         {"another user has logged in, in this browser, than the page shows.", "The app loads the session again."},
		"precondition_failed":  {"the object has changed since it was read.", "The app reads it again."},
		"too_large":            {"the body is over max_body of the route, or the file over storage.max_size.", "Raise that limit, if such requests are wanted."},
		"misdirected_request":  {"the admin listener was asked under a name that it does not know.", "Use its address, or add the name to admin.hosts."},
		"rate_limited":         {"too much at once: from one address, of one session, or calls to the provider or S3.", "If it happens to honest users, tokenhandler_rate_limited_total names the limit: limits.*, api.requests_per_session, api.streams_per_session or provider.max_requests_per_second."},
		"cookies_too_large":    {"the request had too many or too large cookies.", "Look which other apps set cookies for this host."},
		"session_too_large":    {"the tokens do not fit into cookies.", "Make the tokens smaller: fewer groups and claims; with session.store, the session goes on meanwhile."},
		"internal_error":       {"a bug in this service.", "Report it, with the record \"panic recovered\" of this request if there is one."},
		"upstream_error":       {"the API or S3 was not reached, broke off, or refused the service.", "Look at the log of the API; `tokenhandler doctor` tells whether it can be reached."},
		"upstream_timeout":     {"the API or S3 did not answer in time.", "Look at the API; timeout of the route is how long it may take."},
		"provider_error":       {"the provider refused this service, or its answer cannot be used.", "Run `tokenhandler doctor`: it tries the client secret, the URLs and the scopes."},
		"provider_unavailable": {"the provider was not reached, or was busy. The user is still logged in.", "Run `tokenhandler doctor`; see /readyz and the provider's status."},
		"store_unavailable":    {"session.store was not reached, and this session cannot be refreshed, or a revocation not be taken back, without it. Users are still logged in.", "Run `tokenhandler doctor`; see tokenhandler_store_up."},
		"audit_unavailable":    {"the audit trail cannot be written, and audit.on_failure is refuse.", "Free the disk under audit.file, or correct its permissions."},
		"access_denied":        {"the user cancelled the login, or the provider did not allow it.", "Nothing, unless the user should have access: then see the user's assignment at the provider."},
		"login_required":       {"the app asked for a login without a page (prompt=none), and the user is not signed in at the provider.", "The app begins a login with a page."},
		"login_failed":         {"the login took too long, its cookie was gone, or the provider refused the code.", "See the text in the log. A cookie that is gone: the login began under another host name than public_url, took over 15 minutes, or was opened from history."},
		"user_disabled":        {"the account is disabled in Cognito.", "Enable it there, if it should not be."},
		"trigger_refused":      {"a Lambda trigger of the user pool refused the user.", "See what the provider said, and the log of that function."},
		"account_linked":       {"a trigger has just linked the account with another one.", "The user tries again."},
	}
}
