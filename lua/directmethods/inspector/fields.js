/* Fields of forms, and the names that they offer. */

import { html } from "/inspector/preact.js";
import * as api from "/inspector/api.js";
import { useLoaded } from "/inspector/parts.js";
import { useStore } from "/inspector/store.js";

export function Field({ label, hint, children, className = "" }) {
  return html`<label class="field ${className}"><span>${label}</span>${children}${hint
    && html`<small class="muted">${hint}</small>`}</label>`;
}

const OFFERED = 500; // names

async function loadNames() {
  const devices = await api.json("GET", "/devices?top=" + OFFERED);
  return devices.flatMap(({ device_id: id, modules }) =>
    [id, ...modules.map((module) => `${id}/${module}`)]);
}

/** The lists "devices" and "methods" for inputs: devices that are registered, methods that
    were seen in calls (of one device: those of its handlers in this process, too). */
export function Names({ of, handlers = [] }) {
  const { calls } = useStore((store) => store.calls.at(-1)?.id);
  const { value } = useLoaded(loadNames, []);
  const seen = calls.filter((call) => !of || call.device_id === of.split("/")[0])
    .map((call) => call.method).filter(Boolean);
  const methods = [...new Set([...handlers, ...seen])].sort();
  return html`<datalist id="devices">${(value ?? []).map((name) =>
      html`<option value=${name}></option>`)}</datalist>
    <datalist id="methods">${methods.map((name) => html`<option value=${name}></option>`)}</datalist>`;
}
