// Slack, by the verifier of its official framework.
'use strict';

module.exports = {
  // Verifies a request, headers in lower case; a wrong one is an error.
  'slack.verify'({ secret, headers, body }) {
    require('@slack/bolt').verifySlackRequest({ signingSecret: secret, headers: { ...headers, 'x-slack-request-timestamp': Number(headers['x-slack-request-timestamp']) }, body });
    return true;
  },
};
