package platformsim

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"chatconf/shared/platform/callback"
)

// DingTalk's hosts: of calls, of addresses for answers, and of connections.
const (
	dingtalkAPI     = "api.dingtalk.com"
	dingtalkOldAPI  = "oapi.dingtalk.com"
	dingtalkConnect = "wss-open-connection.dingtalk.com"
)

// Limits of DingTalk's Stream mode.
const (
	dingtalkTicket     = 90 * time.Second
	dingtalkLimit      = 60 * time.Second // for an acknowledgement
	dingtalkMost       = 3                // deliveries of a message
	dingtalkPing       = 60 * time.Second
	dingtalkPong       = 10 * time.Second
	dingtalkGone       = 10 * time.Second // from the notice to the end of a connection
	dingtalkToken      = 2 * time.Hour
	dingtalkRobotTopic = "/v1.0/im/bot/messages/get"
	dingtalkCardTopic  = "/v1.0/card/instances/callback"
)

// A dingtalkGateway stands in for DingTalk's Stream mode.
// https://open.dingtalk.com/document/development/introduction-to-stream-mode
type dingtalkGateway struct {
	*hub

	mu       sync.Mutex
	tickets  map[string]dingtalkTicketOf
	sessions map[string]dingtalkGrant // of sessionWebhooks
	tokens   map[string]dingtalkGrant
	robots   map[string][]string // the robots' codes of an app, from its settings
}

// A dingtalkTicketOf is what a ticket stands for.
type dingtalkTicketOf struct {
	dingtalkGrant
	topics []string
}

// A dingtalkGrant is what a token or a session stands for.
type dingtalkGrant struct {
	app     string
	expires time.Time
}

func newDingtalkGateway(o GatewayOptions) Gateway {
	g := &dingtalkGateway{hub: newHub(o, dingtalkAPI, dingtalkOldAPI, dingtalkConnect),
		tickets: map[string]dingtalkTicketOf{}, sessions: map[string]dingtalkGrant{},
		tokens: map[string]dingtalkGrant{}, robots: map[string][]string{}}
	g.app = func(s callback.Settings) (string, []string) { return s.Get("DingTalkClientId"), nil }
	g.notice = g.disconnect
	for pattern, handler := range map[string]http.HandlerFunc{
		"POST " + dingtalkAPI + "/v1.0/gateway/connections/open":    g.open,
		"GET " + dingtalkConnect + "/connect":                       g.connect,
		"POST " + dingtalkAPI + "/v1.0/oauth2/accessToken":          g.token,
		"POST " + dingtalkAPI + "/v1.0/robot/groupMessages/send":    g.authorized(g.sendToGroup),
		"POST " + dingtalkAPI + "/v1.0/robot/oToMessages/batchSend": g.authorized(g.sendToPeople),
		"POST " + dingtalkAPI + "/v1.0/robot/groups/robots/query":   g.authorized(g.robotsOfGroup),
		"POST " + dingtalkOldAPI + "/robot/sendBySession":           g.sendBySession,
	} {
		g.mux.HandleFunc(pattern, handler)
	}
	return g
}

// dingtalkError answers a call with a code of DingTalk's.
func dingtalkError(w http.ResponseWriter, status int, code, message string) {
	writeJSON(w, status, object{"requestid": random(16), "code": code, "message": message})
}

// open gives the ticket of a connection.
func (g *dingtalkGateway) open(w http.ResponseWriter, r *http.Request) {
	var in struct {
		ClientID      string `json:"clientId"`
		ClientSecret  string `json:"clientSecret"`
		Subscriptions []struct{ Type, Topic string }
	}
	if !readJSON(w, r, &in) {
		return
	}
	if !g.accepts(in.ClientID, in.ClientSecret) {
		dingtalkError(w, http.StatusUnauthorized, "authFailed", "鉴权失败")
		return
	}
	topics := []string{}
	for _, s := range in.Subscriptions {
		if s.Type == "CALLBACK" {
			topics = append(topics, s.Topic)
		}
	}
	ticket := random(16)
	g.mu.Lock()
	g.tickets[ticket] = dingtalkTicketOf{dingtalkGrant{in.ClientID, g.Now().Add(dingtalkTicket)}, topics}
	g.mu.Unlock()
	writeJSON(w, http.StatusOK, object{"ticket": ticket,
		"endpoint": "wss://" + hostOf(r, dingtalkConnect+":443") + "/connect"})
}

