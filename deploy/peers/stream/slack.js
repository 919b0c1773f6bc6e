// Slack: answers commands in the acknowledgement, mentions as the bot, and buttons by their
// response_url.
'use strict';

const { SocketModeClient } = require('@slack/socket-mode');
const { WebClient } = require('@slack/web-api');
const { url, settings, echo, fails, post } = require('./peer');

const clientOptions = { slackApiUrl: `${url}/api/`, allowAbsoluteUrls: false };
const web = new WebClient(settings.SlackBotToken, clientOptions);
const client = new SocketModeClient({
  appToken: settings.SlackAppToken, clientOptions, clientPingTimeout: 2000, // also the time until it connects again
});
client.on('slash_commands', async ({ body, ack }) => {
  await ack({ response_type: 'ephemeral', text: echo(body.text) });
});
client.on('app_mention', async ({ event, ack }) => {
  const text = event.text.slice(event.text.indexOf(' ') + 1);
  if (fails(text)) return; // without an acknowledgement it comes again
  await ack();
  await web.chat.postMessage({ channel: event.channel, text: echo(text) });
});
client.on('interactive', async ({ body, ack }) => {
  await ack();
  await post(body.response_url, { text: echo(body.actions[0].value) });
});
client.start();
