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

// maxRecords is the number of records in one delivery. Both clouds deliver at most 10,000: the
// batch size of an SQS event source mapping, and of an EventBridge event stream.
const maxRecords = 10_000

// Events are the messages of one payload.
type Events struct {
	Source  Source
	Records []Record
	List    bool // the payload is a list of messages, and the answer a list of results
	Ordered bool // after a message failed, the later ones must wait: an SQS FIFO queue
}

// A Record is one message of a payload. If Err is set, Data is empty and ID may be.
type Record struct {
	Event
	Handle string // the queue's own id of the message: SQS
	Err    error  // why the message is invalid and can never succeed
}

// Decode reads the messages of an event payload. Its keys tell its shape. Each shape has keys that
// no other shape and no parameter of an action has:
//
//	HTTP request    requestContext                an error here; see Deliver
//	CloudEvents 1.0 specversion                   parameters: data; message id: source#id
//	  from MNS      type mns:Queue:SendMessage    parameters: messageBody; message id: messageId
//	AWS EventBridge detail-type                   parameters: detail; a Scheduled Event is a timer
//	SQS             Records                       parameters: the bodies; eventSource is aws:sqs
//	FC timer        triggerTime, triggerName      parameters: payload, which may be empty
//
// A payload with a key of a shape must be complete, and must not have keys of two shapes. An object
// without such keys is a direct invocation: all of it is the parameters. Only keys at the top
// count, in their exact case; so parameters such as Name, Type, Tags or Version tell no shape. A
// list is a batch of CloudEvents. The text of an MNS message may be Base64, which is the default of
// EventBridge. Every message has an id, which is the same when it is delivered again; requestID is
// the id of a direct invocation.
//
// In a batch, an invalid record has an error of its own. The error of Decode says that the whole
// payload is invalid. Shapes of Function Compute:
// https://help.aliyun.com/zh/functioncompute/fc/formats-of-event-for-different-triggers-1.
func Decode(payload []byte, requestID string) (*Events, error) {
	v, err := parse(payload)
	if err != nil {
		return nil, fmt.Errorf("invalid payload: %w", err)
	}
	return decode(v, claims(v), requestID)
}

// A shape is a set of forms that a payload can have, by its keys.
type shape uint16

const (
	httpShape shape = 1 << iota
	cloudEventShape
	eventBridgeShape
	sqsShape
	timerShape
	directShape shape = 0
)

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
	default:
		return directShape
	}
}

// claims returns the shapes of all keys of a payload.
func claims(v value) shape {
	var s shape
	for m := v.members(); m.next(); {
		s |= claimed(m.key)
	}
	return s
}

func (s shape) one() bool { return s&(s-1) == 0 }

// String returns the shapes for errors.
func (s shape) String() string {
	names := [...]string{"an HTTP request", "a CloudEvent", "an EventBridge event",
		"a batch of SQS messages", "a timer's event"}
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

// decode is Decode for a value whose keys have the shapes s.
func decode(v value, s shape, requestID string) (*Events, error) {
	switch {
	case v.kind() == '[':
		return decodeList(v)
	case v.kind() != '{':
		return nil, fmt.Errorf("the payload is %v; use an object or a list of objects", v)
	case !s.one():
		return nil, fmt.Errorf("the payload looks like %v; use the keys of one of them. Its keys are %s", s, keysOf(v))
	case s == httpShape:
		return nil, errors.New("the payload is an HTTP request, not an event")
	case s == sqsShape:
		return decodeSQS(v)
	}
	record, err := decodeRecord(v, s, requestID)
	if err != nil {
		return nil, fmt.Errorf("the payload looks like %v, but %w. Its keys are %s", s, err, keysOf(v))
	}
	return &Events{Source: record.Source, Records: []Record{record}}, nil
}

// decodeRecord reads one message. An error says that it is incomplete for its shape. Invalid
// parameters are an error of the record.
func decodeRecord(v value, s shape, requestID string) (Record, error) {
	switch s {
	case cloudEventShape:
		return decodeCloudEvent(v)
	case eventBridgeShape:
		return decodeEventBridge(v)
	case timerShape:
		return decodeTimer(v)
	default:
		return Record{Event: Event{Source: Direct, ID: requestID, Data: bytes.Clone(v)}}, nil
	}
}

// decodeList reads a batch of CloudEvents, as EventBridge event streams deliver it.
func decodeList(v value) (*Events, error) {
	batch := &Events{List: true}
	for items := v.items(); items.next(); {
		n := len(batch.Records)
		if n == maxRecords {
			return nil, fmt.Errorf("the payload is a list with more than %d items", maxRecords)
		}
		item := items.value
		if s := claims(item); item.kind() != '{' {
			return nil, fmt.Errorf("item %d of the list is %v; use a CloudEvent", n, item)
		} else if s != cloudEventShape {
			return nil, fmt.Errorf("item %d of the list is %v; use a CloudEvent. Its keys are %s",
				n, s, keysOf(item))
		}
		record, err := decodeCloudEvent(item)
		if err != nil {
			return nil, fmt.Errorf("item %d of the list looks like a CloudEvent, but %w. Its keys are %s",
				n, err, keysOf(item))
		}
		batch.Records = append(batch.Records, record)
	}
	if len(batch.Records) == 0 {
		return nil, errors.New("the payload is an empty list")
	}
	batch.Source = batch.Records[0].Source
	return batch, nil
}

// mnsType is the type of a CloudEvent that contains a message of an MNS queue.
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
		return Record{}, errors.New("it has both data and data_base64; use one")
	}
	if eventType == mnsType && data.kind() == '{' {
		return decodeMNS(data, eventID)
	}
	r := Record{Event: Event{Source: CloudEvent, ID: messageID(eventID)}}
	if text, ok := data64.text(); ok {
		r.Data, r.Err = parametersInBase64(text)
	} else {
		r.Data, r.Err = optional(data)
	}
	return r, nil
}