// connect serves a connection. A ticket is valid for one connection, and expires.
func (g *dingtalkGateway) connect(w http.ResponseWriter, r *http.Request) {
	ticket := r.URL.Query().Get("ticket")
	g.mu.Lock()
	of, ok := g.tickets[ticket]
	delete(g.tickets, ticket)
	g.mu.Unlock()
	if !ok || g.Now().After(of.expires) {
		dingtalkError(w, http.StatusUnauthorized, "authFailed", "鉴权失败")
		return
	}
	c, err := g.accept(w, r, websocket.MessageText)
	if err != nil {
		return
	}
	defer c.end()
	c.topics = of.topics
	g.join(c, of.app, dingtalkSystem("CONNECTED", random(16), g.Now(), object{}),
		dingtalkSystem("REGISTERED", random(16), g.Now(), object{}))
	go g.ping(c)
	for {
		message, err := c.read()
		if err != nil {
			return
		}
		var in struct{ Headers struct{ MessageID string } }
		if decode(message, &in) != nil {
			c.close(websocket.StatusInvalidFramePayloadData)
			return
		}
		c.acknowledge(in.Headers.MessageID, message)
	}
}

// dingtalkFrame is what is sent over a connection.
func dingtalkFrame(kind, topic, id string, now time.Time, data object) []byte {
	return object{"specVersion": "1.0", "type": kind, "data": data.String(),
		"headers": object{"topic": topic, "messageId": id, "contentType": "application/json",
			"time": strconv.FormatInt(now.UnixMilli(), 10)}}.bytes()
}

func dingtalkSystem(topic, id string, now time.Time, data object) []byte {
	return dingtalkFrame("SYSTEM", topic, id, now, data)
}

// A dingtalkAnswer is what a program answers to a frame.
type dingtalkAnswer struct {
	Code int
	Data string
}

// ping pings the program at once, and then in intervals. A program that does not return the data of
// the ping is cut off.
func (g *dingtalkGateway) ping(c *gatewayConn) {
	tick := time.NewTicker(dingtalkPing)
	defer tick.Stop()
	for {
		id, opaque := random(16), random(16)
		answered := c.expect(id)
		c.write(dingtalkSystem("ping", id, g.Now(), object{"opaque": opaque}))
		select {
		case <-c.done:
			return
		case <-time.After(dingtalkPong):
			c.close(websocket.StatusPolicyViolation)
			return
		case answer := <-answered:
			var a dingtalkAnswer
			var data struct{ Opaque string }
			if decode(answer, &a) != nil || a.Code != http.StatusOK || decode([]byte(a.Data), &data) != nil ||
				data.Opaque != opaque {
				c.close(websocket.StatusPolicyViolation)
				return
			}
		}
		select {
		case <-c.done:
			return
		case <-tick.C:
		}
	}
}

// disconnect gives notice that a connection ends. Nothing more comes over it.
func (g *dingtalkGateway) disconnect(c *gatewayConn) {
	c.silent.Store(true)
	c.write(dingtalkSystem("disconnect", random(16), g.Now(), object{"reason": "persistent connection is timeout"}))
	c.closeAfter(dingtalkGone)
}

