package tokenhandler_test

import (
	"maps"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"cognito-token-handler/tokenhandler"
	"cognito-token-handler/tokenhandler/web"
	"cognito-token-handler/tokenhandler/wire"
)

func readPage(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// rows returns the cells of the table with this first heading, without the code's quotes: first cell → second cell.
func rows(t *testing.T, page, heading string) map[string]string {
	t.Helper()
	_, table, found := strings.Cut(page, "\n| "+heading+" |")
	if !found {
		t.Fatalf("the page has no table %q", heading)
	}
	table, _, _ = strings.Cut(table, "\n\n")
	cells := map[string]string{}
	for _, row := range strings.Split(table, "\n")[2:] {
		first, rest, _ := strings.Cut(strings.Trim(row, "| "), " |")
		second, _, _ := strings.Cut(rest, " |")
		cells[strings.Trim(first, "`")] = strings.TrimSpace(second)
	}
	return cells
}

// TestReferenceHasEveryCode compares the tables of errors with the codes and their statuses.
func TestReferenceHasEveryCode(t *testing.T) {
	page := readPage(t, "HTTP.md")
	errors, logins := map[string]string{}, map[string]string{}
	for _, code := range web.Codes() {
		errors[string(code)] = strconv.Itoa((&web.Problem{Code: code}).Status())
	}
	for code, status := range tokenhandler.LoginCodes() {
		logins[code] = strconv.Itoa(status)
	}
	if documented := rows(t, page, "code"); !maps.Equal(documented, errors) {
		t.Errorf("documented are\n%v\nthe codes are\n%v", documented, errors)
	}
	if documented := rows(t, page, "login code"); !maps.Equal(documented, logins) {
		t.Errorf("documented are\n%v\nthe codes of failed logins are\n%v", documented, logins)
	}
}

// fieldsOf returns the names of the JSON members of a struct.
func fieldsOf(body any) map[string]bool {
	names := map[string]bool{}
	for member := range reflect.TypeOf(body).Fields() {
		name, _, _ := strings.Cut(member.Tag.Get("json"), ",")
		names[name] = true
	}
	return names
}

// TestReferenceHasEveryField compares the tables of fields with the JSON, and looks for the fields of /storage on their page.
func TestReferenceHasEveryField(t *testing.T) {
	page := readPage(t, "HTTP.md")
	for heading, body := range map[string]any{
		"field of the session": wire.Session{}, "field of a logout": wire.Logout{}, "field of an error": wire.Problem{},
	} {
		documented := map[string]bool{}
		for name := range rows(t, page, heading) {
			documented[name] = true
		}
		if sent := fieldsOf(body); !maps.Equal(documented, sent) {
			t.Errorf("%s: documented are\n%v\nsent are\n%v", heading, documented, sent)
		}
	}
	storage := readPage(t, "../oauthproxy/storage/README.md")
	for _, body := range []any{
		wire.Upload{},
		wire.Download{},
		wire.Object{},
		wire.Objects{},
		wire.Deleted{},
		wire.PartsUpload{},
		wire.SignedPart{},
		wire.SignedParts{},
		wire.StoredPart{},
		wire.StoredParts{},
		wire.Usage{},
	} {
		for name := range fieldsOf(body) {
			if !strings.Contains(storage, `"`+name+`"`) {
				t.Errorf("the page of /storage lacks %q of %T", name, body)
			}
		}
	}
}

// TestReferenceHasEveryParameter looks for each parameter of a login.
func TestReferenceHasEveryParameter(t *testing.T) {
	want := map[string]bool{"return_to": true}
	for _, name := range tokenhandler.LoginParameters() {
		want[name] = true
	}
	_, logins, _ := strings.Cut(readPage(t, "HTTP.md"), "\n## Login\n")
	documented := map[string]bool{}
	for name := range rows(t, logins, "parameter") {
		documented[name] = true
	}
	if !maps.Equal(documented, want) {
		t.Errorf("documented are\n%v\nthe parameters are\n%v", documented, want)
	}
}

// TestReferenceHasEveryEndpoint looks for the paths that the handler registers.
func TestReferenceHasEveryEndpoint(t *testing.T) {
	page := readPage(t, "HTTP.md")
	paths := []string{tokenhandler.LogoutDone, tokenhandler.PasskeysDone, "/client.js", "/client.d.ts"}
	for _, found := range regexp.MustCompile(`h\.(?:page|call|handle)\("(/[^"]+)"`).FindAllStringSubmatch(readPage(t, "handler.go"), -1) {
		paths = append(paths, strings.TrimSuffix(found[1], "/"))
	}
	if len(paths) < 15 {
		t.Errorf("only %d paths were found", len(paths))
	}
	for _, path := range paths {
		if !regexp.MustCompile("`(GET |POST )?/auth" + regexp.QuoteMeta(path) + "`").MatchString(page) {
			t.Errorf("the page lacks /auth%s", path)
		}
	}
}
