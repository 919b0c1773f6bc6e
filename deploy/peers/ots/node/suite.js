// Checks the Tablestore emulator through the official SDK for Node.
//
//	export TABLESTORE_ENDPOINT=… TABLESTORE_INSTANCE=…
//	export TABLESTORE_ACCESS_KEY_ID=… TABLESTORE_ACCESS_KEY_SECRET=…
//	node suite.js
//
// Each check prints a line "ok capability: what" or "failed capability: what: why". The exit status
// is 1 if a check failed.
'use strict';

const assert = require('node:assert');
const ots = require('tablestore');

const env = (name) => process.env[`TABLESTORE_${name}`];
const { INF_MIN, INF_MAX, PK_AUTO_INCR, Long } = ots;
const invalid = 'OTSParameterInvalid';
const noTable = (call) => refused('OTSObjectNotExist', 'Requested table does not exist.', call, 404);
const conditionFailed = (call) => refused('OTSConditionCheckFail', 'Condition check failed.', call, 403);

// Without this, the SDK retries after a conflict, which a check must see.
ots.DefaultRetryPolicy.maxRetryTimes = 0;

function connect(options) {
  return new ots.Client({
    endpoint: env('ENDPOINT'), instancename: env('INSTANCE'),
    accessKeyId: env('ACCESS_KEY_ID'), secretAccessKey: env('ACCESS_KEY_SECRET'), ...options,
  });
}

const client = connect();
let failures = 0;

async function check(capability, what, body) {
  try {
    await body();
  } catch (e) {
    failures++;
    console.log(`failed ${capability}: ${what}: ${String(e.message).replaceAll('\n', ' ')}`);
    return;
  }
  console.log(`ok ${capability}: ${what}`);
}

const same = (got, want) => assert.deepStrictEqual(got, want);

// Fails unless the call is refused with the code and the text. The SDK's error contains the bytes
// of the answer: two strings, each with a tag and a length, then the request id.
async function refused(code, text, call, status = 400) {
  let error;
  try {
    await call();
  } catch (e) {
    error = e;
  }
  assert.ok(error, 'it was not refused');
  const wire = /^\n.(OTS\w+)\x12.(.*) requestId:\S+$/s.exec(error.message);
  const [, gotCode, gotText] = wire ?? [null, null, error.message];
  same([error.code, gotCode, gotText], [status, code, text]);
}

// Short forms of the SDK's requests. The columns of a key are always p, n, m and o.

function key(...parts) {
  return parts.map((value, i) => ({ ['pnmo'[i]]: typeof value === 'number' ? Long.fromNumber(value) : value }));
}

const plain = (value) => (typeof value?.toNumber === 'function' ? value.toNumber() : value);
const values = (columns) => Object.fromEntries(columns.map((c) => [c.columnName, plain(c.columnValue)]));
const keyValues = (pk) => pk.map((c) => plain(c.value));

async function table(tableName, types, { options = {}, unit, defined, stream, indexes } = {}) {
  await client.createTable({
    tableMeta: {
      tableName, definedColumn: defined,
      primaryKey: types.map((type, i) => ({ name: 'pnmo'[i], ...(typeof type === 'string' ? { type } : type) })),
    },
    reservedThroughput: { capacityUnit: { read: 0, write: 0, ...unit } },
    tableOptions: { timeToLive: -1, maxVersions: 1, ...options },
    streamSpecification: stream,
    indexMetas: indexes,
  });
  return tableName;
}

const where = (row = 'IGNORE', column = null) => new ots.Condition(ots.RowExistenceExpectation[row], column);
const returnKey = { returnContent: { returnType: ots.ReturnType.Primarykey } };

function put(tableName, primaryKey, columns, more) {
  const attributeColumns = Object.entries(columns).map(([name, value]) => ({ [name]: value }));
  return client.putRow({ tableName, condition: where(), primaryKey, attributeColumns, ...more });
}

function update(tableName, primaryKey, updateOfAttributeColumns, more) {
  return client.updateRow({ tableName, condition: where(), primaryKey, updateOfAttributeColumns, ...more });
}

function remove(tableName, primaryKey, more) {
  return client.deleteRow({ tableName, condition: where(), primaryKey, ...more });
}

async function get(tableName, primaryKey, more) { // null if the row is absent
  const { row } = await client.getRow({ tableName, primaryKey, maxVersions: 1, ...more });
  return row.primaryKey ? values(row.attributes) : null;
}

function range(tableName, start, end, more) {
  return client.getRange({
    tableName, direction: ots.Direction.FORWARD, inclusiveStartPrimaryKey: start, exclusiveEndPrimaryKey: end,
    maxVersions: 1, ...more,
  });
}

// Returns the keys' last values from all pages, and each page's number of rows.
async function walk(tableName, start, end, more) {
  const found = [];
  const pages = [];
  for (let next = start; next; ) {
    const page = await range(tableName, next, end, more);
    for (const row of page.rows) found.push(keyValues(row.primaryKey).at(-1));
    pages.push(page.rows.length);
    next = page.nextStartPrimaryKey?.map(({ name, value }) => ({ [name]: value }));
  }
  return [found, pages];
}

const column = (name, value, comparator = 'EQUAL', missing = false) =>
  new ots.SingleColumnCondition(name, value, ots.ComparatorType[comparator], missing, true);

function every(combinator, ...conditions) {
  const composite = new ots.CompositeCondition(ots.LogicalOperator[combinator]);
  for (const condition of conditions) composite.addSubCondition(condition);
  return composite;
}

