// Slack, with the verifier of its official framework.
'use strict';

module.exports = {
  // Verifies a request; throws if it is invalid. Header names are in lower case.
  'slack.verify'({ secret, headers, body }) {
    const timestamp = Number(headers['x-slack-request-timestamp']);
    require('@slack/bolt').verifySlackRequest({
      signingSecret: secret, headers: { ...headers, 'x-slack-request-timestamp': timestamp }, body,
    });
    return true;
  },
};
