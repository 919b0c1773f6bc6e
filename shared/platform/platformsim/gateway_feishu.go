package platformsim

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"chatconf/shared/platform/callback"
)

// The hosts of Feishu and of Lark: of calls, and of connections.
const (
	feishuAPI     = "open.feishu.cn"
	feishuConnect = "msg-frontier.feishu.cn"
	larkAPI       = "open.larksuite.com"
	larkConnect   = "msg-frontier.larksuite.com"
)

// Limits of Feishu's connections.
// https://open.feishu.cn/document/server-docs/event-subscription-guide/event-subscription-configure-/request-url-configuration-case
const (
	feishuTicket = time.Minute
	feishuLimit  = 3 * time.Second // for an acknowledgement
	feishuMost   = 5               // deliveries of an event
	feishuConns  = 50              // connections of an app
	feishuToken  = 2 * time.Hour
	feishuOnce   = time.Hour // in which a uuid counts as the same message
	feishuEvery  = 2 * time.Minute
	feishuJitter = 30 * time.Second
)

// The codes by which Feishu refuses a connection. The official clients have the last two; the
// others are in reports of people who met them.
// https://github.com/larksuite/oapi-sdk-go/blob/v3_main/ws/const.go
const (
	feishuNoCredential  = 1000040344
	feishuWrongSecret   = 1000040345
	feishuWrongApp      = 1000040346
	feishuTooMany       = 1000040350
	feishuAuthFailed    = 514
	feishuDataMethod    = 1
	feishuControlMethod = 0
)

// A feishuGateway stands in for the servers of Feishu and of Lark.
// https://open.feishu.cn/document/server-docs/event-subscription-guide/event-subscription-configure-/request-url-configuration-case
type feishuGateway struct {
	*hub

	mu       sync.Mutex
	tickets  map[string]feishuGrant
	tokens   map[string]feishuGrant
	sessions map[*gatewayConn]*feishuSession
	uuids    map[string]time.Time // of messages that the apps sent
}

// A feishuGrant is what a ticket or a token stands for.
type feishuGrant struct {
	app     string
	expires time.Time
	service int32
}

// A feishuSession is what the gateway knows of a connection.
type feishuSession struct {
	service  int32
	sequence uint64
	parts    Disturbance // Split or Shuffle: events come in parts
}

func newFeishuGateway(o GatewayOptions) Gateway {
	g := &feishuGateway{hub: newHub(o, feishuAPI, feishuConnect, larkAPI, larkConnect),
		tickets: map[string]feishuGrant{}, tokens: map[string]feishuGrant{},
		sessions: map[*gatewayConn]*feishuSession{}, uuids: map[string]time.Time{}}
	g.app = func(s callback.Settings) (string, []string) { return s.Get("FeishuAppId"), nil }
	g.notice = func(c *gatewayConn) { // Feishu has no other
		c.silent.Store(true)
		go c.close(websocket.StatusGoingAway)
	}
	g.others = map[Disturbance]func(*gatewayConn){
		Split:   func(c *gatewayConn) { g.divide(c, Split) },
		Shuffle: func(c *gatewayConn) { g.divide(c, Shuffle) },
	}
	for host, connect := range map[string]string{feishuAPI: feishuConnect, larkAPI: larkConnect} {
		for pattern, handler := range map[string]http.HandlerFunc{
			"POST " + host + "/callback/ws/endpoint":                           g.endpoint(connect),
			"GET " + connect + "/ws/v2":                                        g.connect,
			"POST " + host + "/open-apis/auth/v3/tenant_access_token/internal": g.token,
			"POST " + host + "/open-apis/im/v1/messages":                       g.authorized(g.create),
			"POST " + host + "/open-apis/im/v1/messages/{id}/reply":            g.authorized(g.reply),
			"GET " + host + "/open-apis/application/v6/scopes":                 g.authorized(g.scopes),
			"GET " + host + "/open-apis/im/v1/chats/{id}/members/is_in_chat":   g.authorized(g.isInChat),
		} {
			g.mux.HandleFunc(pattern, handler)
		}
	}
	return g
}

// feishuAnswer answers a call.
func feishuAnswer(w http.ResponseWriter, code int, message string, data object) {
	writeJSON(w, http.StatusOK, object{"code": code, "msg": message, "data": data})
}

