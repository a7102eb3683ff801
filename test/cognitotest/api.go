package cognitotest

import (
	"encoding/json"
	"net/http"
)

// adminScope permits an access token to call Cognito's API for its own user.
const adminScope = "aws.cognito.signin.user.admin"

// api implements GlobalSignOut of Cognito's API (AWS JSON 1.1). The access token
// authorizes the request, so that it needs no AWS signature.
func (s *Server) api(w http.ResponseWriter, r *http.Request) {
	var in struct{ AccessToken string }
	switch {
	case r.Header.Get("Content-Type") != "application/x-amz-json-1.1" || json.NewDecoder(r.Body).Decode(&in) != nil:
		writeAPIError(w, "SerializationException", "")
	case r.Header.Get("X-Amz-Target") != "AWSCognitoIdentityProviderService.GlobalSignOut":
		writeAPIError(w, "UnknownOperationException", "")
	case in.AccessToken == "":
		writeAPIError(w, "InvalidParameterException", "1 validation error detected")
	default:
		user, ok := s.bearer(in.AccessToken, adminScope)
		if !ok {
			// Cognito answers the same if the token lacks the scope.
			writeAPIError(w, "NotAuthorizedException", "Access Token has been revoked")
			return
		}
		s.SignOut(user.Username)
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_, _ = w.Write([]byte("{}"))
	}
}

func writeAPIError(w http.ResponseWriter, code, message string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Errortype", code+":")
	w.Header().Set("X-Amzn-Errormessage", message)
	w.WriteHeader(http.StatusBadRequest)
	_, _ = w.Write(mustJSON(map[string]string{"__type": code, "message": message + " " + Canary}))
}

// APIError returns an outage that answers like Cognito's API: with status 400 and the
// name of the error.
func APIError(code, message string) Outage {
	return Outage{Name: code, Limits: code == "TooManyRequestsException", serve: func(_ *Server, w http.ResponseWriter, _ *http.Request, _ http.HandlerFunc) {
		writeAPIError(w, code, message)
	}}
}
