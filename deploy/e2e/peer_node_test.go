package e2e_test

import (
	"bufio"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// The environment of the peers, which TestMain takes away.
var (
	// peersFolder is where "npm ci" has put the peers of deploy/peers.
	peersFolder = cmp.Or(os.Getenv("CHATCONF_PEERS"), filepath.Join("..", "peers"))
	// requireExternal makes what would be skipped for want of a program fail.
	requireExternal = os.Getenv("CHATCONF_REQUIRE_EXTERNAL") != ""
)

// nodePeers are libraries of Node's. Those of DingTalk, Slack and Teams are Node's own crypto, as
// there is no library that signs.
var nodePeers = []peer{
	{name: "DingTalk robot by node:crypto", typ: "DingTalk", node: true,
		say: dingTalkRobot(nodeHMAC), check: dingTalkNodeCheck},
	{name: "DingTalk card by node:crypto", typ: "DingTalk", node: true, say: dingTalkCard, check: dingTalkWecomCheck},
	{name: "WeCom by @wecom/crypto", typ: "WeChat", node: true, say: wecomApp(wecomNode{}),
		check: wecomCheck(wecomNode{}), direct: true},
	{name: "WeCom's intelligent robot by @wecom/crypto", typ: "WeChat", node: true,
		say: wecomRobot, check: wecomRobotCheck},
	{name: "Feishu, verified by its SDK of Node's", typ: "Feishu", node: true,
		say: feishuNodeMessage, check: feishuNodeCheck},
	{name: "Slack command, verified by @slack/bolt", typ: "Slack", node: true,
		say: slackNodeCommand, check: slackCheck(nodeHMAC)},
	{name: "Teams by node:crypto", typ: "Teams", node: true, say: teamsMessage(nodeHMAC)},
}

// everyPeer is what most tests go through. Those of Node are skipped where it is not.
func everyPeer() []peer { return append(append([]peer(nil), goPeers...), nodePeers...) }

// needs skips the test of a peer that is not there.
func (p peer) needs(t *testing.T) {
	t.Helper()
	if p.node {
		startNode(t)
	}
}

// A nodeProcess is deploy/peers, which ends with this process at the latest: its standard input
// ends then.
type nodeProcess struct {
	mu  sync.Mutex
	in  io.Writer
	out *bufio.Reader
}

var nodeOnce = sync.OnceValues(func() (*nodeProcess, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(peersFolder, "node_modules")); err != nil {
		return nil, fmt.Errorf("%w; make peers installs it", err)
	}
	cmd := exec.Command(node, "main.js")
	cmd.Dir, cmd.Stderr = peersFolder, os.Stderr
	in, err := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &nodeProcess{in: in, out: bufio.NewReaderSize(out, 1<<20)}, nil
})

// startNode returns the peers of Node's, and skips the test where there are none.
func startNode(t *testing.T) *nodeProcess {
	t.Helper()
	n, err := nodeOnce()
	switch {
	case err != nil && requireExternal:
		t.Fatal(err)
	case err != nil:
		t.Skip(err)
	}
	return n
}

// ask asks a peer and decodes its answer into out. It returns the peer's own error.
func ask(t *testing.T, what string, args object, out any) error {
	t.Helper()
	n := startNode(t)
	question := object{"ask": what}
	for key, value := range args {
		question[key] = value
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, err := io.WriteString(n.in, jsonText(question)+"\n"); err != nil {
		t.Fatal(err)
	}
	line, err := n.out.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Value json.RawMessage `json:"value"`
		Error string          `json:"error"`
	}
	decode(t, line, &answer)
	if answer.Error != "" {
		return fmt.Errorf("%s: %s", what, answer.Error)
	}
	if err := json.Unmarshal(answer.Value, out); err != nil {
		t.Fatalf("%s: %s: %v", what, line, err)
	}
	return nil
}

func nodeHMAC(t *testing.T, key []byte, message string) []byte {
	t.Helper()
	var mac string
	if err := ask(t, "hmac", object{"key": base64.StdEncoding.EncodeToString(key), "base64": true, "message": message},
		&mac); err != nil {
		t.Fatal(err)
	}
	return must(base64.StdEncoding.DecodeString(mac))(t)
}

// wecomNode is @wecom/crypto.
type wecomNode struct{}

func (wecomNode) seal(t *testing.T, token, key, receiver, message, timestamp,
	nonce string) (encrypt, signature string) {
	t.Helper()
	var sealed struct{ Encrypt, Signature string }
	args := object{"token": token, "key": key, "id": receiver, "message": message,
		"timestamp": timestamp, "nonce": nonce}
	if err := ask(t, "wecom.seal", args, &sealed); err != nil {
		t.Fatal(err)
	}
	return sealed.Encrypt, sealed.Signature
}

