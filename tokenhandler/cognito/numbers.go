package cognito

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"time"
)

// maxNumber is the largest number of seconds that is read, and the largest up to
// which a float64 holds every whole number.
const maxNumber = 1 << 53

var errNumber = errors.New("not a number of seconds")

// numericDate is a time in seconds since 1970 (NumericDate, RFC 7519 §2). A fraction,
// which the RFC allows, is rounded down.
type numericDate int64

// UnmarshalJSON implements [json.Unmarshaler].
func (d *numericDate) UnmarshalJSON(raw []byte) error {
	seconds, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || math.Abs(seconds) > maxNumber {
		return errNumber
	}
	*d = numericDate(math.Floor(seconds))
	return nil
}

func (d numericDate) time() time.Time { return time.Unix(int64(d), 0) }

// wholeExpiry returns a token response whose expires_in is a whole number, because
// x/oauth2 refuses the response otherwise. A fraction is rounded down, but not to 0,
// which would mean that the lifetime is not told. A value that is no number stays.
func wholeExpiry(body []byte) []byte {
	var answer map[string]json.RawMessage
	if json.Unmarshal(body, &answer) != nil {
		return body
	}
	seconds, ok := number(answer["expires_in"])
	if !ok {
		return body
	}
	whole := math.Floor(seconds)
	if seconds > 0 {
		whole = max(1, whole)
	}
	whole = max(-1, min(whole, math.MaxInt32))
	if whole == seconds {
		return body
	}
	answer["expires_in"] = strconv.AppendInt(nil, int64(whole), 10)
	rounded, err := json.Marshal(answer)
	if err != nil {
		return body
	}
	return rounded
}

// number returns a JSON number. Some providers write it as a string.
func number(raw json.RawMessage) (float64, bool) {
	var n json.Number
	if len(raw) == 0 || json.Unmarshal(raw, &n) != nil {
		return 0, false
	}
	f, err := n.Float64()
	return f, err == nil
}
