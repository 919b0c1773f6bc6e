package serve

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxRecords is how many records one delivery may have. Both clouds give at most 10,000: the batch
// size of an SQS event source mapping and the batch push of an EventBridge event stream.
const maxRecords = 10_000

// Events are the messages of one payload.
type Events struct {
	Door    Door
	Records []Record
	List    bool // the payload was a list of messages, and its answer is one of results
	Ordered bool // a message must not be done before one ahead of it that failed: an SQS FIFO queue
}

// A Record is one message of a payload. Of one with an Err, ID may be empty and Data is.
type Record struct {
	Event
	Handle string // what the queue calls the message, where that is not the id: SQS
	Err    error  // why it can never be done, however often it is delivered
}

// Decode reads the messages of an event payload. It is told by its keys what a payload is, and each
// shape has keys that no other shape and no parameter of an action has:
//
//	HTTP request      requestContext               see Deliver; an error here
//	CloudEvents 1.0   specversion                  the event's data is the parameters, its source and id, as source#id, the message's id. Of type
//	                                               mns:Queue:SendMessage the parameters are the text of the message inside, and its id counts
//	AWS EventBridge   detail-type                  detail is the parameters; a Scheduled Event is a timer's
//	SQS               Records                      all of eventSource aws:sqs; the bodies are the parameters
//	timer             triggerTime, triggerName     Function Compute's; payload is the parameters, none if it is empty
//	MNS topic         TopicOwner, SubscriptionName Message is the parameters (notifyContentFormat JSON)
//
// A payload with one of the keys of a shape is of that shape, and refused unless it is whole; one
// with keys of two shapes is refused; an object with none of them is a direct invocation, and all
// of it is the parameters. Keys count in their exact case and at the top only, so that parameters
// such as Name, Type, Tags or Version say nothing. A list is a batch of CloudEvents. The text of
// MNS messages may be in Base64, as EventBridge leaves it unless told otherwise. Every message has
// an id, which is the same when it is delivered again; a direct invocation's is requestID.
//
// Of a batch only the records that are wrong carry an error; the error of Decode says that the
// payload as a whole is not one of these. Shapes of Function Compute:
// https://help.aliyun.com/zh/functioncompute/fc/formats-of-event-for-different-triggers-1.
func Decode(payload []byte, requestID string) (*Events, error) {
	v, err := parse(payload)
	if err != nil {
		return nil, fmt.Errorf("the payload cannot be read: %w", err)
	}
	return decode(v, claims(v), requestID)
}

// A shape is a form of payload, told by its keys; several are claimed by a payload that has keys of
// several.
type shape uint16

const (
	httpShape shape = 1 << iota
	cloudEventShape
	eventBridgeShape
	sqsShape
	timerShape
	mnsTopicShape
	directShape shape = 0
)

// claimed returns the shape that a key belongs to.
func claimed(key []byte) shape {
	switch string(key) {
	case "requestContext":
		return httpShape
	case "specversion":
		return cloudEventShape
	case "detail-type":
		return eventBridgeShape
	case "Records":
		return sqsShape
	case "triggerTime", "triggerName":
		return timerShape
	case "TopicOwner", "SubscriptionName":
		return mnsTopicShape
	default:
		return directShape
	}
}

// claims returns the shapes that a payload has keys of.
func claims(v value) shape {
	var s shape
	for m := v.members(); m.next(); {
		s |= claimed(m.key)
	}
	return s
}

// one reports whether s is at most one shape.
func (s shape) one() bool { return s&(s-1) == 0 }

// String returns the shapes as errors name them.
func (s shape) String() string {
	names := [...]string{"an HTTP request", "a CloudEvent", "an EventBridge event",
		"a batch of SQS messages", "a timer's event",
		"an MNS topic's message"}
	var is []string
	for i, name := range names {
		if s&(1<<i) != 0 {
			is = append(is, name)
		}
	}
	if is == nil {
		return "an object of parameters"
	}
	return strings.Join(is, " and ")
}

