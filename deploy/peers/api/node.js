// Calls the API through the official clients for Node. pop-core signs V1; it sends forms, and reads
// also by GET. openapi-client signs ACS3; it sends queries and forms. Each check prints a line
// "ok …"; the first failure ends the program with status 1.
//
//	node api/node.js 127.0.0.1:9000 ID SECRET
'use strict';

const assert = require('node:assert');
const Pop = require('@alicloud/pop-core');
const OpenApi = require('@alicloud/openapi-client');
const Util = require('@alicloud/tea-util');

const [endpoint, accessKeyId, accessKeySecret] = process.argv.slice(2);
const version = '2019-06-01';

// pop and openapi return functions that call an action. They throw the client's errors.
function pop(method) {
  const client = new Pop({ accessKeyId, accessKeySecret, endpoint: `http://${endpoint}`, apiVersion: version });
  return (action, params) => client.request(action, params, { method, timeout: 10000 });
}

function openapi(place) {
  const config = { accessKeyId, accessKeySecret, endpoint, protocol: 'HTTP', regionId: 'cn-hangzhou' };
  const client = new OpenApi.default(new OpenApi.Config(config));
  const options = new Util.RuntimeOptions({ readTimeout: 10000, connectTimeout: 10000 });
  return async (action, params) => {
    const api = new OpenApi.Params({
      action, version, protocol: 'HTTP', method: 'POST', authType: 'AK', style: 'RPC', pathname: '/',
      reqBodyType: 'formData', bodyType: 'json',
    });
    const flat = {};
    for (const [name, value] of Object.entries(params)) {
      if (!Array.isArray(value)) {
        flat[name] = String(value);
        continue;
      }
      value.forEach((item, i) => {
        for (const [part, text] of Object.entries(item)) flat[`${name}.${i + 1}.${part}`] = text;
      });
    }
    const answer = await client.callApi(api, new OpenApi.OpenApiRequest({ [place]: flat }), options);
    return answer.body;
  };
}

async function refused(call, code) {
  try {
    await call();
  } catch (e) {
    const found = String(e.code).endsWith(code) || String(e.data?.Code) === code;
    assert.ok(found, `got error ${e.code}, want ${code}: ${e.message}`);
    return;
  }
  assert.fail(`got no error, want ${code}`);
}

async function operations(way, change, read) {
  const ok = (what) => console.log(`ok ${way}: ${what}`);
  const Name = `node-${way}`;
  const BotName = '运维 "bot" & <co> +/=*~';
  const Configuration = JSON.stringify({ ClientId: 'dinga+b*~/c%', ClientSecret: 'example-secret', BotName });

  const made = await change('CreateChatConfiguration', { Name, Type: 'DingTalk', Configuration });
  assert.strictEqual(made.ChatConfiguration.Name, Name);
  ok('create');
  const again = () => change('CreateChatConfiguration', { Name, Type: 'DingTalk', Configuration });
  await refused(again, 'EntityAlreadyExists.ChatConfiguration');
  ok('create again');
  const broken = { Name: `${Name}-2`, Type: 'DingTalk', Configuration: '{' };
  await refused(() => change('CreateChatConfiguration', broken), 'InvalidParameter.Configuration');
  ok('create with an invalid configuration');

  const got = (await read('GetChatConfiguration', { Name })).ChatConfiguration;
  const kept = JSON.parse(got.Configuration);
  assert.deepStrictEqual(kept, { DingTalkClientId: 'dinga+b*~/c%', DingTalkClientSecret: '******', BotName });
  assert.match(JSON.parse(got.Outputs).URL, /\/webhook\//);
  ok('get');

  const Filters = [{ Name: 'type', Value: 'DingTalk' }, { Name: 'Name', Value: `${Name}*` }];
  const list = await read('ListChatConfigurations', { Filters, MaxResults: 10 });
  assert.deepStrictEqual(list.ChatConfigurations.map((c) => c.Name), [Name]);
  ok('list');
  const empty = await read('ListChatConfigurations', { Filters: [{ Name: 'type', Value: 'private' }] });
  assert.deepStrictEqual(empty.ChatConfigurations, []);
  ok('empty list');

  const renamed = JSON.stringify({ ...kept, BotName: 'new' });
  await change('UpdateChatConfiguration', { Name, Configuration: renamed, RamRole: 'AliyunOOSDefaultRole' });
  const updated = (await read('GetChatConfiguration', { Name })).ChatConfiguration;
  assert.strictEqual(updated.RamRole, 'AliyunOOSDefaultRole');
  assert.strictEqual(JSON.parse(updated.Configuration).BotName, 'new');
  ok('update');

  await change('TagResources', {
    ResourceType: 'chatconfiguration', ResourceIds: JSON.stringify([Name]), Tags: JSON.stringify({ client: 'node' }),
  });
  assert.ok((await read('ListTagKeys', {})).Keys.includes('client'));
  ok('tag');

  const gone = await change('DeleteChatConfiguration', { Name });
  assert.strictEqual(gone.Content, 'Chat configuration deleted successfully.');
  ok('delete');
  await refused(() => read('GetChatConfiguration', { Name }), 'EntityNotExists.ChatConfiguration');
  ok('get after delete');
}

(async () => {
  await operations('pop-core', pop('POST'), pop('POST'));
  await operations('pop-core-get', pop('POST'), pop('GET'));
  await operations('openapi-query', openapi('query'), openapi('query'));
  await operations('openapi-form', openapi('body'), openapi('body'));
})().catch((e) => {
  console.error(e);
  process.exit(1);
});
