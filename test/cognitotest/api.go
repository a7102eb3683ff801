package cognitotest

import (
	"encoding/json"
	"net/http"
)

// adminScope lets an access token act on its own user.
const adminScope = "aws.cognito.signin.user.admin"

// api is the part of Cognito's API that an access token authorizes, in AWS JSON
// 1.1: GlobalSignOut. Requests need no signature.
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
			// Also for a token without the scope.
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

// APIError refuses as Cognito's API does: 400, and the reason by name.
func APIError(code, message string) Outage {
	return Outage{Name: code, Limits: code == "TooManyRequestsException", serve: func(_ *Server, w http.ResponseWriter, _ *http.Request, _ http.HandlerFunc) {
		writeAPIError(w, code, message)
	}}
}
