/* Jobs: their progress, and what they did with each device. */

import { html, useEffect } from "/inspector/preact.js";
import * as api from "/inspector/api.js";
import * as format from "/inspector/format.js";
import { useKeys } from "/inspector/keys.js";
import { Button, Empty, Failed, Head, useLoaded } from "/inspector/parts.js";
import { Json } from "/inspector/payload.js";
import { go, link } from "/inspector/router.js";
import { useStore } from "/inspector/store.js";

const STATES = [["succeededCount", "good", "succeeded"], ["failedCount", "bad", "failed"],
  ["runningCount", "warn", "running"], ["pendingCount", "muted", "pending"]];
const TONES = { completed: "good", failed: "bad", cancelled: "warn", running: "warn" };

function Progress({ counts }) {
  const all = counts.deviceCount || 1;
  return html`<span class="progress" title=${STATES.map(([name, , title]) =>
      `${counts[name]} ${title}`).join(", ")}>${STATES.map(([name, tone]) => html`<span
      class="bar ${tone}" style=${{ width: counts[name] / all * 100 + "%" }}></span>`)}</span>`;
}

const Status = ({ job }) => html`<span class=${TONES[job.status] ?? ""}>${job.status}</span>`;
const what = (job) => job.cloudToDeviceMethod?.methodName ?? format.words(job.type);

/** Load again when a job has changed, and each second while one runs. */
function useJobs(load, inputs, runs) {
  const { jobs } = useStore((store) => store.jobs);
  const loaded = useLoaded(load, inputs);
  const busy = loaded.value != null && runs(loaded.value);
  useEffect(() => {
    loaded.again();
    if (!busy) return;
    const timer = setInterval(loaded.again, 1000);
    return () => clearInterval(timer);
  }, [jobs, busy]);
  return loaded;
}

const isActive = (job) => ["running", "queued", "scheduled"].includes(job.status);

function JobList() {
  const { value, error } = useJobs(() => api.json("GET", "/jobs"), [], (jobs) => jobs.some(isActive));
  const jobs = (value ?? []).toSorted((a, b) => b.createdTime.localeCompare(a.createdTime));
  return html`<${Head} title="Jobs" beside=${value && format.count(jobs.length)}/>
    <div class="scroll" tabindex="0"><${Failed} error=${error}/>
    ${value && jobs.length === 0 ? html`<${Empty} title="No jobs yet"><p>A service makes them:${" "}
      <code>directmethods job start</code>.</p><//>`
    : html`<table class="plain"><thead><tr><th>Job</th><th>What</th><th>Status</th><th>Progress</th>
        <th class="right">Devices</th><th class="right">Failed</th><th>Created</th></tr></thead>
      <tbody>${jobs.map((job) => html`<tr key=${job.jobId}><td><a href=${link(["jobs",
        job.jobId])}>${job.jobId}</a></td><td class="method">${what(job)}</td>
        <td><${Status} job=${job}/></td><td><${Progress} counts=${job.deviceJobStatistics}/></td>
        <td class="right">${format.count(job.deviceJobStatistics.deviceCount)}</td>
        <td class="right">${format.count(job.deviceJobStatistics.failedCount)}</td>
        <td class="muted">${format.fullTime(Date.parse(job.createdTime) / 1000)}</td></tr>`)}
      </tbody></table>`}</div>`;
}

function answerOf(row) {
  const response = row.outcome?.deviceMethodResponse;
  if (response) return `${response.status} ${JSON.stringify(response.payload)}`;
  if (row.error) return `${row.error.code} ${row.error.description ?? ""}`;
  return row.outcome ? "unknown: the device may have run it" : "";
}

const callsOf = (job, rest = "") => link(["calls"], { filter: "job:" + job + rest });

function Rows({ job, rows }) {
  return html`<table class="plain"><thead><tr><th>Device</th><th>Status</th><th>Outcome</th><td></td>
    </tr></thead><tbody>${rows.map((row) => html`<tr><td><a href=${link(["devices",
      row.deviceId + (row.moduleId ? "/" + row.moduleId : "")])}>${row.deviceId}${row.moduleId
      && "/" + row.moduleId}</a></td><td class=${TONES[row.status] ?? ""}>${row.status}</td>
      <td class="method grow">${answerOf(row)}</td><td class="right"><a href=${callsOf(job,
        " device:" + row.deviceId)}>Calls</a></td></tr>`)}</tbody></table>`;
}

function Job({ id }) {
  const path = "/jobs/" + encodeURIComponent(id);
  const { value, error, again } = useJobs(() => Promise.all([api.json("GET", path),
    api.json("GET", path + "/devices")]), [id], ([job]) => isActive(job));
  useKeys({ Escape: () => go(["jobs"]) });
  if (error) return html`<${Empty} alone title=${error.message}><p><a href=${link(["jobs"])}>Jobs</a></p><//>`;
  if (!value) return null;
  const [job, rows] = value;
  const counts = job.deviceJobStatistics;
  return html`<${Head} title=${id} beside=${html`<${Status} job=${job}/>`}>
    ${job.cloudToDeviceMethod && html`<a class="button" href=${callsOf(id)}>Its calls</a>`}
    <${Button} kind="danger" act=${() => api.json("POST", path + "/cancel").then(again)} disabled=${!isActive(job)}>Cancel<//><//>
    <div class="scroll stack" tabindex="0"><${Progress} counts=${counts}/>
      <dl class="facts"><div><dt>Devices</dt><dd>${format.count(counts.deviceCount)}</dd></div>
        ${STATES.map(([name, tone, title]) => html`<div><dt>${title}</dt><dd class=${tone}>${
          format.count(counts[name])}</dd></div>`)}
        <div><dt>Condition</dt><dd><code>${job.queryCondition}</code></dd></div>
        <div><dt>Start</dt><dd>${format.fullTime(Date.parse(job.startTime) / 1000)}</dd></div></dl>
      ${job.failureReason && html`<section class="why bad"><h2>Why it failed</h2><p>${
        job.failureReason}</p></section>`}
      ${job.cloudToDeviceMethod && html`<section class="card"><header><h2>Call</h2></header>
        <${Json} label="Call" text=${JSON.stringify(job.cloudToDeviceMethod, null, 2)}/></section>`}
      <section class="card"><header><h2>Devices</h2></header><${Rows} job=${id} rows=${rows}/></section></div>`;
}

export const Jobs = ({ path }) => path.length ? html`<${Job} id=${path[0]}/>` : html`<${JobList}/>`;
