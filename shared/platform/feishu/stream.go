package feishu

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"chatconf/shared/document"
	"chatconf/shared/platform/callback"
	"chatconf/shared/secret"
)

// The connection of an app, which Feishu calls long connection (长连接). Feishu does not document
// its protocol; what follows is from the source of the official clients.
// https://github.com/larksuite/oapi-sdk-go/blob/v3_main/ws/client.go
// https://open.feishu.cn/document/server-docs/event-subscription-guide/event-subscription-configure-/request-url-configuration-case

// How often Feishu wants to be pinged, if it does not say, and the bounds of what it may say.
const (
	pingEvery    = 2 * time.Minute
	minPingEvery = 10 * time.Second
	maxPingEvery = 10 * time.Minute
)

// maxUnanswered is how many pings may be without an answer.
const maxUnanswered = 2

// The methods of frames.
const (
	methodControl = 0
	methodData    = 1
)

// The headers of frames that we read or write.
const (
	headerType      = "type"
	headerMessageID = "message_id"
	headerSum       = "sum" // how many parts a payload has
	headerSeq       = "seq" // which of them this one is, from 0
	headerBizRt     = "biz_rt"
)

// The types of frames.
const (
	typePing  = "ping"
	typePong  = "pong"
	typeEvent = "event"
	typeCard  = "card"
)

type stream struct {
	secret.Hidden
	reader
	client *callback.Client
	host   string
	secret secret.Text
}

var (
	_ callback.Streamable = Platform{}
	_ callback.Stream     = (*stream)(nil)
)

// NewStream implements callback.Streamable. The Encrypt Key is not needed: TLS protects what comes
// over a connection, and the App Secret opens it.
func (Platform) NewStream(s callback.Settings, client *callback.Client) (callback.Stream, error) {
	r, err := newReader(s)
	if err != nil {
		return nil, err
	}
	r.proven = true
	out := &stream{reader: r, client: client, host: hostOf(s), secret: s["FeishuAppSecret"]}
	if out.secret == "" {
		return nil, fmt.Errorf("feishu: FeishuAppSecret is not set")
	}
	return out, nil
}

// Open implements callback.Stream: it asks for an address, which is valid for one connection.
func (s *stream) Open(ctx context.Context, d callback.Dialer) (callback.Connection, error) {
	c := &connection{reader: &s.reader, now: s.client.Now, split: splits{now: s.client.Now}}
	c.every.Store(int64(pingEvery))
	address, err := s.address(ctx, c)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(address.Reveal())
	if err != nil {
		return nil, errAddress // url.Error would quote the address
	}
	service, err := strconv.ParseInt(u.Query().Get("service_id"), 10, 32)
	if err != nil {
		return nil, errAddress
	}
	c.service = int32(service)
	c.socket, err = d.Dial(ctx, callback.Dial{What: "feishu: connection", URL: address, Binary: true,
		Hosts: []string{".feishu.cn", ".larksuite.com"}, CodeHeader: "Handshake-Autherrcode"})
	if err != nil {
		return nil, limited(err)
	}
	return c, nil
}

// errAddress is the error of an address without service_id, which pings need.
var errAddress = errors.New("feishu: callback/ws/endpoint: the address for the connection has no service_id")

// Codes that open no connection, by what is wrong with the settings.
const wrongApp = "copy FeishuAppId and FeishuAppSecret from the app's page Credentials & Basic Info, " +
	"and set FeishuDomain to lark for an app of Lark"

var wrong = map[string]string{
	"10003":      wrongApp,
	"10014":      wrongApp,
	"10015":      wrongApp,
	"1000040345": wrongApp,
	"1000040346": wrongApp,
}

