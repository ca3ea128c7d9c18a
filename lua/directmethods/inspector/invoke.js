/* Invoke: call a method. What was typed stays, and what was called is listed. */

import { html, useEffect, useState } from "/inspector/preact.js";
import * as api from "/inspector/api.js";
import { again, invoke } from "/inspector/calling.js";
import { Field, Names, useNames } from "/inspector/fields.js";
import * as format from "/inspector/format.js";
import { useKeys } from "/inspector/keys.js";
import { Button, Head, useLoaded, Waiting } from "/inspector/parts.js";
import { isJson, Json, pretty } from "/inspector/payload.js";
import { go, link } from "/inspector/router.js";

const KEPT = 50; // calls in the list
const KEY = "directmethods-invoke"; // what is kept when the page is loaded again
const EMPTY = { name: "", method: "", payload: "", response: "", connect: "", repeat: 1 };
const memory = { done: [], answer: null,
  form: { ...EMPTY, ...JSON.parse(sessionStorage.getItem(KEY) ?? "{}") } };

// What is wrong with a payload; null: nothing.
function wrongPayload(text, contract) {
  if (text === "") return null;
  const bytes = new TextEncoder().encode(text).length;
  if (contract && bytes > contract.payload)
    return `${format.size(bytes)}: IoT Hub takes at most ${format.size(contract.payload)}.`;
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return "This is not JSON: " + error.message + ".";
  }
}

const percentile = (sorted, part) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];

function summary(answers) {
  const times = answers.map((each) => each.elapsed).sort((a, b) => a - b);
  return { count: answers.length, good: answers.filter((each) => each.http === 200).length,
    p50: percentile(times, 0.5), p95: percentile(times, 0.95), p99: percentile(times, 0.99) };
}

function Answer({ answer }) {
  if (!answer) return html`<section class="card"><header><h2>Answer</h2></header>
    <p class="muted">It appears here. Ctrl+Enter sends the call.</p></section>`;
  const { http, text, elapsed, id, repeated } = answer;
  return html`<section class="card"><header><h2>Answer</h2>
      <span class=${http === 200 ? "good" : "bad"}>${http}</span>
      <span class="muted">${format.duration(elapsed)}</span>
      ${id && html`<a class="push" href=${link(["calls", id])}>Call ${id}</a>`}</header>
    ${repeated && html`<p>${repeated.good} of ${repeated.count} were answered. p50 ${
      format.duration(repeated.p50)}, p95 ${format.duration(repeated.p95)}, p99 ${
      format.duration(repeated.p99)}.</p>`}
    <${Json} label="Answer" text=${pretty(text)}/></section>`;
}

// Those of the method that is chosen; of all methods, if it was not called yet.
function calledBefore(method) {
  const own = memory.done.filter((each) => each.form.method === method);
  return own.length > 0 ? own : memory.done;
}

function History({ method, choose }) {
  if (memory.done.length === 0) return null;
  return html`<section class="card"><header><h2>Called before</h2></header>
    <table class="plain"><tbody>${calledBefore(method).map((each) => html`<tr>
      <td class="time mono">${format.clockTime(each.time, false)}</td><td>${each.form.name}</td>
      <td class="method">${each.form.method}</td>
      <td class="method muted grow">${each.form.payload}</td>
      <td class=${each.http === 200 ? "good" : "bad"}>${each.http}</td>
      <td class="right"><${Button} kind="small" act=${() => choose(each.form)}>Use<//></td>
      </tr>`)}</tbody></table></section>`;
}

async function send(form, progress) {
  const answers = [];
  for (let i = 0; i < form.repeat; i++) {
    answers.push(await invoke(form));
    if (i + 1 < form.repeat) progress(i + 2);
  }
  const last = answers.at(-1);
  memory.done.unshift({ form: { ...form }, http: last.http, time: Date.now() / 1000 });
  memory.done.length = Math.min(memory.done.length, KEPT);
  return { ...last, repeated: answers.length > 1 ? summary(answers) : null };
}

