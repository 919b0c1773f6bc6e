package chat

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"chatconf/shared/announce"
	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/table"
)

// eventData is the data of the event of a change. It has the words of command.EventData.
type eventData struct {
	AccountID     string        `json:"accountId"`
	RegionID      string        `json:"regionId"`
	Configuration string        `json:"configuration"` // its name
	Platform      string        `json:"platform"`      // its Type
	Revision      int64         `json:"revision"`
	Operation     Operation     `json:"operation"`
	Action        string        `json:"action"`
	Caller        string        `json:"caller"` // the access key id, or the caller's name without one
	SourceAddress string        `json:"sourceAddress,omitempty"`
	RequestID     string        `json:"requestId,omitempty"`
	Date          string        `json:"date"` // like every date of the API
	Changes       []eventChange `json:"changes"`
}

// eventChange is a Change in an event.
type eventChange struct {
	Path   string  `json:"path"`
	Before *string `json:"before,omitempty"`
	After  *string `json:"after,omitempty"`
}

// maxEventChanges is the maximum size of the changes in an event, in bytes. The rest of an event is
// small enough for announce.MaxEvent.
const maxEventChanges = announce.MaxEvent - 8<<10

// markup are the characters that have up to four bytes more in the XML of a topic's message.
var markup = [...]string{"&", "<", ">"}

// eventType returns the type of an event: chatconf.configuration.created.v1.
func eventType(o Operation) string {
	return "chatconf.configuration." + strings.ToLower(string(o)) + ".v1"
}

// eventPut returns the put of the event of a step, whose entry of history is complete.
func (s *Service) eventPut(c scope, how revision, before *record) (table.Put, error) {
	changes, err := s.changes(c, cmp.Or(before, how.over), how.record)
	if err != nil {
		return table.Put{}, err
	}
	of := c.ref(how.record)
	event, err := command.CloudEvent(announce.ID(of, how.Revision), c.resource(of.Name), eventType(how.operation()),
		of.Name, how.At, eventData{
			AccountID:     of.Account,
			RegionID:      of.Region,
			Configuration: of.Name,
			Platform:      how.Type,
			Revision:      how.Revision,
			Operation:     how.operation(),
			Action:        how.Action,
			Caller:        how.Actor,
			SourceAddress: how.SourceIP,
			RequestID:     how.RequestID,
			Date:          date(how.At),
			Changes:       eventChanges(changes),
		})
	if err != nil {
		return table.Put{}, fmt.Errorf("chat: encode the event of %q: %w", of.Name, err)
	}
	return announce.Put(of, how.Revision, how.At, event)
}

// eventChanges returns the changes that fit into an event. If some do not, the last one says how
// many.
func eventChanges(changes []Change) []eventChange {
	out, size := []eventChange{}, 0
	for i, ch := range changes {
		text := string(document.Marshal(eventChange(ch)))
		size += len(text) + 1
		for _, c := range markup {
			size += 4 * strings.Count(text, c)
		}
		if size <= maxEventChanges {
			out = append(out, eventChange(ch))
			continue
		}
		more := len(changes) - i
		if last := changes[len(changes)-1]; last.Path == MoreChanges {
			beyond, _, _ := strings.Cut(*last.After, " ")
			n, _ := strconv.Atoi(beyond) // moreChanges wrote it
			more += n - 1
		}
		return append(out, eventChange(moreChanges(more)))
	}
	return out
}
