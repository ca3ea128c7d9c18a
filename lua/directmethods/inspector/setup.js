/* Setup: what to paste into a program so that it uses this hub. */

import { html, useState } from "/inspector/preact.js";
import * as api from "/inspector/api.js";
import { Copy, Failed, Head, useLoaded } from "/inspector/parts.js";
import { link } from "/inspector/router.js";

const host = (hub) => hub.tls ? hub.hostname : "127.0.0.1";

const FORMS = {
  "Any program": (hub, { device }) => `directmethods hub --device ${device} -- COMMAND

# or, for this hub:
export IOTHUB_CONNECTION_STRING='${hub.service}'
export IOTHUB_DEVICE_CONNECTION_STRING='${hub.device}'
${hub.ca_file ? `export IOTHUB_CA_FILE='${hub.ca_file}' NODE_EXTRA_CA_CERTS='${hub.ca_file}'
` : ""}export HUB_MQTT_PORT=${hub.ports.mqtt} HUB_HTTPS_PORT=${hub.ports.https}
export HUB_ADMIN_URL='${location.origin}'`,
  Node: (hub) => `// ${hub.ca_file ? `NODE_EXTRA_CA_CERTS=${hub.ca_file}` : "start the hub without --plain"}
// Azure's SDKs use ports 8883 and 443: this hub has ${hub.ports.mqtt} and ${hub.ports.https}
const { Client } = require('azure-iothub');
const client = Client.fromConnectionString(
  '${hub.service}');`,
  Python: (hub) => `# REQUESTS_CA_BUNDLE=${hub.ca_file ?? "FILE"}
# Azure's SDKs use ports 8883 and 443: this hub has ${hub.ports.mqtt} and ${hub.ports.https}
from azure.iot.hub import IoTHubRegistryManager
manager = IoTHubRegistryManager.from_connection_string(
    "${hub.service}")`,
  C: (hub) => `/* a device with azure-iot-sdk-c, or with this library: docs/c.md */
const char *connection_string =
    "${hub.device}";
const char *trusted_certs = /* the text of ${hub.ca_file ?? "no file: plain TCP"} */;`,
  Lua: (hub) => `local dm = require "directmethods"
local service <close> = assert(dm.service {
  connection_string = "${hub.service}",
  port = ${hub.ports.https},
  tls = ${hub.ca_file ? `{ ca = "${hub.ca_file}" }` : hub.tls ? "true" : "false"},
})`,
  az: (hub, { device }) => `REQUESTS_CA_BUNDLE=${hub.ca_file ?? "FILE"} az iot hub invoke-device-method \\
  --login '${hub.service}' \\
  --device-id ${device} --method-name reboot`,
};

async function load(keys) {
  const [hub, differences, [device]] = await Promise.all([
    api.json("GET", keys ? "/hub?keys=1" : "/hub"), api.json("GET", "/differences?in_effect=true"),
    api.json("GET", "/devices?top=1"),
  ]);
  const id = device?.device_id ?? "dev1";
  const own = keys && device ? await api.json("GET", api.devicePath(id)) : null;
  return { differences, id, hub: { ...hub,
    service: hub.connection_strings?.iothubowner
      ?? `HostName=${hub.hostname};SharedAccessKeyName=iothubowner;SharedAccessKey=••••`,
    device: own?.connection_string ?? `HostName=${hub.hostname};DeviceId=${id};SharedAccessKey=••••` } };
}

function Facts({ hub }) {
  const facts = [["MQTT port", hub.ports.mqtt + (hub.tls ? ", TLS" : ", plain TCP")],
    ["HTTPS port", hub.ports.https], ["Admin port", hub.ports.admin], ["Host name", hub.hostname],
    ["Address", host(hub)], ["CA file", hub.ca_file && html`<code>${hub.ca_file}</code>`],
    ["Tier", hub.tier], ["Version", hub.version], ["Cluster", hub.cluster?.name],
    ["This hub", hub.cluster?.id],
    ["Other hubs", hub.cluster && (hub.cluster.others.join(", ") || "none is alive")]];
  return html`<dl class="facts">${facts.filter(([, value]) => value != null).map(([name, value]) =>
    html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

function Differences({ rows }) {
  return html`<section class="card"><header><h2>Where this hub differs from IoT Hub by its
      options</h2></header>${rows.length === 0
    ? html`<p class="muted">Nowhere. What remains is in <code>docs/differences.md</code>.</p>`
    : html`<table class="plain"><tbody>${rows.map((row) => html`<tr>${[row.kind, row.case,
        `here: ${row.here}; Azure: ${row.azure}`, row.advice ?? ""].map((text) => html`<td class="wrap"
        >${text.replaceAll("`", "")}</td>`)}</tr>`)}</tbody></table>`}</section>`;
}

export function Setup() {
  const [keys, setKeys] = useState(false);
  const [form, setForm] = useState("Any program");
  const { value, error } = useLoaded(() => load(keys), [keys]);
  if (!value) return html`<${Head} title="Setup"/><${Failed} error=${error}/>`;
  const text = FORMS[form](value.hub, { device: value.id });
  return html`<${Head} title="Setup"><button type="button" aria-pressed=${keys}
      onClick=${() => setKeys(!keys)}>${keys ? "Hide keys" : "Reveal keys"}</button><//>
    <div class="scroll stack" tabindex="0"><${Facts} hub=${value.hub}/>
      <section class="card"><header><h2>Connect</h2><div class="tabs" role="group"
        aria-label="Language">${Object.keys(FORMS).map((name) => html`<button type="button"
          aria-pressed=${name === form} onClick=${() => setForm(name)}>${name}</button>`)}</div>
        <span class="push"><${Copy} text=${async () =>
          FORMS[form]((await load(true)).hub, { device: value.id })}>Copy with keys<//></span></header>
        <pre class="code" tabindex="0" aria-label="Text to paste">${text}</pre></section>
      <${Differences} rows=${value.differences}/>
      <p class="muted">A device without code: give it <a href=${link(["devices", value.id])}>canned
        answers</a>.</p></div>`;
}