// address asks for the address of a connection, and sets how often to ping.
func (s *stream) address(ctx context.Context, c *connection) (secret.Text, error) {
	const what = "feishu: callback/ws/endpoint"
	body := document.Marshal(struct {
		ID     string `json:"AppID"`
		Secret string `json:"AppSecret"`
	}{s.appID, s.secret.Reveal()})
	answer, err := s.client.Do(ctx, callback.Call{What: what, Hosts: []string{s.host}, Body: body,
		URL:     secret.Text("https://" + s.host + "/callback/ws/endpoint"),
		Headers: map[string]secret.Text{"locale": "zh"}}) // as the official clients do
	if err != nil {
		return "", err
	}
	code, said, data := answer.Number("code"), answer.Text("msg"), answer.Object("data")
	address := data.Text("URL")
	c.configure(data.Object("ClientConfig"))
	switch {
	case answer.Status == 200 && code == "0" && address != "" && answer.Err() == nil:
		return secret.Text(address), nil
	case strings.Contains(said, "busy"): // it says so with the code of a wrong secret, too
		return "", answer.Refused(what, code, true)
	}
	return "", limited(answer.NotOpened(what, code, wrong))
}

// limited explains the error of an app that has too many connections.
func limited(err error) error {
	if callback.CodeOf(err) == "1000040350" {
		return fmt.Errorf("%w: the app has as many connections as Feishu allows; close those of other programs", err)
	}
	return err
}

// A connection is a connection to Feishu.
type connection struct {
	*reader
	socket     callback.Socket
	now        func() time.Time
	service    int32
	every      atomic.Int64 // a time.Duration
	unanswered atomic.Int32 // pings
	split      splits
}

var _ callback.Connection = (*connection)(nil)

// configure sets how often to ping, in seconds, if Feishu says it.
func (c *connection) configure(f callback.Fields) {
	n, err := strconv.Atoi(f.Number("PingInterval"))
	if err != nil || n <= 0 {
		return
	}
	every := min(time.Duration(min(n, 3600))*time.Second, maxPingEvery)
	c.every.Store(int64(max(every, minPingEvery)))
}

// PingEvery implements callback.Connection.
func (c *connection) PingEvery() time.Duration { return time.Duration(c.every.Load()) }

// Ping implements callback.Connection.
func (c *connection) Ping(ctx context.Context) error {
	if c.unanswered.Load() >= maxUnanswered {
		return &callback.Ended{Reason: fmt.Sprintf("feishu: %d pings were not answered", maxUnanswered)}
	}
	c.unanswered.Add(1)
	ping := frame{service: c.service, method: methodControl, headers: []header{{headerType, typePing}}}
	return c.socket.Write(ctx, ping.encode())
}

// Close implements callback.Connection.
func (c *connection) Close() error { return c.socket.Close() }

// Next implements callback.Connection.
func (c *connection) Next(ctx context.Context) (*callback.Delivery, error) {
	for {
		b, err := c.socket.Read(ctx)
		if err != nil {
			return nil, err
		}
		c.unanswered.Store(0) // any frame shows that Feishu is there
		f, err := decodeFrame(b)
		if err != nil { // without its message_id, it cannot be acknowledged
			return &callback.Delivery{Refused: callback.Refuse(callback.StepDecode, "feishu: %v", err)}, nil
		}
		switch f.method {
		case methodControl:
			c.control(f)
		case methodData:
			if d := c.data(f); d != nil {
				return d, nil
			}
		}
	}
}

// control reads a control frame. The answer to a ping may have a new configuration.
func (c *connection) control(f *frame) {
	if f.header(headerType) != typePong || len(f.payload) == 0 {
		return
	}
	if config, err := callback.Object("the configuration", string(f.payload)); err == nil {
		c.configure(config)
	}
}

// data reads a data frame. It returns nil if parts of the payload are still missing.
func (c *connection) data(f *frame) *callback.Delivery {
	kind := f.header(headerType)
	if kind != typeEvent && kind != typeCard { // the official clients do not acknowledge it either
		return &callback.Delivery{Received: &callback.Received{Kind: "frame/" + kind}}
	}
	d := &callback.Delivery{Acknowledge: c.acknowledge(f, c.now())}
	payload, err := c.split.join(f)
	if err == nil && payload == nil {
		return nil
	}
	if err == nil {
		d.Received, err = c.read(kind, string(payload))
	}
	if err != nil {
		d.Received, d.Refused = nil, err
	}
	return d
}

// read reads the payload of a frame. Clicks on cards come as events. The official clients drop
// frames of the type card; reports differ on whether clicks come as such, so both are read.
func (c *connection) read(kind, payload string) (*callback.Received, error) {
	f, err := callback.Object("the payload", payload)
	if err != nil {
		return nil, err
	}
	if kind == typeCard && !isEvent(f) {
		return c.legacyCard(f, payload)
	}
	return c.event(f)
}