// config is what clients are told of reconnecting and pinging, in seconds.
func (g *feishuGateway) config() object {
	every, jitter := feishuEvery, feishuJitter
	if g.Reconnect > 0 {
		every, jitter = g.Reconnect, 0
	}
	return object{"ReconnectCount": -1, "ReconnectInterval": int(every.Seconds()),
		"ReconnectNonce": int(jitter.Seconds()), "PingInterval": int(feishuEvery.Seconds())}
}

// endpoint gives the address of a connection.
func (g *feishuGateway) endpoint(connect string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in struct{ AppID, AppSecret string }
		if !readJSON(w, r, &in) {
			return
		}
		refuse := func(code int, message string) { feishuAnswer(w, code, message, object{"URL": ""}) }
		switch {
		case in.AppID == "" || in.AppSecret == "":
			refuse(feishuNoCredential, "app_id or app_secret is empty")
		case g.Secret != nil && g.Secret(in.AppID) == "":
			refuse(feishuWrongApp, "app_id is invalid")
		case !g.accepts(in.AppID, in.AppSecret):
			refuse(feishuWrongSecret, "app_id or app_secret is invalid")
		case len(g.of(in.AppID)) >= feishuConns:
			refuse(feishuTooMany, "the number of connections exceeded the limit")
		default:
			device, ticket, service := random(8), random(16), mathrand.Int32()
			g.mu.Lock()
			g.tickets[ticket] = feishuGrant{in.AppID, g.Now().Add(feishuTicket), service}
			g.mu.Unlock()
			query := url.Values{"device_id": {device}, "service_id": {fmt.Sprint(service)}, "ticket": {ticket},
				"access_key": {random(16)}, "aid": {"552564"}, "fpid": {"493"}}
			feishuAnswer(w, 0, "", object{"ClientConfig": g.config(),
				"URL": "wss://" + hostOf(r, connect) + "/ws/v2?" + query.Encode()})
		}
	}
}

// connect serves a connection. A ticket is valid for one connection, and expires.
func (g *feishuGateway) connect(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	ticket := query.Get("ticket")
	g.mu.Lock()
	of, ok := g.tickets[ticket]
	delete(g.tickets, ticket)
	g.mu.Unlock()
	refuse := func(code int, message string) {
		w.Header().Set("Handshake-Status", strconv.Itoa(feishuAuthFailed))
		w.Header().Set("Handshake-Msg", message)
		w.Header().Set("Handshake-Autherrcode", strconv.Itoa(code))
		w.WriteHeader(http.StatusForbidden)
	}
	if !ok || g.Now().After(of.expires) || query.Get("service_id") != fmt.Sprint(of.service) ||
		query.Get("device_id") == "" {
		refuse(feishuWrongSecret, "the ticket is invalid")
		return
	}
	if len(g.of(of.app)) >= feishuConns {
		refuse(feishuTooMany, "the number of connections exceeded the limit")
		return
	}
	c, err := g.accept(w, r, websocket.MessageBinary)
	if err != nil {
		return
	}
	defer c.end()
	g.mu.Lock()
	g.sessions[c] = &feishuSession{service: of.service}
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.sessions, c)
	}()
	g.join(c, of.app)
	for {
		message, err := c.read()
		if err != nil {
			return
		}
		f, err := readFeishuFrame(message)
		if err != nil || f.Service != of.service {
			c.close(websocket.StatusInvalidFramePayloadData)
			return
		}
		switch kind := f.header("type"); {
		case f.Method == feishuControlMethod && kind == "ping":
			pong := feishuFrame{Service: f.Service, Method: feishuControlMethod, Sequence: f.Sequence, Log: f.Log,
				Headers: []feishuHeader{{"type", "pong"}}, Payload: g.config().bytes()}
			c.write(pong.bytes())
		case f.Method == feishuDataMethod:
			c.acknowledge(f.header("message_id"), message)
		}
	}
}

// divide makes events come in parts.
func (g *feishuGateway) divide(c *gatewayConn, how Disturbance) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s, ok := g.sessions[c]; ok {
		s.parts = how
	}
}

// A feishuPush is what is delivered: the type of its frame, its content and what reads the answer.
type feishuPush struct {
	frame string
	body  func(*Maker, Message) object
	read  func(body []byte) (string, error)
	said  bool // it is a message that somebody wrote, and has an id of its own
}

// feishuPushes are what can be delivered, by mode. The documents do not say in which frames a
// card's buttons come: reports contradict each other.
var feishuPushes = map[string]feishuPush{
	"message":    {"event", feishuSaid, nothing, true},
	"v1":         {"event", feishuSaidFirst, nothing, true},
	"menu":       {"event", feishuChosen, nothing, false},
	"card":       {"event", feishuPressed, feishuToast, false},
	"card-frame": {"card", feishuPressed, feishuToast, false},
	"old-card":   {"card", feishuPressedFlat, nothing, false},
}

