package audit

import "time"

// The numbers of the Open Cybersecurity Schema Framework, version 1.3.0, class
// Authentication.
const (
	ocsfVersion        = "1.3.0"
	ocsfCategory       = 3 // Identity & Access Management
	ocsfAuthentication = 3002
	ocsfLogon          = 1
	ocsfLogoff         = 2
	ocsfOther          = 99
	ocsfSuccess        = 1
	ocsfFailure        = 2
	ocsfInformational  = 1
	ocsfMedium         = 3
	ocsfOpenID         = 4
)

// ocsfEvent is an event of the class Authentication (3002), as Amazon Security Lake takes
// it. What the class has no attribute for is in Unmapped.
type ocsfEvent struct {
	CategoryUID    int               `json:"category_uid"`
	ClassUID       int               `json:"class_uid"`
	TypeUID        int               `json:"type_uid"`
	ActivityID     int               `json:"activity_id"`
	ActivityName   string            `json:"activity_name"`
	SeverityID     int               `json:"severity_id"`
	StatusID       int               `json:"status_id"`
	StatusDetail   string            `json:"status_detail,omitempty"`
	Time           int64             `json:"time"`
	Count          int               `json:"count,omitempty"`
	StartTime      int64             `json:"start_time,omitempty"`
	EndTime        int64             `json:"end_time,omitempty"`
	AuthProtocolID int               `json:"auth_protocol_id"`
	IsRemote       bool              `json:"is_remote"`
	Message        string            `json:"message"`
	Metadata       ocsfMetadata      `json:"metadata"`
	User           ocsfUser          `json:"user"`
	Session        *ocsfUID          `json:"session,omitempty"`
	SrcEndpoint    *ocsfEndpoint     `json:"src_endpoint,omitempty"`
	DstEndpoint    *ocsfEndpoint     `json:"dst_endpoint,omitempty"`
	HTTPRequest    *ocsfRequest      `json:"http_request,omitempty"`
	Service        ocsfService       `json:"service"`
	Unmapped       map[string]string `json:"unmapped,omitempty"`
}

type ocsfMetadata struct {
	Version        string      `json:"version"`
	Product        ocsfProduct `json:"product"`
	EventCode      string      `json:"event_code"`
	CorrelationUID string      `json:"correlation_uid,omitempty"`
}

type ocsfProduct struct {
	Name       string `json:"name"`
	VendorName string `json:"vendor_name"`
	Version    string `json:"version,omitempty"`
}

type ocsfUser struct {
	UID string `json:"uid"`
}

type ocsfUID struct {
	UID string `json:"uid"`
}

type ocsfEndpoint struct {
	IP       string `json:"ip,omitempty"`
	Hostname string `json:"hostname,omitempty"`
}

type ocsfRequest struct {
	UID       string `json:"uid,omitempty"`
	UserAgent string `json:"user_agent,omitempty"`
}

type ocsfService struct {
	Name string `json:"name"`
}

// ocsf maps an event.
func (t *Trail) ocsf(e *Event, now time.Time) ocsfEvent {
	activity, name := ocsfOther, e.Name
	switch e.Name {
	case Login, LoginFailed:
		activity, name = ocsfLogon, "Logon"
	case Logout, SessionEnded:
		activity, name = ocsfLogoff, "Logoff"
	}
	out := ocsfEvent{
		CategoryUID: ocsfCategory, ClassUID: ocsfAuthentication, TypeUID: ocsfAuthentication*100 + activity,
		ActivityID: activity, ActivityName: name, SeverityID: ocsfInformational, StatusID: ocsfSuccess, StatusDetail: e.Cause,
		Time: now.UnixMilli(), AuthProtocolID: ocsfOpenID, IsRemote: true, Message: e.Name,
		Metadata: ocsfMetadata{
			Version: ocsfVersion, EventCode: e.Name, CorrelationUID: e.RequestID,
			Product: ocsfProduct{Name: "tokenhandler", VendorName: "cognito-token-handler", Version: t.cfg.Version},
		},
		User: ocsfUser{UID: e.Subject}, Service: ocsfService{Name: "tokenhandler"},
		Unmapped: unmapped(e),
	}
	if e.Failed {
		out.StatusID, out.SeverityID = ocsfFailure, ocsfMedium
	}
	if e.Count > 0 {
		out.Count, out.StartTime, out.EndTime = e.Count, e.Since.UnixMilli(), out.Time
	}
	if e.Session != "" {
		out.Session = &ocsfUID{UID: e.Session}
	}
	if t.cfg.Replica != "" { // else the object would be empty, which the schema refuses
		out.DstEndpoint = &ocsfEndpoint{Hostname: t.cfg.Replica}
	}
	if e.ClientIP != "" {
		out.SrcEndpoint = &ocsfEndpoint{IP: e.ClientIP}
	}
	if e.RequestID != "" {
		out.HTTPRequest = &ocsfRequest{UID: e.RequestID, UserAgent: e.UserAgent}
	}
	return out
}

// unmapped are the fields for which the class has no attribute.
func unmapped(e *Event) map[string]string {
	fields := map[string]string{
		"identity_provider": e.IdentityProvider, "requested_identity_provider": e.RequestedIdentityProvider, "by": e.By, "target": e.Target, "reason": e.Reason, "trace_id": e.TraceID,
	}
	for name, value := range fields {
		if value == "" {
			delete(fields, name)
		}
	}
	return fields
}
