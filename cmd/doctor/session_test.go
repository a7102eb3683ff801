package doctor_test

import (
	"bytes"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"cognito-token-handler/cmd/doctor"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
	"cognito-token-handler/tokenhandler/web"
)

// TestEveryCodeIsExplained compares the explanations with the reference of the HTTP
// interface and with the codes of the service.
func TestEveryCodeIsExplained(t *testing.T) {
	page, err := os.ReadFile("../../tokenhandler/HTTP.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| [45][0-9]{2} \\|").FindAllSubmatch(page, -1) {
		documented[string(row[1])] = true
	}
	for _, code := range web.Codes() {
		if !documented[string(code)] {
			t.Errorf("HTTP.md lacks %s, or has it in another form", code)
		}
	}
	if len(documented) < len(web.Codes())+6 {
		t.Errorf("only %d codes were found in HTTP.md", len(documented))
	}
	explained := doctor.Explanations()
	for code := range documented {
		if e := explained[code]; e[0] == "" || e[1] == "" {
			t.Errorf("%s is not explained", code)
		}
	}
	for code := range explained {
		if !documented[code] {
			t.Errorf("%s is explained, and HTTP.md does not have it", code)
		}
	}
}

func explain(t *testing.T, log, id string) string {
	t.Helper()
	var out bytes.Buffer
	found, err := doctor.ExplainRequest(strings.NewReader(log), &out, id)
	if err != nil || !found {
		t.Fatalf("%v, %v", found, err)
	}
	return out.String()
}

func wantText(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in:\n%s", part, text)
		}
	}
}

const logText = `{"time":"T0","level":"INFO","msg":"login","request_id":"r0","client_ip":"192.0.2.1","user_agent":"x","sub":"u1","session":"s1"}
{"time":"T1","level":"INFO","msg":"request","request_id":"r1","method":"GET","path":"/api/a","status":200,"session":"s1","sub":"u1"}
{"time":"T1","level":"INFO","msg":"request","request_id":"rx","method":"GET","path":"/api/a","status":502,"session":"s2","sub":"u1","error_code":"upstream_error","error":"planted other session"}
not JSON at all
{"time":"T2","level":"INFO","msg":"sessions revoked by an operator","kind":"user","name":"u1","operator":"ada","request_id":"r2"}
{"time":"T3","level":"INFO","msg":"logout","sub":"u2","session":"s3","request_id":"r3"}
Mar 04 host tokenhandler[1]: {"time":"T4","level":"WARN","msg":"request","request_id":"r4","method":"GET","path":"/api/b","status":401,"client_ip":"192.0.2.1","session":"s1","sub":"u1","error_code":"session_expired","error":"session_expired: the session is over; log in again: REVOKED"}
{"time":"T5","type":"audit","event":"session_ended","cause":"revoked","session":"s1","sub":"u1"}
{"time":"T6","level":"INFO","msg":"request","request_id":"r6","method":"GET","path":"/api/c","status":401,"session":"s1","sub":"u1"}
{"time":"T7","level":"WARN","msg":"login failed","reason":"trigger_refused","error":"the provider answered access_denied","request_id":"r7","description":"PreSignUp \u001b[31m failed"}
{"time":"T7","level":"INFO","msg":"request","request_id":"r7","method":"GET","path":"/auth/callback","status":303}
{"time":"T8","level":"INFO","msg":"request","request_id":"r8","method":"GET","path":"/api/d","status":401,"error_code":"brand_new","error":"x"}
`

func TestExplainRequest(t *testing.T) {
	log := strings.ReplaceAll(logText, "REVOKED", refresh.ErrRevoked.Error())
	text := explain(t, log, "r4")
	wantText(t, text, "GET \"/api/b\": 401 at T4, from 192.0.2.1", "session_expired: there was a session, and it has ended.", "Why: somebody ended it",
		"What to do: The user logs in again.", "The session s1 of the user \"u1\"", "T0 login", "T2 sessions revoked by an operator by ada", "T5 audit: session_ended revoked")
	for _, other := range []string{"planted other session", "T3 logout", "/api/a"} {
		if strings.Contains(text, other) {
			t.Errorf("%q is another session's:\n%s", other, text)
		}
	}
	wantText(t, explain(t, log, "r1"), "It was not refused.", `GET "/api/b": 401 session_expired`)
	wantText(t, explain(t, log, "r6"), "the status is the API's. It got the user's token and refused that")
	login := explain(t, log, "r7")
	wantText(t, login, "trigger_refused: a Lambda trigger", `The provider said: "PreSignUp \x1b[31m failed"`, "No session was opened")
	if strings.Contains(login, "\x1b") {
		t.Error("the text is not escaped")
	}
	wantText(t, explain(t, log, "r8"), `Its code is "brand_new", which this version does not know`)
}

// TestReasonsOfEndedSessions checks that the reasons which the log has are found in the
// text of its errors.
func TestReasonsOfEndedSessions(t *testing.T) {
	for want, err := range map[string]error{
		"session.idle_timeout": session.ErrIdle, "session.absolute_lifetime": session.ErrExpired, "different ones": session.ErrUnknownKey,
		"cut or changed": session.ErrUnreadable, "no session cookie": refresh.ErrNone,
		"logged in again": refresh.ErrReplaced, "newer cookie": refresh.ErrSuperseded, "an operator": refresh.ErrRevoked, "was disabled": refresh.ErrRejected,
	} {
		text := explain(t, `{"msg":"request","request_id":"r","status":401,"error_code":"session_expired","error":"session_expired: over: `+err.Error()+`"}`, "r")
		if _, why, _ := strings.Cut(text, "Why: "); !strings.Contains(why, want) {
			t.Errorf("%v: %s", err, text)
		}
	}
}

func TestLogsThatExplainNothing(t *testing.T) {
	long := strings.Repeat("x", 3<<20) + "\n"
	for name, tt := range map[string]struct {
		log   string
		found bool
		err   error
	}{
		"empty":           {"", false, doctor.ErrNoRecords},
		"text":            {"time=x level=INFO msg=request request_id=r\n", false, doctor.ErrNoRecords},
		"another request": {`{"msg":"request","request_id":"other"}`, false, nil},
		"a long line":     {long + `{"msg":"request","request_id":"r","status":200}` + "\n" + long, true, nil},
		"other types":     {`{"msg":5,"request_id":"r"}` + "\n" + `{"msg":"request","request_id":"r","status":200}`, true, nil},
	} {
		found, err := doctor.ExplainRequest(strings.NewReader(tt.log), &bytes.Buffer{}, "r")
		if found != tt.found || !errors.Is(err, tt.err) {
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
	if _, err := doctor.ExplainRequest(iotest.ErrReader(errors.New("disk")), &bytes.Buffer{}, "r"); err == nil {
		t.Error("a log that cannot be read was accepted")
	}
}

// TestLongSessions checks that a session with many records is told in bounds.
func TestLongSessions(t *testing.T) {
	log := strings.Repeat(`{"time":"T","msg":"probe without an answer, session kept","session":"s"}`+"\n", 250_000) +
		`{"time":"T","msg":"request","request_id":"r","status":200,"session":"s"}`
	text := explain(t, log, "r")
	wantText(t, text, " earlier records)")
	if lines := strings.Count(text, "\n"); lines > 40 {
		t.Errorf("%d lines", lines)
	}
}
