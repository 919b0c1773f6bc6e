// WeCom: answers messages over the connection, and a card's button by another card.
'use strict';

const { WSClient } = require('@wecom/aibot-node-sdk');
const { url, settings, echo } = require('./peer');

const client = new WSClient({
  botId: settings.WeChatBotId, secret: settings.WeChatBotSecret, wsUrl: url.replace('https', 'wss'),
  reconnectInterval: 100,
});
client.on('message.text', (frame) => {
  const text = frame.body.text.content.slice(frame.body.text.content.indexOf(' ') + 1);
  return client.replyStream(frame, `stream-${frame.body.msgid}`, echo(text), true);
});
client.on('event.template_card_event', (frame) => client.updateTemplateCard(frame, {
  card_type: 'text_notice', main_title: { title: echo(frame.body.event.template_card_event.event_key) },
}));
client.on('error', (e) => {
  console.error(e.message);
  if (e.message.includes('853000')) process.exit(1);
});
client.connect();