// Push implements Gateway.
func (g *dingtalkGateway) Push(ctx context.Context, s callback.Settings, m Message) (Pushed, error) {
	k := &Maker{Settings: s, Now: g.Now(), Random: rand.Reader}
	if err := k.need("DingTalkClientId"); err != nil {
		return Pushed{}, fmt.Errorf("platformsim: DingTalk: %w", err)
	}
	m.ID = cmp.Or(m.ID, random(12))
	app, session := s.Get("DingTalkClientId"), random(16)
	g.mu.Lock()
	g.sessions[session] = dingtalkGrant{app, k.Now.Add(dingtalkSession)}
	if code := k.robotCode(); !slices.Contains(g.robots[app], code) {
		g.robots[app] = append(g.robots[app], code)
	}
	g.mu.Unlock()
	d := delivery{most: dingtalkMost, limit: dingtalkLimit, message: g.MessageID(m)}
	var body func(k *Maker, m Message) object
	switch m.Mode {
	case "", "robot":
		d.topic, d.read, body = dingtalkRobotTopic, dingtalkReadRobot, dingtalkRobotBody
	case "card":
		d.topic, d.read, body = dingtalkCardTopic, dingtalkReadCard, dingtalkCardBody
	default:
		return Pushed{}, fmt.Errorf("platformsim: unknown mode %q of DingTalk; use robot or card", m.Mode)
	}
	d.frames = func(c *gatewayConn, _ int) (string, [][]byte, error) {
		m := m
		if m.ReplyURL == "" {
			m.ReplyURL = "https://" + c.host(dingtalkOldAPI) + "/robot/sendBySession?session=" + session
		}
		id := random(16)
		return id, [][]byte{dingtalkFrame("CALLBACK", d.topic, id, g.Now(), body(k, m))}, nil
	}
	return g.push(ctx, s, d)
}

// MessageID implements Gateway.
func (g *dingtalkGateway) MessageID(m Message) string {
	if m.Mode == "card" {
		return ""
	}
	return m.ID
}

// dingtalkRead reads an acknowledgement up to its response, which may be null.
func dingtalkRead(acknowledgement []byte) (response json.RawMessage, again bool, err error) {
	var a dingtalkAnswer
	if err := decode(acknowledgement, &a); err != nil {
		return nil, false, err
	}
	switch {
	case a.Code == http.StatusNotFound:
		return nil, false, errors.New("platformsim: the program takes no such messages")
	case a.Code != http.StatusOK:
		return nil, true, nil
	case a.Data == "":
		return nil, false, nil
	}
	var data struct{ Response json.RawMessage }
	err = decode([]byte(a.Data), &data)
	return data.Response, false, err
}

// dingtalkReadRobot reads the acknowledgement of a message. DingTalk shows none of it.
func dingtalkReadRobot(acknowledgement []byte) (string, bool, error) {
	_, again, err := dingtalkRead(acknowledgement)
	return "", again, err
}

// dingtalkReadCard reads the acknowledgement of a card's button: the new values of the card for
// everyone and for this person, one a line, in the order of their names.
func dingtalkReadCard(acknowledgement []byte) (string, bool, error) {
	response, again, err := dingtalkRead(acknowledgement)
	if err != nil || again || len(response) == 0 {
		return "", again, err
	}
	type values struct{ CardParamMap map[string]string }
	var card struct{ CardData, UserPrivateData values }
	if err := decode(response, &card); err != nil {
		return "", false, err
	}
	var lines []string
	for _, v := range [...]values{card.CardData, card.UserPrivateData} {
		for _, name := range slices.Sorted(maps.Keys(v.CardParamMap)) {
			lines = append(lines, v.CardParamMap[name])
		}
	}
	return strings.Join(lines, "\n"), false, nil
}

// token gives an access token.
func (g *dingtalkGateway) token(w http.ResponseWriter, r *http.Request) {
	var in struct{ AppKey, AppSecret string }
	if !readJSON(w, r, &in) {
		return
	}
	if !g.accepts(in.AppKey, in.AppSecret) {
		dingtalkError(w, http.StatusBadRequest, "invalidClientIdOrSecret", "无效的clientId或者clientSecret")
		return
	}
	token := random(16)
	g.mu.Lock()
	g.tokens[token] = dingtalkGrant{in.AppKey, g.Now().Add(dingtalkToken)}
	g.mu.Unlock()
	writeJSON(w, http.StatusOK, object{"accessToken": token, "expireIn": int(dingtalkToken.Seconds())})
}

