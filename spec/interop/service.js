// An unmodified Azure SDK service: registry and method calls, what came of them
// printed as one JSON document. argv: connection string.
'use strict';

const { Client, JobClient, Registry } = require('azure-iothub');

const [connectionString] = process.argv.slice(2);
const client = Client.fromConnectionString(connectionString);
const registry = Registry.fromConnectionString(connectionString);
const jobClient = JobClient.fromConnectionString(connectionString);

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

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function finished(jobId) {
  for (;;) {
    const job = (await jobClient.getJob(jobId)).jobStatus;
    if (!['queued', 'scheduled', 'running'].includes(job.status)) return job;
    await sleep(50);
  }
}

// Without the token as an argument, the SDK's next() begins anew.
async function allPages(query, next) {
  const pages = [];
  do {
    pages.push((await query[next](query.continuationToken)).result);
  } while (query.hasMoreResults);
  return pages;
}

async function jobsRound() {
  const reboot = { methodName: 'reboot', payload: { n: 1 }, responseTimeoutInSeconds: 30 };
  const both = "deviceId IN ['lua-device', 'offline-device']";
  const inAnHour = new Date(Date.now() + 3600 * 1000);
  const made = await jobClient.scheduleDeviceMethod('node-job', both, reboot, new Date(), 1);
  const done = await finished('node-job');
  const rows = await registry.createQuery(
    "SELECT * FROM devices.jobs WHERE devices.jobs.jobId = 'node-job'").next();
  const later = await jobClient.scheduleDeviceMethod('later', both, reboot, inAnHour, 60);
  await jobClient.cancelJob('later');
  await jobClient.scheduleTwinUpdate('twins', both,
    { etag: '*', tags: { site: 'north' } }, new Date(), 60);
  await finished('twins');
  const twins = await allPages(
    registry.createQuery("SELECT * FROM devices WHERE tags.site = 'north'", 1), 'nextAsTwin');
  const listed = await allPages(jobClient.createQuery(null, null, 2), 'next');
  const completed = await allPages(
    jobClient.createQuery('scheduleDeviceMethod', 'completed', 10), 'next');
  return {
    made: made.jobStatus,
    done,
    rows: rows.result,
    later: later.jobStatus.status,
    cancelled: (await finished('later')).status,
    twins: twins.map((page) => page.map((twin) => [twin.deviceId, twin.tags.site])),
    listed: listed.map((page) => page.map((job) => job.jobId)),
    completed: completed.map((page) => page.map((job) => job.jobId)),
    again: await outcome(jobClient.scheduleDeviceMethod('node-job', both, reboot, new Date(), 1)),
    noStart: await outcome(jobClient.scheduleDeviceMethod('no-start', both, reboot, null, 60)),
    unknown: await outcome(jobClient.getJob('unknown')),
    late: await outcome(jobClient.cancelJob('node-job')),
    badQuery: await outcome(registry.createQuery('SELECT').next()),
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
    jobs: await jobsRound(),
  }));
}

main().catch((err) => {
  console.error(err.toString());
  process.exit(1);
});
