// WeCom, by its official library. DingTalk's envelopes are the same.
'use strict';

const { decrypt, encrypt, getSignature } = require('@wecom/crypto');

module.exports = {
  // Returns the ciphertext of a message for a receive id, and its signature.
  'wecom.seal'({ token, key, id, message, timestamp, nonce }) {
    const sealed = encrypt(key, message, id);
    return { encrypt: sealed, signature: getSignature(token, timestamp, nonce, sealed) };
  },

  // Checks the signature of a ciphertext and returns its message and receive id.
  'wecom.open'({ token, key, encrypt: sealed, signature, timestamp, nonce }) {
    if (getSignature(token, timestamp, nonce, sealed) !== signature) throw new Error('the signature is wrong');
    const { message, id } = decrypt(key, sealed);
    return { message, id };
  },
};
