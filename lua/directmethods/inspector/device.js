/* One device or module: its state, its history, its twin, its canned answers. */

import { html, useEffect, useRef, useState } from "/inspector/preact.js";
import * as api from "/inspector/api.js";
import { Diff } from "/inspector/diff.js";
import { stateOf } from "/inspector/devices.js";
import * as format from "/inspector/format.js";
import { useKeys } from "/inspector/keys.js";
import { Button, Copy, Empty, Failed, Head, useLoaded } from "/inspector/parts.js";
import { Json, pretty } from "/inspector/payload.js";
import { go, link } from "/inspector/router.js";
import { useStore } from "/inspector/store.js";

const AGAIN = 2000; // ms; the stream does not tell of twins

function History({ events }) {
  return html`<section class="card"><header><h2>What became of it</h2></header>
    ${events.length === 0 ? html`<p class="muted">Nothing yet.</p>`
    : html`<table class="plain"><tbody>${events.toReversed().map((event) => html`<tr
        key=${event.id}><td class="time mono">${format.clockTime(event.time)}</td>
        <td>${format.words(event.event)}${event.module_id ? ` (${event.module_id})` : ""}</td>
        <td class="grow">${event.text}</td><td class="muted mono wide-only">${
          event.address}</td></tr>`)}
      </tbody></table>`}</section>`;
}

function Secret({ text }) {
  const [shown, setShown] = useState(false);
  return html`<span class="group"><code class="secret">${shown ? text
      : text.replace(/(Key=).*/, "$1••••••••")}</code>
    <button type="button" class="small" aria-pressed=${shown} onClick=${() => setShown(!shown)}
      >${shown ? "Hide" : "Reveal"}</button><${Copy} text=${() => text}/></span>`;
}

/** A text as it was before it last changed, while the page was shown; null: it has not. */
function usePrevious(text) {
  const seen = useRef({ now: text, before: null });
  if (seen.current.now !== text) seen.current = { now: text, before: seen.current.now };
  return seen.current.before;
}

function Section({ title, value, change }) {
  const text = JSON.stringify(value, null, 2);
  const [edited, setEdited] = useState(null);
  const [compares, setCompares] = useState(false);
  const before = usePrevious(text);
  async function save() {
    await change(JSON.parse(edited));
    setEdited(null);
  }
  if (compares) return html`<div><${Diff} title=${title} first=${before} second=${text}/>
    <button type="button" class="small" onClick=${() => setCompares(false)}>Show all</button></div>`;
  return html`<section class="card"><header><h2>${title}</h2>${before != null && edited == null
      && html`<button type="button" class="small" onClick=${() => setCompares(true)}>What
        changed</button>`}${change && (edited == null
      ? html`<button type="button" class="small push" onClick=${() => setEdited(text)}>Edit</button>`
      : html`<span class="group push"><${Button} kind="small main" act=${save}>Save<//>
        <button type="button" class="small" onClick=${() => setEdited(null)}>Cancel</button></span>`)}
    </header>${edited == null ? html`<${Json} label=${title} text=${pretty(text)}/>`
      : html`<textarea rows="10" aria-label=${title} value=${edited} spellcheck="false"
        onInput=${(event) => setEdited(event.target.value)}></textarea>`}</section>`;
}

function Actions({ name, device, again }) {
  const path = api.devicePath(name);
  const isModule = name.includes("/");
  const put = (body) => api.json("PUT", path, body).then(again);
  async function remove() {
    if (!confirm(`Delete ${name}?`)) return;
    await api.json("DELETE", path);
    go(["devices"]);
  }
  return html`<a class="button main" href=${link(["invoke"], { device: name })}>Invoke</a>
    <a class="button" href=${link(["calls"], { filter: "device:" + name.split("/")[0] })}>Calls</a>
    <${Button} act=${() => api.json("POST", path + "/disconnect").then(again)}
      disabled=${!device.connected}>Disconnect<//>
    ${!isModule && html`<${Button} act=${() => put({ status: device.status === "disabled"
      ? "enabled" : "disabled" })}>${device.status === "disabled" ? "Enable" : "Disable"}<//>`}
    <${Button} kind="danger" act=${remove}>Delete<//>`;
}

function Facts({ name, device }) {
  const [words, tone] = stateOf(device);
  const modules = (device.modules ?? []).map((module) => html`<a href=${link(["devices",
    `${name}/${module}`])}>${module}</a> `);
  return html`<dl class="facts"><div><dt>State</dt><dd class=${tone}>${words}</dd></div>
    <div><dt>Authentication</dt><dd>${device.authentication}</dd></div>
    ${modules.length > 0 && html`<div><dt>Modules</dt><dd>${modules}</dd></div>`}
    ${device.connection_string && html`<div class="wide"><dt>Connection string</dt>
      <dd><${Secret} text=${device.connection_string}/></dd></div>`}</dl>`;
}

function sentence({ event, time, text }) {
  const words = format.words(event);
  return `${words[0].toUpperCase()}${words.slice(1)} at ${format.clockTime(time, false)}: ${text}.`;
}

// The last refusal or disconnection, when the device is away.
function Trouble({ device, events }) {
  const last = events.findLast((event) => event.text);
  if (device.connected || !last) return null;
  return html`<section class="why bad"><h2>Why is it not connected?</h2><p>${
    sentence(last)}</p></section>`;
}

export function Device({ name }) {
  const { devices } = useStore((store) =>
    store.devices.findLast((event) => event.device_id === name.split("/")[0])?.id);
  const path = api.devicePath(name);
  const latest = devices.findLast((event) => event.device_id === name.split("/")[0])?.id;
  const { value: device, error, again } = useLoaded(() => api.json("GET", path), [name]);
  const history = useLoaded(() => api.json("GET", path + "/history"), [name]);
  const load = () => Promise.all([again(), history.again()]);
  useEffect(() => {
    load();
    const timer = setInterval(again, AGAIN);
    return () => clearInterval(timer);
  }, [latest]);
  useKeys({ Escape: () => go(["devices"]), r: () => go(["invoke"], { device: name }) });
  if (error) return html`<${Empty} alone title=${error.message}><p><a
    href=${link(["devices"])}>Devices</a></p><//>`;
  if (!device) return null;
  const put = (member) => (value) => api.json("PUT", path, { [member]: value }).then(load);
  const events = history.value ?? [];
  return html`<${Head} title=${name} beside="device"><${Actions} name=${name} device=${device}
      again=${load}/><//>
    <div class="scroll stack" tabindex="0"><${Facts} name=${name} device=${device}/>
      <${Trouble} device=${device} events=${events}/><${Failed} error=${history.error}/>
      <${History} events=${events}/>
      <div class="three"><${Section} title="Tags" value=${device.tags} change=${put("tags")}/>
      <${Section} title=${version("Desired properties", device.desired_version)}
        value=${device.desired} change=${put("desired")}/>
      <${Section} title=${version("Reported properties", device.reported_version)}
        value=${device.reported}/></div>
      <${Section} title="Canned answers" value=${device.methods ?? {}} change=${put("methods")}/>
    </div>`;
}

const version = (title, number) => number ? `${title}, version ${number}` : title;
