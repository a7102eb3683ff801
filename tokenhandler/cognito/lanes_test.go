package cognito_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/tokenhandler/cognito"
)

// queue pushes calls that it reads from a text: r for a refresh, o for another call, a letter
// A to M for a login of that address, N to Z for one of an address whose codes were refused;
// each with a number. It returns the names of those that had to go.
func queue(l *cognito.Lanes, names ...string) (dropped []string) {
	for _, name := range names {
		lane, client := cognito.LaneLogin, of(name)
		switch name[0] {
		case 'r':
			lane, client = cognito.LaneRefresh, netip.Prefix{}
		case 'o':
			lane, client = cognito.LaneOther, netip.Prefix{}
		}
		if gone := l.Push(name, lane, client, name[0] >= 'N' && name[0] <= 'Z'); gone != "" {
			dropped = append(dropped, gone)
		}
	}
	return dropped
}

// of is the address of a login with this name.
func of(name string) netip.Prefix { return address(int(name[0])) }

// several returns names that begin with kind.
func several(kind string, n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprint(kind, i))
	}
	return names
}

// sent sends all calls that wait, and returns them with the milliseconds after which each
// was sent.
func sent(t *testing.T, l *cognito.Lanes, now time.Time) string {
	t.Helper()
	var got []string
	begun := now
	for l.Len() > 0 {
		name, wait := l.Next(now)
		if name == "" {
			if wait <= 0 || now.Sub(begun) > time.Minute {
				t.Fatalf("after %s neither a call nor a time to wait, but %s", now.Sub(begun), wait)
			}
			now = now.Add(wait)
			continue
		}
		got = append(got, fmt.Sprintf("%s:%d", name, now.Sub(begun).Milliseconds()))
	}
	return strings.Join(got, " ")
}

// names leaves out the times.
func names(sent string) string {
	fields := strings.Fields(sent)
	for i, field := range fields {
		fields[i], _, _ = strings.Cut(field, ":")
	}
	return strings.Join(fields, " ")
}

