/* What the pages do: each is used as a person would, and the hub is asked what came of it. */

import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { address, browse, drawn, go, Hub, open, shows, text, until } from "./stage.mjs";

let hub, browser, page;

before(async () => {
  hub = await new Hub().start();
  browser = await browse();
  const session = await browser.target().createCDPSession();
  await session.send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: hub.folder });
  page = await open(browser, hub);
});

beforeEach(async () => {
  await go(page, "setup"); // a page of a device would ask for it while there is none
  await hub.json("POST", "/reset");
  await hub.populate();
  await page.bringToFront();
});

after(async () => {
  // The console tells of each answer that is an error, as that of a call that fails.
  const wrong = page?.wrong.filter((each) => !/status of (429|504)/.test(each));
  await browser?.close();
  await hub?.close();
  assert.deepEqual(wrong, []);
});

async function visit(place, pattern) {
  await go(page, "setup"); // so that the page begins anew
  await shows(page, /Setup/, "h1");
  await go(page, place);
  await shows(page, pattern, "main");
}

// Press what has this text or label, in the card with this title if one is given.
async function click(name, card) {
  await until(() => page.evaluate((each, title) => {
    const place = title ? [...document.querySelectorAll("main .card")].find((element) =>
      element.querySelector("h2").innerText === title) : document.querySelector("main");
    const found = [...place?.querySelectorAll("button, input, .button") ?? []].find(
      (element) => [element.innerText?.trim(), element.ariaLabel].includes(each));
    found?.click();
    return found != null && !found.disabled;
  }, name, card), "a button " + name);
  await drawn(page);
}

// Press a button; the text of the file that the page then gives to the user.
async function downloaded(button, name) {
  const path = join(hub.folder, name);
  rmSync(path, { force: true });
  await click(button);
  await until(() => existsSync(path), "the file " + name);
  return readFileSync(path, "utf8");
}

// Write into the field with this label.
async function write(label, value) {
  await page.evaluate((each) => {
    const found = [...document.querySelectorAll("main .field")].find((field) =>
      field.querySelector("span").innerText === each);
    found.querySelector("input, textarea").select();
  }, label);
  await page.keyboard.type(value);
}

test("Time: moves by a step and to the next deadline, and says what that brought", async () => {
  await visit("time", /token of lamp expires/);
  const clock = async () => (await hub.json("POST", "/clock/speed", {})).time;
  const began = await clock();
  await click("+1 min");
  await until(async () => await clock() >= began + 60, "a minute later");
  await shows(page, /What the last move brought\s+\+1 min/, "main");
  await hub.json("POST", "/faults", { stage: "response", action: "drop", device: "lamp" });
  const late = hub.call("lamp", "on");
  await shows(page, /response timeout of call of on to lamp/, "main");
  await click("To the next deadline");
  await shows(page, /call of on to lamp: 504 GatewayTimeout/, ".news");
  await late;
  await click("60×");
  await until(async () => (await hub.json("POST", "/clock/speed", {})).speed === 60);
  await hub.json("POST", "/clock/speed", { speed: 1 });
  await shows(page, /1×/, "main button[aria-pressed=true]");
});

// Seconds by which the hub's clock is ahead of this machine's: not less and not more.
async function ahead() {
  const asked = Date.now() / 1000;
  const { time } = await hub.json("POST", "/clock/speed", {});
  return [time - Date.now() / 1000, time - asked];
}

test("Time: +1 s and +45 min move the clock by so much", async () => {
  const resolution = 0.01; // seconds
  await visit("time", /token of lamp expires/);
  for (const [button, seconds] of [["+1 s", 1], ["+45 min", 2700]]) {
    const [least, most] = await ahead();
    await click(button);
    await shows(page, new RegExp("What the last move brought\\s+\\" + button), "main");
    await until(async () => (await ahead())[1] + resolution >= least + seconds, button);
    assert.ok((await ahead())[0] - resolution <= most + seconds, button);
  }
});

test("Time: moved to the end of a token, the device comes back with a new one", async () => {
  await visit("time", /token of lamp expires/);
  const expiry = async () => (await hub.json("GET", "/deadlines"))
    .find((each) => each.kind === "token_expires" && each.device_id === "lamp")?.time ?? 0;
  const first = await expiry();
  await click("Move here: token of lamp expires: its connection is closed");
  await until(async () => await expiry() > first, "a new token");
  await shows(page, /lamp connected/, ".news");
});

