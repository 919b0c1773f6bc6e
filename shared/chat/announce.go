package chat

import (
	"fmt"

	"chatconf/shared/announce"
	"chatconf/shared/command"
	"chatconf/shared/table"
)

// The types of the events of changes, by the action that made the change. All others are updates.
const (
	eventCreated = "chatconf.configuration.created.v1"
	eventUpdated = "chatconf.configuration.updated.v1"
	eventDeleted = "chatconf.configuration.deleted.v1"
	eventRotated = "chatconf.configuration.rotated.v1"
)

var eventTypes = map[string]string{
	actionCreate: eventCreated,
	actionDelete: eventDeleted,
	actionRotate: eventRotated,
}

// eventData is the data of the event of a change. It has the words of command.EventData.
type eventData struct {
	AccountID     string `json:"accountId"`
	RegionID      string `json:"regionId"`
	Configuration string `json:"configuration"` // its name
	Platform      string `json:"platform"`      // its Type
	Revision      int64  `json:"revision"`
	Action        string `json:"action"`
	Caller        string `json:"caller"` // the access key id, or the caller's name without one
	SourceAddress string `json:"sourceAddress,omitempty"`
	RequestID     string `json:"requestId,omitempty"`
	Date          string `json:"date"` // like every date of the API
}

// eventPut returns the put of the event of an entry of history.
func (c scope) eventPut(how revision) (table.Put, error) {
	of := c.ref(how.record)
	kind, ok := eventTypes[how.Action]
	if !ok {
		kind = eventUpdated
	}
	event, err := command.CloudEvent(announce.ID(of, how.Revision), c.resource(of.Name), kind, of.Name, how.At,
		eventData{
			AccountID:     of.Account,
			RegionID:      of.Region,
			Configuration: of.Name,
			Platform:      how.Type,
			Revision:      how.Revision,
			Action:        how.Action,
			Caller:        how.Actor,
			SourceAddress: how.SourceIP,
			RequestID:     how.RequestID,
			Date:          date(how.At),
		})
	if err != nil {
		return table.Put{}, fmt.Errorf("chat: encode the event of %q: %w", of.Name, err)
	}
	return announce.Put(of, how.Revision, how.At, event)
}
