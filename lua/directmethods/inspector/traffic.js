/* Traffic: how many calls, how they ended, how long they took. */

import { html, useEffect, useRef, useState } from "/inspector/preact.js";
import * as api from "/inspector/api.js";
import * as format from "/inspector/format.js";
import { Head, useLoaded } from "/inspector/parts.js";
import { columns } from "/inspector/rates.js";
import { go } from "/inspector/router.js";
import { hubTime, useStore } from "/inspector/store.js";
import { Throttles } from "/inspector/throttles.js";

const LENGTHS = [[60, "1 min"], [300, "5 min"], [600, "10 min"]];
const HEIGHT = 180;

let library = null;

/** uPlot, which is loaded when it is first needed. */
function loadUplot() {
  library ??= new Promise((resolve, reject) => {
    const style = document.createElement("link");
    Object.assign(style, { rel: "stylesheet", href: "/inspector/uplot.css" });
    const script = document.createElement("script");
    Object.assign(script, { src: "/inspector/uplot.js", onload: () => resolve(window.uPlot),
      onerror: () => reject(new Error("uPlot cannot be loaded.")) });
    document.head.append(style, script);
  });
  return library;
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);

function axes(values) {
  const line = { stroke: colour("--muted"), grid: { stroke: colour("--soft"), width: 1 },
    ticks: { show: false }, font: "11px system-ui" };
  return [{ ...line, size: 26, values: (_, times) => times.map((time) => format.clockTime(time, false)) },
    { ...line, size: 56, values }];
}

function options({ series, values, width, select }) {
  return {
    width, height: HEIGHT, padding: [8, 8, 0, 0], legend: { show: false },
    cursor: { y: false, drag: { x: true, setScale: false }, sync: { key: "traffic" } },
    scales: { y: { range: (_, __, max) => [0, Math.max(max * 1.1, max > 0 ? 0 : 1)] } },
    axes: axes(values),
    series: [{}, ...series.map(({ stroke, label, fill, dots }) => ({ label,
      stroke: colour(stroke), fill: fill && colour(fill) + "33", width: 1.5,
      points: { show: dots === true, size: 4, fill: colour(stroke) } }))],
    hooks: { setSelect: [(plot) => plot.select.width > 4 && select(
      plot.posToVal(plot.select.left, "x"),
      plot.posToVal(plot.select.left + plot.select.width, "x"))] },
  };
}

/** A chart: columns `of` of the data, the first is time. */
function Chart({ title, series, of, data, values, select }) {
  const box = useRef(null);
  const plot = useRef(null);
  const latest = useRef(data);
  latest.current = of.map((i) => data[i]);
  useEffect(() => {
    let gone = false;
    const watcher = new ResizeObserver(() =>
      plot.current?.setSize({ width: box.current.clientWidth, height: HEIGHT }));
    loadUplot().then((UPlot) => {
      if (gone) return;
      plot.current = new UPlot(options({ series, values, select, width: box.current.clientWidth }),
        latest.current, box.current);
      watcher.observe(box.current);
    });
    return () => {
      gone = true;
      watcher.disconnect();
      plot.current?.destroy();
    };
  }, []);
  useEffect(() => void plot.current?.setData(latest.current));
  return html`<section class="card"><header><h2>${title}</h2>${series.map(({ label, stroke }) =>
      html`<span class="legend"><span class="swatch ${stroke.slice(2)}"></span>${label}</span>`)}
    </header><div class="chart" ref=${box} role="img" aria-label=${title}></div></section>`;
}

const SHOWN = [["mqtt_connections", "device connections"], ["http_connections", "caller connections"],
  ["calls_under_way", "calls under way"], ["identities", "devices and modules"],
  ["faults", "fault rules"]];

// The samples of the exposition that have no label, and those of a family.
function readMetrics(text) {
  const values = {};
  for (const [, name, label, value] of text.matchAll(
    /^directmethods_(\w+)(?:\{\w+="([^"]*)"\})? (\S+)$/gm))
    values[label ? `${name}.${label}` : name] = Number(value);
  return values;
}

function Numbers() {
  const { value, again } = useLoaded(() => api.text("GET", "/metrics").then(readMetrics), []);
  useEffect(() => {
    const timer = setInterval(again, 1000);
    return () => clearInterval(timer);
  }, []);
  if (!value) return null;
  const throttled = Object.entries(value).filter(([name, n]) =>
    name.startsWith("throttles_total.") && n > 0);
  return html`<dl class="facts">${SHOWN.map(([name, title]) => html`<div><dt>${title}</dt><dd>${
      format.count(value[name] ?? 0)}</dd></div>`)}
    ${throttled.map(([name, n]) => html`<div><dt>${format.words(name.split(".")[1])}</dt>
      <dd class="warn">${format.count(n)}</dd></div>`)}</dl>`;
}

// Short times with as many digits as tell one line from the next.
const seconds = (_, list) => list.map((value) => value < 0.01
  ? +(value * 1000).toPrecision(2) + " ms" : format.duration(value));
const whole = (_, list) => list.map((value) => Number.isInteger(value) ? format.count(value) : "");

// Is the system dark? Charts have colours of their own, so they are made anew when it changes.
function useDark() {
  const query = matchMedia("(prefers-color-scheme: dark)");
  const [dark, set] = useState(query.matches);
  useEffect(() => {
    const listener = () => set(query.matches);
    query.addEventListener("change", listener);
    return () => query.removeEventListener("change", listener);
  }, []);
  return dark;
}

export function Traffic() {
  useStore();
  const dark = useDark();
  const [length, setLength] = useState(60);
  const [, draw] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => draw((n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  const data = columns(hubTime(), length);
  const select = (from, to) =>
    go(["calls"], { filter: `time:${from.toFixed(1)}..${to.toFixed(1)}` });
  const shared = { data, select };
  return html`<${Head} title="Traffic" beside="drag over a time to see its calls"><div class="tabs"
      role="group" aria-label="Length">${LENGTHS.map(([value, title]) => html`<button type="button"
        aria-pressed=${value === length} onClick=${() => setLength(value)}>${title}</button>`)}</div><//>
    <div class="scroll stack" tabindex="0"><${Numbers}/><div class="two charts" key=${dark}>
      <${Chart} title="Calls a second" of=${[0, 1, 2, 3]} values=${whole} ...${shared} series=${[
        { label: "answered", stroke: "--good-bar", fill: "--good-bar" },
        { label: "other status", stroke: "--warn-bar" }, { label: "failed", stroke: "--bad-bar" }]}/>
      <${Chart} title="Time of a call" of=${[0, 4, 5]} values=${seconds} ...${shared} series=${[
        { label: "p50", stroke: "--accent", dots: true },
        { label: "p99", stroke: "--warn-bar", dots: true }]}/>
      <${Chart} title="Devices that connected" of=${[0, 6]} values=${whole} ...${shared} series=${[
        { label: "connects", stroke: "--accent", fill: "--accent" }]}/><${Throttles}/></div></div>`;
}
