// Answers questions to the libraries of package.json, a line of JSON each: {"ask": "wecom.seal", …} is answered {"value": …}, or
// {"error": "…"} if the library throws. The end-to-end tests start it once for a run; its answers are in the order of the questions.
'use strict';

const asks = { ...require('./wecom'), ...require('./dingtalk'), ...require('./feishu'), ...require('./slack'), ...require('./hmac') };

async function answer(line) {
  const { ask, ...args } = JSON.parse(line);
  if (!asks[ask]) throw new Error(`there is no ${ask}`);
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
