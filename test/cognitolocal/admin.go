package cognitolocal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// attribute is an entry of a user's attribute list.
type attribute struct {
	Name  string
	Value string
}

// account is the answer of AdminGetUser.
type account struct {
	Username       string
	Enabled        bool
	UserStatus     string
	UserAttributes []attribute
}

func (a account) attribute(name string) string {
	for _, entry := range a.UserAttributes {
		if entry.Name == name {
			return entry.Value
		}
	}
	return ""
}

// errNoUser is returned if the pool has no such user.
var errNoUser = errors.New("no such user")

// Sub returns the sub of the user with this e-mail address.
func (p *Pool) Sub(ctx context.Context, email string) (string, error) {
	user, err := p.front.account(ctx, email)
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", email, err)
	}
	return user.attribute("sub"), nil
}

// CreateUser adds a confirmed user.
func (p *Pool) CreateUser(ctx context.Context, user User) error {
	create := map[string]any{
		"UserPoolId": PoolID, "Username": user.Email, "MessageAction": "SUPPRESS", "UserAttributes": []attribute{
			{Name: "email", Value: user.Email}, {Name: "email_verified", Value: "true"},
		},
	}
	if err := p.front.admin(ctx, "AdminCreateUser", create, nil); err != nil {
		return fmt.Errorf("creating a user: %w", err)
	}
	password := map[string]any{"UserPoolId": PoolID, "Username": user.Email, "Password": user.Password, "Permanent": true}
	if err := p.front.admin(ctx, "AdminSetUserPassword", password, nil); err != nil {
		return fmt.Errorf("creating a user: %w", err)
	}
	for _, group := range user.Groups {
		join := map[string]any{"UserPoolId": PoolID, "Username": user.Email, "GroupName": group}
		if err := p.front.admin(ctx, "AdminAddUserToGroup", join, nil); err != nil {
			return fmt.Errorf("creating a user: %w", err)
		}
	}
	return nil
}

// DeleteUser removes the user and revokes all their tokens.
func (p *Pool) DeleteUser(ctx context.Context, email string) error {
	return p.administer(ctx, "AdminDeleteUser", email)
}

// DisableUser disables the user and, as Cognito does, revokes all their tokens: enabling the user does not restore them.
func (p *Pool) DisableUser(ctx context.Context, email string) error {
	if err := p.SignOutUser(ctx, email); err != nil {
		return err
	}
	return p.administer(ctx, "AdminDisableUser", email)
}

// EnableUser lets a disabled user sign in again.
func (p *Pool) EnableUser(ctx context.Context, email string) error {
	return p.administer(ctx, "AdminEnableUser", email)
}

// SignOutUser revokes every refresh token of the user, as Cognito's global sign-out does.
func (p *Pool) SignOutUser(ctx context.Context, email string) error {
	sub, err := p.Sub(ctx, email)
	if err != nil {
		return err
	}
	p.front.ledger.revokeUser(sub)
	return nil
}

func (p *Pool) administer(ctx context.Context, operation, email string) error {
	in := map[string]any{"UserPoolId": PoolID, "Username": email}
	if err := p.front.admin(ctx, operation, in, nil); err != nil {
		return fmt.Errorf("administering %s: %w", email, err)
	}
	return nil
}

// account finds a user by sub or e-mail address; errNoUser if there is none.
func (f *front) account(ctx context.Context, name string) (account, error) {
	var found account
	err := f.admin(ctx, "AdminGetUser", map[string]any{"UserPoolId": PoolID, "Username": name}, &found)
	return found, err
}

// admin calls an operation of cognito-local's API; out may be nil.
func (f *front) admin(ctx context.Context, operation string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, f.backend.String()+"/", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-amz-json-1.1")
	request.Header.Set("X-Amz-Target", "AWSCognitoIdentityProviderService."+operation)
	response, err := f.client.Do(request)
	if err != nil {
		return fmt.Errorf("calling %s: %w", operation, err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err != nil {
		return fmt.Errorf("calling %s: %w", operation, err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("calling %s: %w", operation, apiError(response.StatusCode, answer))
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

// refusalError is an answer of cognito-local's API.
type refusalError struct {
	Status  int
	Type    string `json:"__type"`
	Message string
}

func (r *refusalError) Error() string {
	return fmt.Sprintf("status %d: %s: %s", r.Status, r.Type, r.Message)
}

func apiError(status int, body []byte) error {
	var fault refusalError
	if err := json.Unmarshal(body, &fault); err != nil {
		return &refusalError{Status: status, Message: "the answer is no JSON"}
	}
	if fault.Type == "UserNotFoundException" {
		return errNoUser
	}
	fault.Status = status
	return &fault
}
