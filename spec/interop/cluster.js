// A device of Azure's SDK at one hub of a cluster, and service clients at another one.
'use strict';

const sdk = require('./sdk');

const ID = 'node-device';
const registry = sdk.iothub.Registry.fromConnectionString(sdk.config.service);

const now = (method, payload) => sdk.outcome(sdk.call(ID, method, payload, 0));

function serve(client) {
  client.onDeviceMethod('echo', (request, response) => response.send(201, request.payload));
  client.onDeviceMethod('fail', (request, response) => response.send(
    500, { reason: 'jammed' }));
  client.onDeviceMethod('leave', () => client.close());
}

// Its desired properties, as soon as one of them has this value.
function desiredOf(twin, name, value) {
  return new Promise((resolve) => {
    twin.on(`properties.desired.${name}`, (found) => {
      if (found === value) resolve(found);
    });
  });
}

async function twins(client) {
  const twin = await client.getTwin();
  const told = desiredOf(twin, 'speed', 40);
  // The hub has the device's SUBSCRIBE when it answers this.
  await new Promise((resolve, reject) => {
    twin.properties.reported.update({ firmware: '2.1' },
      (err) => (err ? reject(err) : resolve()));
  });
  const before = (await registry.getTwin(ID)).responseBody;
  await registry.updateTwin(ID, { properties: { desired: { speed: 40 } } }, before.etag);
  return {
    reported: before.properties.reported.firmware,
    state: before.connectionState,
    told: await told,
  };
}

sdk.run(async () => {
  const before = await now('echo', 1);
  const waiting = sdk.outcome(sdk.call(ID, 'echo', { n: 2 }));
  const client = await sdk.device(sdk.config.device);
  await client.open();
  serve(client);
  return {
    before,
    waited: await waiting,
    many: await Promise.all(Array.from({ length: 40 }, (_, i) => now('echo', i))),
    failed: await now('fail', null),
    twins: await twins(client),
    left: await now('leave', null),
    after: await sdk.until(async () => {
      const found = await now('echo', 3);
      return found.code === 404103 && found;
    }),
  };
});
