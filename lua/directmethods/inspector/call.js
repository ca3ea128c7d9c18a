/* Call: all that is known of one call. */

import { html, useState } from "/inspector/preact.js";
import * as api from "/inspector/api.js";
import { again, invoke, ruleLike } from "/inspector/calling.js";
import { lastFilter, neighbour, remember } from "/inspector/calls.js";
import { Diff } from "/inspector/diff.js";
import * as format from "/inspector/format.js";
import { CopyAs, copyLast } from "/inspector/copy_as.js";
import { useKeys } from "/inspector/keys.js";
import { Button, Empty, Failed, Head, Outcome, useLoaded, Waiting } from "/inspector/parts.js";
import { Payload, pretty } from "/inspector/payload.js";
import { go, link } from "/inspector/router.js";
import { store, useStore } from "/inspector/store.js";

const STAGES = ["received", "authorised", "waiting", "published", "answered", "replied"];
const MEANS = {
  received: "the request came", authorised: "the token was accepted",
  waiting: "waits for the device", published: "the request was sent to the device",
  answered: "the device's answer came", replied: "the caller got the answer",
};

/** The stages as a waterfall: each bar goes from its stage to the next one. */
function Timeline({ call }) {
  const reached = STAGES.filter((name) => call.stages[name] != null);
  const whole = Math.max(call.elapsed, 1e-6);
  return html`<section class="card"><header><h2>Timeline</h2><span class="muted">${
      format.duration(call.elapsed)}</span></header>
    <table class="timeline"><tbody>${reached.map((name, i) => {
      const at = call.stages[name];
      const next = call.stages[reached[i + 1]] ?? at;
      const style = { left: Math.min(at / whole, 1) * 100 + "%",
        width: Math.max((next - at) / whole * 100, 0.5) + "%" };
      return html`<tr><th scope="row">${name}</th>
        <td class="lane"><span class="lane-bar ${format.tone(call)}" style=${style}></span></td>
        <td class="right mono">+${format.duration(at)}</td>
        <td class="muted means">${MEANS[name]}</td></tr>`;
    })}</tbody></table></section>`;
}

