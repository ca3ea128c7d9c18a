/* Small parts that many pages use. */

import { html, useEffect, useRef, useState } from "/inspector/preact.js";
import * as format from "/inspector/format.js";
import { link } from "/inspector/router.js";

/** The top of a page: its name, what belongs beside it, and what it can do. */
export function Head({ title, beside, children }) {
  useEffect(() => void (document.title = title + " · directmethods"), [title]);
  return html`<header class="head">
    <h1>${title}</h1>${beside && html`<span class="beside">${beside}</span>`}
    <div class="actions">${children}</div>
  </header>`;
}

/** A button; act() may return a promise, and what goes wrong is shown beside it. */
export function Button({ act, children, hint, kind = "", ...more }) {
  const [failed, setFailed] = useState(null);
  const [busy, setBusy] = useState(false);
  async function click() {
    setBusy(true);
    setFailed(null);
    try {
      await act();
    } catch (error) {
      setFailed(error.message);
    }
    setBusy(false);
  }
  return html`<button type="button" class=${kind} onClick=${click} disabled=${busy}
      title=${hint} ...${more}>${children}</button>${failed
    && html`<span class="failed" role="alert">${failed}</span>`}`;
}

/** Put text() on the clipboard; the button says that it is done. */
export function Copy({ text, children = "Copy", hint }) {
  const [done, setDone] = useState(false);
  async function act() {
    await copy(await text());
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  }
  return html`<${Button} act=${act} hint=${hint}>${done ? "Copied" : children}<//>`;
}

/** Put a text on the clipboard, also where the page has no right to do so by itself. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

/** How a call ended, in colour. */
export function Outcome({ call }) {
  return html`<span class="outcome ${format.tone(call)}">${format.outcome(call)}</span>`;
}

/** How long, on a scale from 1 ms to a minute on which each step is ten times the last. */
export function Elapsed({ call }) {
  const part = Math.log10(Math.max(call.elapsed, 0.001) * 1000) / Math.log10(60000);
  const width = Math.max(2, Math.min(1, part) * 100) + "%";
  return html`<span class="elapsed"><span class="track"><span
    class="bar ${format.tone(call)}" style=${{ width }}></span></span>${
    format.duration(call.elapsed)}</span>`;
}

/** What stands where nothing is; alone: it is the whole page. */
export function Empty({ title, alone, children }) {
  return html`<div class="empty">${alone ? html`<h1>${title}</h1>` : html`<h2>${title}</h2>`}${
    children}</div>`;
}

/** What was loaded, or why not: useLoaded(() => api.json(...), [id]) is
    { value, error, again }. What came last stays while the next is loaded. */
export function useLoaded(load, inputs) {
  const [got, set] = useState({ value: null, error: null });
  const turn = useRef(0);
  const again = () => {
    const mine = ++turn.current;
    return load().then(
      (value) => mine === turn.current && set({ value, error: null }),
      (error) => mine === turn.current && set((old) => ({ value: old.value, error })));
  };
  useEffect(() => void again(), inputs);
  return { ...got, again };
}

/** Why something could not be loaded. */
export function Failed({ error }) {
  return error && html`<p class="failed" role="alert">${error.message}</p>`;
}

const LATE = 500; // ms

/** Says of a call that takes long how the user can end it. */
export function Waiting() {
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), LATE);
    return () => clearTimeout(timer);
  }, []);
  return late && html`<p class="note" role="status">The call is under way. It ends at its response
    timeout at the latest: <a href=${link(["time"])}>move the hub's clock</a> there, if you do not want
    to wait.</p>`;
}

/** Offer a text as a file. */
export function download(name, text, type = "application/json") {
  const anchor = document.createElement("a");
  anchor.href = URL.createObjectURL(new Blob([text], { type }));
  anchor.download = name;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(anchor.href), 1000);
}
