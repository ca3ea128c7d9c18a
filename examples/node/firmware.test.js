// A firmware update with progress: the method only starts it and answers 202 at once, so
// that no call waits for minutes; the device tells its progress by reported properties.
//   npm install && npm test                    (docs/node.md)
'use strict';

const assert = require('node:assert');
const { after, before, test } = require('node:test');
const { setTimeout: sleep } = require('node:timers/promises');
const { startHub } = require('./hub.js');

let hub, pump, service, registry;

// The device ------------------------------------------------------------------

const report = (twin, firmware) => new Promise((resolve, reject) => {
  twin.properties.reported.update({ firmware }, (error) => (error ? reject(error) : resolve()));
});

async function update(twin, version) {
  for (const percent of [0, 50, 100]) {
    await report(twin, { status: 'downloading', percent });
  }
  await report(twin, { status: 'done', percent: null, version }); // null removes a property
}

async function startDevice() {
  pump = await hub.device('pump');
  await pump.open();
  const twin = await pump.getTwin();
  pump.onDeviceMethod('update', (request, response) => {
    response.send(202, { accepted: request.payload.version }, () => {});
    update(twin, request.payload.version).catch((error) =>
      report(twin, { status: 'failed', error: error.message }));
  });
}

// The back end ----------------------------------------------------------------

async function waitForUpdate(device) {
  for (;;) {
    const { firmware } = (await registry.getTwin(device)).responseBody.properties.reported;
    if (firmware && ['done', 'failed'].includes(firmware.status)) return firmware;
    await sleep(20); // a real one: some seconds
  }
}

before(async () => {
  hub = await startHub(['pump']);
  [service, registry] = [hub.service(), hub.registry()];
  await startDevice();
});

after(() => Promise.all([pump?.close(), hub?.stop()]));

test('firmware is updated, and the twin tells when it is done', async () => {
  const { result } = await service.invokeDeviceMethod('pump', {
    methodName: 'update', payload: { version: '2.1' }, connectTimeoutInSeconds: 30 });
  assert.deepStrictEqual(result, { status: 202, payload: { accepted: '2.1' } });
  assert.deepStrictEqual(await waitForUpdate('pump'), { status: 'done', version: '2.1' });
});
