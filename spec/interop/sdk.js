// What the programs here share: their configuration, devices and callers made with
// unmodified Azure SDKs, and the hub's admin listener, spoken to as a user would.
'use strict';

const config = JSON.parse(process.argv[2]);

const { Client, ModuleClient } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const iothub = require('azure-iothub');

const caller = iothub.Client.fromConnectionString(config.service);

// A device client that trusts the hub, not yet open.
async function device(connectionString, transport = Mqtt) {
  const client = Client.fromConnectionString(connectionString, transport);
  await client.setOptions({ ca: config.ca });
  return client;
}

// A module client likewise.
async function module_(connectionString) {
  const client = ModuleClient.fromConnectionString(connectionString, Mqtt);
  await client.setOptions({ ca: config.ca });
  return client;
}

// The number of an error in the body of a method call's answer.
function codeOf(err) {
  try {
    return JSON.parse(JSON.parse(err.responseBody).Message).errorCode;
  } catch (unreadable) {
    return undefined;
  }
}

// What came of a promise, to be printed.
async function outcome(promise) {
  try {
    const value = await promise;
    return { value: value === undefined ? null : value };
  } catch (err) {
    return {
      error: err.name,
      message: err.response ? undefined : err.message,
      status: err.response && err.response.statusCode,
      code: codeOf(err),
    };
  }
}

// A method call by the service SDK; `connectTimeout` lets a device come back.
async function call(target, methodName, payload, connectTimeout = 30) {
  const [deviceId, moduleId] = target.split('/');
  const params = {
    methodName, payload, responseTimeoutInSeconds: 30,
    connectTimeoutInSeconds: connectTimeout,
  };
  const done = await (moduleId
    ? caller.invokeDeviceMethod(deviceId, moduleId, params)
    : caller.invokeDeviceMethod(deviceId, params));
  return done.result;
}

async function admin(method, path, body) {
  const reply = await fetch(`http://127.0.0.1:${config.admin.port}${path}`, {
    method,
    headers: { Authorization: `Bearer ${config.admin.token}` },
    body: body && JSON.stringify(body),
  });
  const text = await reply.text();
  if (!reply.ok) throw new Error(`${method} ${path}: ${reply.status} ${text}`);
  return reply.headers.get('content-type').includes('openmetrics') || text === ''
    ? text : JSON.parse(text);
}

// One of the hub's counters.
async function counter(name) {
  const text = await admin('GET', '/metrics');
  return Number(text.match(`_total{\\w+="${name}"} (\\d+)`)[1]);
}

// Ask until `condition` is true, for at most so many seconds of real time.
async function until(condition, patience = 20) {
  const end = Date.now() + patience * 1000;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited in vain until ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

// Print what `main` found and end, whatever is still open.
function run(main) {
  main().then((found) => {
    process.stdout.write(`${JSON.stringify(found)}\n`, () => process.exit(0));
  }, (err) => {
    console.error(err.stack, err.responseBody);
    process.exit(1);
  });
}

module.exports = {
  admin, call, caller, config, counter, device, iothub, module: module_, outcome, run,
  until,
};
