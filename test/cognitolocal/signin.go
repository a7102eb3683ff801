package cognitolocal

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// ErrRefused is returned when the pool shows its login page again instead of redirecting the browser.
var ErrRefused = errors.New("the login page refused the user name or password")

// SignIn logs in as a person does: it opens the page at authorizeURL, following redirects, fills in its form, and returns the URL
// to which the pool redirects the browser, without opening it.
func SignIn(ctx context.Context, authorizeURL, email, password string) (*url.URL, error) {
	client := &http.Client{Timeout: 2 * patience}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, authorizeURL, http.NoBody)
	if err != nil {
		return nil, err
	}
	login, err := fetch(client, request)
	if err != nil {
		return nil, fmt.Errorf("opening the login page: %w", err)
	}
	if login.status != http.StatusOK {
		return nil, fmt.Errorf("opening the login page: status %d: %s", login.status, login.body)
	}
	target, form, err := readPage(login)
	if err != nil {
		return nil, err
	}
	form.Set("username", email)
	form.Set("password", password)
	return submit(ctx, client, target, form)
}

func submit(ctx context.Context, client *http.Client, target *url.URL, form url.Values) (*url.URL, error) {
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := fetch(client, request)
	if err != nil {
		return nil, fmt.Errorf("sending the login form: %w", err)
	}
	switch answer.status {
	case http.StatusFound:
		return target.Parse(answer.location)
	case http.StatusOK:
		return nil, ErrRefused
	default:
		return nil, fmt.Errorf("sending the login form: status %d: %s", answer.status, answer.body)
	}
}

// readPage returns the form's action and its hidden fields.
func readPage(p page) (target *url.URL, form url.Values, err error) {
	action := regexp.MustCompile(`<form method="POST" action="([^"]+)"`).FindStringSubmatch(p.body)
	if action == nil {
		return nil, nil, fmt.Errorf("reading the login page: it has no form: %.200s", p.body)
	}
	form = url.Values{}
	for _, field := range regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`).FindAllStringSubmatch(p.body, -1) {
		form.Set(field[1], html.UnescapeString(field[2]))
	}
	target, err = p.url.Parse(action[1])
	return target, form, err
}

// page is an answer that a browser would show or follow.
type page struct {
	url      *url.URL // after redirects
	status   int
	location string
	body     string
}

func fetch(client *http.Client, request *http.Request) (page, error) {
	response, err := client.Do(request)
	if err != nil {
		return page{}, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	return page{
		url: response.Request.URL, status: response.StatusCode, location: response.Header.Get("Location"), body: string(body),
	}, err
}