// authorized serves a call with an access token.
func (g *dingtalkGateway) authorized(serve func(app string, w http.ResponseWriter, r *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		of, ok := g.tokens[r.Header.Get("X-Acs-Dingtalk-Access-Token")]
		g.mu.Unlock()
		if !ok || g.Now().After(of.expires) {
			dingtalkError(w, http.StatusBadRequest, "InvalidAuthentication", "不合法的access_token")
			return
		}
		serve(of.app, w, r)
	}
}

// A dingtalkSending is a message of a robot's own.
type dingtalkSending struct {
	RobotCode, MsgKey, MsgParam, OpenConversationID string
	UserIDs                                         []string
}

// send records a message of a robot's own.
func (g *dingtalkGateway) send(app string, w http.ResponseWriter, in dingtalkSending, to string) {
	var param struct{ Content string }
	switch {
	case in.RobotCode == "":
		dingtalkError(w, http.StatusBadRequest, "invalidParameter.robotCode.auth", "robotCode")
	case to == "":
		dingtalkError(w, http.StatusBadRequest, "invalid.openConversationId", "openConversationId, userIds")
	case in.MsgKey != "sampleText":
		dingtalkError(w, http.StatusBadRequest, "invalidParameter.msgKey.invalid", "msgKey")
	case decode([]byte(in.MsgParam), &param) != nil || param.Content == "":
		dingtalkError(w, http.StatusBadRequest, "invalidParameter.msgParam.invalid", "msgParam")
	default:
		g.record(app, param.Content)
		writeJSON(w, http.StatusOK, object{"processQueryKey": random(16)})
	}
}

func (g *dingtalkGateway) sendToGroup(app string, w http.ResponseWriter, r *http.Request) {
	var in dingtalkSending
	if readJSON(w, r, &in) {
		g.send(app, w, in, in.OpenConversationID)
	}
}

func (g *dingtalkGateway) sendToPeople(app string, w http.ResponseWriter, r *http.Request) {
	var in dingtalkSending
	if readJSON(w, r, &in) {
		g.send(app, w, in, strings.Join(in.UserIDs, ""))
	}
}

// robotsOfGroup lists the robots of a group: those of the app are in all groups.
func (g *dingtalkGateway) robotsOfGroup(app string, w http.ResponseWriter, r *http.Request) {
	var in struct{ OpenConversationID string }
	if !readJSON(w, r, &in) {
		return
	}
	if in.OpenConversationID == "" {
		dingtalkError(w, http.StatusBadRequest, "invalid.openConversationId", "openConversationId")
		return
	}
	robots := []object{{"robotCode": app, "name": "chatconf"}}
	g.mu.Lock()
	for _, code := range g.robots[app] {
		robots = append(robots, object{"robotCode": code, "name": "chatconf"})
	}
	g.mu.Unlock()
	writeJSON(w, http.StatusOK, object{"chatbotInstanceVOList": robots})
}

// sendBySession takes an answer by a sessionWebhook.
func (g *dingtalkGateway) sendBySession(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	of, ok := g.sessions[r.URL.Query().Get("session")]
	g.mu.Unlock()
	if !ok || g.Now().After(of.expires) {
		writeJSON(w, http.StatusOK, object{"errcode": 300001, "errmsg": "session is not valid"})
		return
	}
	var body json.RawMessage
	if !readJSON(w, r, &body) {
		return
	}
	text, err := dingtalkText(body)
	if err != nil {
		writeJSON(w, http.StatusOK, object{"errcode": 40035, "errmsg": "不合法的参数"})
		return
	}
	g.record(of.app, text)
	writeJSON(w, http.StatusOK, object{"errcode": 0, "errmsg": "ok"})
}
