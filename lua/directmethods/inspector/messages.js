/* Messages: what devices have sent. */

import { html, useEffect, useState } from "/inspector/preact.js";
import * as api from "/inspector/api.js";
import * as format from "/inspector/format.js";
import { Empty, Failed, Head, useLoaded } from "/inspector/parts.js";
import { link } from "/inspector/router.js";

const SHOWN = 500;
const AGAIN = 2000; // ms; the stream does not tell of messages

function Message({ message }) {
  const properties = Object.entries(message.properties).map(([name, value]) => `${name}=${value}`);
  return html`<tr><td class="time mono">${format.clockTime(message.time)}</td>
    <td><a href=${link(["devices", format.target(message)])}>${format.target(message)}</a></td>
    <td class="method grow" title=${message.body}>${message.body ?? html`<span class="muted"
      >base64 </span>${message.body_base64}`}</td>
    <td class="muted method" title=${properties.join("\n")}>${properties.join("  ")}</td></tr>`;
}

export function Messages() {
  const [text, setText] = useState("");
  const { value, error, again } = useLoaded(() => api.json("GET", "/messages"), []);
  useEffect(() => {
    const timer = setInterval(again, AGAIN);
    return () => clearInterval(timer);
  }, []);
  const fits = (message) => JSON.stringify(message).toLowerCase().includes(text.toLowerCase());
  const rows = (value ?? []).filter(fits).reverse().slice(0, SHOWN);
  return html`<${Head} title="Messages" beside=${value && format.count(rows.length)}/>
    <div class="bar-line"><input class="filter" type="search" aria-label="Filter" value=${text}
      placeholder="part of a message" onInput=${(event) => setText(event.target.value)}/></div>
    <div class="scroll" tabindex="0"><${Failed} error=${error}/>
    ${value && rows.length === 0 ? html`<${Empty} title="No messages"><p>Messages that devices send
      to the cloud appear here.</p><//>`
    : html`<table class="plain fixed"><thead><tr><th class="time">Time</th><th class="device">Device</th>
      <th>Body</th><th class="device">Properties</th></tr></thead><tbody>${rows.map((message) =>
        html`<${Message} message=${message}/>`)}</tbody></table>`}</div>`;
}
