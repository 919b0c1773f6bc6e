package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/open-dingtalk/dingtalk-stream-sdk-go/card"
	"github.com/open-dingtalk/dingtalk-stream-sdk-go/chatbot"
	"github.com/open-dingtalk/dingtalk-stream-sdk-go/client"
)

// dingtalk answers messages by their sessionWebhooks, and cards with new values.
func dingtalk(p *peer) error {
	c := client.NewStreamClient(client.WithOpenApiHost(p.url), client.WithAppCredential(
		client.NewAppCredentialConfig(p.settings["DingTalkClientId"], p.settings["DingTalkClientSecret"])))
	c.RegisterChatBotCallbackRouter(func(ctx context.Context, m *chatbot.BotCallbackDataModel) ([]byte, error) {
		text := strings.TrimSpace(m.Text.Content)
		if p.fails(text) {
			return nil, errors.New("not this time")
		}
		err := chatbot.NewChatbotReplier().SimpleReplyText(ctx, m.SessionWebhook, []byte(echo(text)))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		return nil, err
	})
	c.RegisterCardCallbackRouter(func(_ context.Context, r *card.CardRequest) (*card.CardResponse, error) {
		return &card.CardResponse{UserPrivateData: &card.CardDataDto{CardParamMap: map[string]string{
			"answer": echo(r.GetActionString("command"))}}}, nil
	})
	if err := c.Start(context.Background()); err != nil {
		return err
	}
	select {}
}
