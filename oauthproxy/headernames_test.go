package oauthproxy_test

import (
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cognito-token-handler/oauthproxy"
)

// Which headers are removed is documented in one place, and that is true.
func TestProtectedHeadersAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../config/deploy/README.md")
	if err != nil {
		t.Fatal(err)
	}
	request, response := oauthproxy.ProtectedNames()
	const fewest = 20
	for part, names := range map[string][]string{"request": request, "response": response} {
		_, rest, _ := strings.Cut(string(page), "<!-- "+part+" -->")
		table, _, _ := strings.Cut(rest, "<!-- end -->")
		var documented []string
		for line := range strings.SplitSeq(table, "\n") {
			cells := strings.Split(line, "|")
			if len(cells) < 4 {
				continue
			}
			for _, name := range regexp.MustCompile("`([A-Z][^`]*)`").FindAllStringSubmatch(cells[2], -1) {
				documented = append(documented, name[1])
			}
		}
		slices.Sort(documented)
		slices.Sort(names)
		if diff := cmp.Diff(names, documented); diff != "" || len(names) < fewest {
			t.Errorf("%s: the table in config/deploy/README.md differs (-code +page): %s", part, diff)
		}
	}
}

// The search for a prefix needs them sorted, and none may be the beginning of another one.
func TestProtectedPrefixesAreInOrder(t *testing.T) {
	request, response := oauthproxy.ProtectedNames()
	for _, names := range [][]string{request, response} {
		var last string
		for _, name := range names {
			prefix, isPrefix := strings.CutSuffix(name, "*")
			if canonical := http.CanonicalHeaderKey(prefix); canonical != prefix {
				t.Errorf("%s would never match, the canonical spelling is %s", prefix, canonical)
			}
			if !isPrefix {
				continue
			}
			if prefix <= last || last != "" && strings.HasPrefix(prefix, last) {
				t.Errorf("%s stands behind %s", prefix, last)
			}
			last = prefix
		}
	}
}
