// mqtt_js.js -- a device of mqtt.js alone, in the version that Azure's SDK brings: it
// answers one method call, sends telemetry, and prints what it saw. Its one argument:
// JSON with url, ca, clientId, username, password.
'use strict';

const sdk = require.resolve('azure-iot-mqtt-base');
const mqtt = require(require.resolve('mqtt', { paths: [sdk] }));

const METHODS = '$iothub/methods/POST/';

const { url, ...options } = JSON.parse(process.argv[2]);
const seen = {};

const client = mqtt.connect(url, { ...options, protocolVersion: 4, reconnectPeriod: 0 });

function fail(error) {
  console.error(error);
  process.exit(1);
}

client.on('error', fail);

client.on('connect', (ack) => {
  seen.connack = ack.returnCode;
  client.subscribe(METHODS + '#', { qos: 0 }, (error, granted) => {
    if (error) fail(error);
    seen.granted = granted.map((each) => each.qos);
  });
});

client.on('message', (topic, payload) => {
  seen.topic = topic;
  const rid = topic.split('?$rid=')[1];
  const events = `devices/${options.clientId}/messages/events/a=b`;
  client.publish(`$iothub/methods/res/201/?$rid=${rid}`, payload, { qos: 1 }, (error) => {
    if (error) fail(error);
    client.publish(events, 'done', { qos: 1 }, () => client.end(false, {}, () => {
      console.log(JSON.stringify(seen));
    }));
  });
});