// decode is Decode of a value that claims s.
func decode(v value, s shape, requestID string) (*Events, error) {
	switch {
	case v.kind() == '[':
		return decodeList(v)
	case v.kind() != '{':
		return nil, fmt.Errorf("the payload is %v; wanted an object or a list of them", v)
	case !s.one():
		return nil, fmt.Errorf("the payload looks like %v; it can only be one of them. Its keys are %s", s, keysOf(v))
	case s == httpShape:
		return nil, errors.New("the payload is an HTTP request, not an event")
	case s == sqsShape:
		return decodeSQS(v)
	}
	record, err := decodeRecord(v, s, requestID)
	if err != nil {
		return nil, fmt.Errorf("the payload looks like %v, but %w. Its keys are %s", s, err, keysOf(v))
	}
	return &Events{Door: record.Door, Records: []Record{record}}, nil
}

// decodeRecord reads one message. An error says that it is not of the shape that it claims; a
// record that can never be done says so itself.
func decodeRecord(v value, s shape, requestID string) (Record, error) {
	switch s {
	case cloudEventShape:
		return decodeCloudEvent(v)
	case eventBridgeShape:
		return decodeEventBridge(v)
	case timerShape:
		return decodeTimer(v)
	case mnsTopicShape:
		return decodeMNSTopic(v)
	default:
		return Record{Event: Event{Door: Direct, ID: requestID, Data: bytes.Clone(v)}}, nil
	}
}

// decodeList reads a batch of CloudEvents, as EventBridge event streams deliver it.
func decodeList(v value) (*Events, error) {
	batch := &Events{List: true}
	for items := v.items(); items.next(); {
		n := len(batch.Records)
		if n == maxRecords {
			return nil, fmt.Errorf("the payload is a list of more than %d items", maxRecords)
		}
		item := items.value
		if s := claims(item); item.kind() != '{' {
			return nil, fmt.Errorf("the payload is a list whose item %d is %v; wanted a CloudEvent", n, item)
		} else if s != cloudEventShape {
			return nil, fmt.Errorf("the payload is a list whose item %d is %v; wanted a CloudEvent. Its keys are %s",
				n, s, keysOf(item))
		}
		record, err := decodeCloudEvent(item)
		if err != nil {
			return nil, fmt.Errorf("the payload is a list whose item %d looks like a CloudEvent, but %w. Its "+
				"keys are %s", n, err, keysOf(item))
		}
		batch.Records = append(batch.Records, record)
	}
	if len(batch.Records) == 0 {
		return nil, errors.New("the payload is an empty list")
	}
	batch.Door = batch.Records[0].Door
	return batch, nil
}

// mnsType is the type of a CloudEvent that wraps a message of a queue of MNS.
const mnsType = "mns:Queue:SendMessage"

// decodeCloudEvent reads a CloudEvent in structured mode:
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md.
func decodeCloudEvent(v value) (Record, error) {
	var version, id, source, kind, data, data64 value
	err := v.fields(field{"specversion", &version}, field{"id", &id}, field{"source", &source}, field{"type", &kind},
		field{"data", &data}, field{"data_base64", &data64})
	if err != nil {
		return Record{}, err
	}
	if text, _ := version.text(); text != "1.0" {
		return Record{}, errors.New("its specversion is not 1.0")
	}
	eventID, _ := id.text()
	eventType, _ := kind.text()
	from, _ := source.text()
	if eventID == "" || eventType == "" || from == "" {
		return Record{}, errors.New("its id, source or type is missing")
	}
	eventID = idOfSource(from, eventID)
	if data != nil && data64 != nil {
		return Record{}, errors.New("it has data twice")
	}
	if eventType == mnsType && data.kind() == '{' {
		return decodeMNS(data, eventID)
	}
	r := Record{Event: Event{Door: CloudEvent, ID: messageID(eventID)}}
	if text, ok := data64.text(); ok {
		r.Data, r.Err = parametersInBase64(text)
	} else {
		r.Data, r.Err = optional(data)
	}
	return r, nil
}

