// A hub for tests with Azure's SDKs: the one around `directmethods hub -- npm test`, else one
// of their own, which `stop` ends. See docs/node.md.
'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const https = require('node:https');
const { setTimeout: sleep } = require('node:timers/promises');
const { Client: Device } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const { Client: Service, Registry } = require('azure-iothub');

// Start a hub with these devices and wait for its ready file: the hub writes it, whole,
// when it listens. SDKs connect to 443 and 8883, so only one such hub runs at a time.
async function spawnHub(devices) {
  const folder = fs.mkdtempSync('/tmp/hub-');
  const file = `${folder}/ready.json`;
  const child = spawn('directmethods', ['hub', '--quiet', '--ready-file', file,
    '--admin-port', '0', ...devices.flatMap((id) => ['--device', id])],
  { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = new Promise((resolve) => child.on('error', resolve).on('exit', resolve));
  const stop = () => child.kill() && ended.then(() => fs.rmSync(folder, { recursive: true }));
  const failed = ended.then((why) => { throw new Error(`the hub has ended: ${why}`); });
  while (!fs.existsSync(file)) await Promise.race([failed, sleep(20)]);
  failed.catch(() => {}); // from here on its end is no error
  return { file, stop };
}

exports.startHub = async function startHub(devices) {
  const running = process.env.DIRECTMETHODS_READY_FILE;
  const { file, stop } = running ? { file: running, stop() {} } : await spawnHub(devices);
  const facts = JSON.parse(fs.readFileSync(file));
  const ca = fs.readFileSync(facts.ca_file);
  // azure-iothub has no option for the CA: set its agent, or NODE_EXTRA_CA_CERTS before node starts
  const caller = (Kind) => {
    const client = Kind.fromConnectionString(facts.connection_strings.service);
    client._restApiClient.setOptions({ http: { agent: new https.Agent({ ca }) } });
    return client;
  };
  return {
    stop,
    service: () => caller(Service),
    registry: () => caller(Registry), // also twins
    async device(id) { // not yet open; the SDK has an option for the CA
      const client = Device.fromConnectionString(facts.devices[id], Mqtt);
      await client.setOptions({ ca: ca.toString() });
      return client;
    },
    async admin(method, path, body) { // docs/control.md has the requests
      const headers = { Authorization: `Bearer ${facts.admin_token}` };
      const url = process.env.HUB_ADMIN_URL || facts.admin_url; // a hub elsewhere has its own
      const answer = await fetch(url + path,
        { method, headers, body: body && JSON.stringify(body) });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`);
      return text && JSON.parse(text);
    },
  };
};
