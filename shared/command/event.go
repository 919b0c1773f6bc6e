package command

import (
	"time"

	"chatconf/shared/document"
)

// EventType is the type of an Event.
const EventType = "chatconf.command.v1"

// EventMediaType is the media type of an Event's JSON.
const EventMediaType = "application/cloudevents+json"

// An Event is an allowed command for its target: a CloudEvent 1.0 in JSON.
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
// Only the tests use the CloudEvents SDK: it would make dispatch-command 0.6 MB larger.
//
// Its id is the record's and the same for every delivery, so that a target can recognise a
// duplicate. Its source is the configuration's resource name, its subject the command's name. The
// arguments are as the sender typed them.
type Event struct {
	ID     string
	Source string
	Time   time.Time // when the command was recorded
	Data   EventData
}

// EventData is the data of an Event.
type EventData struct {
	AccountID      string   `json:"accountId"`
	RegionID       string   `json:"regionId"`
	Configuration  string   `json:"configuration"`
	Platform       string   `json:"platform"`
	ConversationID string   `json:"conversationId"`
	Direct         bool     `json:"direct"`
	UserID         string   `json:"userId"`
	UserName       string   `json:"userName,omitempty"` // not authenticated
	Groups         []string `json:"groups"`
	Text           string   `json:"text"`
	Command        string   `json:"command"`
	Arguments      []string `json:"arguments"`
	RamRole        string   `json:"ramRole,omitempty"` // the role to run as
	MessageID      string   `json:"messageId"`
	SentDate       string   `json:"sentDate,omitempty"` // RFC 3339; absent if the platform does not say

	// Only of a declared action. Parameters is then set, and holds secrets.
	Action     string      `json:"action,omitempty"`
	Parameters TypedObject `json:"parameters,omitzero"`
	DryRun     bool        `json:"dryRun,omitempty"`
}

// MarshalJSON returns the event in the JSON format of CloudEvents.
func (e *Event) MarshalJSON() ([]byte, error) {
	return CloudEvent(e.ID, e.Source, EventType, e.Data.Command, e.Time, e.Data)
}

// CloudEvent returns an event in the JSON format of CloudEvents.
func CloudEvent(id, source, kind, subject string, at time.Time, data any) ([]byte, error) {
	return document.Encode(struct {
		SpecVersion     string `json:"specversion"`
		ID              string `json:"id"`
		Source          string `json:"source"`
		Type            string `json:"type"`
		Subject         string `json:"subject"`
		Time            string `json:"time"`
		DataContentType string `json:"datacontenttype"`
		Data            any    `json:"data"`
	}{"1.0", id, source, kind, subject, at.UTC().Format(time.RFC3339Nano), "application/json", data})
}
