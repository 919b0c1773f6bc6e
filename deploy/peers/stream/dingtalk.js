// DingTalk: answers messages by their sessionWebhooks, and cards with new values.
'use strict';

const { url, settings, echo, fails, post } = require('./peer');

// The client has no option for another host.
require('dingtalk-stream/constants').GATEWAY_URL = `${url}/v1.0/gateway/connections/open`;
const { DWClient, TOPIC_ROBOT, TOPIC_CARD } = require('dingtalk-stream');

const client = new DWClient({
  clientId: settings.DingTalkClientId, clientSecret: settings.DingTalkClientSecret, keepAlive: true,
});
client.registerCallbackListener(TOPIC_ROBOT, async ({ headers, data }) => {
  const message = JSON.parse(data);
  const text = message.text.content.trim();
  if (fails(text)) return; // without an acknowledgement it comes again
  await post(message.sessionWebhook, { msgtype: 'text', text: { content: echo(text) } });
  client.socketCallBackResponse(headers.messageId, null);
});
client.registerCallbackListener(TOPIC_CARD, ({ headers, data }) => {
  const { command } = JSON.parse(JSON.parse(data).content).cardPrivateData.params;
  client.socketCallBackResponse(headers.messageId, { userPrivateData: { cardParamMap: { answer: echo(command) } } });
});
client.connect();