async function tables(it) {
  await check(it, 'create, and list', async () => {
    await table('made', ['STRING', 'INTEGER', 'BINARY'], { unit: { read: 1, write: 2 } });
    assert.ok((await client.listTable()).tableNames.includes('made'));
  });
  const settings = ({ tableOptions: o, reservedThroughputDetails: { capacityUnit: unit } }) =>
    [o.timeToLive, o.maxVersions, plain(o.deviationCellVersionInSec), unit.read, unit.write];
  await check(it, 'describe: key, throughput and options', async () => {
    const d = await client.describeTable({ tableName: 'made' });
    same(d.tableMeta.primaryKey.map(({ name, type }) => [name, type]), [['p', 2], ['n', 1], ['m', 3]]);
    same(settings(d), [-1, 1, 86400, 1, 2]);
    const age = Date.now() / 1000 - plain(d.reservedThroughputDetails.lastIncreaseTime);
    assert.ok(Math.abs(age) < 60, `the throughput is from ${age} seconds ago`);
  });
  await check(it, 'update options and throughput', async () => {
    await client.updateTable({
      tableName: 'made', tableOptions: { timeToLive: 86400, maxVersions: 5, maxTimeDeviation: 1000 },
      reservedThroughput: { capacityUnit: { read: 3, write: 4 } },
    });
    same(settings(await client.describeTable({ tableName: 'made' })), [86400, 5, 1000, 3, 4]);
  });
  await check(it, 'one option changes alone', async () => {
    await table('fixed', ['STRING'], { options: { allowUpdate: false } });
    same((await client.describeTable({ tableName: 'fixed' })).tableOptions.allowUpdate, false);
    await refused(invalid, 'Update operation is not allowed in this table', () =>
      update('fixed', key('a'), [{ PUT: [{ v: 'x' }] }]));
    await client.updateTable({ tableName: 'fixed', tableOptions: { allowUpdate: true } });
    const { tableOptions: o } = await client.describeTable({ tableName: 'fixed' });
    same([o.allowUpdate, o.timeToLive, o.maxVersions], [true, -1, 1]);
  });
  await check(it, 'an existing name', () =>
    refused('OTSObjectAlreadyExist', 'Requested table already exists.', () => table('made', ['STRING']), 409));
  await check(it, 'an invalid table name', () =>
    refused(invalid, "Invalid table name: '9-lives'.", () => table('9-lives', ['STRING'])));
  await check(it, 'one column twice in the key', () =>
    refused(invalid, "Duplicated primary key name: 'p'.", () =>
      table('twice', ['STRING', { name: 'p', type: 'INTEGER' }])));
  await check(it, 'a time to live of 0', () =>
    refused(invalid, 'TimeToLive cannot be 0 or less than -1.', () =>
      table('short', ['STRING'], { options: { timeToLive: 0 } })));
  await check(it, 'a max version of 0', () =>
    refused(invalid, 'The maximum versions cannot be less than or equal to 0.', () =>
      table('none', ['STRING'], { options: { maxVersions: 0 } })));
  await check(it, 'delete', async () => {
    await client.deleteTable({ tableName: 'made' });
    assert.ok(!(await client.listTable()).tableNames.includes('made'));
    for (const operation of ['describeTable', 'deleteTable']) {
      await noTable(() => client[operation]({ tableName: 'made' }));
    }
  });
  await check(it, 'created again, with another key and no rows', async () => {
    await table('again', ['STRING']);
    await put('again', key('a'), { v: 'x' });
    await client.deleteTable({ tableName: 'again' });
    await table('again', ['INTEGER']);
    same(await walk('again', key(INF_MIN), key(INF_MAX)), [[], [0]]);
  });
}