// acknowledge returns what acknowledges a frame: it goes back with the same headers, the time that
// the work took, and a code and the answer as its payload. Feishu waits three seconds, and pushes
// again after a code other than 200.
func (c *connection) acknowledge(f *frame, since time.Time) func(context.Context, *callback.Response) error {
	back := *f
	back.payload = nil
	return func(ctx context.Context, response *callback.Response) error {
		type answer struct {
			Code    int               `json:"code"`
			Headers map[string]string `json:"headers"`
			Data    []byte            `json:"data"`
		}
		a := answer{Code: 200}
		switch {
		case response.Status != 200:
			a.Code = 500
		case response.Carries:
			a.Data = response.Body
		}
		took := strconv.FormatInt(max(0, c.now().Sub(since).Milliseconds()), 10)
		back := back
		back.headers = append(slices.Clip(back.headers), header{headerBizRt, took})
		back.payload = document.Marshal(a)
		return c.socket.Write(ctx, back.encode())
	}
}

// Limits of payloads that come in parts. The official clients keep parts for five or ten seconds,
// and without other limits. What is dropped is pushed again.
const (
	maxSplits  = 64
	maxParts   = 256
	maxSplit   = 1 << 20 // bytes of one payload
	maxPending = 4 << 20 // bytes of all incomplete payloads
	splitAge   = 10 * time.Second
)

// splits are the payloads of which some parts are missing, the oldest first.
type splits struct {
	now  func() time.Time
	all  []*split
	size int // bytes of all
}

// A split is a payload in parts. A part that has not come is nil.
type split struct {
	id      string // message_id
	since   time.Time
	parts   [][]byte
	missing int
	size    int
}

// join returns the whole payload that a frame completes, nil if parts of it are missing. The parts
// come in any order.
func (s *splits) join(f *frame) ([]byte, error) {
	sum, err := count(f.header(headerSum), 1)
	if err != nil {
		return nil, err
	}
	seq, err := count(f.header(headerSeq), 0)
	if err != nil {
		return nil, err
	}
	part := f.payload
	if part == nil {
		part = []byte{}
	}
	id := f.header(headerMessageID)
	switch {
	case sum <= 1:
		return part, nil
	case sum > maxParts || seq >= sum:
		return nil, callback.Refuse(callback.StepDecode,
			"feishu: part %d of %d is out of range; a payload has at most %d parts", seq, sum, maxParts)
	case id == "":
		return nil, callback.Refuse(callback.StepDecode, "feishu: a part of a payload has no message_id")
	}
	i := slices.IndexFunc(s.all, func(p *split) bool { return p.id == id })
	if i >= 0 && len(s.all[i].parts) != sum {
		s.drop(i)
		i = -1
	}
	if i < 0 {
		i = len(s.all)
		s.all = append(s.all, &split{id: id, since: s.now(), parts: make([][]byte, sum), missing: sum})
	}
	p := s.all[i]
	if p.parts[seq] == nil { // a part that comes again is the same
		p.parts[seq] = slices.Clone(part) // alone, not with the rest of a large frame
		p.missing--
		p.size += len(part)
		s.size += len(part)
	}
	switch {
	case p.size > maxSplit:
		s.drop(i)
		return nil, callback.Refuse(callback.StepDecode, "feishu: a payload in parts has more than %d bytes", maxSplit)
	case p.missing > 0:
		s.trim()
		return nil, nil
	}
	s.drop(i)
	return slices.Concat(p.parts...), nil
}

// trim drops the payloads that are too old, and then the oldest until few enough remain.
func (s *splits) trim() {
	for len(s.all) > 0 && (s.now().Sub(s.all[0].since) > splitAge || len(s.all) > maxSplits || s.size > maxPending) {
		s.drop(0)
	}
}

func (s *splits) drop(i int) {
	s.size -= s.all[i].size
	s.all = slices.Delete(s.all, i, i+1)
}

// count reads the number of a header, or returns otherwise if there is none.
func count(text string, otherwise int) (int, error) {
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0, callback.Refuse(callback.StepDecode, "feishu: the header sum or seq of a part is not a number")
	}
	return int(n), nil
}
