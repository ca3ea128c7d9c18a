/* Fields of forms, and the names that they offer. */

import { html } from "/inspector/preact.js";
import * as api from "/inspector/api.js";
import { useLoaded } from "/inspector/parts.js";
import { useStore } from "/inspector/store.js";

export function Field({ label, hint, children, className = "" }) {
  return html`<label class="field ${className}"><span>${label}</span>${children}${hint
    && html`<small class="muted">${hint}</small>`}</label>`;
}

const OFFERED = 50; // devices

// Names of devices that have this in them, of however many the hub has.
async function loadNames(text) {
  const query = new URLSearchParams({ top: OFFERED, contains: text });
  const devices = await api.json("GET", "/devices?" + query);
  return devices.flatMap(({ device_id: id, modules }) =>
    [id, ...modules.map((module) => `${id}/${module}`)]);
}

/** Names of devices and modules that fit what is typed, for Names. */
export function useNames(typed = "") {
  const [device] = typed.split("/");
  return useLoaded(() => loadNames(device), [device]).value ?? [];
}

/** The lists "devices" and "methods" for inputs: names of useNames, and methods that were
    seen in calls (of one device: those of its handlers in this process, too). */
export function Names({ names, of = "", handlers = [] }) {
  const { calls } = useStore((store) => store.calls.at(-1)?.id);
  const seen = calls.filter((call) => !of || call.device_id === of.split("/")[0])
    .map((call) => call.method).filter(Boolean);
  const methods = [...new Set([...handlers, ...seen])].sort();
  return html`<datalist id="devices">${names.map((name) =>
      html`<option value=${name}></option>`)}</datalist>
    <datalist id="methods">${methods.map((name) => html`<option value=${name}></option>`)}</datalist>`;
}
