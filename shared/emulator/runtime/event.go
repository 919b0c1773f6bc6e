package runtime

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// A Shape is the format in which an event source sends messages to a function.
type Shape string

// The shapes and their event sources.
const (
	Direct     Shape = "direct"     // the message itself, as a caller of Invoke sends it
	SQS        Shape = "sqs"        // Lambda: a batch of an SQS queue
	MNS        Shape = "mns"        // FC: a batch of an MNS queue
	CloudEvent Shape = "cloudevent" // EventBridge of either cloud
	Timer      Shape = "timer"      // a time trigger of FC, or a schedule of AWS EventBridge
)

// A Message is the content of an event.
type Message struct {
	ID   string // the id of the message, the same at every delivery. Empty means a new one
	Body []byte // text for a queue or an FC timer; any bytes for Direct on FC; otherwise JSON
}

// Event returns messages in the format of an event source, as the payload of an invocation. Queues
// take one or more messages, the other shapes exactly one. It returns an error if the function's
// cloud does not have the shape, or if the shape cannot hold the messages.
func (h *Host) Event(function string, s Shape, messages ...Message) ([]byte, error) {
	p, err := h.pool(function)
	if err != nil {
		return nil, err
	}
	messages = slices.Clone(messages)
	for i, m := range messages {
		switch {
		case s == Direct && p.fn.Kind == FC:
		case s == SQS || s == MNS || s == Timer && p.fn.Kind == FC:
			if !utf8.Valid(m.Body) {
				return nil, fmt.Errorf("runtime: message %d is not UTF-8 text; an event of shape %s carries only text",
					i, s)
			}
		case !json.Valid(m.Body):
			return nil, fmt.Errorf("runtime: message %d is not JSON; an event of shape %s on %s carries "+
				"only JSON", i, s, p.cloud.title)
		}
		if m.ID == "" {
			messages[i].ID = h.o.NewID(p.fn.Kind)
		}
	}
	e := source{fn: &p.fn, now: p.now().UTC()}
	batch := s == SQS || s == MNS
	if len(messages) == 0 || len(messages) > 1 && !batch {
		return nil, fmt.Errorf("runtime: %d messages do not fit one event of shape %s; give one message, or more "+
			"for a queue", len(messages), s)
	}
	var event any
	switch {
	case s == Direct:
		return messages[0].Body, nil
	case s == SQS && p.fn.Kind == Lambda:
		event = e.sqs(messages)
	case s == MNS && p.fn.Kind == FC:
		event = e.list(messages, e.mns)
	case s == CloudEvent && p.fn.Kind == FC:
		event = e.cloudEvent(messages[0].ID, "local", "com.example.message", json.RawMessage(messages[0].Body))
	case s == CloudEvent:
		event = e.eventBridge(messages[0], "com.example.local", "Message", []string{})
	case s == Timer && p.fn.Kind == FC:
		event = map[string]any{"triggerTime": e.now.Format(time.RFC3339), "triggerName": "local-timer",
			"payload": string(messages[0].Body)}
	case s == Timer:
		rule := "arn:aws:events:" + p.fn.Region + ":" + p.fn.Account + ":rule/local-timer"
		event = e.eventBridge(messages[0], "aws.events", "Scheduled Event", []string{rule})
	default:
		return nil, fmt.Errorf("runtime: unknown shape %q for %s", s, p.fn.Kind)
	}
	text, err := json.Marshal(event)
	if err != nil {
		return nil, fmt.Errorf("runtime: event: %w", err)
	}
	return text, nil
}

// A source makes the events for one function.
type source struct {
	fn  *Function
	now time.Time
}

// sqs follows https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html.
func (s source) sqs(messages []Message) any {
	sent := strconv.FormatInt(s.now.UnixMilli(), 10)
	records := make([]any, len(messages))
	for i, m := range messages {
		sum := md5.Sum(m.Body) // SQS messages contain it
		records[i] = map[string]any{
			"messageId": m.ID, "receiptHandle": "handle-" + m.ID, "body": string(m.Body),
			"md5OfBody": hex.EncodeToString(sum[:]),
			"attributes": map[string]string{
				"ApproximateReceiveCount": "1", "SentTimestamp": sent, "SenderId": s.fn.Account,
				"ApproximateFirstReceiveTimestamp": sent,
			},
			"messageAttributes": map[string]any{}, "eventSource": "aws:sqs",
			"eventSourceARN": "arn:aws:sqs:" + s.fn.Region + ":" + s.fn.Account + ":local-queue",
			"awsRegion":      s.fn.Region,
		}
	}
	return map[string]any{"Records": records}
}

// list returns a batch of an EventBridge event stream. MNS triggers use that format.
func (s source) list(messages []Message, one func(Message) any) any {
	events := make([]any, len(messages))
	for i, m := range messages {
		events[i] = one(m)
	}
	return events
}

// cloudEvent returns a CloudEvent 1.0 with EventBridge's attributes:
// https://www.alibabacloud.com/help/en/eventbridge/user-guide/event-overview.
func (s source) cloudEvent(id, from, kind string, data any) map[string]any {
	at := s.now.Format("2006-01-02T15:04:05.000Z07:00")
	return map[string]any{
		"id": id, "source": from, "specversion": "1.0", "type": kind,
		"datacontenttype": "application/json; charset=utf-8",
		"subject":         "acs:" + s.fn.Region + ":" + s.fn.Account + ":local", "time": at,
		"aliyunaccountid": s.fn.Account, "aliyunpublishtime": at, "aliyunoriginalaccountid": s.fn.Account,
		"aliyuneventbusname": from, "aliyunregionid": s.fn.Region, "aliyunpublishaddr": "127.0.0.1", "data": data,
	}
}

// mns follows
// https://www.alibabacloud.com/help/en/functioncompute/fc/formats-of-event-for-different-triggers.
func (s source) mns(m Message) any {
	return s.cloudEvent(m.ID, "MNS-Function-local", "mns:Queue:SendMessage",
		map[string]any{"requestId": m.ID, "messageId": m.ID, "messageBody": string(m.Body)})
}

// eventBridge follows
// https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html.
func (s source) eventBridge(m Message, from, kind string, resources []string) any {
	return map[string]any{
		"version": "0", "id": m.ID, "detail-type": kind, "source": from, "account": s.fn.Account,
		"time":   s.now.Format(time.RFC3339),
		"region": s.fn.Region, "resources": resources, "detail": json.RawMessage(m.Body),
	}
}