// TestOrderOfWaitingCalls: refreshes go first, and after twenty of them every fourth call is
// another. Among the others, calls of sessions and logins take turns, so do the logins of
// suspects and of others, and so do addresses.
func TestOrderOfWaitingCalls(t *testing.T) {
	const row = "r0 r1 r2 r3 r4 r5 r6 r7 r8 r9 r10 r11 r12 r13 r14 r15 r16 r17 r18 r19 "
	now := time.Now().Add(time.Minute) // suspects have saved up some of their part
	for want, calls := range map[string][]string{
		row + "o0 r20 r21 r22 S0 r23 r24 o1 A0 S1 B0 A1 A2": slices.Concat(
			several("r", 25), several("A", 3), several("B", 1), several("S", 2), several("o", 2)),
		row + "r20 r21 r22": several("r", 23),
		"o0 o1 o2":          several("o", 3),
		"o0 S0 o1 A0 o2":    slices.Concat(several("A", 1), several("S", 1), several("o", 3)),
		"S0 A0 S1 A1 S2":    slices.Concat(several("A", 2), several("S", 3)),
		"A0 B0 C0 A1 B1 A2": slices.Concat(several("A", 3), several("B", 2), several("C", 1)),
		"S0 T0 S1 T1 S2":    slices.Concat(several("S", 3), several("T", 2)),
		"r0 r1 A0 B0":       slices.Concat(several("A", 1), several("B", 1), several("r", 2)),
	} {
		l := cognito.NewLanes(1000)
		if dropped := queue(l, calls...); dropped != nil || l.Len() != len(calls) {
			t.Errorf("%q had to go, %d wait", dropped, l.Len())
		}
		if got := names(sent(t, l, now)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	// Refreshes that met no other call do not count for the next ones.
	l := cognito.NewLanes(1000)
	queue(l, several("r", 30)...)
	_ = sent(t, l, now)
	queue(l, append(several("A", 1), several("r", 3)...)...)
	if got := names(sent(t, l, now.Add(time.Minute))); got != "r0 r1 r2 A0" {
		t.Errorf("got %s", got)
	}
}

// TestTimesOfWaitingCalls, with 20 calls a second and a burst of four: refreshes may use all
// of it, others half, and suspects a quarter of the rate.
func TestTimesOfWaitingCalls(t *testing.T) {
	now := time.Now()
	for want, calls := range map[string][]string{
		"r0:0 r1:0 r2:0 r3:0 r4:50 r5:100": several("r", 6),
		"A0:0 A1:0 A2:50 A3:100":           several("A", 4),
		"o0:0 o1:0 o2:50 o3:100":           several("o", 4),
		"S0:0 S1:200 S2:400":               several("S", 3),
		"r0:0 r1:0 r2:0 r3:0 r4:50 A0:200": append(several("A", 1), several("r", 5)...), // the login leaves two to refreshes
		"o0:0 S0:0 o1:50 o2:100 S1:200":    append(several("S", 2), several("o", 3)...),
		"S0:0 A0:0 A1:50 A2:100 S1:200":    append(several("S", 2), several("A", 3)...),
	} {
		l := cognito.NewLanes(20)
		queue(l, calls...)
		if got := sent(t, l, now); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	slower := cognito.NewLanes(100)
	slower.SetRate(4)
	queue(slower, several("S", 3)...)
	if got := sent(t, slower, now); got != "S0:0 S1:1000 S2:2000" {
		t.Errorf("after the rate was lowered: %s", got)
	}
}

// TestRefreshesThatAlwaysWait: a login, whose turn it is after twenty of them, needs no more
// of the burst than they do. When it is a suspect's turn, and suspects have had their part, a
// refresh goes.
func TestRefreshesThatAlwaysWait(t *testing.T) {
	for other, want := range map[string]string{
		"A": "A0:0 r20:0 r21:0 r22:0 A1:50 r23:100 r24:150 r25:200 A2:250 r26:300 r27:350",
		"S": "S0:0 r20:0 r21:0 r22:0 r23:50 r24:100 r25:150 S1:200 r26:250 r27:300 S2:450",
	} {
		l, now := cognito.NewLanes(20), time.Now()
		queue(l, append(several(other, 3), several("r", 28)...)...)
		for i := range 20 {
			now = now.Add(time.Second)
			if name, _ := l.Next(now); name != fmt.Sprint("r", i) {
				t.Fatalf("%s is sent, and not r%d", name, i)
			}
		}
		if got := sent(t, l, now.Add(time.Second)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// TestFullLanes: when as many calls wait as may, the last one of the address with the most
// goes, or the new one if its own address has as many. Refreshes and others do not take each
// other's places.
func TestFullLanes(t *testing.T) {
	last := func(kind string, n int) string { return fmt.Sprint(kind, n-1) }
	const most, half = cognito.MaxWaiting, cognito.MaxWaiting / 2
	for name, c := range map[string]struct {
		waiting []string
		next    string
		dropped string
	}{
		"refreshes":                          {several("r", most), "rx", "rx"},
		"refreshes, and a login":             {several("r", most), "Ax", ""},
		"logins, and a refresh":              {several("A", most), "rx", ""},
		"one less":                           {several("A", most-1), "Ax", ""},
		"of the same address":                {several("A", most), "Ax", "Ax"},
		"of another address":                 {several("A", most), "Bx", last("A", most)},
		"of another address, a suspect":      {several("A", most), "Sx", last("A", most)},
		"suspects":                           {several("S", most), "Sx", "Sx"},
		"suspects, and a login":              {several("S", most), "Ax", last("S", most)},
		"suspects, and another":              {several("S", most), "Tx", last("S", most)},
		"suspects have most":                 {append(several("S", half+1), several("A", half-1)...), "Ax", last("S", half+1)},
		"logins have most":                   {append(several("S", half-1), several("A", half+1)...), "Sx", last("A", half+1)},
		"as many":                            {append(several("B", half), several("A", half)...), "Ax", "Ax"},
		"others":                             {several("A", most), "ox", last("A", most)},
		"others that are as many":            {append(several("A", half), several("o", half)...), "ox", "ox"},
		"others that are one less":           {append(several("A", half+1), several("o", half-1)...), "ox", last("A", half+1)},
		"the longest of several, of a login": {slices.Concat(several("A", 500), several("B", 900), several("C", 600)), "Ax", last("B", 900)},
	} {
		l := cognito.NewLanes(20)
		if dropped := queue(l, c.waiting...); dropped != nil {
			t.Errorf("%s: %d had to go before", name, len(dropped))
		}
		before := l.Len()
		if got := strings.Join(queue(l, c.next), " "); got != c.dropped {
			t.Errorf("%s: %q had to go, want %q", name, got, c.dropped)
		}
		want := before
		if c.dropped == "" {
			want++
		}
		if l.Len() != want {
			t.Errorf("%s: %d wait, want %d", name, l.Len(), want)
		}
	}
}

// TestCallsThatGiveUp leave their place, once, and the others keep theirs.
func TestCallsThatGiveUp(t *testing.T) {
	l := cognito.NewLanes(1000)
	queue(l, "r0", "r1", "r2", "o0", "o1", "A0", "A1", "A2", "B0", "C0", "S0", "S1", "T0")
	for _, name := range []string{"r1", "o0", "A0", "A2", "B0", "S0", "T0"} {
		before := l.Len()
		if !l.Remove(name) || l.Remove(name) || l.Len() != before-1 {
			t.Errorf("%s did not leave once", name)
		}
	}
	if got := names(sent(t, l, time.Now())); got != "r0 r2 o1 S1 A1 C0" {
		t.Errorf("got %s", got)
	}
	if l.Remove("A1") || l.Remove("r0") || l.Remove("o1") || l.Remove("S1") {
		t.Error("a call that was sent leaves")
	}
}

// TestLoginsMoveWithTheirAddress to the suspects and back.
func TestLoginsMoveWithTheirAddress(t *testing.T) {
	l, now := cognito.NewLanes(20), time.Now()
	queue(l, "A0", "B0", "A1", "A2", "B1")
	l.Move(of("A"), true)
	if got := sent(t, l, now); l.Len() != 0 || got != "A0:0 B0:0 B1:50 A1:200 A2:400" {
		t.Errorf("to the suspects: %s", got)
	}
	now = now.Add(time.Minute)
	queue(l, "S0", "S1", "T0", "S2", "o0")
	l.Move(of("S"), false)
	l.Move(of("A"), false) // of which none waits
	if got := sent(t, l, now); got != "o0:0 S0:0 T0:50 S1:100 S2:150" {
		t.Errorf("from the suspects: %s", got)
	}
}

// TestExpectedWait: with 20 calls a second and no tokens left. Calls other than refreshes leave
// two of the burst.
func TestExpectedWait(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		waiting []string
		next    string
		want    int // milliseconds
	}{
		"refresh":                           {nil, "r", 50},
		"refresh behind refreshes":          {append(several("r", 3), several("A", 9)...), "r", 200},
		"other":                             {nil, "o", 150},
		"other behind others":               {several("o", 4), "o", 350},
		"other, refreshes":                  {several("r", 2), "o", 250},
		"other, in turn with logins":        {slices.Concat(several("o", 2), several("A", 5)), "o", 350},
		"other, in turn with few logins":    {slices.Concat(several("o", 4), several("A", 1), several("S", 1)), "o", 450},
		"login":                             {nil, "A", 150},
		"login of the same address":         {several("A", 3), "A", 300},
		"login behind addresses":            {slices.Concat(several("B", 5), several("C", 5)), "A", 250},
		"second login behind addresses":     {slices.Concat(several("A", 1), several("B", 5), several("C", 1)), "A", 350},
		"login, in turn with others":        {slices.Concat(several("B", 1), several("o", 5)), "A", 250},
		"login, in turn with suspects":      {slices.Concat(several("A", 6), several("S", 9)), "A", 550},
		"login, in turn with few suspects":  {slices.Concat(several("A", 6), several("S", 1)), "A", 500},
		"login, refreshes":                  {several("r", 4), "A", 350},
		"suspect":                           {nil, "S", 150},
		"suspect behind suspects":           {several("S", 2), "S", 400}, // at five a second, of which one may go at once
		"suspect behind suspects, in turn":  {append(several("T", 5), several("U", 2)...), "S", 400},
		"suspect, refreshes":                {several("r", 20), "S", 1150},
		"suspect, whatever the other wants": {several("A", 50), "S", 150},
	} {
		l := cognito.NewLanes(20)
		queue(l, c.waiting...)
		l.Spend(now, 4)
		lane := map[byte]cognito.Lane{'r': cognito.LaneRefresh, 'o': cognito.LaneOther}
		kind, known := lane[c.next[0]]
		if !known {
			kind = cognito.LaneLogin
		}
		got := l.Expected(kind, of(c.next), c.next[0] >= 'N' && c.next[0] <= 'Z', now)
		if got.Milliseconds() != int64(c.want) {
			t.Errorf("%s: %s, want %d ms", name, got, c.want)
		}
	}
	full := cognito.NewLanes(20)
	if got := full.Expected(cognito.LaneLogin, of("A"), false, now); got != 0 {
		t.Errorf("with the whole burst: %s", got)
	}
}

// TestRefusedCodesOfAnAddress: they count for ten minutes after the last, an accepted code
// makes up for one of them, and eight for any number.
func TestRefusedCodesOfAnAddress(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		refused, accepted int
		again             time.Duration // after which another one is refused; 0 for none
		after             time.Duration
		want              bool
	}{
		"none":                                {0, 1, 0, 0, false},
		"one":                                 {1, 0, 0, 0, true},
		"one, and one accepted":               {1, 1, 0, 0, false},
		"three, and two accepted":             {3, 2, 0, 0, true},
		"three, and three accepted":           {3, 3, 0, 0, false},
		"many, and seven accepted":            {50, 7, 0, 0, true},
		"many, and eight accepted":            {50, 8, 0, 0, false},
		"for ten minutes":                     {1, 0, 0, 10*time.Minute - 1, true},
		"not longer":                          {1, 0, 0, 10 * time.Minute, false},
		"ten minutes after the last":          {1, 0, 9 * time.Minute, 10*time.Minute - 1, true},
		"when all are over, the count begins": {5, 1, 10 * time.Minute, 0, true},
	} {
		r, client, at := cognito.NewRefusals(), address(1), now
		for range c.refused {
			r.Note(client, true, at)
		}
		if c.again > 0 {
			at = at.Add(c.again)
			r.Note(client, true, at)
			if c.accepted > 0 { // the earlier ones count no more
				r.Note(client, false, at)
				if r.Suspects(client, at) {
					t.Errorf("%s: the earlier ones count", name)
				}
				continue
			}
		}
		for range c.accepted {
			r.Note(client, false, at)
		}
		if got := r.Suspects(client, at.Add(c.after)); got != c.want || r.Suspects(address(2), at) {
			t.Errorf("%s: suspected %v", name, got)
		}
	}
}

// TestRememberedAddressesAreBounded: those whose time is over go first, and then any.
func TestRememberedAddressesAreBounded(t *testing.T) {
	r, now := cognito.NewRefusals(), time.Now()
	r.Note(netip.Prefix{}, true, now)
	if r.Suspects(netip.Prefix{}, now) || r.Len() != 0 {
		t.Error("a client whose address is not known is suspected")
	}
	for i := range cognito.MaxRefusals {
		at := now
		if i%2 == 0 {
			at = now.Add(time.Minute)
		}
		r.Note(address(i), true, at)
	}
	r.Note(address(0), true, now)
	r.Note(address(1), false, now.Add(time.Second)) // it is forgotten
	r.Note(address(1), true, now.Add(time.Second))
	if r.Len() != cognito.MaxRefusals {
		t.Errorf("%d addresses, of which all were known", r.Len())
	}
	r.Note(address(100_000), true, now.Add(time.Second))
	if r.Len() != cognito.MaxRefusals || !r.Suspects(address(100_000), now.Add(time.Second)) {
		t.Errorf("%d addresses when there are too many", r.Len())
	}
	r.Note(address(100_001), true, now.Add(10*time.Minute+2*time.Second))
	if n := r.Len(); n < cognito.MaxRefusals/2-2 || n > cognito.MaxRefusals/2+2 {
		t.Errorf("%d addresses when the time of half of them is over", n)
	}
}
