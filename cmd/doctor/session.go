package doctor

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// record holds the fields of a record of the log, or of the audit trail, that explain
// something.
type record struct {
	Time          string `json:"time"`
	Msg           string `json:"msg"`
	Event         string `json:"event"` // of the audit trail
	Cause         string `json:"cause"`
	RequestID     string `json:"request_id"`
	Method        string `json:"method"`
	Path          string `json:"path"`
	Status        int    `json:"status"`
	ClientIP      string `json:"client_ip"`
	Session       string `json:"session"`
	Sub           string `json:"sub"`
	Name          string `json:"name"` // of what an operator has revoked
	Operator      string `json:"operator"`
	ErrorCode     string `json:"error_code"`
	Reason        string `json:"reason"` // the code of a failed login, or an operator's words
	Error         string `json:"error"`
	Description   string `json:"description"`
	InterruptedBy string `json:"interrupted_by"`
}

const (
	// maxLine bounds a line of the log. Records of the service are far shorter.
	maxLine = 1 << 20
	// maxKept bounds the records that are kept because their session may be the one.
	maxKept = 100_000
	// maxTold bounds what is told about the session.
	maxTold = 30
)

// reading is what is remembered of a log.
type reading struct {
	id      string
	request *record // the record of the request itself
	login   *record // that of a login that failed in it
	others  []record
	records int
}

// ErrNoRecords means that the log has no line that is a JSON object.
var ErrNoRecords = errors.New("no line is a JSON object: set log.format: json")

// ExplainRequest reads the records of a log from r, and writes in words to w why the request
// with this id ended as it did, and what else the log says about its session. It reports
// false if the log does not have that request.
func ExplainRequest(r io.Reader, w io.Writer, id string) (found bool, err error) {
	log := &reading{id: id}
	if err := eachLine(r, log.add); err != nil {
		return false, fmt.Errorf("reading the log: %w", err)
	}
	if log.records == 0 {
		return false, ErrNoRecords
	}
	if log.request == nil && log.login == nil {
		return false, nil
	}
	if _, err := io.WriteString(w, log.explain()); err != nil {
		return true, fmt.Errorf("writing the explanation: %w", err)
	}
	return true, nil
}

// eachLine calls use with each line. It skips those that are too long.
func eachLine(r io.Reader, use func(line []byte)) error {
	lines := bufio.NewReaderSize(r, maxLine)
	skip := false
	for {
		line, err := lines.ReadSlice('\n')
		if !skip && !errors.Is(err, bufio.ErrBufferFull) {
			use(line)
		}
		skip = errors.Is(err, bufio.ErrBufferFull)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !skip:
			return err
		}
	}
}

// add notes what a line says. journald and Kubernetes write prefixes before records.
func (l *reading) add(line []byte) {
	begin := bytes.IndexByte(line, '{')
	if begin < 0 {
		return
	}
	var r record
	if json.Unmarshal(line[begin:], &r) != nil {
		return
	}
	l.records++
	switch {
	case r.RequestID == l.id && r.Msg == "request":
		l.request = &r
	case r.RequestID == l.id && r.Msg == "login failed":
		l.login = &r
	case r.Msg == "request" && r.ErrorCode == "" && r.InterruptedBy == "":
	case r.Session != "" || r.Sub != "" || r.Name != "":
		l.others = append(l.others, r)
		if len(l.others) == maxKept {
			l.others = append([]record(nil), l.others[maxKept/2:]...)
		}
	}
}

// explain returns the explanation.
func (l *reading) explain() string {
	var text strings.Builder
	if l.request != nil {
		l.describe(&text)
	}
	code, detail := l.code()
	if code == "" {
		text.WriteString(unrefused(l.request))
	} else {
		explainCode(&text, code, detail)
	}
	if l.login != nil && l.login.Description != "" {
		_, _ = fmt.Fprintf(&text, "The provider said: %s\n", quoted(l.login.Description))
	}
	l.tellSession(&text)
	return text.String()
}

// describe writes what the request was.
func (l *reading) describe(text *strings.Builder) {
	r := l.request
	_, _ = fmt.Fprintf(text, "%s %s: %d at %s", oneLine(r.Method), quoted(r.Path), r.Status, oneLine(r.Time))
	if r.ClientIP != "" {
		_, _ = fmt.Fprintf(text, ", from %s", oneLine(r.ClientIP))
	}
	text.WriteString("\n")
	if r.InterruptedBy != "" {
		_, _ = fmt.Fprintf(text, "The response was broken off by: %s.\n", oneLine(r.InterruptedBy))
	}
}