// Select the two newest calls with the keys.
async function select() {
  await visit("calls", /away[^]*weak/);
  await page.evaluate(() => document.activeElement.blur());
  for (const [key, count] of [["j", 0], ["x", 1], ["j", 1], ["x", 2]]) {
    await page.keyboard.press(key);
    await until(async () => count === await page.evaluate(() =>
      document.querySelectorAll("tr.selected").length), `${count} are selected`);
    await drawn(page);
  }
  await shows(page, /2 selected/, "main");
}

test("Calls: x selects the row, and again clears it", async () => {
  await select();
  await page.keyboard.press("x");
  await shows(page, /1 selected/, "main");
  assert.match(await text(page, "tr.selected"), /away/);
  await click("Clear");
  await until(async () => !/selected/.test(await text(page, "main")), "none is selected");
});

test("Calls: the selected calls are exported as JSON lines", async () => {
  await select();
  const calls = await hub.json("GET", "/calls");
  assert.equal(await downloaded("Export JSON lines", "calls.jsonl"),
    calls.slice(-2).map((call) => JSON.stringify(call) + "\n").join(""));
});

test("Calls: the selected calls are exported as a recording", async () => {
  await select();
  const [weak, away] = await Promise.all([3, 4].map(async (id) =>
    (await hub.ask("GET", `/calls/${id}/as/recording`)).text()));
  assert.equal(await downloaded("Export recording", "calls.recording.jsonl"),
    weak + away.split("\n").slice(1).join("\n"));
});

test("Faults: a preset is shown as its lines, added, counted and removed", async () => {
  await visit("faults?device=lamp", /No rule acts/);
  for (const [preset, pattern] of [
    [/^Drop answers/, /stage = "response", action = "drop"/],
    [/^Deaf session/, /stage = "request", action = "drop"/],
    [/^Slow link/, /action = "delay"/], [/^Flapping/, /action = "disconnect"/],
    [/^Throttled/, /code = 429001/],
  ]) {
    await page.evaluate((source) => [...document.querySelectorAll(".presets button")]
      .find((button) => new RegExp(source).test(button.innerText)).click(), preset.source);
    await shows(page, pattern, ".forms");
    await shows(page, /directmethods fault add [^]*curl -sS/, ".forms");
    assert.deepEqual(await hub.json("GET", "/faults"), []);
  }
  await click("Add this rule");
  await shows(page, /http\s+reject\s+lamp \/ \*/, "main table");
  await hub.call("lamp", "on");
  await shows(page, /429001\s+1\b/, "main table");
  const [{ id }] = await hub.json("GET", "/faults");
  await click("Remove rule " + id);
  await shows(page, /No rule acts/, "main");
  assert.deepEqual(await hub.json("GET", "/faults"), []);
});

test("Invoke: checks what is typed, keeps it, repeats with percentiles", async () => {
  await visit("invoke?device=lamp", /Payload/);
  await write("Method", "on");
  await write("Payload", '{"level":');
  await shows(page, /This is not JSON/, "#wrong");
  await page.keyboard.type("7}");
  await until(async () => await text(page, "#wrong") === "", "it is JSON");
  await click("Call");
  await shows(page, /Answer\s+200[^]*"on": true/, "main");
  await write("Repeat", "5");
  await click("Call");
  await shows(page, /5 of 5 were answered\. p50 [^]*p95 [^]*p99/, "main");
  const calls = (await hub.json("GET", "/calls?method=on&device=lamp")).slice(-6);
  assert.deepEqual(calls.map(({ payload }) => payload.level), Array(6).fill(7));
  await go(page, "calls");
  await shows(page, /weak/, "main");
  await go(page, "invoke");
  await shows(page, /Called before/, "main");
  assert.deepEqual(await page.evaluate(() => [...document.querySelectorAll("main .field input, textarea")]
    .map((field) => field.value)), ["lamp", "on", "", "", "5", '{"level":7}']);
});

