package cognito

import (
	"regexp"
	"strings"

	"cognito-token-handler/tokenhandler/provider"
)

// failedTrigger matches the description of a login that a Lambda trigger of the pool
// refused, such as "PreSignUp failed with error Only invited users.. ".
var failedTrigger = regexp.MustCompile(`^([A-Za-z]{3,40}) failed with error ?(.*)$`)

// LoginError tells what the description of an error response means (AWS, "Managed login
// and federation error responses"). AWS does not promise the texts, so a description
// that is not known is no error: the login then fails without a reason.
func LoginError(description string) provider.LoginError {
	description = strings.TrimSpace(description)
	if found := failedTrigger.FindStringSubmatch(description); found != nil {
		refused := provider.LoginError{Kind: provider.TriggerRefused}
		if trigger := found[1]; trigger == "PreSignUp" || trigger == "PreAuthentication" {
			refused.Message = strings.TrimSuffix(found[2], ".") // Cognito adds it
		}
		return refused
	}
	switch {
	case strings.HasPrefix(description, "User is not enabled"), strings.HasPrefix(description, "User is disabled"):
		return provider.LoginError{Kind: provider.UserDisabled}
	case strings.HasPrefix(description, "Already found an entry for username"):
		return provider.LoginError{Kind: provider.AccountLinked}
	}
	return provider.LoginError{}
}
