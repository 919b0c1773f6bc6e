// DingTalk's event subscription, with the most used library for it.
'use strict';

const Encryptor = require('dingtalk-encrypt');

// The library percent-encodes plaintext before it encrypts; DingTalk does not. This turns the
// encoding off, for ASCII text, which the library's decoding leaves unchanged.
const plainly = (text, work) => {
  if (/[^\x20-\x7e]/.test(text)) throw new Error('the text must be printable ASCII');
  const { encodeURI } = globalThis;
  globalThis.encodeURI = (same) => same;
  try {
    return work();
  } finally {
    globalThis.encodeURI = encodeURI;
  }
};

module.exports = {
  // Returns an envelope: {msg_signature, encrypt, timeStamp, nonce}.
  'dingtalk.seal'({ token, key, owner, message, timestamp, nonce }) {
    return plainly(message, () => new Encryptor(token, key, owner).getEncryptedMap(message, timestamp, nonce));
  },

  // Verifies signature and owner of an envelope, and returns its message.
  'dingtalk.open'({ token, key, owner, envelope }) {
    const { msg_signature: signature, timeStamp, nonce, encrypt } = envelope;
    return new Encryptor(token, key, owner).getDecryptMsg(signature, timeStamp, nonce, encrypt);
  },
};
