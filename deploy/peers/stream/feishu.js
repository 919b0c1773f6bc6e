// Feishu: answers messages by replies, cards with toasts, and items of the menu by messages.
'use strict';

const lark = require('@larksuiteoapi/node-sdk');
const { url, settings, echo, fails } = require('./peer');

const app = { appId: settings.FeishuAppId, appSecret: settings.FeishuAppSecret, domain: url };
const { message } = new lark.Client(app).im.v1;

const content = (text) => ({ msg_type: 'text', content: JSON.stringify({ text }) });

async function reply(id, text) {
  if (fails(text)) throw new Error('not this time');
  await message.reply({ path: { message_id: id }, data: content(echo(text)) });
}

const eventDispatcher = new lark.EventDispatcher({}).register({
  'im.message.receive_v1': ({ message: m }) => reply(
    m.message_id, JSON.parse(m.content).text.replace('@_user_1 ', '')),
  message: (m) => reply(m.open_message_id, m.text_without_at_bot.trim()),
  'card.action.trigger': ({ action }) => ({ toast: { type: 'info', content: echo(action.value.command) } }),
  async 'application.bot.menu_v6'({ operator, event_key: key }) {
    await message.create({
      params: { receive_id_type: 'open_id' },
      data: { receive_id: operator.operator_id.open_id, ...content(echo(key)) },
    });
  },
});
new lark.WSClient(app).start({ eventDispatcher });
