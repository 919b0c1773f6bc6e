package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	lark "github.com/larksuite/oapi-sdk-go/v3"
	"github.com/larksuite/oapi-sdk-go/v3/event/dispatcher"
	"github.com/larksuite/oapi-sdk-go/v3/event/dispatcher/callback"
	application "github.com/larksuite/oapi-sdk-go/v3/service/application/v6"
	im "github.com/larksuite/oapi-sdk-go/v3/service/im/v1"
	"github.com/larksuite/oapi-sdk-go/v3/ws"
)

// feishu answers messages by replies, cards with toasts, and items of the menu by messages.
func feishu(p *peer) error {
	id, key := p.settings["FeishuAppId"], p.settings["FeishuAppSecret"]
	api := lark.NewClient(id, key, lark.WithOpenBaseUrl(p.url))
	handler := dispatcher.NewEventDispatcher("", "").
		OnP2MessageReceiveV1(func(ctx context.Context, e *im.P2MessageReceiveV1) error {
			var content struct{ Text string }
			if err := json.Unmarshal([]byte(*e.Event.Message.Content), &content); err != nil {
				return err
			}
			return feishuReply(ctx, p, api, *e.Event.Message.MessageId, strings.TrimPrefix(content.Text, "@_user_1 "))
		}).
		OnP1MessageReceiveV1(func(ctx context.Context, e *im.P1MessageReceiveV1) error {
			return feishuReply(ctx, p, api, e.Event.OpenMessageID, strings.TrimSpace(e.Event.TextWithoutAtBot))
		}).
		OnP2CardActionTrigger(func(_ context.Context, e *callback.CardActionTriggerEvent) (
			*callback.CardActionTriggerResponse, error) {
			text, _ := e.Event.Action.Value["command"].(string)
			return &callback.CardActionTriggerResponse{Toast: &callback.Toast{Type: "info", Content: echo(text)}}, nil
		}).
		OnP2BotMenuV6(func(ctx context.Context, e *application.P2BotMenuV6) error {
			r, err := api.Im.Message.Create(ctx, im.NewCreateMessageReqBuilder().ReceiveIdType("open_id").Body(
				im.NewCreateMessageReqBodyBuilder().ReceiveId(*e.Event.Operator.OperatorId.OpenId).MsgType("text").
					Content(feishuText(echo(*e.Event.EventKey))).Build()).Build())
			if err == nil && !r.Success() {
				err = r.CodeError
			}
			return err
		})
	return ws.NewClient(id, key, ws.WithDomain(p.url), ws.WithEventHandler(handler)).Start(context.Background())
}

func feishuText(text string) string {
	b, err := json.Marshal(map[string]string{"text": text})
	if err != nil {
		panic(err) // never happens
	}
	return string(b)
}

func feishuReply(ctx context.Context, p *peer, api *lark.Client, id, text string) error {
	if p.fails(text) {
		return errors.New("not this time")
	}
	r, err := api.Im.Message.Reply(ctx, im.NewReplyMessageReqBuilder().MessageId(id).Body(
		im.NewReplyMessageReqBodyBuilder().MsgType("text").Content(feishuText(echo(text))).Build()).Build())
	if err != nil {
		return err
	}
	if !r.Success() {
		return fmt.Errorf("reply: %w", r.CodeError)
	}
	return nil
}
