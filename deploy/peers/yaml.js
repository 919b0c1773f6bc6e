// Opens a YAML file in the language server that editors use, as an editor does. Input is
// {"text": …, "at": [[line, character], …]}, counted from 0; output is what the server says:
// {"problems": [{"line": …, "message": …}], "keys": [[…], …], "help": […]}, the last two for each
// place. The text must have a problem.
'use strict';

const { spawn } = require('node:child_process');
const path = require('node:path');

const folder = path.dirname(require.resolve('yaml-language-server/package.json'));
const server = spawn(process.execPath, [path.join(folder, 'bin/yaml-language-server'), '--stdio'],
  { stdio: ['pipe', 'pipe', 'inherit'] });
const settings = { validate: true, completion: true, hover: true, schemaStore: { enable: false } };
const waiting = new Map();
let published = () => {};
let last = 0;

function send(message) {
  const text = JSON.stringify({ jsonrpc: '2.0', ...message });
  server.stdin.write(`Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
}

function ask(method, params) {
  return new Promise((resolve) => {
    waiting.set(++last, resolve);
    send({ id: last, method, params });
  });
}

function take(message) {
  if (message.method === 'textDocument/publishDiagnostics') {
    published(message.params.diagnostics);
  } else if (message.method === 'workspace/configuration') {
    send({ id: message.id, result: message.params.items.map((i) => (i.section === 'yaml' ? settings : {})) });
  } else if (message.method && message.id !== undefined) {
    send({ id: message.id, result: null });
  } else if (message.id !== undefined) {
    waiting.get(message.id)(message.result);
  }
}

let unread = Buffer.alloc(0);
server.stdout.on('data', (data) => {
  unread = Buffer.concat([unread, data]);
  for (;;) {
    const head = unread.indexOf('\r\n\r\n');
    if (head < 0) return;
    const end = head + 4 + Number(/Content-Length: (\d+)/.exec(unread.subarray(0, head))[1]);
    if (unread.length < end) return;
    take(JSON.parse(unread.subarray(head + 4, end)));
    unread = unread.subarray(end);
  }
});

(async () => {
  let input = '';
  for await (const part of process.stdin) input += part;
  const { text, at } = JSON.parse(input);
  const textDocument = { uri: 'file:///bots/ops.yaml' };
  await ask('initialize', { processId: process.pid, rootUri: null,
    capabilities: { workspace: { configuration: true }, textDocument: { completion: {} } } });
  send({ method: 'initialized', params: {} });
  const problems = new Promise((resolve) => {
    published = (list) => list.length && resolve(list);
  });
  send({ method: 'textDocument/didOpen', params: { textDocument: { ...textDocument, languageId: 'yaml', version: 1, text } } });
  const out = { problems: [], keys: [], help: [] };
  for (const p of await problems) out.problems.push({ line: p.range.start.line, message: p.message });
  for (const [line, character] of at) {
    const where = { textDocument, position: { line, character } };
    const keys = await ask('textDocument/completion', where);
    out.keys.push((keys?.items ?? []).map((i) => i.label));
    out.help.push((await ask('textDocument/hover', where))?.contents?.value ?? '');
  }
  process.stdout.write(`${JSON.stringify(out)}\n`);
  server.kill();
})();
