package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"cognito-token-handler/tokenhandler/web"
)

// Level is how serious a finding is.
type Level string

// The levels.
const (
	Good Level = "good"
	// Warning is what may be a mistake, weakens a protection, or could not be looked at.
	Warning Level = "warning"
	// Fault is what keeps the service, or a part of it, from working.
	Fault Level = "fault"
)

// The areas of findings.
const (
	AreaConfig   = "config"
	AreaHost     = "host"
	AreaProvider = "provider"
	AreaClient   = "client"
	AreaUpstream = "upstream"
	AreaStore    = "store"
	AreaAWS      = "aws"
	AreaBucket   = "bucket"
)

// Finding is one result. It never contains a secret.
type Finding struct {
	Area  string `json:"area"`
	Level Level  `json:"level"`
	// What says what was found, and Cure what to do about it. A good finding has no cure.
	What string `json:"what"`
	Cure string `json:"cure,omitempty"`
}

func good(area, format string, args ...any) Finding {
	return Finding{Area: area, Level: Good, What: fmt.Sprintf(format, args...)}
}

func warning(area, what, cure string) Finding {
	return Finding{Area: area, Level: Warning, What: what, Cure: cure}
}

func fault(area, what, cure string) Finding {
	return Finding{Area: area, Level: Fault, What: what, Cure: cure}
}

// schema is the version of the JSON form. It changes when a field changes its meaning or
// goes away.
const schema = 1

// Report is all findings, in a fixed order.
type Report struct {
	Schema int `json:"schema"`
	// Level is that of the worst finding.
	Level    Level     `json:"level"`
	Findings []Finding `json:"findings"`
}

// NewReport returns the report of these findings.
func NewReport(findings []Finding) Report {
	r := Report{Schema: schema, Level: Good, Findings: make([]Finding, 0, len(findings))}
	for _, f := range findings {
		f.What, f.Cure = oneLine(f.What), oneLine(f.Cure)
		r.Findings = append(r.Findings, f)
	}
	for _, level := range []Level{Warning, Fault} {
		if r.count(level) > 0 {
			r.Level = level
		}
	}
	return r
}

func (r Report) count(level Level) (n int) {
	for _, f := range r.Findings {
		if f.Level == level {
			n++
		}
	}
	return n
}

// ExitCode is 0 if everything is good, 1 if there are warnings, and 2 if there are faults.
func (r Report) ExitCode() int { return slices.Index([]Level{Good, Warning, Fault}, r.Level) }

// WriteJSON writes the report as one JSON object.
func (r Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(r); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// WriteText writes the report for people, the cure of a finding below it.
func (r Report) WriteText(w io.Writer) error {
	var text strings.Builder
	for _, f := range r.Findings {
		_, _ = fmt.Fprintf(&text, "%-8s %-9s %s\n", f.Level, f.Area, f.What)
		if f.Cure != "" {
			_, _ = fmt.Fprintf(&text, "%-18s cure: %s\n", "", f.Cure)
		}
	}
	_, _ = fmt.Fprintf(&text, "\n%d good, %d warning(s), %d fault(s)\n", r.count(Good), r.count(Warning), r.count(Fault))
	if _, err := io.WriteString(w, text.String()); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

const (
	// maxText bounds the two texts of a finding, and maxQuoted a quotation in one, in bytes.
	maxText   = 1000
	maxQuoted = 200
)

// oneLine returns text without characters that do not print, and bounded. A terminal would
// obey some of them.
func oneLine(text string) string {
	return web.Excerpt(strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) || c == unicode.ReplacementChar {
			return ' '
		}
		return c
	}, text), maxText)
}

// quoted quotes text of another server, or of an operator, in ASCII.
func quoted(text string) string { return strconv.QuoteToASCII(web.Excerpt(text, maxQuoted)) }
