// WeCom, with its official library. DingTalk's envelopes have the same format.
'use strict';

const { decrypt, encrypt, getSignature } = require('@wecom/crypto');

module.exports = {
  // Encrypts a message for a receive id, and returns the ciphertext and its signature.
  'wecom.seal'({ token, key, id, message, timestamp, nonce }) {
    const sealed = encrypt(key, message, id);
    return { encrypt: sealed, signature: getSignature(token, timestamp, nonce, sealed) };
  },

  // Verifies the signature of a ciphertext, and returns its message and receive id.
  'wecom.open'({ token, key, encrypt: sealed, signature, timestamp, nonce }) {
    if (getSignature(token, timestamp, nonce, sealed) !== signature) throw new Error('invalid signature');
    const { message, id } = decrypt(key, sealed);
    return { message, id };
  },
};
