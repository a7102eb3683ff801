package valkey

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"cognito-token-handler/tokenhandler/replicas"
)

// record is a revocation in the form in which the stream holds it. Records can be
// compared.
type record struct {
	until, kind, name, before string
	// role is empty, [roleOperator] or [roleLifted].
	role string
}

// Two kinds of stream entries hold an operator's revocation, sealed: one says that an
// operator made it, the other that it was taken back. Before the former, no release knew
// them. Replicas of such a release warn, and skip them. So the revocation itself follows
// as an entry that they understand, and stays in force there when it is taken back.
const (
	roleOperator = "operator"
	roleLifted   = "lifted"
)

// sealName is the name under which operators' revocations are sealed. Somebody who writes
// to the store must not be able to forge that one was taken back.
const sealName = "revocation"

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
	r := record{kind: string(e.Kind), name: e.Name, role: roleOf(e)}
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

func roleOf(e replicas.Revocation) string {
	switch {
	case e.Lifted:
		return roleLifted
	case e.Operator:
		return roleOperator
	}
	return ""
}

// fields returns the values of the record's stream entries in the order of the revoke
// script.
func (r record) fields(sealer Sealer) ([]string, error) {
	plain := []string{r.until, r.kind, r.name, r.before}
	if r.role == "" {
		return plain, nil
	}
	text, err := sealer.Encode(sealName, []byte(strings.Join([]string{r.role, r.kind, r.until, r.before, r.name}, " ")))
	if err != nil {
		return nil, fmt.Errorf("sealing a revocation: %w", err)
	}
	sealed := []string{r.until, r.role, text, ""}
	if r.role == roleLifted {
		return sealed, nil
	}
	return append(sealed, plain...), nil
}

// unseal returns the record that the sealed text of a stream entry holds.
func unseal(sealer Sealer, role, text, until string) (record, error) {
	var plain []byte
	if err := sealer.Decode(sealName, text, &plain); err != nil {
		return record{}, fmt.Errorf("%w: %w", errRecord, err)
	}
	parts := strings.SplitN(string(plain), " ", 5)
	if len(parts) != 5 || parts[0] != role || parts[2] != until {
		return record{}, errRecord
	}
	return record{role: role, kind: parts[1], until: until, before: parts[3], name: parts[4]}, nil
}

// decode reads the fields of a stream entry. It accepts only what encode writes,
// because the store is not trusted.
func decode(sealer Sealer, fields map[string]string) (replicas.Revocation, error) {
	r := record{until: fields["until"], kind: fields["kind"], name: fields["name"], before: fields["before"]}
	if !maps.Equal(fields, map[string]string{"until": r.until, "kind": r.kind, "name": r.name, "before": r.before}) {
		return replicas.Revocation{}, errRecord
	}
	if r.kind == roleOperator || r.kind == roleLifted {
		var err error
		if r, err = unseal(sealer, r.kind, r.name, r.until); err != nil || fields["before"] != "" {
			return replicas.Revocation{}, cmp.Or(err, errRecord)
		}
	}
	e := replicas.Revocation{Kind: replicas.Kind(r.kind), Name: r.name, Operator: r.role != "", Lifted: r.role == roleLifted}
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