// idOfSource returns the id of a CloudEvent with its source, since only the two together are that
// of one event.
func idOfSource(source, id string) string {
	if strings.Contains(source, "#") {
		source = strconv.Itoa(len(source)) + " " + source // by its blank no other pair comes to the same
	}
	return source + "#" + id
}

// scheduled is the detail-type of what a schedule of AWS EventBridge sends.
const scheduled = "Scheduled Event"

// decodeEventBridge reads an event of AWS:
// https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html.
func decodeEventBridge(v value) (Record, error) {
	var version, id, source, kind, detail value
	err := v.fields(field{"version", &version}, field{"id", &id}, field{"source", &source},
		field{"detail-type", &kind}, field{"detail", &detail})
	if err != nil {
		return Record{}, err
	}
	if text, _ := version.text(); text != "0" {
		return Record{}, errors.New("its version is not 0")
	}
	eventID, _ := id.text()
	detailType, _ := kind.text()
	if from, _ := source.text(); eventID == "" || detailType == "" || from == "" {
		return Record{}, errors.New("its id, source or detail-type is missing")
	}
	r := Record{Event: Event{Door: CloudEvent, ID: messageID(eventID)}}
	if detailType == scheduled {
		r.Door = Timer
	}
	if detail.kind() != '{' {
		return Record{}, fmt.Errorf("its detail is %v", detail)
	}
	r.Data = bytes.Clone(detail)
	return r, nil
}

// decodeTimer reads what a time trigger of Function Compute sends.
func decodeTimer(v value) (Record, error) {
	var at, name, payload value
	if err := v.fields(field{"triggerTime", &at}, field{"triggerName", &name}, field{"payload", &payload}); err != nil {
		return Record{}, err
	}
	triggerTime, _ := at.text()
	triggerName, _ := name.text()
	if triggerTime == "" || triggerName == "" {
		return Record{}, errors.New("its triggerTime or triggerName is missing")
	}
	r := Record{Event: Event{Door: Timer, ID: messageID(triggerName + "@" + triggerTime)}}
	r.Data, r.Err = optional(payload)
	return r, nil
}

// decodeMNSTopic reads a message of an MNS topic. Its attributes stand beside its own keys,
// whatever they are called.
func decodeMNSTopic(v value) (Record, error) {
	var id, message value
	if err := v.fields(field{"MessageId", &id}, field{"Message", &message}); err != nil {
		return Record{}, err
	}
	own, _ := id.text()
	if own == "" || message == nil {
		return Record{}, errors.New("its MessageId or Message is missing")
	}
	r := Record{Event: Event{Door: MNS, ID: messageID(own)}}
	r.Data, r.Err = parametersInMessage(message)
	return r, nil
}

// decodeMNS reads a message of an MNS queue, which came in a CloudEvent of the given id.
func decodeMNS(v value, eventID string) (Record, error) {
	var id, body value
	if err := v.fields(field{"messageId", &id}, field{"messageBody", &body}); err != nil {
		return Record{}, err
	}
	own, _ := id.text()
	if own == "" {
		own = eventID
	}
	if body == nil {
		return Record{}, errors.New("its messageBody is missing")
	}
	r := Record{Event: Event{Door: MNS, ID: messageID(own)}}
	r.Data, r.Err = parametersInMessage(body)
	return r, nil
}

// sqsSource is the eventSource of SQS's records. SNS, Kinesis, S3 and Tablestore deliver Records
// too.
const sqsSource = "aws:sqs"

