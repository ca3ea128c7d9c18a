/* The shell: the list of pages, the page that the address names, the state of the
   connection. */

import { html, render, useState } from "/inspector/preact.js";
import * as format from "/inspector/format.js";
import { Call } from "/inspector/call.js";
import { Calls } from "/inspector/calls.js";
import { Devices } from "/inspector/devices.js";
import { Faults } from "/inspector/faults.js";
import { Help } from "/inspector/help.js";
import { Invoke } from "/inspector/invoke.js";
import { Jobs } from "/inspector/jobs.js";
import { useKeys } from "/inspector/keys.js";
import { Messages } from "/inspector/messages.js";
import { Empty } from "/inspector/parts.js";
import { go, link, useRoute } from "/inspector/router.js";
import { Setup } from "/inspector/setup.js";
import { start, useStore } from "/inspector/store.js";
import { Time } from "/inspector/time.js";
import { Traffic } from "/inspector/traffic.js";

const PAGES = [
  { path: "calls", title: "Calls", show: (props) => html`<${props.path.length ? Call : Calls}
    ...${props}/>` },
  { path: "invoke", title: "Invoke", show: Invoke },
  { path: "devices", title: "Devices", show: Devices },
  { path: "faults", title: "Faults", show: Faults },
  { path: "time", title: "Time", show: Time },
  { path: "jobs", title: "Jobs", show: Jobs },
  { path: "traffic", title: "Traffic", show: Traffic },
  { path: "messages", title: "Messages", show: Messages },
  { path: "setup", title: "Setup", show: Setup },
];

const STATES = {
  connecting: "connecting …",
  open: "live",
  lost: "the hub cannot be reached; trying again",
  refused: "the hub wants another token",
};

function Connection() {
  const store = useStore(({ connection, restarted }) => connection + restarted);
  const { connection, restarted } = store;
  return html`<div class="connection ${connection}" role="status">
    <span class="dot"></span> ${STATES[connection]}
    ${restarted && connection === "open" && html`<div class="again">The hub was started
      again at ${format.clockTime(restarted / 1000, false)}.</div>`}
  </div>`;
}

function Nav({ current }) {
  return html`<nav class="nav" aria-label="Pages">
    <a class="brand" href=${link(["calls"])}><img src="/inspector/icon.svg" alt=""
      width="18" height="18"/> directmethods</a>
    <ul>${PAGES.map(({ path, title }) => html`<li><a href=${link([path])}
      aria-current=${path === current ? "page" : null}>${title}</a></li>`)}</ul>
    <${Connection}/>
  </nav>`;
}

function Refused() {
  return html`<${Empty} alone title="The hub wants another token"><p>Open the URL that${" "}
    <code>directmethods hub --inspect</code> has printed: it ends in the token.</p><//>`;
}

function App() {
  const { path, query } = useRoute();
  const { connection } = useStore((store) => store.connection);
  const [helps, setHelps] = useState(false);
  useKeys({
    i: () => go(["invoke"]), t: () => go(["time"]), "?": () => setHelps(true),
    Escape: () => history.back(),
  }, true);
  const page = PAGES.find((each) => each.path === (path[0] ?? "calls"));
  return html`<a class="skip" href="#main">Skip to the page</a>
    <${Nav} current=${page?.path}/>
    <main id="main" class="page" tabindex="-1">${connection === "refused" ? html`<${Refused}/>`
      : page ? html`<${page.show} key=${page.path} path=${path.slice(1)} query=${query}/>`
      : html`<${Empty} alone title="There is no such page"><p><a href=${link(["calls"])}>Calls</a></p><//>`}
    </main>
    ${helps && html`<${Help} close=${() => setHelps(false)}/>`}`;
}

start();
const root = document.getElementById("app");
root.replaceChildren();
render(html`<${App}/>`, root);
