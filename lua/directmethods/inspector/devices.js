/* Devices: the registered devices, and all that is known of one. */

import { html, useEffect, useState } from "/inspector/preact.js";
import * as api from "/inspector/api.js";
import { Device } from "/inspector/device.js";
import { Field } from "/inspector/fields.js";
import * as format from "/inspector/format.js";
import { useKeys } from "/inspector/keys.js";
import { List } from "/inspector/list.js";
import { Button, Empty, Failed, Head, useLoaded } from "/inspector/parts.js";
import { go, link } from "/inspector/router.js";
import { useStore } from "/inspector/store.js";

const PAGE = 500; // devices that are listed
const memory = { cursor: null };

const COLUMNS = [
  { title: "Device", className: "device" }, { title: "State", className: "result" },
  { title: "Modules", className: "modules" }, { title: "Last event", className: "last" },
];

/** In words, and how good that is. */
export function stateOf({ status, connected, subscribed }) {
  if (status === "disabled") return ["disabled", "bad"];
  if (subscribed) return ["takes calls", "good"];
  return connected ? ["connected, takes no calls", "warn"] : ["not connected", "muted"];
}

function Row({ device, event, isCursor }) {
  const [words, tone] = stateOf(device);
  return html`<tr class=${isCursor ? "cursor" : ""} onClick=${() => go(["devices", device.device_id])}>
    <td class="device"><a href=${link(["devices", device.device_id])}>${device.device_id}</a></td>
    <td class="result"><span class=${tone}>${words}</span></td>
    <td class="modules">${device.modules.join(", ")}</td>
    <td class="last muted">${event && `${format.clockTime(event.time, false)} ${
      format.words(event.event)}${event.text ? ": " + event.text : ""}`}</td></tr>`;
}

function Register({ done }) {
  const [id, setId] = useState("");
  async function register() {
    await api.json("PUT", api.devicePath(id), {});
    done(id);
  }
  return html`<form class="group" onSubmit=${(event) => {
      event.preventDefault();
      document.getElementById("register").click();
    }}>
    <${Field} label="New device"><input value=${id} spellcheck="false" placeholder="id"
      onInput=${(event) => setId(event.target.value)}/><//>
    <${Button} id="register" act=${register}
      disabled=${id === ""}>Register<//></form>`;
}

function DeviceList() {
  const store = useStore((each) => each.devices.at(-1)?.id);
  const [text, setText] = useState("");
  const [, draw] = useState(0);
  const [after, setAfter] = useState(null); // the id behind which the page begins
  const query = new URLSearchParams({ top: PAGE, ...(after ? { after } : {}),
    ...(text ? { contains: text } : {}) });
  const { value, error, again } = useLoaded(() => api.json("GET", "/devices?" + query),
    [after, text]);
  useEffect(() => void again(), [store.devices.at(-1)?.id]);
  const events = new Map(store.devices.map((event) => [event.device_id, event]));
  const rows = value ?? [];
  const cursor = rows.findIndex((device) => device.device_id === memory.cursor);
  const move = (by) => {
    memory.cursor = rows[cursor < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, cursor + by))]
      ?.device_id ?? null;
    draw((n) => n + 1);
  };
  useKeys({
    j: () => move(1), k: () => move(-1),
    Enter: () => cursor >= 0 && go(["devices", memory.cursor]),
    "/": () => document.getElementById("find").select(),
  });
  return html`<${Head} title="Devices" beside=${value && format.count(rows.length)
      + (after ? " after " + after : "")}>
      ${after && html`<button type="button" onClick=${() => setAfter(null)}>First</button>`}
      ${value?.length === PAGE && html`<button type="button" onClick=${() =>
        setAfter(value.at(-1).device_id)}>Next ${PAGE}</button>`}<${Register} done=${(id) =>
        go(["devices", id])}/><//>
    <div class="bar-line"><input id="find" class="filter" type="search" aria-label="Filter"
      placeholder="part of an id" value=${text} onInput=${(event) => {
        setText(event.target.value);
        setAfter(null);
      }}/></div>
    <${Failed} error=${error}/>
    ${value && rows.length === 0 ? html`<${Empty} title=${text
      ? "No device fits the filter" : "No devices yet"}/>`
    : html`<${List} label="Devices" className="devices" columns=${COLUMNS} rows=${rows}
        cursor=${cursor} keyOf=${(device) => device.device_id} row=${(device, i) => html`<${Row}
          key=${device.device_id} device=${device} event=${events.get(device.device_id)}
          isCursor=${i === cursor}/>`}/>`}`;
}

export function Devices({ path }) {
  if (path.length === 0) return html`<${DeviceList}/>`;
  memory.cursor = path[0].split("/")[0];
  return html`<${Device} key=${path[0]} name=${path[0]}/>`;
}
