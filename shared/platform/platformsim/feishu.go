package platformsim

import (
	"bytes"
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"

	"chatconf/shared/platform/callback"
)

// feishu simulates Feishu and Lark.
var feishu = Simulator{
	Type: "Feishu",
	Modes: []Mode{
		{Name: "message", Make: feishuMessage, Receiver: []string{"FeishuAppId"}},
		{Name: "v1", Make: feishuFirst, Receiver: []string{"FeishuAppId"}},
		{Name: "card", Make: feishuCard, Receiver: []string{"FeishuAppId"}, Carries: true},
		{Name: "menu", Make: feishuMenu, Receiver: []string{"FeishuAppId"}, Direct: true},
		{Name: "old-card", Make: feishuOldCard, Needs: `FeishuVerificationToken, and FeishuOldCards "true"`},
		{Name: "check", Check: true, Make: feishuCheck, Timeless: true},
		{Name: "plain-check", Check: true, Make: feishuPlainCheck, Needs: "FeishuVerificationToken", Timeless: true},
	},
	Enclosures: map[string]func(*Maker, string) (*Callback, error){"event": feishuOf},
	Example: callback.Settings{"FeishuAppId": "cli_example", "FeishuAppSecret": "not-a-real-secret",
		"FeishuEncryptKey":        "not-a-real-key",
		"FeishuVerificationToken": "not-a-real-token", "FeishuOldCards": "true"},
}

// feishu encrypts a body and signs it.
func (k *Maker) feishu(body []byte) (*Callback, error) {
	if err := k.need("FeishuEncryptKey", "FeishuAppId"); err != nil {
		return nil, err
	}
	encrypted, err := k.feishuEncrypt(body)
	if err != nil {
		return nil, err
	}
	at, nonce, key := k.seconds(), k.hex(8), k.Settings.Get("FeishuEncryptKey")
	sum := sha256.Sum256(append([]byte(at+nonce+key), encrypted...))
	return post(encrypted, jsonUTF8, "X-Lark-Request-Timestamp", at, "X-Lark-Request-Nonce", nonce, "X-Lark-Signature",
		hex.EncodeToString(sum[:])), nil
}

func (k *Maker) feishuEncrypt(plain []byte) ([]byte, error) {
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	plain = append(plain, bytes.Repeat([]byte{byte(pad)}, pad)...)
	key := sha256.Sum256([]byte(k.Settings.Get("FeishuEncryptKey")))
	c, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	out := make([]byte, aes.BlockSize+len(plain))
	if _, err := io.ReadFull(k.Random, out[:aes.BlockSize]); err != nil {
		return nil, err
	}
	cipher.NewCBCEncrypter(c, out[:aes.BlockSize]).CryptBlocks(out[aes.BlockSize:], plain)
	return object{"encrypt": base64.StdEncoding.EncodeToString(out)}.bytes(), nil
}

func (k *Maker) feishuHeader(m Message, kind string) object {
	return object{"event_id": m.ID, "event_type": kind, "create_time": k.millis(),
		"token":  k.Settings.Get("FeishuVerificationToken"),
		"app_id": k.Settings.Get("FeishuAppId"), "tenant_key": "exampletenant"}
}

// feishuMessage is a message, as an event of version 2.
func feishuMessage(k *Maker, m Message) (*Callback, error) { return k.feishu(feishuSaid(k, m).bytes()) }

// feishuMessageID is the id of a message, or of the message with a card.
func feishuMessageID(m Message) string { return "om_" + m.ID }

// feishuSaid is the event of a message.
func feishuSaid(k *Maker, m Message) object {
	said := object{"message_id": feishuMessageID(m), "create_time": k.millis(),
		"chat_id": cmp.Or(m.Conversation, "oc_example"), "chat_type": "group", "message_type": "text",
		"content": object{"text": "@_user_1 " + m.Text}.String(),
		"mentions": []object{{"key": "@_user_1", "id": object{"open_id": "ou_bot"},
			"name":       cmp.Or(k.Settings.Get("BotName"), "example"),
			"tenant_key": "exampletenant"}}}
	if m.Direct {
		said["chat_type"], said["content"] = "p2p", object{"text": m.Text}.String()
		delete(said, "mentions")
	}
	return object{"schema": "2.0", "header": k.feishuHeader(m, "im.message.receive_v1"), "event": object{
		"sender": object{"sender_id": object{"open_id": m.User, "union_id": "on_example"},
			"sender_type": "user", "tenant_key": "exampletenant"},
		"message": said}}
}

// feishuFirst is a message, as an event of version 1.
func feishuFirst(k *Maker, m Message) (*Callback, error) {
	return k.feishu(feishuSaidFirst(k, m).bytes())
}

