package refresh

import "time"

// touchEvery is the shortest interval between two writes of the activity cookie.
const touchEvery = time.Minute

// Touch notes that the user is active now, unless that is known of the last minute.
func (r *RequestSession) Touch() {
	cfg := &r.manager.cfg
	if cfg.Now().Truncate(time.Second).Sub(r.activity.Active) >= min(touchEvery, cfg.Store.IdleTimeout()/4) {
		r.Prolong()
	}
}

// Prolong notes that the user is active now, to the second: the user has asked to stay
// logged in.
func (r *RequestSession) Prolong() {
	r.activity.Active, r.touched = r.manager.cfg.Now().Truncate(time.Second), true
}

// Probed is when the provider was last asked whether the user may still use the app.
// A request that runs at the same time may know of a later time.
func (r *RequestSession) Probed() time.Time { return r.activity.Probed }

// MarkProbed notes that the provider was asked.
func (r *RequestSession) MarkProbed(at time.Time) {
	r.activity.Probed, r.touched = at.Truncate(time.Second), true
}

// IdleExpires is when the session ends if the user does nothing.
func (r *RequestSession) IdleExpires() time.Time {
	idle := r.activity.Active.Add(r.manager.cfg.Store.IdleTimeout())
	if r.Session != nil && r.Session.Ends().Before(idle) {
		return r.Session.Ends()
	}
	return idle
}
