package valkey

import (
	"errors"
	"maps"
	"strconv"
	"time"

	"cognito-token-handler/tokenhandler/replicas"
)

// record is a revocation in the form in which the stream holds it. Records can be
// compared.
type record struct {
	until, kind, name, before string
}

var errRecord = errors.New("malformed record of the deny list")

// maxMillis is the end of the year 9999 in Unix milliseconds.
const maxMillis = 253402300799999

// encode turns a revocation into a record. Times are rounded up to milliseconds, so
// that a revocation which was shared ends no fewer sessions than before. It returns an
// error if the revocation is malformed or its times are out of range.
func encode(e replicas.Revocation) (record, error) {
	if err := e.Check(); err != nil {
		return record{}, err
	}
	r := record{kind: string(e.Kind), name: e.Name}
	var ok bool
	if r.until, ok = millis(e.Until); !ok {
		return record{}, errRecord
	}
	if e.Before.IsZero() {
		return r, nil
	}
	if r.before, ok = millis(e.Before); !ok {
		return record{}, errRecord
	}
	return r, nil
}

func millis(t time.Time) (string, bool) {
	ms := t.Add(time.Millisecond - 1).UnixMilli()
	return strconv.FormatInt(ms, 10), ms > 0 && ms <= maxMillis
}

// fields returns the values of the record in the order of the revoke script.
func (r record) fields() []string { return []string{r.until, r.kind, r.name, r.before} }

// decode reads the fields of a stream entry. It accepts only what encode writes,
// because the store is not trusted.
func decode(fields map[string]string) (replicas.Revocation, error) {
	r := record{until: fields["until"], kind: fields["kind"], name: fields["name"], before: fields["before"]}
	if !maps.Equal(fields, map[string]string{"until": r.until, "kind": r.kind, "name": r.name, "before": r.before}) {
		return replicas.Revocation{}, errRecord
	}
	e := replicas.Revocation{Kind: replicas.Kind(r.kind), Name: r.name}
	var ok bool
	if e.Until, ok = parseMillis(r.until); !ok {
		return replicas.Revocation{}, errRecord
	}
	if r.before != "" {
		if e.Before, ok = parseMillis(r.before); !ok {
			return replicas.Revocation{}, errRecord
		}
	}
	return e, e.Check()
}

func parseMillis(text string) (time.Time, bool) {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil || ms <= 0 || ms > maxMillis || strconv.FormatInt(ms, 10) != text {
		return time.Time{}, false
	}
	return time.UnixMilli(ms), true
}
