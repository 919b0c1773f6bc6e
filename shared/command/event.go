package command

import (
	"bytes"
	"encoding/json"
	"time"
)

// EventType is the type of a Event.
const EventType = "chatconf.command.v1"

// EventMediaType is the media type of a Event's JSON.
const EventMediaType = "application/cloudevents+json"

// A Event is an allowed command as its target gets it: a CloudEvent, version 1.0, in its JSON
// format. https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md The
// SDK for it, which tests read it with, would make the function dispatch-command 0.6 MB larger than
// its 8.7.
//
// Its id is the record's, the same however often the event is delivered, so that a target can tell
// what it did before. Its source is the configuration's resource name and its subject the command's
// name. It holds the arguments as they were typed.
type Event struct {
	ID     string
	Source string
	Time   time.Time // when the command was recorded
	Data   EventData
}

// EventData is the data of a Event.
type EventData struct {
	AccountID      string   `json:"accountId"`
	RegionID       string   `json:"regionId"`
	Configuration  string   `json:"configuration"`
	Platform       string   `json:"platform"`
	ConversationID string   `json:"conversationId"`
	Direct         bool     `json:"direct"`
	UserID         string   `json:"userId"`
	UserName       string   `json:"userName,omitempty"` // proves nothing
	Groups         []string `json:"groups"`
	Text           string   `json:"text"`
	Command        string   `json:"command"`
	Arguments      []string `json:"arguments"`
	RamRole        string   `json:"ramRole,omitempty"` // that the command is to run as
	MessageID      string   `json:"messageId"`
	SentDate       string   `json:"sentDate,omitempty"` // RFC 3339; absent where the platform does not say
}

// MarshalJSON returns the event in the JSON format of CloudEvents.
func (e *Event) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(struct {
		SpecVersion     string    `json:"specversion"`
		ID              string    `json:"id"`
		Source          string    `json:"source"`
		Type            string    `json:"type"`
		Subject         string    `json:"subject"`
		Time            string    `json:"time"`
		DataContentType string    `json:"datacontenttype"`
		Data            EventData `json:"data"`
	}{"1.0", e.ID, e.Source, EventType, e.Data.Command, e.Time.UTC().Format(time.RFC3339Nano),
		"application/json", e.Data})
	if err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
