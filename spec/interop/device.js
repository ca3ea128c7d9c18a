// An unmodified Azure SDK device: answers methods of the scenarios until one
// named "quit" comes. argv: one JSON object: transport ("Mqtt" or "MqttWs"), token
// or connectionString, ca; cert and key for X.509 (PEM).
'use strict';

const { Client } = require('azure-iot-device');
const transports = require('azure-iot-device-mqtt');

const config = JSON.parse(process.argv[2]);
const transport = transports[config.transport];
const client = config.token
  ? Client.fromSharedAccessSignature(config.token, transport)
  : Client.fromConnectionString(config.connectionString, transport);

function answer(response, status, payload) {
  response.send(status, payload, (err) => {
    if (err) fail(err);
  });
}

function fail(err) {
  console.error(err.toString());
  process.exit(1);
}

client.on('error', fail);

async function main() {
  await client.setOptions({ ca: config.ca, cert: config.cert, key: config.key });
  await client.open();
  client.onDeviceMethod('reboot', (request, response) => {
    answer(response, 201, { rebooted: true, got: request.payload });
  });
  client.onDeviceMethod('echo', (request, response) => {
    answer(response, 200, request.payload);
  });
  client.onDeviceMethod('nothing', (request, response) => {
    answer(response, 404);
  });
  client.onDeviceMethod('renew', (request, response) => {
    answer(response, 200, null);
    client.updateSharedAccessSignature(request.payload, (err) => {
      if (err) fail(err);
    });
  });
  client.onDeviceMethod('quit', (request, response) => {
    response.send(200, null, () => client.close(() => process.exit(0)));
  });
}

main().catch(fail);