// Push implements Gateway.
func (g *feishuGateway) Push(ctx context.Context, s callback.Settings, m Message) (Pushed, error) {
	k := &Maker{Settings: s, Now: g.Now(), Random: rand.Reader}
	if err := k.need("FeishuAppId"); err != nil {
		return Pushed{}, fmt.Errorf("platformsim: Feishu: %w", err)
	}
	p, ok := feishuPushes[cmp.Or(m.Mode, "message")]
	if !ok {
		return Pushed{}, fmt.Errorf("platformsim: unknown mode %q of Feishu; use %s", m.Mode,
			listed(feishuPushes))
	}
	m.ID = cmp.Or(m.ID, random(12))
	payload := p.body(k, m).bytes()
	var delivered []feishuFrame // the last time
	return g.push(ctx, s, delivery{most: feishuMost, limit: feishuLimit, message: g.MessageID(m),
		frames: func(c *gatewayConn, _ int) (string, [][]byte, error) {
			id := random(16)
			delivered = g.frames(c, p.frame, id, payload)
			var frames [][]byte
			for _, f := range delivered {
				frames = append(frames, f.bytes())
			}
			return id, frames, nil
		},
		read: func(acknowledgement []byte) (string, bool, error) {
			return readFeishuAcknowledgement(delivered, acknowledgement, p.read)
		}})
}

// MessageID implements Gateway.
func (g *feishuGateway) MessageID(m Message) string {
	if !feishuPushes[cmp.Or(m.Mode, "message")].said {
		return ""
	}
	return feishuMessageID(m)
}

// feishuPart is how long a part is, if an event comes in parts.
const feishuPart = 100

// frames returns the frames that deliver a payload over a connection.
func (g *feishuGateway) frames(c *gatewayConn, kind, id string, payload []byte) []feishuFrame {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.sessions[c]
	if s == nil { // it has just ended
		s = new(feishuSession)
	}
	parts := [][]byte{payload}
	if s.parts != "" {
		parts = slices.Collect(slices.Chunk(payload, feishuPart))
	}
	trace, at := random(16), strconv.FormatInt(g.Now().UnixMilli(), 10)
	var out []feishuFrame
	for i, part := range parts {
		s.sequence++
		out = append(out, feishuFrame{Sequence: s.sequence, Log: uint64(g.Now().UnixMilli()), Service: s.service,
			Method: feishuDataMethod, Payload: part, Headers: []feishuHeader{{"timestamp", at}, {"message_id", id},
				{"sum", strconv.Itoa(len(parts))}, {"seq", strconv.Itoa(i)}, {"trace_id", trace}, {"type", kind}}})
	}
	if s.parts == Shuffle {
		slices.Reverse(out)
	}
	return out
}

// readFeishuAcknowledgement reads an acknowledgement: one of the frames that were delivered, with
// another payload, and with the time that it took.
func readFeishuAcknowledgement(delivered []feishuFrame, message []byte,
	read func([]byte) (string, error)) (answer string, again bool, err error) {
	f, err := readFeishuFrame(message)
	if err != nil {
		return "", false, err
	}
	same := func(d feishuFrame) bool {
		return f.Sequence == d.Sequence && f.Log == d.Log && f.Service == d.Service &&
			len(f.Headers) >= len(d.Headers) && slices.Equal(f.Headers[:len(d.Headers)], d.Headers)
	}
	if !slices.ContainsFunc(delivered, same) {
		return "", false, errors.New("platformsim: the acknowledgement is not the delivered frame")
	}
	var a struct {
		Code int
		Data []byte
	}
	if err := decode(f.Payload, &a); err != nil {
		return "", false, err
	}
	switch {
	case a.Code != http.StatusOK:
		return "", true, nil
	case f.header("biz_rt") == "":
		return "", false, errors.New("platformsim: the acknowledgement does not say in biz_rt how long it took")
	case len(a.Data) == 0:
		return "", false, nil
	}
	answer, err = read(a.Data)
	return answer, false, err
}

