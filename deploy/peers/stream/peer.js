// What the programs of this folder have in common. Each connects to the gateway of a chat platform
// through the platform's official client, and answers messages: "one" with "echo one". A message
// that begins with "fail" is handled only when it comes again. The gateway's URL is in GATEWAY_URL,
// and the settings of the app, as JSON, in GATEWAY_SETTINGS. The program ends with its input.
'use strict';

process.stdin.on('end', () => process.exit(0)).resume();

const failed = new Set();

module.exports = {
  url: process.env.GATEWAY_URL,
  settings: JSON.parse(process.env.GATEWAY_SETTINGS),
  echo: (text) => `echo ${text}`,
  // Reports whether a message is not to be handled this time.
  fails(text) {
    if (!text.startsWith('fail') || failed.has(text)) return false;
    failed.add(text);
    return true;
  },
  // Posts JSON to an address for answers.
  async post(address, body) {
    const r = await fetch(address, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
    });
    if (!r.ok) throw new Error(`${r.status} ${await r.text()}`);
  },
};