test("Call: a call that waits says so, and leaves the user on the page that he has gone to", async () => {
  await hub.json("POST", "/faults", { stage: "response", action: "drop", device: "lamp" });
  await visit("calls/1", /Timeline/);
  await click("Call again");
  await shows(page, /The call is under way/, "main");
  await go(page, "time");
  await shows(page, /response timeout of call of on/, "main");
  await hub.json("POST", "/clock/advance", { seconds: 31 });
  await shows(page, /Nothing is due|token of lamp/, "main");
  await until(async () => (await hub.json("GET", "/calls?method=on&outcome=GatewayTimeout")).length === 1);
  await drawn(page);
  assert.match(await address(page), /^#\/time/);
});

test("Devices: disable, enable, delete", async () => {
  await visit("devices/lamp", /takes calls/);
  await click("Disable");
  await shows(page, /disabled/, ".facts");
  await click("Enable");
  await shows(page, /State\s+(not connected|takes calls|connected)/, ".facts");
  assert.equal((await hub.json("GET", "/devices/lamp")).status, "enabled");
  page.once("dialog", (dialog) => dialog.accept());
  await click("Delete");
  await shows(page, /Devices/, "h1");
  assert.deepEqual((await hub.json("GET", "/devices")).map(({ device_id: id }) => id), ["away"]);
});

test("Devices: disconnect ends the session, and the history tells of it", async () => {
  await visit("devices/lamp", /takes calls/);
  const count = async (name) => (await hub.json("GET", "/devices/lamp/history"))
    .filter(({ event }) => event === name).length;
  const [gone, came] = [await count("disconnected"), await count("connected")];
  await click("Disconnect");
  await until(async () => await count("disconnected") === gone + 1, "it is disconnected");
  await shows(page, /What became of it[^]*disconnected/, "main");
  await until(async () => await count("connected") === came + 1, "it is connected again");
  await shows(page, /takes calls/, ".facts");
});

test("Devices: canned answers are set, and are what a call gets", async () => {
  await visit("devices/away", /not connected/);
  await click("Edit", "Canned answers");
  await page.evaluate(() => document.querySelector("textarea[aria-label='Canned answers']").select());
  await page.keyboard.type('{"wake":{"status":201,"payload":{"awake":true}}}');
  await click("Save");
  await shows(page, /takes calls/, ".facts");
  assert.deepEqual(await hub.call("away", "wake"), { status: 201, payload: { awake: true } });
  await shows(page, /"wake"[^]*"awake": true/, "main");
});

test("Devices: what changed in the twin while the page was shown", async () => {
  await visit("devices/lamp", /"level": 40/);
  assert.doesNotMatch(await text(page, "main"), /What changed/);
  await hub.json("PUT", "/devices/lamp", { desired: { level: 55 } });
  await click("What changed");
  await shows(page, /"level": 40[^]*"level": 55/, "main");
  await click("Show all");
  await until(async () => !/"level": 40/.test(await text(page, "main")), "the twin as it is");
});

test("Traffic: a range that is dragged over filters Calls", async () => {
  await visit("traffic", /Calls a second/);
  const chart = await until(() => page.$(".chart .u-over"), "a chart");
  const { x, y, width, height } = await chart.boundingBox();
  await page.mouse.move(x + width * 0.4, y + height / 2);
  await page.mouse.down();
  await page.mouse.move(x + width - 2, y + height / 2, { steps: 5 });
  await page.mouse.up();
  await until(async () => /^#\/calls\?filter=time:\d+\.\d\.\.\d+\.\d$/.test(await address(page)),
    "the filter");
});

test("Jobs: progress, failed devices with their reasons, cancel", async () => {
  hub.run("job", "start", "--id", "now", "--method", "on", "--device", "lamp", "--device", "away");
  hub.run("job", "start", "--id", "later", "--method", "on", "--device", "lamp", "--delay", "86400");
  await visit("jobs", /later[^]*now/);
  await go(page, "jobs/now");
  await shows(page, /lamp\s+completed/, "main");
  await hub.json("POST", "/clock/advance", { seconds: 3700 }); // the device that is away is given up
  await shows(page, /now\s+completed[^]*away\s+failed\s+DeviceNotOnline/, "main");
  await shows(page, /lamp\s+completed\s+200 {"on":true}/, "main");
  await click("Its calls");
  await until(async () => await address(page) === "#/calls?filter=job:now", "the filter");
  await shows(page, /lamp\s+on\b/, "tbody");
  const calls = await hub.json("GET", "/calls");
  const own = calls.filter((call) => call.job_id === "now");
  assert.ok(own.some((call) => call.device_id === "lamp"));
  assert.ok(calls.length > own.length);
  await until(() => page.evaluate((count) =>
    document.querySelectorAll("tbody tr[class]").length === count, own.length), "its calls alone");
  await go(page, "calls/" + own.at(-1).id);
  await shows(page, /Job\s+now/, ".facts");
  await go(page, "jobs/later");
  await shows(page, /later\s+scheduled/, "main");
  await click("Cancel");
  await shows(page, /later\s+cancelled/, "main");
});