// token gives an access token.
func (g *feishuGateway) token(w http.ResponseWriter, r *http.Request) {
	var in struct {
		ID     string `json:"app_id"`
		Secret string `json:"app_secret"`
	}
	if !readJSON(w, r, &in) {
		return
	}
	switch {
	case in.ID == "" || g.Secret != nil && g.Secret(in.ID) == "":
		writeJSON(w, http.StatusOK, object{"code": 10003, "msg": "invalid param"})
	case !g.accepts(in.ID, in.Secret):
		writeJSON(w, http.StatusOK, object{"code": 10014, "msg": "app secret invalid"})
	default:
		token := "t-" + random(16)
		g.mu.Lock()
		g.tokens[token] = feishuGrant{app: in.ID, expires: g.Now().Add(feishuToken)}
		g.mu.Unlock()
		writeJSON(w, http.StatusOK, object{"code": 0, "msg": "ok", "tenant_access_token": token,
			"expire": int(feishuToken.Seconds())})
	}
}

// authorized serves a call with an access token.
func (g *feishuGateway) authorized(serve func(app string, w http.ResponseWriter, r *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		g.mu.Lock()
		of, ok := g.tokens[token]
		g.mu.Unlock()
		switch {
		case !bearer:
			writeJSON(w, http.StatusBadRequest, object{"code": 99991661, "msg": "Missing access token"})
		case !ok || g.Now().After(of.expires):
			writeJSON(w, http.StatusBadRequest, object{"code": 99991663, "msg": "Invalid access token"})
		default:
			serve(of.app, w, r)
		}
	}
}

// A feishuSending is a message of an app's own.
type feishuSending struct {
	Receiver string `json:"receive_id"`
	Type     string `json:"msg_type"`
	Content  string `json:"content"`
	UUID     string `json:"uuid"`
}

// text returns what a message shows.
func (s feishuSending) text() (string, error) {
	switch s.Type {
	case "text":
		var content struct{ Text string }
		err := decode([]byte(s.Content), &content)
		return content.Text, err
	case "post":
		var content map[string]struct {
			Content [][]struct{ Tag, Text string }
		}
		if err := decode([]byte(s.Content), &content); err != nil {
			return "", err
		}
		var lines []string
		for _, line := range content["zh_cn"].Content {
			text := ""
			for _, part := range line {
				text += part.Text
			}
			lines = append(lines, text)
		}
		return strings.Join(lines, "\n"), nil
	}
	return "", fmt.Errorf("platformsim: unknown type %q of a message; use text or post", s.Type)
}

// send records a message of an app's own, unless it is the same as one of the last hour.
func (g *feishuGateway) send(app string, w http.ResponseWriter, in feishuSending, to string) {
	text, err := in.text()
	if err != nil || text == "" || to == "" {
		writeJSON(w, http.StatusBadRequest, object{"code": 230001, "msg": "invalid request parameter"})
		return
	}
	g.mu.Lock()
	key := app + " " + in.UUID
	last, same := g.uuids[key]
	same = same && in.UUID != "" && g.Now().Before(last.Add(feishuOnce))
	if !same {
		g.uuids[key] = g.Now()
	}
	g.mu.Unlock()
	if !same {
		g.record(app, text)
	}
	feishuAnswer(w, 0, "success", object{"message_id": "om_" + random(16)})
}

func (g *feishuGateway) create(app string, w http.ResponseWriter, r *http.Request) {
	var in feishuSending
	if !readJSON(w, r, &in) {
		return
	}
	if kind := r.URL.Query().Get("receive_id_type"); kind != "chat_id" && kind != "open_id" {
		in.Receiver = ""
	}
	g.send(app, w, in, in.Receiver)
}

func (g *feishuGateway) reply(app string, w http.ResponseWriter, r *http.Request) {
	var in feishuSending
	if readJSON(w, r, &in) {
		g.send(app, w, in, r.PathValue("id"))
	}
}

// scopes lists the permissions of an app: it has all that are needed.
func (g *feishuGateway) scopes(_ string, w http.ResponseWriter, _ *http.Request) {
	var scopes []object
	for _, name := range []string{"im:message.group_at_msg:readonly", "im:message.p2p_msg:readonly",
		"im:message:send_as_bot"} {
		scopes = append(scopes, object{"scope_name": name, "grant_status": 1, "scope_type": "tenant"})
	}
	feishuAnswer(w, 0, "success", object{"scopes": scopes})
}

// isInChat says that the bot is in a chat: it is in all of them.
func (g *feishuGateway) isInChat(_ string, w http.ResponseWriter, _ *http.Request) {
	feishuAnswer(w, 0, "success", object{"is_in_chat": true})
}
