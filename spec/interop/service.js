// An unmodified Azure SDK service: registry and method calls, what came of them
// printed as one JSON document. argv: connection string.
'use strict';

const { Client, Registry } = require('azure-iothub');

const [connectionString] = process.argv.slice(2);
const client = Client.fromConnectionString(connectionString);
const registry = Registry.fromConnectionString(connectionString);

async function outcome(promise) {
  try {
    const done = await promise;
    return { result: done.result !== undefined ? done.result : done.responseBody };
  } catch (err) {
    return { error: err.name, status: err.response && err.response.statusCode };
  }
}

function invoke(device, methodName, payload, timeout) {
  return outcome(client.invokeDeviceMethod(device, {
    methodName,
    payload,
    responseTimeoutInSeconds: timeout || 30,
    connectTimeoutInSeconds: 0,
  }));
}

async function registryRound() {
  const made = await registry.create({ deviceId: 'made-by-node' });
  const got = await registry.get('made-by-node');
  const again = await outcome(registry.create({ deviceId: 'made-by-node' }));
  await registry.delete('made-by-node');
  const gone = await outcome(registry.get('made-by-node'));
  return {
    status: made.responseBody.status,
    key: made.responseBody.authentication.symmetricKey.primaryKey,
    sameKey: got.responseBody.authentication.symmetricKey.primaryKey,
    again,
    gone,
  };
}

async function main() {
  const payloads = [null, '', 'foo', { k1: 'v1' }, {}, [1, 'two', null], 10, true];
  const echoes = [];
  for (const payload of payloads) {
    const done = await invoke('lua-device', 'echo', payload);
    echoes.push(done.result ? done.result.payload : done);
  }
  const many = await Promise.all(
    Array.from({ length: 30 }, (_, i) => invoke('lua-device', 'echo', i)));
  console.log(JSON.stringify({
    reboot: await invoke('lua-device', 'reboot', { input1: 'x' }),
    unknown: await invoke('lua-device', 'no-such-method', null),
    offline: await invoke('offline-device', 'reboot', null),
    nobody: await invoke('nobody', 'reboot', null),
    badTimeout: await invoke('lua-device', 'reboot', null, 301),
    module: await outcome(client.invokeDeviceMethod('lua-device', 'lua-module',
      { methodName: 'reboot', payload: null })),
    echoes,
    many: many.map((done) => done.result.payload),
    registry: await registryRound(),
  }));
}

main().catch((err) => {
  console.error(err.toString());
  process.exit(1);
});