// idOfSource returns the source and the id of a CloudEvent as one text: only together they identify
// an event.
func idOfSource(source, id string) string {
	if strings.Contains(source, "#") {
		source = strconv.Itoa(len(source)) + " " + source // the space makes the result unique
	}
	return source + "#" + id
}

// scheduled is the detail-type of an event from a schedule of AWS EventBridge.
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
	r := Record{Event: Event{Source: CloudEvent, ID: messageID(eventID)}}
	if detailType == scheduled {
		r.Source = Timer
	}
	if detail.kind() != '{' {
		return Record{}, fmt.Errorf("its detail is %v; use an object of parameters", detail)
	}
	r.Data = bytes.Clone(detail)
	return r, nil
}

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
	r := Record{Event: Event{Source: Timer, ID: messageID(triggerName + "@" + triggerTime)}}
	r.Data, r.Err = optional(payload)
	return r, nil
}

// decodeMNS reads a message of an MNS queue from a CloudEvent with the given id.
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
	r := Record{Event: Event{Source: MNS, ID: messageID(own)}}
	r.Data, r.Err = parametersInMessage(body)
	return r, nil
}

// sqsSource is the eventSource of SQS. SNS, Kinesis, S3 and Tablestore deliver Records too.
const sqsSource = "aws:sqs"

// decodeSQS reads a batch of SQS: https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html.
func decodeSQS(v value) (*Events, error) {
	var records value
	if err := v.fields(field{"Records", &records}); err != nil {
		return nil, fmt.Errorf("the payload has Records, but %w", err)
	}
	batch := &Events{Source: SQS}
	for items := records.items(); items.next(); {
		if len(batch.Records) == maxRecords {
			return nil, fmt.Errorf("the payload has more than %d Records", maxRecords)
		}
		record, fifo, err := decodeSQSRecord(items.value)
		if err != nil {
			return nil, fmt.Errorf("the payload has Records, but in record %d %w. Its keys are %s",
				len(batch.Records), err, keysOf(items.value))
		}
		batch.Ordered = batch.Ordered || fifo
		batch.Records = append(batch.Records, record)
	}
	if len(batch.Records) == 0 {
		return nil, fmt.Errorf("the member Records is %v; use a list with at least one record", records)
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
	r = Record{Event: Event{Source: SQS, ID: messageID(own)}, Handle: own}
	if text, ok := body.text(); ok {
		r.Data, r.Err = parametersInText(text)
	} else {
		r.Err = fmt.Errorf("the body is %v; use a string with an object of parameters", body)
	}
	return r, strings.HasSuffix(queue, ".fifo"), nil
}

// noParameters is used where the parameters may be left out.
const noParameters = "{}"

// optional returns the parameters in v, an object or a string. A missing or empty v has none.
func optional(v value) ([]byte, error) {
	if text, ok := v.text(); ok && strings.TrimSpace(text) != "" {
		return parametersInText(text)
	} else if ok || v.isNothing() {
		return []byte(noParameters), nil
	}
	return parameters(v)
}

// parametersInMessage returns the parameters in v, an object or a string. The string is plain or
// Base64; Base64 has no brace.
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
	return nil, errors.New("the message is not an object of parameters, plain or in Base64")
}

func parametersInText(text string) ([]byte, error) {
	v, err := parse([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("invalid message: %w", err)
	}
	return parameters(v)
}

func parameters(v value) ([]byte, error) {
	if v.kind() != '{' {
		return nil, fmt.Errorf("the message is %v; use an object of parameters", v)
	}
	return bytes.Clone(v), nil
}

// maxMessageID is the length of an id, as of a ClientToken; longer ones are hashed.
const maxMessageID = 64

// messageID returns a short and printable id unchanged, and the SHA-256 of any other.
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

// keysOf returns the keys of an object for an error, quoted and cut: the client chooses them.
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