function Form({ form, set, contract, wrong }) {
  const input = (name) => ({ value: form[name],
    onInput: (event) => set({ [name]: event.target.value }) });
  const limits = contract ?? {};
  return html`<div class="fields">
      <${Field} label="Device"><input id="first" list="devices" ...${input("name")}
        placeholder="dev1, or dev1/module" spellcheck="false"/><//>
      <${Field} label="Method"><input list="methods" ...${input("method")} spellcheck="false"/><//>
      <${Field} label="Response timeout, s"><input type="number" min=${limits.response_min}
        max=${limits.response_max} placeholder=${limits.response_default} ...${input("response")}/><//>
      <${Field} label="Connect timeout, s"><input type="number" min="0" max=${limits.connect_max}
        placeholder="0" ...${input("connect")}/><//>
      <${Field} label="Repeat"><input type="number" min="1" max="1000" value=${form.repeat}
        onInput=${(event) => set({ repeat: Math.max(1, Math.min(1000,
          Number(event.target.value) || 1)) })}/><//>
    </div>
    <${Field} label="Payload" className="wide"><textarea rows="8" spellcheck="false"
      placeholder="JSON; empty: a call without a payload" aria-invalid=${wrong != null}
      aria-describedby="wrong" ...${input("payload")}></textarea><//>
    <p id="wrong" class="failed" role="status">${wrong}</p>`;
}

export function Invoke({ query }) {
  const [, draw] = useState(0);
  const [busy, setBusy] = useState(null);
  const { form } = memory;
  const set = (values) => {
    Object.assign(form, values);
    sessionStorage.setItem(KEY, JSON.stringify(form));
    draw((n) => n + 1);
  };
  const { value: hub } = useLoaded(() => api.json("GET", "/hub"), []);
  const names = useNames(form.name);
  const known = names.includes(form.name) ? form.name : null; // it is no longer being typed
  const { value: device } = useLoaded(async () =>
    known && api.json("GET", api.devicePath(known)).catch(() => null), [known]);
  useEffect(() => {
    if (query.device) set({ name: query.device });
    if (query.call) api.json("GET", "/calls/" + query.call).then((call) => {
      const { response, connect, ...rest } = again(call);
      set({ ...rest, response: response ?? "", connect: connect || "" });
    }, () => {});
    document.getElementById("first")?.focus();
  }, [query.call, query.device]);
  useKeys({ Escape: () => history.back(), r: act });
  const wrong = wrongPayload(form.payload, hub?.contract);
  async function act() {
    if (!form.name || !form.method) throw new Error("Device and method are needed.");
    setBusy(1);
    memory.answer = await send(form, (n) => setBusy(n)).finally(() => setBusy(null));
    draw((n) => n + 1);
  }
  const onKey = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) act().catch(() => {});
  };
  return html`<${Names} names=${names} of=${form.name} handlers=${Object.keys(device?.methods ?? {})}/>
    <${Head} title="Invoke"/>
    <div class="scroll stack" tabindex="0"><div class="two invoke" onKeyDown=${onKey}>
      <section class="card"><${Form} form=${form} set=${set} contract=${hub?.contract} wrong=${wrong}/>
        <div class="group"><${Button} kind="main" act=${act} hint="Ctrl+Enter">${busy
          ? form.repeat > 1 ? `Call ${busy} of ${form.repeat}` : "Calling …" : "Call"}<//>
        <${Button} act=${() => set({ payload: pretty(form.payload) })}
          disabled=${!isJson(form.payload)}>Format<//>
        <a href=${link(["faults"], { device: form.name })}>Make it fail</a></div>
        ${busy && html`<${Waiting}/>`}</section>
      <${Answer} answer=${memory.answer}/></div>
    <${History} method=${form.method} choose=${(old) => { go(["invoke"]); set(old); }}/></div>`;
}
