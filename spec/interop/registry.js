// The registry and the twins by Azure's service SDK, with its error classes.
'use strict';

const { NoRetry } = require('azure-iot-common');
const sdk = require('./sdk');

const registry = sdk.iothub.Registry.fromConnectionString(sdk.config.owner);

const bodyOf = async (promise) => {
  const done = await promise;
  return done.responseBody || done;
};

// Only the name of an error: what SDK users write code for.
async function fails(promise) {
  const { error, status } = await sdk.outcome(promise);
  return `${error} ${status}`;
}

async function devices() {
  const made = await bodyOf(registry.create({ deviceId: 'made' }));
  const got = await bodyOf(registry.get('made'));
  const updated = await bodyOf(registry.update({
    deviceId: 'made', status: 'disabled', statusReason: 'a test',
  }));
  const seen = {
    made: {
      status: made.status,
      state: made.connectionState,
      keyLength: made.authentication.symmetricKey.primaryKey.length,
      sameKey: got.authentication.symmetricKey.primaryKey
        === made.authentication.symmetricKey.primaryKey,
      generation: got.generationId === made.generationId,
    },
    updated: {
      status: updated.status, reason: updated.statusReason,
      newEtag: updated.etag !== made.etag,
    },
    again: await fails(registry.create({ deviceId: 'made' })),
    strange: await fails(registry.create({ deviceId: 'with a blank' })),
    listed: (await bodyOf(registry.list())).map((each) => each.deviceId).includes('made'),
  };
  seen.deleted = (await registry.delete('made')).httpResponse.statusCode;
  seen.gone = await fails(registry.get('made'));
  seen.updateGone = await fails(registry.update({ deviceId: 'made' }));
  seen.deleteGone = await fails(registry.delete('made'));
  return seen;
}

async function thumbprints() {
  const print = 'AB'.repeat(20);
  const made = await bodyOf(registry.create({
    deviceId: 'printed',
    authentication: { x509Thumbprint: { primaryThumbprint: print } },
  }));
  const authority = await bodyOf(registry.create({
    deviceId: 'certified', authentication: { type: 'certificateAuthority' },
  }));
  return {
    type: made.authentication.type,
    print: made.authentication.x509Thumbprint.primaryThumbprint === print,
    authority: authority.authentication.type,
  };
}

// Some of them failed: the request has, and its answer says which.
async function partly(promise) {
  const body = JSON.parse((await promise.catch((err) => err)).responseBody);
  return [body.isSuccessful, body.errors.map((each) => each.deviceId)];
}

async function bulk() {
  const list = Array.from({ length: 100 }, (_, i) => ({ deviceId: `bulk${i}` }));
  const added = await bodyOf(registry.addDevices(list));
  const twice = await partly(registry.addDevices([list[0], { deviceId: 'bulk-new' }]));
  const one = await bodyOf(registry.get('bulk1'));
  const changed = await bodyOf(registry.updateDevices(
    [{ ...one, status: 'disabled' }], false));
  const stale = await partly(registry.updateDevices([one], false));
  const removed = await bodyOf(registry.removeDevices(list, true));
  return {
    added: added.isSuccessful,
    twice,
    changed: changed.isSuccessful,
    stale,
    removed: removed.isSuccessful,
    left: (await bodyOf(registry.list())).filter((each) => each.deviceId
      .startsWith('bulk')).map((each) => each.deviceId),
  };
}

async function modules() {
  const made = await bodyOf(registry.addModule(
    { deviceId: 'host', moduleId: 'one', managedBy: 'spec' }));
  await registry.addModule({ deviceId: 'host', moduleId: 'two' });
  const got = await bodyOf(registry.getModule('host', 'one'));
  const list = await bodyOf(registry.getModulesOnDevice('host'));
  const updated = await bodyOf(registry.updateModule(got));
  const seen = {
    sameKey: got.authentication.symmetricKey.primaryKey
      === made.authentication.symmetricKey.primaryKey,
    list: list.map((each) => each.moduleId).sort(),
    newEtag: updated.etag !== got.etag,
    managedBy: updated.managedBy,
    stale: await fails(registry.updateModule(got)),
    forced: (await bodyOf(registry.updateModule(got, true))).moduleId,
    twice: await fails(registry.addModule({ deviceId: 'host', moduleId: 'one' })),
  };
  await registry.removeModule('host', 'two');
  seen.gone = await fails(registry.getModule('host', 'two'));
  seen.noHost = await fails(registry.addModule({ deviceId: 'nobody', moduleId: 'm' }));
  return seen;
}

async function twins() {
  const { responseBody: twin } = await registry.getTwin('host');
  const etag = twin.etag;
  const tagged = await bodyOf(registry.updateTwin('host', { tags: { floor: 3 } }, etag));
  const seen = {
    version: twin.properties.desired.$version,
    tagged: tagged.tags,
    newEtag: tagged.etag !== etag,
    stale: await fails(registry.updateTwin('host', { tags: { floor: 4 } }, etag)),
    forced: (await bodyOf(registry.updateTwin('host', { tags: { wing: 'w' } }, '*'))).tags,
    gone: await fails(registry.getTwin('nobody')),
  };
  const mine = (await registry.getTwin('host')).responseBody;
  await mine.update({ properties: { desired: { speed: 5 } } });
  const { desired } = (await registry.getTwin('host')).responseBody.properties;
  seen.desired = [desired.speed, desired.$version];
  const module = (await registry.getModuleTwin('host', 'one')).responseBody;
  const ofModule = await bodyOf(registry.updateModuleTwin('host', 'one',
    { properties: { desired: { on: true } } }, module.etag));
  seen.module = ofModule.properties.desired.on;
  const query = registry.createQuery('SELECT * FROM devices WHERE tags.floor = 3', 10);
  seen.query = (await query.nextAsTwin()).result.map((each) => each.deviceId);
  seen.rows = (await registry.createQuery(
    'SELECT deviceId AS id, tags.wing FROM devices WHERE tags.floor = 3').next()).result;
  seen.count = (await registry.createQuery(
    'SELECT COUNT() AS n FROM devices WHERE tags.floor = 3').next()).result;
  return seen;
}

async function errors() {
  const { config } = sdk;
  const strangers = sdk.iothub.Registry.fromConnectionString(
    config.owner.replace(/SharedAccessKey=.*/, `SharedAccessKey=${btoa('x'.repeat(32))}`));
  const reader = sdk.iothub.Registry.fromConnectionString(config.reader);
  sdk.caller.setRetryPolicy(new NoRetry());
  const invoke = (device, params) => sdk.outcome(
    sdk.caller.invokeDeviceMethod(device, { methodName: 'reboot', ...params }));
  return {
    wrongKey: await fails(strangers.get('host')),
    mayNotWrite: await fails(reader.create({ deviceId: 'not-made' })),
    mayRead: (await bodyOf(reader.get('host'))).deviceId,
    offline: await invoke('host'),
    nobody: await invoke('nobody'),
    tooLong: await invoke('host', { responseTimeoutInSeconds: 301 }),
    tooLarge: await invoke('host', { payload: 'x'.repeat(131072) }),
    badName: await invoke('host', { methodName: 'a b' }),
  };
}

sdk.run(async () => {
  const seen = { devices: await devices(), thumbprints: await thumbprints(),
    bulk: await bulk(), modules: await modules(), twins: await twins(),
    errors: await errors() };
  const counts = await bodyOf(registry.getRegistryStatistics());
  seen.statistics = [counts.totalDeviceCount, counts.enabledDeviceCount,
    counts.disabledDeviceCount];
  return seen;
});
