// Feishu, by its official SDK.
'use strict';

const sdk = () => require('@larksuiteoapi/node-sdk'); // which is large

const none = () => {};
const logger = { error: none, warn: none, info: none, debug: none, trace: none };

const said = (headers, body) => Object.assign(Object.create({ headers }), JSON.parse(body));

module.exports = {
  // Returns the answer to the check of a URL.
  'feishu.challenge'({ key, body }) {
    const { isChallenge, challenge } = sdk().generateChallenge(JSON.parse(body), { encryptKey: key });
    if (!isChallenge) throw new Error('this is no check of a URL');
    return JSON.stringify(challenge);
  },

  // Verifies a callback, headers in lower case, and returns the text of its message, null if it is refused.
  async 'feishu.receive'({ key, headers, body }) {
    let text = null;
    const dispatcher = new (sdk().EventDispatcher)({ encryptKey: key, logger }).register({
      'im.message.receive_v1': (event) => { text = JSON.parse(event.message.content).text; },
    });
    await dispatcher.invoke(said(headers, body));
    return text;
  },
};