// decodeSQS reads a batch of SQS: https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html.
func decodeSQS(v value) (*Events, error) {
	var records value
	if err := v.fields(field{"Records", &records}); err != nil {
		return nil, fmt.Errorf("the payload has records, but %w", err)
	}
	batch := &Events{Door: SQS}
	for items := records.items(); items.next(); {
		if len(batch.Records) == maxRecords {
			return nil, fmt.Errorf("the payload has more than %d records", maxRecords)
		}
		record, fifo, err := decodeSQSRecord(items.value)
		if err != nil {
			return nil, fmt.Errorf("the payload has records, but of record %d %w. Its keys are %s",
				len(batch.Records), err, keysOf(items.value))
		}
		batch.Ordered = batch.Ordered || fifo
		batch.Records = append(batch.Records, record)
	}
	if len(batch.Records) == 0 {
		return nil, fmt.Errorf("the payload's Records are %v without one", records)
	}
	return batch, nil
}

func decodeSQSRecord(v value) (r Record, fifo bool, err error) {
	var id, source, arn, body value
	err = v.fields(field{"messageId", &id}, field{"eventSource", &source},
		field{"eventSourceARN", &arn}, field{"body", &body})
	if err != nil {
		return Record{}, false, err
	}
	if text, _ := source.text(); text != sqsSource {
		return Record{}, false, errors.New("the eventSource is not " + sqsSource)
	}
	own, _ := id.text()
	if own == "" {
		return Record{}, false, errors.New("the messageId is missing")
	}
	queue, _ := arn.text()
	r = Record{Event: Event{Door: SQS, ID: messageID(own)}, Handle: own}
	if text, ok := body.text(); ok {
		r.Data, r.Err = parametersInText(text)
	} else {
		r.Err = fmt.Errorf("the body is %v; wanted the text of an object of parameters", body)
	}
	return r, strings.HasSuffix(queue, ".fifo"), nil
}

// noParameters is what stands for nothing, where nothing may be said.
const noParameters = "{}"

// optional returns the parameters that v is or holds as text, and none if it is nothing.
func optional(v value) ([]byte, error) {
	if text, ok := v.text(); ok && strings.TrimSpace(text) != "" {
		return parametersInText(text)
	} else if ok || v.isNothing() {
		return []byte(noParameters), nil
	}
	return parameters(v)
}

// parametersInMessage returns the parameters that v is, or that it holds as text, plain or in
// Base64. Base64 has no brace, so that it is known which it is.
func parametersInMessage(v value) ([]byte, error) {
	text, ok := v.text()
	switch {
	case !ok:
		return parameters(v)
	case strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "{"):
		return parametersInText(text)
	default:
		return parametersInBase64(text)
	}
}

func parametersInBase64(text string) ([]byte, error) {
	inside, err := base64.StdEncoding.DecodeString(text)
	if err == nil {
		var v value
		if v, err = parse(inside); err == nil {
			return parameters(v)
		}
	}
	return nil, errors.New("the message is neither an object of parameters nor one in Base64")
}

func parametersInText(text string) ([]byte, error) {
	v, err := parse([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("the message cannot be read: %w", err)
	}
	return parameters(v)
}

func parameters(v value) ([]byte, error) {
	if v.kind() != '{' {
		return nil, fmt.Errorf("the message is %v; wanted an object of parameters", v)
	}
	return bytes.Clone(v), nil
}

// maxMessageID is how long an id may be to be used as it is: as long as a ClientToken.
const maxMessageID = 64

// messageID returns an id as the service uses it: itself when it is short and plain, else its
// digest, which is the same whenever the message is delivered.
func messageID(id string) string {
	plain := len(id) <= maxMessageID
	for i := 0; plain && i < len(id); i++ {
		plain = '!' <= id[i] && id[i] <= '~'
	}
	if plain {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}

// keysOf returns the keys of an object for an error, quoted and cut short: they come from outside.
func keysOf(v value) string {
	const most, longest = 12, 40
	var keys []string
	for m := v.members(); m.next(); {
		if len(keys) == most {
			keys = append(keys, "…")
			break
		}
		key := m.key
		if len(key) > longest {
			key = slices.Concat(key[:longest], []byte("…"))
		}
		keys = append(keys, strconv.QuoteToASCII(string(key)))
	}
	if keys == nil {
		return "none"
	}
	return strings.Join(keys, " ")
}