func (wecomNode) open(t *testing.T, token, key, receiver, encrypt, signature, timestamp, nonce string) string {
	t.Helper()
	var opened struct{ Message, ID string }
	args := object{"token": token, "key": key, "encrypt": encrypt, "signature": signature,
		"timestamp": timestamp, "nonce": nonce}
	if err := ask(t, "wecom.open", args, &opened); err != nil {
		t.Fatal(err)
	}
	if opened.ID != receiver {
		t.Errorf("the answer is for %q, want %q", opened.ID, receiver)
	}
	return opened.Message
}

// dingTalkNodeCheck is the check of an event subscription's URL by dingtalk-encrypt.
func dingTalkNodeCheck(t *testing.T, b *bot, at time.Time) (callback, string) {
	t.Helper()
	s := saying{at: at}
	who := object{"token": b.settings["DingTalkToken"], "key": b.settings["DingTalkEncodingAesKey"],
		"owner": b.settings["DingTalkClientId"]}
	with := func(more object) object {
		for key, value := range who {
			more[key] = value
		}
		return more
	}
	var e dingTalkEnvelope
	if err := ask(t, "dingtalk.seal", with(object{"message": `{"EventType":"check_url"}`, "timestamp": s.millis(),
		"nonce": "88888888"}), &e); err != nil {
		t.Fatal(err)
	}
	return callback{
		query: url.Values{"signature": {e.Signature}, "timestamp": {e.Timestamp}, "nonce": {e.Nonce}},
		body:  jsonText(object{"encrypt": e.Encrypt}),
		read: func(t *testing.T, a answer) string {
			t.Helper()
			var message string
			if err := ask(t, "dingtalk.open", with(object{"envelope": readDingTalkEnvelope(t, a)}),
				&message); err != nil {
				t.Error(err)
			}
			return message
		},
	}, "success"
}

// dingTalkWecomCheck is the same by WeCom's library, whose envelopes are the same.
func dingTalkWecomCheck(t *testing.T, b *bot, at time.Time) (callback, string) {
	t.Helper()
	s, by := saying{at: at}, wecomNode{}
	token, key, owner := b.settings["DingTalkToken"], b.settings["DingTalkEncodingAesKey"],
		b.settings["DingTalkClientId"]
	message := jsonText(object{"EventType": "check_url", "TimeStamp": s.millis(),
		"CorpId": b.settings["DingTalkCorpId"]})
	encrypt, signature := by.seal(t, token, key, owner, message, s.seconds(), "0nonce")
	return callback{
		query: url.Values{"msg_signature": {signature}, "timeStamp": {s.seconds()}, "nonce": {"0nonce"}},
		body:  jsonText(object{"encrypt": encrypt}),
		read: func(t *testing.T, a answer) string {
			t.Helper()
			e := readDingTalkEnvelope(t, a)
			return by.open(t, token, key, owner, e.Encrypt, e.Signature, e.Timestamp, e.Nonce)
		},
	}, "success"
}

// dingTalkCard is a button of an interactive card.
// https://open.dingtalk.com/document/orgapp/event-callback-card
func dingTalkCard(t *testing.T, b *bot, s saying) callback {
	t.Helper()
	return callback{
		header: map[string]string{
			"Content-Type":                 "application/json",
			"x-ddpaas-signature-timestamp": s.millis(),
			"x-ddpaas-signature": base64.StdEncoding.EncodeToString(
				nodeHMAC(t, []byte(b.settings["DingTalkCardSecret"]), s.millis())),
		},
		body: jsonText(object{
			"type": "actionCallback", "outTrackId": s.id, "corpId": b.settings["DingTalkCorpId"],
			"userId": s.user, "userIdType": 1,
			"spaceId": s.conversation, "spaceType": "IM_GROUP",
			"content": jsonText(object{"cardPrivateData": object{"actionIds": []string{"run"},
				"params": object{"command": s.text}}}),
		}),
	}
}

