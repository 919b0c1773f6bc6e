// DingTalk's event subscription, by the library that is most used for it.
'use strict';

const Encryptor = require('dingtalk-encrypt');

// The library percent-encodes what it encrypts and decodes what it decrypts, which DingTalk does not: asked for ASCII, it is the same
// without.
const plainly = (text, work) => {
  if (/[^\x20-\x7e]/.test(text)) throw new Error('the library cannot tell this text from an encoded one');
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

  // Checks the signature and the owner of an envelope and returns its message.
  'dingtalk.open'({ token, key, owner, envelope }) {
    return new Encryptor(token, key, owner).getDecryptMsg(envelope.msg_signature, envelope.timeStamp, envelope.nonce, envelope.encrypt);
  },
};