function Facts({ call }) {
  const facts = [
    ["Device", html`<a href=${link(["devices", format.target(call)])}>${format.target(call)}</a>`],
    ["Method", html`<code>${call.method}</code>`],
    ["Time", format.fullTime(call.time)],
    ["HTTP status", call.http_status || "none"],
    ["Error code", call.code || null],
    ["Response timeout", call.response_timeout && format.duration(call.response_timeout)],
    ["Connect timeout", call.connect_timeout ? format.duration(call.connect_timeout) : null],
    ["$rid", call.rid && html`<code>${call.rid}</code>`],
    ["api-version", call.api_version],
    ["Job", call.job_id && html`<a href=${link(["jobs", call.job_id])}>${call.job_id}</a>`],
    ["Fault rules", call.faults?.join(", ")],
  ];
  return html`<dl class="facts">${facts.filter(([, value]) => value != null).map(
    ([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

function Reasons({ call }) {
  return html`${call.reasons && html`<section class="why ${format.tone(call)}">
      <h2>Why ${format.outcome(call)}?</h2><p>${call.reasons.cause}</p>
      <p>${call.reasons.remedy}</p></section>`}
    ${call.azure_refuses && html`<section class="why warn"><h2>Azure would refuse this call</h2>
      <p>${call.azure_refuses}</p></section>`}`;
}

const facts = (call) => [
  "outcome: " + format.outcome(call), "elapsed: " + format.duration(call.elapsed),
  "stages: " + STAGES.filter((name) => call.stages[name] != null).join(", "),
  "response timeout: " + format.duration(call.response_timeout),
  "fault rules: " + (call.faults?.join(", ") ?? "none"),
].join("\n");

// The call of the same method before this one.
async function loadBefore(call) {
  const query = new URLSearchParams({ device: call.device_id, method: call.method });
  if (call.module_id) query.set("module", call.module_id);
  const calls = await api.json("GET", `/calls?payloads=0&${query}`);
  const before = calls.filter((each) => each.id < call.id).at(-1);
  return before ? api.json("GET", "/calls/" + before.id) : null;
}

function Compared({ call }) {
  const { value: before, error } = useLoaded(() => loadBefore(call), [call.id]);
  if (error) return html`<${Failed} error=${error}/>`;
  if (!before) return html`<p class="muted">There is no earlier call of this method.</p>`;
  return html`<p>Compared with <a href=${link(["calls", before.id])}>call ${before.id}</a>, ${
      format.duration(call.time - before.time)} before.</p>
    <${Diff} title="Facts" first=${facts(before)} second=${facts(call)}/>
    <div class="two"><${Diff} title="Payload" first=${pretty(before.payload_text ?? "")}
      second=${pretty(call.payload_text ?? "")}/>
    <${Diff} title="Answer" first=${pretty(before.response_text ?? "")}
      second=${pretty(call.response_text ?? "")}/></div>`;
}

// Shows the new call, unless the user has gone to another page meanwhile.
async function callAgain(call) {
  const { hash } = location;
  const { id } = await invoke(again(call));
  if (id && location.hash === hash) go(["calls", id]);
}

function Body({ call, contract, compares }) {
  return html`<${Facts} call=${call}/><${Reasons} call=${call}/>
    ${compares ? html`<${Compared} call=${call}/>` : html`<${Timeline} call=${call}/>
      <div class="two"><${Payload} title="Payload" text=${call.payload_text}
        bytes=${call.request_size} most=${contract?.payload}/>
      <${Payload} title="Answer" text=${call.response_text} bytes=${call.response_size}
        most=${contract?.payload}/></div>
      <${CopyAs} call=${call}/>`}`;
}

export function Call({ path, query }) {
  const id = Number(path[0]);
  const compares = query.show === "diff";
  const [rule, setRule] = useState(null);
  const [waits, setWaits] = useState(false);
  const { deleted } = useStore(({ deleted: gone }) => gone.has(id));
  const { value: call, error } = useLoaded(() => api.json("GET", "/calls/" + id), [id]);
  const { value: hub } = useLoaded(() => api.json("GET", "/hub"), []);
  const show = (other) => other && go(["calls", other.id], query, true);
  const compare = () => go(["calls", id], compares ? {} : { show: "diff" }, true);
  const repeat = () => {
    setWaits(true);
    return callAgain(call).finally(() => setWaits(false));
  };
  const failNext = async () => setRule(await api.json("POST", "/faults", ruleLike(call)));
  remember(id);
  useKeys({
    j: () => show(neighbour(store, id, 1)), k: () => show(neighbour(store, id, -1)),
    Escape: () => go(["calls"], lastFilter()), d: compare,
    r: () => call && repeat(), y: () => call && copyLast(call),
  });
  const missing = deleted.has(id) ? `Call ${id} was deleted` : error?.message;
  if (missing) return html`<${Empty} alone title=${missing}><p><a href=${
    link(["calls"], lastFilter())}>Calls</a></p><//>`;
  if (!call || call.id !== id) return null;
  return html`<${Head} title=${`Call ${id}`} beside=${html`<${Outcome} call=${call}/>`}>
      <${Button} act=${repeat} hint="r">Call again<//>
      <a class="button" href=${link(["invoke"], { call: id })}>Edit and call</a>
      <${Button} act=${failNext} hint="Adds a fault rule that acts once">Fail the next one like
        this<//>
      <${Button} act=${compare} hint="d" aria-pressed=${compares}>Compare<//>
    <//>
    <div class="scroll stack" tabindex="0">${waits && html`<${Waiting}/>`}${rule && html`<p class="note" role="status">The next call of
      ${" "}${call.method} to ${format.target(call)} will fail by <a href=${link(["faults"])}>rule ${rule.id}</a>:
      ${" "}${rule.stage} ${rule.action}${rule.code ? " with " + rule.code : ""}.</p>`}
    <${Body} call=${call} contract=${hub?.contract} compares=${compares}/></div>`;
}