async function rows(it) {
  const name = await table('rows', ['STRING', 'INTEGER']);
  await check(it, 'every type of value', async () => {
    const all = { blob: Buffer.from([0, 255, 10]), double: -0.32, empty: '', false: false, string: '表格存储', true: true };
    await put(name, key('types', 1), { ...all, int: Long.fromNumber(-123456789) });
    same(await get(name, key('types', 1)), { ...all, int: -123456789 });
  });
  await check(it, 'the smallest and the largest integer', async () => {
    const ends = ['-9223372036854775808', '9223372036854775807'];
    await put(name, key('ends', 1), { a: Long.fromString(ends[0]), b: Long.fromString(ends[1]) });
    const { row } = await client.getRow({ tableName: name, primaryKey: key('ends', 1), maxVersions: 1 });
    same(row.attributes.map((c) => c.columnValue.toString(10)), ends);
  });
  await check(it, 'an absent row', async () => {
    const { row, consumed } = await client.getRow({ tableName: name, primaryKey: key('none', 1), maxVersions: 1 });
    same([row, consumed.capacityUnit.read, consumed.capacityUnit.write], [{}, 1, 0]);
  });
  await check(it, 'binary keys', async () => {
    await table('binary', ['BINARY', 'BINARY']);
    const parts = [Buffer.from([0, 1]), Buffer.from('武汉')];
    await put('binary', key(...parts), { v: 'x' });
    const { row } = await client.getRow({ tableName: 'binary', primaryKey: key(...parts), maxVersions: 1 });
    same(row.primaryKey.map((c) => c.value.toString('hex')), parts.map((part) => part.toString('hex')));
  });
  await check(it, 'put replaces the whole row', async () => {
    await put(name, key('put', 1), { a: 'x', b: 'y' });
    await put(name, key('put', 1), { c: 'z' });
    same(await get(name, key('put', 1)), { c: 'z' });
  });
  await check(it, 'update puts and deletes columns', async () => {
    await put(name, key('update', 1), { a: 'x', b: 'y', c: 'z' });
    await update(name, key('update', 1), [{ PUT: [{ a: 'new' }, { d: true }] }, { DELETE_ALL: ['b'] }]);
    same(await get(name, key('update', 1)), { a: 'new', c: 'z', d: true });
  });
  await check(it, 'an update creates a row', async () => {
    await update(name, key('made', 1), [{ PUT: [{ a: 'x' }] }]);
    same(await get(name, key('made', 1)), { a: 'x' });
  });
  await check(it, 'an update that only deletes creates no row', async () => {
    await update(name, key('only', 1), [{ DELETE_ALL: ['a', 'b'] }]);
    same(await get(name, key('only', 1)), null);
  });
  await check(it, 'a row without columns', async () => {
    await put(name, key('bare', 1), {});
    same(await get(name, key('bare', 1)), {});
  });
  await check(it, 'delete, also of an absent row', async () => {
    await put(name, key('gone', 1), { a: 'x' });
    await remove(name, key('gone', 1));
    await remove(name, key('gone', 1));
    same(await get(name, key('gone', 1)), null);
  });
  await check(it, 'columns by name', async () => {
    const some = await get(name, key('types', 1), { columnsToGet: ['true', 'string', 'none'] });
    same(some, { string: '表格存储', true: true });
    same(await get(name, key('types', 1), { columnsToGet: ['none'] }), null);
  });
  await check(it, 'a range of column names', async () => {
    const some = await get(name, key('types', 1), { startColumn: 'double', endColumn: 'int' });
    same(some, { double: -0.32, empty: '', false: false });
  });
  await check(it, 'column names with other characters', async () => { // ASCII, as the SDK counts characters as bytes
    const odd = { 'a b': '1', 'a.b': '2', 'price-2': '3' };
    await put(name, key('names', 1), odd);
    same(await get(name, key('names', 1)), odd);
  });
  await check(it, 'the key is returned on request', async () => {
    same(keyValues((await put(name, key('returned', 1), { a: 'x' }, returnKey)).row.primaryKey), ['returned', 1]);
    same(keyValues((await remove(name, key('returned', 1), returnKey)).row.primaryKey), ['returned', 1]);
  });
  await check(it, 'capacity units of 4 KB', async () => {
    const { consumed: written } = await put(name, key('large', 1), { a: 'x'.repeat(9000) });
    const { consumed: read } = await client.getRow({ tableName: name, primaryKey: key('large', 1), maxVersions: 1 });
    same([written.capacityUnit.write, read.capacityUnit.read], [3, 3]);
  });
}

async function conditions(it) {
  const name = await table('conditions', ['STRING']);
  await put(name, key('a'), { int: Long.fromNumber(5), text: 'b' });
  const seen = (value, condition) => update(name, key('a'), [{ PUT: [{ seen: value }] }], { condition });
  await check(it, 'a row that must exist', async () => {
    const condition = where('EXPECT_EXIST');
    await seen('x', condition);
    await conditionFailed(() => put(name, key('none'), { v: 'x' }, { condition }));
    await conditionFailed(() => update(name, key('none'), [{ PUT: [{ v: 'x' }] }], { condition }));
    await conditionFailed(() => remove(name, key('none'), { condition }));
  });
  await check(it, 'a row that must not exist', async () => {
    const condition = where('EXPECT_NOT_EXIST');
    await put(name, key('new'), { v: 'first' }, { condition });
    await conditionFailed(() => put(name, key('new'), { v: 'second' }, { condition }));
    same(await get(name, key('new')), { v: 'first' });
  });
  await check(it, 'the six comparators', async () => {
    const passing = {
      EQUAL: [5], NOT_EQUAL: [4, 6], GREATER_THAN: [4], GREATER_EQUAL: [4, 5], LESS_THAN: [6], LESS_EQUAL: [5, 6],
    };
    for (const [comparator, good] of Object.entries(passing)) {
      for (const value of [4, 5, 6]) {
        const call = () => seen(String(value), where('IGNORE', column('int', Long.fromNumber(value), comparator)));
        await (good.includes(value) ? call() : conditionFailed(call));
      }
    }
  });
  await check(it, 'a missing column', async () => {
    await seen('passed', where('IGNORE', column('none', 'x', 'EQUAL', true)));
    await conditionFailed(() => seen('x', where('IGNORE', column('none', 'x', 'EQUAL', false))));
    same(await get(name, key('a'), { columnsToGet: ['seen'] }), { seen: 'passed' });
  });
  await check(it, 'nested NOT, AND and OR', async () => {
    const either = every('OR', column('text', 'z'), column('text', 'a', 'GREATER_THAN'));
    const both = every('AND', every('NOT', column('int', Long.fromNumber(9))), either);
    await seen('both', where('EXPECT_EXIST', both));
    await conditionFailed(() => seen('x', where('IGNORE', every('NOT', both))));
    same(await get(name, key('a'), { columnsToGet: ['seen'] }), { seen: 'both' });
  });
  await check(it, 'a value of another type is not equal', () =>
    conditionFailed(() => seen('x', where('IGNORE', column('int', '5')))));
  await check(it, 'NOT of two', () =>
    refused(invalid, 'Invalid NOT operator: the number of sub-filters must be 1.', () =>
      seen('x', where('IGNORE', every('NOT', column('text', 'a'), column('text', 'b'))))));
  await check(it, 'delete under a condition', async () => {
    await conditionFailed(() => remove(name, key('a'), { condition: where('IGNORE', column('text', 'z')) }));
    await remove(name, key('a'), { condition: where('IGNORE', column('text', 'b')) });
    same(await get(name, key('a')), null);
  });
}