// feishuSaidFirst is the event of version 1 of a message.
func feishuSaidFirst(k *Maker, m Message) object {
	event := object{"type": "message", "app_id": k.Settings.Get("FeishuAppId"), "tenant_key": "exampletenant",
		"open_id": m.User, "msg_type": "text",
		"open_chat_id": cmp.Or(m.Conversation, "oc_example"), "open_message_id": feishuMessageID(m),
		"chat_type": "group", "is_mention": true,
		"text": "<at open_id=\"ou_bot\">@example</at> " + m.Text, "text_without_at_bot": " " + m.Text}
	if m.Direct {
		event["chat_type"], event["is_mention"], event["text"] = "private", false, m.Text
	}
	return object{"ts": k.seconds() + ".123456", "uuid": m.ID,
		"token": k.Settings.Get("FeishuVerificationToken"), "type": "event_callback", "event": event}
}

// feishuCard is a card's button with the text as the command in its value.
func feishuCard(k *Maker, m Message) (*Callback, error) {
	c, err := k.feishu(feishuPressed(k, m).bytes())
	if err != nil {
		return nil, err
	}
	return c.reading(feishuToast), nil
}

// feishuPressed is the event of a card's button.
func feishuPressed(k *Maker, m Message) object {
	return object{"schema": "2.0", "header": k.feishuHeader(m, "card.action.trigger"), "event": object{
		"operator": object{"tenant_key": "exampletenant", "open_id": m.User},
		"token":    "c-example", "host": "im_message",
		"action": object{"tag": "button", "value": object{"command": m.Text}},
		"context": object{"open_message_id": feishuMessageID(m),
			"open_chat_id": cmp.Or(m.Conversation, "oc_example")}}}
}

// feishuToast reads the answer to a card's button.
func feishuToast(body []byte) (string, error) {
	var a struct {
		Toast *struct {
			Type    string `json:"type"`
			Content string `json:"content"`
		} `json:"toast"`
	}
	if err := decode(body, &a); err != nil || a.Toast == nil {
		return "", err
	}
	return a.Toast.Content, nil
}

// feishuMenu is an item of the bot's menu with the text as its key.
func feishuMenu(k *Maker, m Message) (*Callback, error) {
	return k.feishu(feishuChosen(k, m).bytes())
}

// feishuChosen is the event of an item of the bot's menu.
func feishuChosen(k *Maker, m Message) object {
	return object{"schema": "2.0", "header": k.feishuHeader(m, "application.bot.menu_v6"), "event": object{
		"operator": object{"operator_name": cmp.Or(m.UserName, m.User), "operator_id": object{"open_id": m.User}},
		// the real time would make two items within a second one message
		"event_key": m.Text, "timestamp": json.Number(number(m.ID))}}
}

// feishuOldCard is a card's button in the older callback, which is not encrypted.
func feishuOldCard(k *Maker, m Message) (*Callback, error) {
	if err := k.need("FeishuVerificationToken"); err != nil {
		return nil, err
	}
	if k.Settings.Get("FeishuOldCards") != "true" {
		return nil, fmt.Errorf("FeishuOldCards is not set to \"true\"")
	}
	body := feishuPressedFlat(k, m).bytes()
	at, nonce := k.seconds(), k.hex(8)
	sum := sha1.Sum(append([]byte(at+nonce+k.Settings.Get("FeishuVerificationToken")), body...))
	return post(body, jsonUTF8, "X-Lark-Request-Timestamp", at, "X-Lark-Request-Nonce", nonce, "X-Lark-Signature",
		hex.EncodeToString(sum[:])), nil
}

// feishuPressedFlat is a card's button in the older callback.
func feishuPressedFlat(_ *Maker, m Message) object {
	return object{"open_id": m.User, "tenant_key": "exampletenant", "token": "c-" +
		m.ID, "open_message_id": feishuMessageID(m),
		"open_chat_id": cmp.Or(m.Conversation, "oc_example"),
		"action":       object{"tag": "button", "value": object{"command": m.Text}}}
}

func (k *Maker) feishuChallenge() (object, func([]byte) (string, error)) {
	challenge := k.hex(16)
	return object{"challenge": challenge, "token": k.Settings.Get("FeishuVerificationToken"),
			"type": "url_verification"}, func(body []byte) (string, error) {
			var a struct {
				Challenge string `json:"challenge"`
			}
			if err := decode(body, &a); err != nil {
				return "", err
			}
			if a.Challenge != challenge {
				return "", fmt.Errorf("platformsim: the answer is not the challenge")
			}
			return challenge, nil
		}
}

// feishuCheck is the check of the URL: encrypted, and like the platform's not signed.
func feishuCheck(k *Maker, _ Message) (*Callback, error) {
	if err := k.need("FeishuEncryptKey"); err != nil {
		return nil, err
	}
	challenge, read := k.feishuChallenge()
	body, err := k.feishuEncrypt(challenge.bytes())
	if err != nil {
		return nil, err
	}
	return post(body, jsonUTF8).reading(read), nil
}

// feishuPlainCheck is the check of the URL before the Encrypt Key is set in the console.
func feishuPlainCheck(k *Maker, _ Message) (*Callback, error) {
	if err := k.need("FeishuVerificationToken"); err != nil {
		return nil, err
	}
	challenge, read := k.feishuChallenge()
	return post(challenge.bytes(), jsonUTF8).reading(read), nil
}

func feishuOf(k *Maker, text string) (*Callback, error) { return k.feishu([]byte(text)) }
