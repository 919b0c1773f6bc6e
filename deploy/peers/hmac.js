// HMAC-SHA256 by Node, as DingTalk's robots and cards, Slack and Teams sign. A key is a string, or
// base64 of its bytes.
'use strict';

const { createHmac } = require('node:crypto');

module.exports = {
  hmac: ({ key, base64, message, encoding = 'base64' }) =>
    createHmac('sha256', base64 ? Buffer.from(key, 'base64') : key).update(message).digest(encoding),
};
