package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"
	"github.com/slack-go/slack/socketmode"
)

// slackSocket answers commands in the acknowledgement, mentions as the bot, and buttons by their
// response_url.
func slackSocket(p *peer) error {
	api := slack.New(p.settings["SlackBotToken"], slack.OptionAppLevelToken(p.settings["SlackAppToken"]),
		slack.OptionAPIURL(p.url+"/api/"))
	c := socketmode.New(api)
	go func() {
		for e := range c.Events {
			if err := slackHandle(p, api, c, e); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}
	}()
	return c.Run()
}

func slackHandle(p *peer, api *slack.Client, c *socketmode.Client, e socketmode.Event) error {
	switch data := e.Data.(type) {
	case slack.SlashCommand:
		return c.Ack(*e.Request, map[string]string{"response_type": "ephemeral", "text": echo(data.Text)})
	case slackevents.EventsAPIEvent:
		mention, ok := data.InnerEvent.Data.(*slackevents.AppMentionEvent)
		if !ok {
			return fmt.Errorf("an event of type %T", data.InnerEvent.Data)
		}
		_, text, _ := strings.Cut(mention.Text, " ")
		if p.fails(text) {
			return nil
		}
		if err := c.Ack(*e.Request); err != nil {
			return err
		}
		_, _, err := api.PostMessage(mention.Channel, slack.MsgOptionText(echo(text), false))
		return err
	case slack.InteractionCallback:
		if err := c.Ack(*e.Request); err != nil {
			return err
		}
		return slack.PostWebhook(data.ResponseURL, &slack.WebhookMessage{Text: echo(
			data.ActionCallback.BlockActions[0].Value)})
	}
	return nil
}
