// Feishu, with its official SDK.
'use strict';

const sdk = () => require('@larksuiteoapi/node-sdk'); // large, so loaded when it is used

const none = () => {};
const logger = { error: none, warn: none, info: none, debug: none, trace: none };

const said = (headers, body) => Object.assign(Object.create({ headers }), JSON.parse(body));

module.exports = {
  // Returns the answer to a URL verification.
  'feishu.challenge'({ key, body }) {
    const { isChallenge, challenge } = sdk().generateChallenge(JSON.parse(body), { encryptKey: key });
    if (!isChallenge) throw new Error('the body is not a URL verification');
    return JSON.stringify(challenge);
  },

  // Verifies a callback, and returns its message's text, or null if it is refused. Header names
  // are in lower case.
  async 'feishu.receive'({ key, headers, body }) {
    let text = null;
    const dispatcher = new (sdk().EventDispatcher)({ encryptKey: key, logger }).register({
      'im.message.receive_v1': (event) => { text = JSON.parse(event.message.content).text; },
    });
    await dispatcher.invoke(said(headers, body));
    return text;
  },
};