// code returns the error code of the request, and the text with it.
func (l *reading) code() (code, detail string) {
	if l.login != nil {
		return l.login.Reason, l.login.Error
	}
	return l.request.ErrorCode, l.request.Error
}

// unrefused explains a request that this service did not refuse.
func unrefused(r *record) string {
	switch {
	case r.Status == http.StatusUnauthorized, r.Status == http.StatusForbidden:
		return "The service did not refuse it: the status is the API's. It got the user's token and refused that: compare the audience, the issuer and the scopes that it expects with those of the token.\n"
	case r.Status >= http.StatusBadRequest:
		return "The service did not refuse it: the status is the API's.\n"
	}
	return "It was not refused.\n"
}

func explainCode(text *strings.Builder, code, detail string) {
	e, known := explanations()[code]
	if !known {
		_, _ = fmt.Fprintf(text, "Its code is %s, which this version does not know.\n", quoted(code))
	} else {
		_, _ = fmt.Fprintf(text, "%s: %s\n", code, e.means)
	}
	for _, reason := range reasons() {
		if strings.Contains(detail, reason.err.Error()) {
			_, _ = fmt.Fprintf(text, "Why: %s\n", reason.means)
			break
		}
	}
	if detail != "" {
		_, _ = fmt.Fprintf(text, "In the log: %s\n", oneLine(detail))
	}
	if known {
		_, _ = fmt.Fprintf(text, "What to do: %s\n", e.next)
	}
}

// reason is why a session does not count, as the log has it.
type reason struct {
	err   error
	means string
}

func reasons() []reason {
	return []reason{
		{session.ErrIdle, "the session had no request for session.idle_timeout."},
		{session.ErrExpired, "session.absolute_lifetime is over, or the lifetime of the refresh token."},
		{session.ErrUnknownKey, "no key of this replica opens the cookie: the key was removed, or the replicas have different ones."},
		{session.ErrUnreadable, "the cookie does not open: it was cut or changed, or is that of another issuer, client or service."},
		{refresh.ErrNone, "the browser sent no session cookie."},
		{refresh.ErrReplaced, "the browser has logged in again, and this request still had the cookie of before."},
		{refresh.ErrSuperseded, "the browser has a newer cookie of this session."},
		{refresh.ErrRevoked, "somebody ended it: the user by a logout, or an operator."},
		{refresh.ErrRejected, "the provider refused the refresh token: the user was disabled or signed out there, or the token was used twice."},
	}
}

// tellSession writes what else the log says about the session of the request.
func (l *reading) tellSession(text *strings.Builder) {
	of := l.request
	if of == nil || of.Session == "" {
		text.WriteString("\nNo session was opened in it.\n")
		return
	}
	_, _ = fmt.Fprintf(text, "\nThe session %s of the user %s, elsewhere in the log:\n", oneLine(of.Session), quoted(of.Sub))
	var told []string
	for i := range l.others {
		if o := &l.others[i]; o.concerns(of) {
			told = append(told, o.line())
		}
	}
	if len(told) == 0 {
		text.WriteString("  nothing\n")
	}
	if more := len(told) - maxTold; more > 0 {
		_, _ = fmt.Fprintf(text, "  (%d earlier records)\n", more)
		told = told[more:]
	}
	for _, line := range told {
		text.WriteString("  " + line + "\n")
	}
}

// concerns reports whether a record is about the session of the request, or about all
// sessions of its user.
func (r *record) concerns(of *record) bool {
	ofUser := of.Sub != "" && (r.Sub == of.Sub && r.Session == "" || r.Name == of.Sub)
	return r.Session == of.Session || r.Name == of.Session || ofUser
}

// line is the record in one line.
func (r *record) line() string {
	parts := []string{r.Time}
	switch {
	case r.Msg == "request":
		parts = append(parts, fmt.Sprintf("%s %s: %d", r.Method, quoted(r.Path), r.Status), r.ErrorCode)
	case r.Event != "":
		parts = append(parts, "audit: "+r.Event, r.Cause)
	default:
		parts = append(parts, r.Msg, r.Reason)
	}
	if r.Operator != "" {
		parts = append(parts, "by "+r.Operator)
	}
	parts = append(parts, r.Error)
	var text strings.Builder
	for _, part := range parts {
		if part != "" {
			text.WriteString(" " + part)
		}
	}
	return strings.TrimSpace(oneLine(text.String()))
}