async function filters(it) {
  const name = await table('filters', ['STRING', 'INTEGER']);
  for (let i = 0; i < 20; i++) await put(name, key('p', i), { half: Long.fromNumber(i >> 1), text: `v${i}` });
  const half = (n, ...more) => ({ columnFilter: column('half', Long.fromNumber(n), ...more) });
  const passing = async (more) => (await walk(name, key('p', INF_MIN), key('p', INF_MAX), more))[0];
  await check(it, 'a row that does not match is not returned', async () => {
    same(await get(name, key('p', 4), half(2)), { half: 2, text: 'v4' });
    same(await get(name, key('p', 4), half(3)), null);
  });
  await check(it, 'a range', async () => same(await passing(half(7, 'GREATER_EQUAL')), [14, 15, 16, 17, 18, 19]));
  await check(it, 'a composite', async () =>
    same(await passing({ columnFilter: every('OR', column('text', 'v3'), column('text', 'v5')) }), [3, 5]));
  await check(it, 'a column that is not selected counts as missing', async () => {
    same(await get(name, key('p', 4), { columnsToGet: ['text'], ...half(2) }), null);
    same(await get(name, key('p', 4), { columnsToGet: ['text'], ...half(3, 'EQUAL', true) }), { text: 'v4' });
  });
  await check(it, 'a column of the key', async () =>
    same(await passing({ columnFilter: column('n', Long.fromNumber(3), 'LESS_THAN') }), [0, 1, 2]));
  await check(it, 'some columns of a wide row', async () => {
    await put(name, key('wide', 1), Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`c${10 + i}`, 'x'])));
    const some = await get(name, key('wide', 1), { columnFilter: new ots.ColumnPaginationFilter(3, 5) });
    same(Object.keys(some), ['c15', 'c16', 'c17']);
  });
}

async function ranges(it) {
  const name = await table('ranges', ['STRING', 'INTEGER']);
  for (const p of 'abc') for (let n = 0; n < 4; n++) await put(name, key(p, n), { v: p, w: String(n) });
  const direction = ots.Direction.BACKWARD;
  const all = [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3];
  const reversed = [...all].reverse();
  await check(it, 'all, forward', async () =>
    same(await walk(name, key(INF_MIN, INF_MIN), key(INF_MAX, INF_MAX)), [all, [12]]));
  await check(it, 'all, backward', async () =>
    same(await walk(name, key(INF_MAX, INF_MAX), key(INF_MIN, INF_MIN), { direction }), [reversed, [12]]));
  await check(it, 'from a row, up to another', async () => {
    same((await walk(name, key('a', 1), key('a', 3)))[0], [1, 2]);
    same((await walk(name, key('a', 3), key('a', 1), { direction }))[0], [3, 2]);
  });
  await check(it, 'the edges of a partition', async () => {
    same((await walk(name, key('b', INF_MIN), key('b', INF_MAX)))[0], [0, 1, 2, 3]);
    same((await walk(name, key('a', INF_MAX), key('c', INF_MIN)))[0], [0, 1, 2, 3]);
  });
  await check(it, 'limits, and the start of the next page', async () => {
    const page = await range(name, key('a', 0), key('c', INF_MAX), { limit: 5 });
    same([page.rows.length, keyValues(page.nextStartPrimaryKey)], [5, ['b', 1]]);
    same(await walk(name, key('a', 0), key('c', INF_MAX), { limit: 5 }), [all, [5, 5, 2]]);
    same(await walk(name, key('c', 3), key('a', INF_MIN), { limit: 7, direction }), [reversed, [7, 5]]);
  });
  await check(it, 'columns by name', async () => {
    const page = await range(name, key('a', 0), key('a', 2), { columnsToGet: ['w'] });
    same(page.rows.map((row) => values(row.attributes)), [{ w: '0' }, { w: '1' }]);
  });
  await check(it, 'an empty range', async () =>
    same(await walk(name, key('x', INF_MIN), key('y', INF_MAX)), [[], [0]]));
  await check(it, 'ends in the wrong order, or equal', async () => {
    await refused(invalid, 'Begin key must less than end key in FORWARD', () => range(name, key('b', 0), key('a', 0)));
    await refused(invalid, 'Begin key must less than end key in FORWARD', () => range(name, key('a', 0), key('a', 0)));
    await refused(invalid, 'Begin key must more than end key in BACKWARD', () =>
      range(name, key('a', 0), key('b', 0), { direction }));
  });
  await check(it, 'a limit below 0', () =>
    refused(invalid, 'The limit must be greater than 0.', () => range(name, key('a', 0), key('b', 0), { limit: -1 })));
}

