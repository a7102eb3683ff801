package cognitolocal

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// seed writes cognito-local's configuration and data files, in the form that version 5.3.0 keeps them, so that the pool and the
// client have fixed ids and no time goes into creating them. Every key that ends in "Date" must hold a date.
func seed(p *Pool, options Options) error {
	users, members := seedUsers(options.Users)
	groups := map[string]any{}
	for name, subs := range members {
		groups[name] = map[string]any{
			"GroupName": name, "members": subs, "CreationDate": time.Now(), "LastModifiedDate": time.Now(),
		}
	}
	files := map[string]any{
		"config.json":            seedConfig(p.URL),
		"db/clients.json":        map[string]any{"Clients": map[string]any{p.ClientID: seedClient(p, options)}},
		"db/" + PoolID + ".json": map[string]any{"Users": users, "Groups": groups},
	}
	dir := filepath.Join(p.dir, ".cognito")
	if err := os.MkdirAll(filepath.Join(dir, "db"), 0o700); err != nil {
		return fmt.Errorf("seeding the user pool: %w", err)
	}
	for name, content := range files {
		if err := writeJSON(filepath.Join(dir, name), content); err != nil {
			return fmt.Errorf("seeding the user pool: %w", err)
		}
	}
	return nil
}

func seedConfig(issuerDomain string) any {
	return map[string]any{
		"TokenConfig":      map[string]any{"IssuerDomain": issuerDomain},
		"UserPoolDefaults": map[string]any{"UsernameAttributes": []string{"email"}},
	}
}

func seedClient(p *Pool, options Options) any {
	access, refresh := int(options.AccessTokenTTL/time.Second), int(options.RefreshTokenTTL/time.Second)
	return map[string]any{
		"ClientId": p.ClientID, "ClientName": "tokenhandler", "ClientSecret": p.ClientSecret, "UserPoolId": PoolID,
		"CallbackURLs": options.CallbackURLs, "LogoutURLs": options.LogoutURLs,
		"AllowedOAuthFlows": []string{"code"}, "AllowedOAuthFlowsUserPoolClient": true,
		"AllowedOAuthScopes":  []string{"openid", "email", "profile"},
		"AccessTokenValidity": access, "IdTokenValidity": access, "RefreshTokenValidity": refresh,
		"TokenValidityUnits":    map[string]any{"AccessToken": "seconds", "IdToken": "seconds", "RefreshToken": "seconds"},
		"EnableTokenRevocation": true,
		"CreationDate":          time.Now(), "LastModifiedDate": time.Now(),
	}
}

// seedUsers returns sub → user and group → subs.
func seedUsers(list []User) (users map[string]any, members map[string][]string) {
	users, members = map[string]any{}, map[string][]string{}
	for _, user := range list {
		sub := user.Sub
		if sub == "" {
			sub = newSub()
		}
		users[sub] = map[string]any{
			"Username": sub, "Password": user.Password, "Enabled": true, "UserStatus": "CONFIRMED", "RefreshTokens": []string{},
			"Attributes": []attribute{
				{Name: "email", Value: user.Email}, {Name: "email_verified", Value: "true"}, {Name: "sub", Value: sub},
			},
			"UserCreateDate": time.Now(), "UserLastModifiedDate": time.Now(),
		}
		for _, group := range user.Groups {
			members[group] = append(members[group], sub)
		}
	}
	return users, members
}

// newSub looks like Cognito's: a random UUID.
func newSub() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func writeJSON(path string, content any) error {
	b, err := json.MarshalIndent(content, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o600)
}
