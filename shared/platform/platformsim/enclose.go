package platformsim

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

// enclosures are the ways in which a platform signs and encrypts what it has to say, by type and name.
var enclosures = map[string]map[string]func(*Maker, string) (*Callback, error){
	"DingTalk": {"robot": dingtalkRobotOf, "card": dingtalkCardOf, "event": dingtalkEventOf},
	"WeChat":   {"app": wecomAppOf, "json": wecomJSONOf, "aibot": wecomRobotOf},
	"Feishu":   {"event": feishuOf},
	"Slack":    {"event": slackEventOf, "form": slackFormOf, "payload": slackPayloadOf},
	"Teams":    {"activity": teamsOf},
}

// Enclose makes a callback of what the platform would say, as it is: signed, and encrypted where
// that is so. The answer is not read. In the text {seconds}, {millis} and {time} are filled in,
// which are now, since 1970 or by RFC 3339, and {id}, which is another one each time.
func (k *Maker) Enclose(platform, enclosure, text string) (*Callback, error) {
	enclose, ok := enclosures[platform][enclosure]
	if !ok {
		return nil, fmt.Errorf("platformsim: %s has no enclosure %q; it has %s", platform, enclosure, strings.Join(slices.Sorted(maps.Keys(enclosures[platform])), ", "))
	}
	if k.Random == nil {
		k.Random = rand.Reader
	}
	fill := strings.NewReplacer("{seconds}", k.seconds(), "{millis}", k.millis(),
		"{time}", k.Now.UTC().Format(time.RFC3339Nano), "{id}", k.hex(8))
	c, err := enclose(k, fill.Replace(text))
	if err != nil {
		return nil, fmt.Errorf("platformsim: %s, %s: %w", platform, enclosure, err)
	}
	return c, nil
}

func dingtalkRobotOf(k *Maker, text string) (*Callback, error) {
	if err := k.need("DingTalkClientSecret"); err != nil {
		return nil, err
	}
	at, secret := k.millis(), k.Settings.Get("DingTalkClientSecret")
	return post([]byte(text), jsonUTF8, "timestamp", at, "sign", mac64(secret, at+"\n"+secret)), nil
}

func dingtalkCardOf(k *Maker, text string) (*Callback, error) {
	if err := k.need("DingTalkCardSecret"); err != nil {
		return nil, err
	}
	at := k.millis()
	return post([]byte(text), jsonUTF8, "x-ddpaas-signature-timestamp", at, "x-ddpaas-signature", mac64(k.Settings.Get("DingTalkCardSecret"), at)), nil
}

func dingtalkEventOf(k *Maker, text string) (*Callback, error) {
	if err := k.need("DingTalkToken", "DingTalkEncodingAesKey"); err != nil {
		return nil, err
	}
	e, err := k.envelope("DingTalkToken", "DingTalkEncodingAesKey", text, cmp.Or(k.Settings.Get("DingTalkOwnerKey"), k.Settings.Get("DingTalkClientId")), k.millis())
	if err != nil {
		return nil, err
	}
	c := post(object{"encrypt": e.Encrypt}.bytes(), jsonUTF8)
	c.Query = signed(e)
	c.Query.Set("signature", e.Signature)
	return c, nil
}

func wecomAppOf(k *Maker, text string) (*Callback, error) {
	corp, agent := k.Settings.Get("WeChatCorpId"), k.Settings.Get("WeChatAgentId")
	e, err := k.wecom(text, corp)
	if err != nil {
		return nil, err
	}
	c := post([]byte("<xml><ToUserName>"+corp+"</ToUserName><AgentID>"+agent+"</AgentID><Encrypt>"+e.Encrypt+"</Encrypt></xml>"), "text/xml")
	c.Query = signed(e)
	return c, nil
}

func wecomJSONOf(k *Maker, text string) (*Callback, error) {
	corp, agent := k.Settings.Get("WeChatCorpId"), k.Settings.Get("WeChatAgentId")
	e, err := k.wecom(text, corp)
	if err != nil {
		return nil, err
	}
	c := post(object{"tousername": corp, "agentid": agent, "encrypt": e.Encrypt}.bytes(), "application/json")
	c.Query = signed(e)
	return c, nil
}

func wecomRobotOf(k *Maker, text string) (*Callback, error) {
	e, err := k.wecom(text, "")
	if err != nil {
		return nil, err
	}
	c := post(object{"encrypt": e.Encrypt}.bytes(), "application/json")
	c.Query = signed(e)
	return c, nil
}

func feishuOf(k *Maker, text string) (*Callback, error) { return k.feishu([]byte(text)) }

func slackEventOf(k *Maker, text string) (*Callback, error) {
	return k.slack([]byte(text), "application/json")
}

func slackFormOf(k *Maker, text string) (*Callback, error) {
	return k.slack([]byte(text), formURLEncoded)
}

func slackPayloadOf(k *Maker, text string) (*Callback, error) {
	return slackFormOf(k, url.Values{"payload": {text}}.Encode())
}

func teamsOf(k *Maker, text string) (*Callback, error) { return k.teams([]byte(text)) }