async function autoIncrement(it) {
  const name = await table('auto', ['STRING', { type: 'INTEGER', option: 'AUTO_INCREMENT' }]);
  await check(it, 'described', async () => {
    const { tableMeta } = await client.describeTable({ tableName: name });
    same(tableMeta.primaryKey[1].option, ots.PrimaryKeyOption.AUTO_INCREMENT);
  });
  await check(it, 'new values rise, and are returned', async () => {
    const made = [];
    for (let i = 0; i < 5; i++) {
      const { row } = await put(name, key('p', PK_AUTO_INCR), { i: String(i) }, returnKey);
      made.push(keyValues(row.primaryKey)[1]);
    }
    same(made, [...new Set(made)].sort((a, b) => a - b));
    same((await walk(name, key('p', INF_MIN), key('p', INF_MAX)))[0], made);
    await update(name, key('p', made[0]), [{ PUT: [{ i: 'changed' }] }], { condition: where('EXPECT_EXIST') });
    same(await get(name, key('p', made[0])), { i: 'changed' });
  });
  await check(it, 'a value that the table did not assign', () =>
    conditionFailed(() => put(name, key('p', 12345), { i: 'x' })));
  await check(it, 'row expectations are refused', () =>
    refused(invalid, 'Invalid expect:EXPECT_EXIST when modify row with pk auto increment.', () =>
      put(name, key('p', PK_AUTO_INCR), { i: 'x' }, { condition: where('EXPECT_EXIST') })));
  await check(it, 'refused as the first column', () =>
    refused(invalid, "First primary key can't be auto increment, table: first.", () =>
      table('first', [{ type: 'INTEGER', option: 'AUTO_INCREMENT' }])));
}

