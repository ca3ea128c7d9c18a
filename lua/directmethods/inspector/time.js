/* Time: the hub's clock, what it will do next, and moving there. */

import { html, useEffect, useState } from "/inspector/preact.js";
import * as api from "/inspector/api.js";
import * as format from "/inspector/format.js";
import { useKeys } from "/inspector/keys.js";
import { Button, Failed, Head, useLoaded } from "/inspector/parts.js";
import { link } from "/inspector/router.js";
import { hubTime, useStore } from "/inspector/store.js";

const SPEEDS = [1, 10, 60, 600];
const STEPS = [[1, "+1 s"], [60, "+1 min"], [45 * 60, "+45 min"]];
const EPSILON = 0.001; // seconds behind a deadline, so that it is over

const memory = { move: null };

/** Draw again each second, while the page is shown. */
function useSeconds() {
  const [, draw] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => draw((n) => n + 1), 250);
    return () => clearInterval(timer);
  }, []);
}

function Clocks() {
  const { clock } = useStore((store) => store.clock);
  useSeconds();
  const now = hubTime();
  const ahead = now - Date.now() / 1000;
  return html`<div class="clocks"><div><h2>The hub's clock</h2><time>${format.fullTime(now)}</time>
      <p class="muted">${Math.abs(ahead) < 1 ? "as this machine's" : format.duration(Math.abs(ahead))
        + (ahead > 0 ? " ahead of this machine" : " behind this machine")}</p></div>
    <div><h2>This machine</h2><time class="muted">${format.fullTime(Date.now() / 1000)}</time></div>
    <div><h2>Speed</h2><div class="tabs" role="group" aria-label="Speed">${SPEEDS.map((speed) =>
      html`<${Button} act=${() => api.json("POST", "/clock/speed", { speed })}
        aria-pressed=${clock.speed === speed}>${speed}×<//>`)}</div>
      ${!SPEEDS.includes(clock.speed) && html`<p class="muted">now ${clock.speed}×</p>`}</div></div>`;
}

function Deadlines({ list, move }) {
  if (list.length === 0) return html`<p class="muted">Nothing is due: no call waits, no device is
    connected with a token, no job runs.</p>`;
  return html`<table class="plain"><thead><tr><th class="right">In</th><th class="wide-only">At</th><th>What</th><td></td>
    </tr></thead><tbody>${list.map((each) => html`<tr><td class="right">${
      format.duration(each.seconds)}</td><td class="mono muted wide-only">${format.fullTime(each.time)}</td>
      <td class="grow">${each.device_id ? html`<a href=${link(["devices",
        format.target(each)])}>${each.text}</a>` : each.text}</td>
      <td class="right"><${Button} kind="small" act=${() => move(each.seconds + EPSILON)}
        aria-label=${"Move here: " + each.text}>Move here<//></td></tr>`)}</tbody></table>`;
}

/** What the last move brought: the deadlines that passed, and what became of devices and
    calls meanwhile. */
function Moved({ store }) {
  const { move } = memory;
  if (!move) return null;
  const news = [
    ...store.devices.filter((event) => event.id > move.device).map((event) => ({
      time: event.time, text: `${format.target(event)} ${format.words(event.event)}${
        event.text ? ": " + event.text : ""}` })),
    ...store.calls.filter((call) => call.id > move.call).map((call) => ({
      time: call.time, href: link(["calls", call.id]),
      text: `call of ${call.method} to ${format.target(call)}: ${format.outcome(call)}` })),
  ].slice(0, 50);
  return html`<section class="card"><header><h2>What the last move brought</h2>
      <span class="muted">+${format.duration(move.seconds)}</span></header>
    ${move.due.length + news.length === 0 ? html`<p class="muted">Nothing was due.</p>`
    : html`<ul class="news">${move.due.map((each) => html`<li>${each.text}</li>`)}
      ${news.map((each) => html`<li>${each.href ? html`<a href=${each.href}>${each.text}</a>`
        : each.text}</li>`)}</ul>`}</section>`;
}

export function Time() {
  const store = useStore();
  const last = store.calls.at(-1)?.id ?? 0;
  const lastDevice = store.devices.at(-1)?.id ?? 0;
  const { value, error, again } = useLoaded(() => api.json("GET", "/deadlines"), []);
  useEffect(() => {
    again();
    const timer = setInterval(again, 1000);
    return () => clearInterval(timer);
  }, [last, lastDevice, store.clock]);
  const list = value ?? [];
  async function move(seconds) {
    memory.move = { seconds, call: last, device: lastDevice,
      due: list.filter((each) => each.seconds <= seconds) };
    await api.json("POST", "/clock/advance", { seconds: Math.max(0, seconds) });
    await again();
  }
  useKeys({ Escape: () => history.back() });
  return html`<${Head} title="Time">${STEPS.map(([seconds, title]) =>
      html`<${Button} act=${() => move(seconds)}>${title}<//>`)}
      <${Button} kind="main" act=${() => move(list[0].seconds + EPSILON)}
        disabled=${list.length === 0}>To the next deadline<//><//>
    <div class="scroll stack" tabindex="0"><${Clocks}/><${Failed} error=${error}/>
      <section class="card"><header><h2>Next</h2></header><${Deadlines} list=${list} move=${move}/></section>
      <${Moved} store=${store}/></div>`;
}