// wecomRobot is a message to an intelligent robot, in JSON, for nobody's receive id.
// https://developer.work.weixin.qq.com/document/path/100719
func wecomRobot(t *testing.T, b *bot, s saying) callback {
	t.Helper()
	token, key, by := b.settings["WeChatToken"], b.settings["WeChatEncodingAesKey"], wecomNode{}
	message := jsonText(object{
		"msgid": s.id, "aibotid": "aibexample", "chatid": s.conversation, "chattype": "group",
		"from":    object{"userid": s.user},
		"msgtype": "text", "text": object{"content": "@运维机器人 " + s.text},
	})
	encrypt, signature := by.seal(t, token, key, "", message, s.seconds(), "nonce-"+s.id)
	return callback{
		query:  url.Values{"msg_signature": {signature}, "timestamp": {s.seconds()}, "nonce": {"nonce-" + s.id}},
		header: map[string]string{"Content-Type": "application/json"},
		body:   jsonText(object{"encrypt": encrypt}),
		read: func(t *testing.T, a answer) string {
			t.Helper()
			if len(a.body) == 0 {
				return ""
			}
			var e struct {
				Encrypt   string `json:"encrypt"`
				Signature string `json:"msgsignature"`
				Timestamp int64  `json:"timestamp"`
				Nonce     string `json:"nonce"`
			}
			decode(t, a.body, &e)
			if e.Nonce != "nonce-"+s.id {
				t.Errorf("nonce = %q, want the callback's", e.Nonce)
			}
			inner := by.open(t, token, key, "", e.Encrypt, e.Signature, fmt.Sprint(e.Timestamp), e.Nonce)
			var reply struct {
				MsgType string `json:"msgtype"`
				Stream  struct {
					ID      string `json:"id"`
					Finish  bool   `json:"finish"`
					Content string `json:"content"`
				} `json:"stream"`
			}
			decode(t, []byte(inner), &reply)
			if reply.MsgType != "stream" || !reply.Stream.Finish || reply.Stream.ID == "" {
				t.Errorf("reply = %s, want a stream that is finished", inner)
			}
			return unescapeMarkdown(reply.Stream.Content)
		},
	}
}

// unescapeMarkdown returns what Markdown shows that has escapes and no markup.
func unescapeMarkdown(text string) string {
	var b strings.Builder
	escaped := false
	for _, r := range text {
		if escaped = r == '\\' && !escaped; !escaped {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// wecomRobotCheck is the check of an intelligent robot's URL.
func wecomRobotCheck(t *testing.T, b *bot, at time.Time) (callback, string) {
	t.Helper()
	robot := *b
	robot.settings = map[string]string{"WeChatToken": b.settings["WeChatToken"],
		"WeChatEncodingAesKey": b.settings["WeChatEncodingAesKey"]}
	return wecomCheck(wecomNode{})(t, &robot, at) // with an empty receive id
}

// feishuNodeMessage is a message in which the SDK of Node's reads the same text.
func feishuNodeMessage(t *testing.T, b *bot, s saying) callback {
	t.Helper()
	c := feishuMessage(t, b, s)
	if text := feishuNodeReads(t, b, c); text == nil || *text != "@_user_1 "+s.text {
		t.Errorf("the SDK of Node's reads %v", text)
	}
	return c
}

// feishuNodeReads returns the text that the SDK of Node's reads in a callback, nil if it refuses
// it.
func feishuNodeReads(t *testing.T, b *bot, c callback) (text *string) {
	t.Helper()
	if err := ask(t, "feishu.receive", object{"key": b.settings["FeishuEncryptKey"], "headers": lowerHeaders(c),
		"body": c.body}, &text); err != nil {
		t.Fatal(err)
	}
	return text
}

// lowerHeaders returns a callback's headers as Node shows them.
func lowerHeaders(c callback) map[string]string {
	lower := make(map[string]string)
	for name, value := range c.header {
		lower[strings.ToLower(name)] = value
	}
	return lower
}

// feishuNodeCheck is the check of the URL, answered as the SDK of Node's answers it.
func feishuNodeCheck(t *testing.T, b *bot, at time.Time) (callback, string) {
	t.Helper()
	c, _ := feishuCheck(t, b, at)
	var want string
	if err := ask(t, "feishu.challenge", object{"key": b.settings["FeishuEncryptKey"], "body": c.body},
		&want); err != nil {
		t.Fatal(err)
	}
	c.read = func(_ *testing.T, a answer) string { return string(a.body) }
	return c, want
}

// slackNodeCommand is a slash command that @slack/bolt takes for genuine.
func slackNodeCommand(t *testing.T, b *bot, s saying) callback {
	t.Helper()
	c := slackCommand(nodeHMAC)(t, b, s)
	if err := boltVerifies(t, b, c); err != nil && s.current() {
		t.Error(err)
	}
	return c
}

func boltVerifies(t *testing.T, b *bot, c callback) error {
	t.Helper()
	var ok bool
	return ask(t, "slack.verify", object{"secret": b.settings["SlackSigningSecret"],
		"headers": lowerHeaders(c), "body": c.body}, &ok)
}