async function versions(it) {
  const name = await table('versions', ['STRING'], { options: { maxVersions: 3 } });
  const now = Date.now();
  const cells = async (more) => {
    const { row } = await client.getRow({ tableName: name, primaryKey: key('a'), maxVersions: 10, ...more });
    return row.attributes.map((c) => [c.columnValue, plain(c.timestamp) - now]);
  };
  await check(it, 'newest first, and only as many as the table keeps', async () => {
    for (let i = 0; i < 5; i++) await update(name, key('a'), [{ PUT: [{ v: `v${i}`, timestamp: now + i }] }]);
    same(await cells(), [['v4', 4], ['v3', 3], ['v2', 2]]);
    same(await cells({ maxVersions: 2 }), [['v4', 4], ['v3', 3]]);
  });
  await check(it, 'a range of times', async () =>
    same(await cells({ timeRange: { startTime: now + 2, endTime: now + 4 } }), [['v3', 3], ['v2', 2]]));
  await check(it, 'delete one version', async () => {
    await update(name, key('a'), [{ DELETE: [{ v: now + 3 }] }]);
    same(await cells(), [['v4', 4], ['v2', 2]]);
  });
  await check(it, "the server's time when none is given", async () => {
    await put(name, key('b'), { v: 'x' });
    const { row } = await client.getRow({ tableName: name, primaryKey: key('b'), maxVersions: 1 });
    const age = now - plain(row.attributes[0].timestamp);
    assert.ok(Math.abs(age) < 60000, `its time is ${age} ms ago`);
  });
  await check(it, 'a time too far from now', () =>
    refused(invalid, 'Invalid timestamp. Cell:v.', () =>
      update(name, key('b'), [{ PUT: [{ v: 'x', timestamp: now - 2 * 86400 * 1000 }] }])));
  await check(it, 'time to live', async () => {
    await table('brief', ['STRING'], { options: { timeToLive: 3 } });
    await put('brief', key('a'), { v: 'x' });
    same(await get('brief', key('a')), { v: 'x' });
    for (const end = Date.now() + 30000; (await get('brief', key('a'))) && Date.now() < end; ) {
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    same(await get('brief', key('a')), null);
  });
}

async function increments(it) {
  const name = await table('increments', ['STRING']);
  const returnContent = { returnType: ots.ReturnType.AfterModify, returnColumns: ['n'] };
  const add = (n) => update(name, key('a'), [{ INCREMENT: [{ n: Long.fromNumber(n) }] }], { returnContent });
  await check(it, 'from an absent value, up and down', async () => {
    for (const [by, want] of [[5, 5], [37, 42], [-50, -8]]) {
      await add(by);
      same(await get(name, key('a')), { n: want });
    }
  });
  await check(it, 'the new value is returned on request', async () =>
    same(values((await add(1)).row.attributes), { n: -7 }));
  await check(it, 'together with other changes', async () => {
    await update(name, key('a'), [{ PUT: [{ s: 'x' }] }, { INCREMENT: [{ n: Long.fromNumber(1) }] }]);
    same(await get(name, key('a')), { n: -6, s: 'x' });
  });
  await check(it, 'a value that is not an integer', async () => {
    const wrong = update(name, key('a'), [{ INCREMENT: [{ s: Long.fromNumber(1) }] }]);
    await assert.rejects(wrong, (e) => e.code === 400 && e.message.includes(invalid));
    same(await get(name, key('a')), { n: -6, s: 'x' });
  });
}

async function batches(it) {
  await table('one', ['INTEGER']);
  await table('two', ['INTEGER']);
  const changed = { PUT: (v) => [{ v }], UPDATE: (v) => [{ PUT: [{ v }] }], DELETE: () => undefined };
  const change = (type, k, v, more) => ({
    type, primaryKey: key(k), condition: where(), attributeColumns: changed[type](v), ...more,
  });
  const write = (of) =>
    client.batchWriteRow({ tables: Object.entries(of).map(([tableName, rows]) => ({ tableName, rows })) });
  const read = async (of, more) => {
    const asked = ([tableName, keys]) => ({ tableName, primaryKey: keys.map((k) => key(k)), ...more });
    const { tables: answers } = await client.batchGetRow({ tables: Object.entries(of).map(asked) });
    const answer = (row) => (row.isOk ? row.primaryKey && values(row.attributes) : [row.errorCode, row.errorMessage]);
    return answers.map((items) => items.map(answer));
  };
  await check(it, 'puts, updates and deletes of two tables', async () => {
    await put('one', key(3), { v: 'gone' });
    const out = await write({
      one: [change('PUT', 1, 'a'), change('UPDATE', 2, 'b'), change('DELETE', 3)], two: [change('PUT', 1, 'c')],
    });
    same(out.tables.map((row) => [row.tableName, row.isOk].join()), ['one,true', 'one,true', 'one,true', 'two,true']);
    same(await read({ one: [1, 2, 3], two: [1] }), [[{ v: 'a' }, { v: 'b' }, null], [{ v: 'c' }]]);
  });
  await check(it, 'a failed row does not affect the others', async () => {
    const condition = where('EXPECT_EXIST');
    const out = await write({
      one: [change('PUT', 4, 'd'), change('PUT', 5, 'e', { condition }), change('DELETE', 6, null, { condition })],
    });
    const failed = ['OTSConditionCheckFail', 'Condition check failed.'];
    same(out.tables.map((row) => row.isOk || [row.errorCode, row.errorMessage]), [true, failed, failed]);
    same(await read({ one: [4, 5] }), [[{ v: 'd' }, null]]);
  });
  await check(it, 'one row read twice', async () => same(await read({ one: [1, 1] }), [[{ v: 'a' }, { v: 'a' }]]));
  await check(it, 'a table without rows in the request', async () =>
    same(await read({ one: [], two: [1] }), [[], [{ v: 'c' }]]));
  await check(it, 'columns, and a filter', async () =>
    same(await read({ one: [1, 2] }, { columnsToGet: ['v'], columnFilter: column('v', 'b') }), [[null, { v: 'b' }]]));
  await check(it, 'an absent table', async () =>
    same(await read({ one: [1], none: [1] }),
      [[{ v: 'a' }], [['OTSObjectNotExist', 'Requested table does not exist.']]]));
  await check(it, 'keys are returned on request', async () =>
    same(keyValues((await write({ one: [change('PUT', 7, 'g', returnKey)] })).tables[0].primaryKey), [7]));
  await check(it, 'two increments of one row', async () => {
    const add = (n) => change('UPDATE', 8, null, { attributeColumns: [{ INCREMENT: [{ v: Long.fromNumber(n) }] }] });
    same((await write({ one: [add(2), add(3)] })).tables.map((row) => row.isOk), [true, true]);
    same(await read({ one: [8] }), [[{ v: 5 }]]);
  });
  await check(it, 'one row twice, with a condition', () =>
    refused(invalid, 'Repeated rows do not support row exist expectation check in BatchModify.', () =>
      write({ one: ['x', 'y'].map((v) => change('PUT', 9, v, { condition: where('EXPECT_EXIST') })) })));
  await check(it, 'more than 200 rows, and more than 100', async () => {
    const many = (n) => Array.from({ length: n }, (_, i) => i);
    const puts = many(201).map((i) => change('PUT', i, 'x'));
    await refused(invalid, 'Rows count exceeds the upper limit: 200.', () => write({ one: puts }));
    await refused(invalid, 'Rows count exceeds the upper limit: 100.', () => read({ one: many(101) }));
  });
}

async function transactions(it) {
  const name = await table('transactional', ['STRING', 'INTEGER']);
  const begin = async (partition) => {
    await put(name, key(partition, 1), { v: 'before' });
    const { transactionId } = await client.startLocalTransaction({ tableName: name, primaryKey: key(partition) });
    return { transactionId };
  };
  // The SDK decodes the empty answer to an abort as a request, which lacks the required id.
  const abort = (id) => assert.rejects(client.abortTransaction(id), { message: "missing required 'transactionId'" });
  await check(it, 'others see a write after the commit', async () => {
    const id = await begin('commit');
    await put(name, key('commit', 1), { v: 'after' }, id);
    await update(name, key('commit', 2), [{ PUT: [{ v: 'new' }] }], id);
    same([await get(name, key('commit', 1), id), await get(name, key('commit', 1))], [{ v: 'after' }, { v: 'before' }]);
    same((await walk(name, key('commit', INF_MIN), key('commit', INF_MAX), id))[0], [1, 2]);
    await client.commitTransaction(id);
    same([await get(name, key('commit', 1)), await get(name, key('commit', 2))], [{ v: 'after' }, { v: 'new' }]);
  });
  await check(it, 'an abort changes nothing', async () => {
    const id = await begin('abort');
    await remove(name, key('abort', 1), id);
    same(await get(name, key('abort', 1), id), null);
    await abort(id);
    same(await get(name, key('abort', 1)), { v: 'before' });
  });
  await check(it, 'a batch in a transaction', async () => {
    const id = await begin('batch');
    const rows = [1, 2].map((n) => ({
      type: 'PUT', primaryKey: key('batch', n), condition: where(), attributeColumns: [{ v: 'batch' }],
    }));
    const out = await client.batchWriteRow({ tables: [{ tableName: name, rows }], ...id });
    same(out.tables.map((row) => row.isOk), [true, true]);
    same(await get(name, key('batch', 2)), null);
    await client.commitTransaction(id);
    same(await get(name, key('batch', 2)), { v: 'batch' });
  });
  await check(it, 'other writers are refused', async () => {
    const id = await begin('locked');
    const outside = () => put(name, key('locked', 1), { v: 'x' });
    await refused('OTSRowOperationConflict', 'Data is being modified by the other request.', outside, 409);
    await abort(id);
    await outside();
  });
  await check(it, 'an ended transaction', async () => {
    const id = await begin('ended');
    await client.commitTransaction(id);
    const again = () => client.commitTransaction(id);
    await refused('OTSSessionNotExist', 'Session not exist or may be timeout.', again, 404);
  });
  await check(it, 'an invalid id', () =>
    refused(invalid, 'TransactionID is invalid.', () =>
      put(name, key('none', 1), { v: 'x' }, { transactionId: 'not an id at all' })));
}

async function indexes(it) {
  const { DCT_INTEGER, DCT_STRING, DCT_DOUBLE } = ots.DefinedColumnType;
  const defined = [{ name: 'i', type: DCT_INTEGER }, { name: 's', type: DCT_STRING }, { name: 'd', type: DCT_DOUBLE }];
  const name = await table('indexed', ['INTEGER', 'STRING'], {
    defined, indexes: [{ name: 'by_s', primaryKey: ['s'], definedColumn: ['i'] }],
  });
  const at = (first, p) => [first, { p: Long.fromNumber(p) }, { n: 'x' }];
  await check(it, 'described', async () => {
    const d = await client.describeTable({ tableName: name });
    same(d.tableMeta.definedColumn.map((c) => ({ name: c.name, type: c.type })), defined);
    same(d.indexMetas.map((x) => [x.name, x.primaryKey, x.definedColumn]), [['by_s', ['s'], ['i']]]);
  });
  await check(it, 'follows puts and deletes', async () => {
    await put(name, key(1, 'x'), { i: Long.fromNumber(7), s: 'one', d: 1.5 });
    await put(name, key(2, 'x'), { i: Long.fromNumber(8) });
    same(await get('by_s', at({ s: 'one' }, 1)), { i: 7 });
    const bounds = [INF_MIN, INF_MAX].map((end) => [{ s: end }, { p: end }, { n: end }]);
    same((await walk('by_s', ...bounds))[0], ['x']);
    await remove(name, key(1, 'x'));
    same(await get('by_s', at({ s: 'one' }, 1)), null);
  });
  await check(it, 'created later', async () => {
    const indexMeta = { name: 'by_i', primaryKey: ['i'], definedColumn: ['d'] };
    await client.createIndex({ mainTableName: name, indexMeta });
    await put(name, key(3, 'x'), { i: Long.fromNumber(9), s: 'three', d: 2.5 });
    same(await get('by_i', at({ i: Long.fromNumber(9) }, 3)), { d: 2.5 });
  });
  await check(it, 'a local index, with the existing rows', async () => {
    const indexMeta = {
      name: 'local', primaryKey: ['p', 's'], definedColumn: ['d'],
      indexUpdateMode: ots.IndexUpdateMode.IUM_SYNC_INDEX, indexType: ots.IndexType.IT_LOCAL_INDEX,
    };
    await client.createIndex({ mainTableName: name, indexMeta, includeBaseData: true });
    same(await get('local', [{ p: Long.fromNumber(3) }, { s: 'three' }, { n: 'x' }]), { d: 2.5 });
  });
  await check(it, 'direct writes are refused', () =>
    refused(invalid, "Can't write index table directly.", () => put('by_s', at({ s: 'a' }, 1), { i: 'x' })));
  await check(it, 'deleted', async () => {
    await client.dropIndex({ mainTableName: name, indexName: 'by_i' });
    same((await client.describeTable({ tableName: name })).indexMetas.map((x) => x.name).sort(), ['by_s', 'local']);
  });
}

async function streams(it) {
  await check(it, 'enabled at creation', async () => {
    await table('streamed', ['STRING'], { stream: { enableStream: true, expirationTime: 12 } });
    const { streamDetails: s } = await client.describeTable({ tableName: 'streamed' });
    same([s.enableStream, s.expirationTime, s.streamId.startsWith('streamed')], [true, 12, true]);
  });
  await check(it, 'disabled, and enabled again', async () => {
    const set = async (streamSpecification) => {
      const change = { tableName: 'streamed', tableOptions: {}, streamSpecification };
      const { streamDetails: s } = await client.updateTable(change);
      return [s.enableStream, s.expirationTime];
    };
    same((await set({ enableStream: false }))[0], false);
    same(await set({ enableStream: true, expirationTime: 24 }), [true, 24]);
  });
}

async function others(it) {
  await check(it, 'the list is empty', async () =>
    same((await client.listSearchIndex({ tableName: 'rows' })).indices, []));
  const byName = (operation, call) => refused(invalid, `Unsupported operation: '${operation}'.`, call);
  const of = { tableName: 'rows', indexName: 'index' };
  await check(it, 'search indexes are refused by name', () => {
    const field = {
      fieldName: 'v', fieldType: ots.FieldType.LONG, index: true, enableSortAndAgg: true, store: true, isAnArray: false,
    };
    return byName('CreateSearchIndex', () => client.createSearchIndex({ ...of, schema: { fieldSchemas: [field] } }));
  });
  await check(it, 'a search is refused by name', () => {
    const searchQuery = { offset: 0, limit: 1, query: { queryType: ots.QueryType.MATCH_ALL_QUERY } };
    const columnToGet = { returnType: ots.ColumnReturnType.RETURN_ALL };
    return byName('Search', () => client.search({ ...of, searchQuery, columnToGet }));
  });
  await check(it, 'SQL is refused by name', () => byName('SQLQuery', () => client.sqlQuery({ query: 'select 1' })));
  await check(it, 'splits for a scan are refused by name', () =>
    byName('ComputeSplits', () => client.computeSplits({ ...of, searchIndexSplitsOptions: { indexName: 'index' } })));
}

async function keys(it) {
  const list = (options) => () => connect(options).listTable();
  await check(it, 'a wrong secret', () =>
    refused('OTSAuthFailed', 'Signature mismatch.', list({ secretAccessKey: 'wrong' }), 403));
  await check(it, 'an unknown id', () =>
    refused('OTSAuthFailed', 'The AccessKeyID does not exist.', list({ accessKeyId: 'unknown' }), 403));
  await check(it, 'an invalid STS token', () =>
    refused('OTSAuthFailed', 'The STS token is invalid.', list({ stsToken: 'token' }), 403));
  await check(it, 'instances share nothing', async () =>
    same((await list({ instancename: 'another-node' })()).tableNames, []));
  await check(it, 'an invalid instance name', () =>
    refused(invalid, "Invalid instance name: 'no instance'.", list({ instancename: 'no instance' })));
}

async function errors(it) {
  const name = await table('errors', ['STRING', 'INTEGER']);
  const operations = [
    (pk) => get(name, pk),
    (pk) => put(name, pk, { v: 'x' }),
    (pk) => update(name, pk, [{ PUT: [{ v: 'x' }] }]),
    (pk) => remove(name, pk),
    (pk) => range(name, pk, pk.map((c) => ({ [Object.keys(c)[0]]: INF_MAX }))),
  ];
  const one = Long.fromNumber(1);
  for (const [what, pk, text] of [
    ['another name', [{ q: 'a' }, { n: one }], 'Validate PK name fail. Input: q, Meta: p.'],
    ['another name and type, by its name', [{ q: one }, { n: one }], 'Validate PK name fail. Input: q, Meta: p.'],
    ['another order', [{ n: one }, { p: 'a' }], 'Validate PK name fail. Input: n, Meta: p.'],
    ['another type', key('a', '1'), 'Validate PK type fail. Input: VT_STRING, Meta: VT_INTEGER.'],
    ['one column', key('a'), 'Validate PK size fail. Input: 1, Meta: 2.'],
    ['three columns', key('a', 1, 'c'), 'Validate PK size fail. Input: 3, Meta: 2.'],
  ]) {
    await check(it, `a key with ${what}, in every operation`, async () => {
      for (const operation of operations) await refused('OTSInvalidPK', text, () => operation(pk));
    });
  }
  await check(it, 'a key of five columns, in every operation', async () => {
    const pk = [...'abcde'].map((name) => ({ [name]: 'a' }));
    for (const operation of operations) {
      await refused(invalid, 'The number of primary key columns must be in range: [1, 4].', () => operation(pk));
    }
  });
  await check(it, 'an update without changes', async () => {
    await refused(invalid, 'Attribute column is missing.', () => update(name, key('a', 1), []));
    const rows = [{ type: 'UPDATE', primaryKey: key('a', 1), condition: where(), attributeColumns: [] }];
    await refused(invalid, 'Invalid update row request: missing cells in request.', () =>
      client.batchWriteRow({ tables: [{ tableName: name, rows }] }));
  });
  await check(it, 'one column deleted twice', () =>
    refused(invalid, "Duplicated attribute column name: 'v' while updating row.", () =>
      update(name, key('a', 1), [{ DELETE_ALL: ['v', 'v'] }])));
  await check(it, 'no key at all', () =>
    refused(invalid, 'Cell data broken, empty PK.', () => put(name, [], { v: 'x' })));
  await check(it, 'errors of the request are reported before an absent table', () =>
    refused(invalid, "Invalid column name: '#v'.", () => put('none', key('a'), { '#v': 'x' })));
  await check(it, 'an absent table is reported before its key', async () => {
    for (const operation of [() => get('none', [{ q: one }]), () => put('none', [{ q: one }], {})]) {
      await noTable(operation);
    }
  });
  const putOne = (columns) => () => put(name, key('a', 1), columns);
  await check(it, 'a key longer than 1024 bytes', () =>
    refused(invalid, "The length of primary key column: 'p' exceeds the MaxLength:1024 with CurrentLength:1025.", () =>
      put(name, key('x'.repeat(1025), 1), { v: 'x' })));
  await check(it, 'a value longer than 2 MB', () =>
    refused(invalid, "The length of attribute column: 'v' exceeds the MaxLength:2097152 with CurrentLength:2097153.",
      putOne({ v: 'x'.repeat(2097153) })));
  await check(it, 'an invalid column name', () =>
    refused(invalid, "Invalid column name: '#v'.", putOne({ '#v': 'x' })));
  await check(it, 'a column of the key as an attribute', () =>
    refused(invalid, "Duplicated attribute column name with primary key column: 'n'.", putOne({ n: 'x' })));
  await check(it, 'more than 1024 columns', () =>
    refused(invalid, 'The number of attribute columns exceeds the limit, limit count: 1024, column count: 1025.',
      putOne(Object.fromEntries(Array.from({ length: 1025 }, (_, i) => [`c${i}`, 'x'])))));
  await check(it, 'infinity in a key', () =>
    refused(invalid, 'VT_INF_MAX is an invalid type for the primary key.', () => get(name, key('a', INF_MAX))));
  await check(it, 'not a number', () => refused(invalid, "NaN can't be set to double value.", putOne({ v: NaN })));
}

async function main() {
  const suites = {
    tables, rows, conditions, filters, ranges, 'auto-increment': autoIncrement, versions, increments, batches,
    transactions, indexes, streams, 'search, SQL, time series': others, 'access keys': keys, errors,
  };
  for (const [capability, suite] of Object.entries(suites)) await suite(capability);
  process.exitCode = failures ? 1 : 0;
}

main();
