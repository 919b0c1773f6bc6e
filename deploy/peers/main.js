// Calls the libraries of package.json. Each line of input is a call, {"ask": "wecom.seal", …}; each
// line of output is its result, {"value": …}, or {"error": "…"} if the library throws. Results are
// in the order of the calls. The end-to-end tests start this program once per run.
'use strict';

const asks = Object.assign(
  {}, require('./wecom'), require('./dingtalk'), require('./feishu'), require('./slack'), require('./hmac'),
);

async function answer(line) {
  const { ask, ...args } = JSON.parse(line);
  if (!asks[ask]) throw new Error(`unknown ask "${ask}"`);
  return asks[ask](args);
}

(async () => {
  for await (const line of require('node:readline').createInterface({ input: process.stdin })) {
    let out;
    try {
      out = { value: await answer(line) };
    } catch (e) {
      out = { error: String(e.message ?? e) };
    }
    process.stdout.write(JSON.stringify(out) + '\n');
  }
})();
