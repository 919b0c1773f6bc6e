// Does the five operations through the official clients for Node: pop-core by form and, for what reads, by GET, which signs V1;
// openapi-client by query and by form, which signs ACS3. Each check is a line "ok …"; the first that fails ends it with status 1.
//
//	node api/node.js 127.0.0.1:9000 ID SECRET
'use strict';

const assert = require('node:assert');
const Pop = require('@alicloud/pop-core');
const OpenApi = require('@alicloud/openapi-client');
const Util = require('@alicloud/tea-util');

const [endpoint, accessKeyId, accessKeySecret] = process.argv.slice(2);
const version = '2019-06-01';

// Each way is a function that calls an action, and throws what the client does.
function pop(method) {
  const client = new Pop({ accessKeyId, accessKeySecret, endpoint: `http://${endpoint}`, apiVersion: version });
  return (action, params) => client.request(action, params, { method, timeout: 10000 });
}

function openapi(place) {
  const client = new OpenApi.default(new OpenApi.Config({ accessKeyId, accessKeySecret, endpoint, protocol: 'HTTP', regionId: 'cn-hangzhou' }));
  return async (action, params) => {
    const api = new OpenApi.Params({
      action, version, protocol: 'HTTP', method: 'POST', authType: 'AK', style: 'RPC', pathname: '/', reqBodyType: 'formData', bodyType: 'json',
    });
    const flat = {};
    for (const [name, value] of Object.entries(params)) {
      if (!Array.isArray(value)) flat[name] = String(value);
      else value.forEach((item, i) => Object.entries(item).forEach(([part, text]) => (flat[`${name}.${i + 1}.${part}`] = text)));
    }
    const answer = await client.callApi(api, new OpenApi.OpenApiRequest({ [place]: flat }), new Util.RuntimeOptions({ readTimeout: 10000, connectTimeout: 10000 }));
    return answer.body;
  };
}

async function refused(call, code) {
  try {
    await call();
  } catch (e) {
    assert.ok(String(e.code).endsWith(code) || String(e.data?.Code) === code, `refused with ${e.code}, wanted ${code}: ${e.message}`);
    return;
  }
  assert.fail(`not refused, wanted ${code}`);
}

async function operations(way, change, read) {
  const ok = (what) => console.log(`ok ${way}: ${what}`);
  const Name = `node-${way}`;
  const BotName = '运维 "bot" & <co> +/=*~';
  const Configuration = JSON.stringify({ ClientId: 'dinga+b*~/c%', ClientSecret: 'example-secret', BotName });

  const made = await change('CreateChatConfiguration', { Name, Type: 'DingTalk', Configuration });
  assert.strictEqual(made.ChatConfiguration.Name, Name);
  ok('create');
  await refused(() => change('CreateChatConfiguration', { Name, Type: 'DingTalk', Configuration }), 'EntityAlreadyExists.ChatConfiguration');
  ok('create again');
  await refused(() => change('CreateChatConfiguration', { Name: `${Name}-2`, Type: 'DingTalk', Configuration: '{' }), 'InvalidParameter.Configuration');
  ok('create with a mistake');

  const got = (await read('GetChatConfiguration', { Name })).ChatConfiguration;
  const kept = JSON.parse(got.Configuration);
  assert.deepStrictEqual(kept, { DingTalkClientId: 'dinga+b*~/c%', DingTalkClientSecret: '******', BotName });
  assert.match(JSON.parse(got.Outputs).URL, /\/webhook\//);
  ok('get');

  const list = await read('ListChatConfigurations', { Filters: [{ Name: 'type', Value: 'DingTalk' }, { Name: 'Name', Value: `${Name}*` }], MaxResults: 10 });
  assert.deepStrictEqual(list.ChatConfigurations.map((c) => c.Name), [Name]);
  ok('list');
  assert.deepStrictEqual((await read('ListChatConfigurations', { Filters: [{ Name: 'type', Value: 'private' }] })).ChatConfigurations, []);
  ok('list of nothing');

  await change('UpdateChatConfiguration', { Name, Configuration: JSON.stringify({ ...kept, BotName: 'new' }), RamRole: 'AliyunOOSDefaultRole' });
  const updated = (await read('GetChatConfiguration', { Name })).ChatConfiguration;
  assert.strictEqual(updated.RamRole, 'AliyunOOSDefaultRole');
  assert.strictEqual(JSON.parse(updated.Configuration).BotName, 'new');
  ok('update');

  await change('TagResources', { ResourceType: 'chatconfiguration', ResourceIds: JSON.stringify([Name]), Tags: JSON.stringify({ client: 'node' }) });
  assert.ok((await read('ListTagKeys', {})).Keys.includes('client'));
  ok('tag');

  const gone = await change('DeleteChatConfiguration', { Name });
  assert.strictEqual(gone.Content, 'Chat configuration deleted successfully.');
  ok('delete');
  await refused(() => read('GetChatConfiguration', { Name }), 'EntityNotExists.ChatConfiguration');
  ok('get what is deleted');
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
