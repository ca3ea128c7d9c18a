/* A call as text to paste: the hub writes it (GET /calls/{id}/as/{form}). */

import { html, useState } from "/inspector/preact.js";
import * as api from "/inspector/api.js";
import { copy, Copy, Failed, useLoaded } from "/inspector/parts.js";

const FORMS = [["curl", "curl"], ["cli", "directmethods"], ["az", "az"], ["node", "Node"],
  ["python", "Python"], ["lua", "Lua"], ["busted", "busted test"], ["pytest", "pytest"],
  ["fault", "fault rule"]];
const KEY = "directmethods-form";

const lastForm = () => sessionStorage.getItem(KEY) ?? "curl";
const load = (call, form) => api.text("GET", `/calls/${call.id}/as/${form}`);

/** Copy a call in the form that was used last. */
export async function copyLast(call) {
  await copy(await load(call, lastForm()));
}

/** The forms of a call, one shown. */
export function CopyAs({ call }) {
  const [form, setForm] = useState(lastForm());
  const { value, error } = useLoaded(() => load(call, form), [call.id, form]);
  const choose = (name) => {
    sessionStorage.setItem(KEY, name);
    setForm(name);
  };
  return html`<section class="card"><header><h2>Copy as</h2>
      <div class="tabs" role="group" aria-label="Form">${FORMS.map(([name, title]) =>
        html`<button type="button" aria-pressed=${name === form} onClick=${() => choose(name)}
          >${title}</button>`)}</div>
      <span class="push"><${Copy} text=${() => value} hint="y"/></span></header>
    <${Failed} error=${error}/>
    <pre class="code" tabindex="0" aria-label="Text to copy">${value}</pre>
    <p class="muted">Keys and ports are the variables that <code>directmethods hub -- COMMAND</code>${" "}sets.</p>
  </section>`;
}
