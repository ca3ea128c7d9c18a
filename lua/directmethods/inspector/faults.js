/* Faults: the rules that act, and new ones. */

import { html, useState } from "/inspector/preact.js";
import * as api from "/inspector/api.js";
import * as format from "/inspector/format.js";
import { Field, Names, useNames } from "/inspector/fields.js";
import { Button, Copy, Failed, Head, useLoaded } from "/inspector/parts.js";
import { ACTIONS, clean, FORMS, PRESETS } from "/inspector/rules.js";
import { useStore } from "/inspector/store.js";

const matches = (rule) =>
  [rule.device ?? "*", ...(rule.module ? [rule.module] : []), rule.method ?? "*"].join(" / ");

function details({ delay, code, status, after, times, probability }) {
  return [
    delay != null && "by " + format.duration(delay), code && "with " + code,
    status && "status " + status, after && `after ${after}`,
    times && `${times} time${times > 1 ? "s" : ""}`,
    probability != null && Math.round(probability * 100) + " %",
  ].filter(Boolean).join(", ");
}

function Rules({ rules, again }) {
  if (rules.length === 0) return html`<p class="muted">No rule acts: the hub does what it can.</p>`;
  const remove = async (id) => {
    await api.json("DELETE", "/faults/" + id);
    await again();
  };
  return html`<table class="plain"><thead><tr><th>Rule</th><th>Stage</th><th>Action</th>
      <th>Device / method</th><th>How</th><th class="right">Hits</th><td></td></tr></thead>
    <tbody>${rules.map((rule) => html`<tr key=${rule.id}><td>${rule.id}</td><td>${rule.stage}</td>
      <td>${rule.action}</td><td class="method">${matches(rule)}</td><td>${details(rule)}</td>
      <td class="right"><strong>${format.count(rule.hits)}</strong></td>
      <td class="right"><${Button} kind="small" act=${() => remove(rule.id)}
        aria-label=${"Remove rule " + rule.id}>Remove<//></td></tr>`)}</tbody></table>`;
}

const number = (text) => text === "" ? undefined : Number(text);

function Editor({ rule, change }) {
  const set = (name, value) => change({ ...rule, [name]: value });
  const setStage = (stage) => change({ ...rule, stage,
    action: ACTIONS[stage].includes(rule.action) ? rule.action : ACTIONS[stage][0] });
  const numeric = (name, label, hint, more = {}) => html`<${Field} label=${label} hint=${hint}><input
    type="number" min="0" value=${rule[name] ?? ""} ...${more}
    onInput=${(event) => set(name, number(event.target.value))}/><//>`;
  return html`<div class="fields">
    <${Field} label="Stage"><select value=${rule.stage}
      onChange=${(event) => setStage(event.target.value)}>${Object.keys(ACTIONS).map((name) =>
        html`<option value=${name} selected=${name === rule.stage}>${name}</option>`)}</select><//>
    <${Field} label="Action"><select value=${rule.action}
      onChange=${(event) => set("action", event.target.value)}>${ACTIONS[rule.stage].map((name) =>
        html`<option value=${name} selected=${name === rule.action}>${name}</option>`)}</select><//>
    <${Field} label="Device"><input list="devices" value=${rule.device ?? ""} placeholder="all"
      onInput=${(event) => set("device", event.target.value)}/><//>
    <${Field} label="Method"><input list="methods" value=${rule.method ?? ""} placeholder="all"
      onInput=${(event) => set("method", event.target.value)}/><//>
    ${rule.action === "delay" && numeric("delay", "Delay, s", null, { step: "any" })}
    ${rule.action === "reject" && numeric("code", "Code", "IoT Hub's code, or the CONNACK's")}
    ${numeric("times", "Times", "at most so often")}
    ${numeric("after", "After", "ignore so many first")}
    ${numeric("probability", "Part", "0 to 1 of the events", { step: "0.1", max: "1" })}
  </div>`;
}

function Preview({ rule }) {
  return html`<dl class="forms">${Object.entries(FORMS).map(([name, write]) => html`<div>
    <dt>${name}</dt><dd><pre class="code" tabindex="0" aria-label=${name}>${write(rule)}</pre>
    <${Copy} text=${() => write(rule)}/></dd></div>`)}</dl>`;
}

export function Faults({ query }) {
  const { faults } = useStore((store) => store.faults);
  const [rule, change] = useState({ ...PRESETS[0].rule,
    ...(query.device ? { device: query.device } : {}) });
  const [warning, setWarning] = useState(null);
  const names = useNames(rule.device);
  const { value: rules, error, again } = useLoaded(() => api.json("GET", "/faults"), [faults]);
  async function add() {
    const added = await api.json("POST", "/faults", clean(rule));
    setWarning(added.warning ?? null);
    await again();
  }
  async function clear() {
    await api.json("DELETE", "/faults");
    await again();
  }
  return html`<${Names} names=${names}/><${Head} title="Faults" beside=${rules && format.count(rules.length)}>
      <${Button} act=${clear}>Remove all<//><//>
    <div class="scroll stack" tabindex="0"><${Failed} error=${error}/>
      ${rules && html`<${Rules} rules=${rules} again=${again}/>`}
      <section class="card"><header><h2>New rule</h2></header>
        <div class="presets">${PRESETS.map((preset) => html`<button type="button"
          onClick=${() => change({ device: rule.device, method: rule.method, ...preset.rule })}
          ><strong>${preset.title}</strong><span>${preset.text}</span></button>`)}</div>
        <${Editor} rule=${rule} change=${change}/><${Preview} rule=${rule}/>
        <div class="group"><${Button} kind="main" act=${add}>Add this rule<//>
          ${warning && html`<span class="warn" role="status">${warning}</span>`}</div>
      </section></div>`;
}
