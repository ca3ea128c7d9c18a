/* The page's life: its session, a hub that starts again, two tabs, many calls. */

import assert from "node:assert/strict";
import http from "node:http";
import { after, before, test } from "node:test";
import { browse, go, Hub, open, picture, shows, text, until } from "./stage.mjs";

const LOAD_S = Number(process.env.LOAD_S ?? 5); // seconds of load
const MEASURES = process.env.LOAD_S != null; // `make proof`: alone on a quiet machine
const RATE = 1000; // calls a second

let hub, browser;

before(async () => {
  hub = await new Hub().start();
  await hub.populate();
  browser = await browse();
});

after(async () => {
  await browser?.close();
  await hub?.close();
});

const cookies = async (page) => (await page.browserContext().cookies());

test("the token is exchanged for a cookie, and stays nowhere", async () => {
  const page = await open(browser, hub);
  await shows(page, /lamp/, "main");
  const [cookie, ...others] = await cookies(page);
  assert.equal(others.length, 0);
  assert.deepEqual([cookie.name, cookie.httpOnly, cookie.sameSite, cookie.session],
    ["directmethods_" + hub.facts.ports.admin, true, "Strict", true]);
  assert.doesNotMatch(cookie.value, new RegExp(hub.facts.admin_token));
  const seen = await page.evaluate(() => location.href + document.cookie
    + JSON.stringify({ ...localStorage }) + JSON.stringify({ ...sessionStorage }));
  assert.ok(!seen.includes(hub.facts.admin_token) && !seen.includes(cookie.value), seen);
  const other = await open(browser, hub, { url: hub.facts.admin_url + "/" });
  await shows(other, /lamp/, "main");
  await other.close();
  await page.close();
});

test("without the token, and with a wrong one, the page shows nothing", async () => {
  for (const tail of ["/", "/#token=" + "0".repeat(32)]) {
    const context = await browser.createBrowserContext();
    const page = await open(context, hub, { url: hub.facts.admin_url + tail });
    await shows(page, /The hub wants another token/, "main");
    assert.doesNotMatch(await text(page), /lamp/);
    assert.deepEqual(await cookies(page), []);
    await context.close();
  }
});

test("a page of another port learns nothing and changes nothing", async () => {
  const evil = http.createServer((_, response) => {
    response.setHeader("Content-Type", "text/html");
    response.end(`<iframe src="${hub.facts.admin_url}/"></iframe>
      <form id="f" method="post" enctype="text/plain" target="x"
        action="${hub.facts.admin_url}/reset"></form><iframe name="x"></iframe>`);
  });
  await new Promise((resolve) => evil.listen(0, "127.0.0.1", resolve));
  const page = await open(browser, hub); // the cookie is there
  await shows(page, /lamp/, "main");
  const other = await browser.newPage();
  await other.goto(`http://127.0.0.1:${evil.address().port}/`);
  const got = await other.evaluate(async (url) => {
    const ask = (path, options) => fetch(url + path, { credentials: "include", ...options })
      .then((response) => response.type + response.status, () => "refused");
    const load = (name, attribute, path) => new Promise((resolve) => {
      const element = document.createElement(name);
      element.onload = () => resolve("loaded");
      element.onerror = () => resolve("refused");
      element[attribute] = url + path;
      document.body.append(element);
    });
    document.getElementById("f").submit();
    return [await ask("/calls"), await ask("/calls", { mode: "no-cors" }),
      await ask("/reset", { method: "POST" }),
      await ask("/reset", { method: "POST", mode: "no-cors" }),
      await ask("/reset", { method: "POST", headers: { "X-Directmethods": "1" } }),
      await load("script", "src", "/calls"), await load("img", "src", "/inspector/icon.svg")];
  }, hub.facts.admin_url);
  assert.deepEqual(got.map((each) => each.replace("opaque0", "refused")),
    Array(7).fill("refused"));
  const frames = other.frames().filter((frame) => frame.url().startsWith(hub.facts.admin_url));
  for (const frame of frames)
    assert.doesNotMatch(await frame.evaluate(() => document.body?.innerText ?? ""), /Calls/);
  assert.equal((await hub.json("GET", "/devices")).length, 2);
  await other.close();
  await page.close();
  evil.closeAllConnections();
  evil.close();
});

test("a hub that starts again: the page says so and goes on by itself", async () => {
  const page = await open(browser, hub);
  await shows(page, /live/, ".connection");
  await hub.stop();
  await shows(page, /cannot be reached/, ".connection");
  await hub.start();
  await shows(page, /live[^]*started\s+again/, ".connection");
  await hub.populate();
  await shows(page, /weak/, "main");
  assert.deepEqual(page.wrong.filter((each) => !/ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY/.test(each)), []);
  await page.close();
});

test("two tabs share one stream, and the second goes on when the first is closed", async () => {
  const asked = [];
  const watch = (page) => page.on("request", (request) => {
    if (new URL(request.url()).pathname === "/events") asked.push(page);
  });
  const first = await open(browser, hub);
  watch(first);
  await shows(first, /live/, ".connection");
  const second = await browser.newPage();
  watch(second);
  await second.goto(hub.facts.admin_url + "/");
  await shows(second, /live/, ".connection");
  await hub.call("lamp", "on", { from: "both" });
  const count = (await hub.json("GET", "/calls")).length;
  for (const page of [first, second])
    await shows(page, new RegExp(`Calls\\s+${count}\\b`), "main");
  assert.equal(asked.filter((page) => page === second).length, 0);
  await first.close();
  await until(() => asked.includes(second), "the second reads the stream");
  await hub.call("lamp", "on", { from: "second" });
  await shows(second, new RegExp(`Calls\\s+${count + 1}\\b`), "main");
  await second.close();
});

test("calls that are selected are deleted at the hub, and in all tabs", async () => {
  await hub.json("POST", "/reset");
  await hub.populate(); // calls 1 to 4
  const [first, second] = [await open(browser, hub), await open(browser, hub)];
  for (const page of [first, second]) await shows(page, /Calls\s+4\b/, "main");
  await first.bringToFront();
  await go(second, "calls/1");
  await until(async () => /Timeline/.test(await text(second, "main")), "call 1");
  const click = (label) => first.evaluate((each) => [...document.querySelectorAll("main input, main button")]
    .find((element) => [element.ariaLabel, element.innerText].includes(each)).click(), label);
  const ids = async () => (await hub.json("GET", "/calls")).map(({ id }) => id);
  await first.keyboard.press("p"); // a paused list loses them, too
  await click("Select call 1");
  await click("Select call 3");
  await shows(first, /2 selected/, "main");
  await click("Delete");
  await shows(first, /Calls\s+2\b/, "main");
  assert.deepEqual(await ids(), [2, 4]);
  assert.doesNotMatch(await text(first, "main"), /selected/);
  await until(async () => /Call 1 was deleted/.test(await text(second, "main")), "the other tab");
  await go(first, "calls?filter=device:lamp");
  await shows(first, /Calls\s+1\b/, "main");
  await click("Select all");
  await shows(first, /1 selected/, "main");
  await click("Delete");
  await shows(first, /No call fits the filter/, "main");
  assert.deepEqual(await ids(), [4]);
  assert.deepEqual([...first.wrong, ...second.wrong], []);
  for (const page of [first, second]) await page.close();
});

// Calls at RATE a second, from this process; how many were answered.
async function load(seconds) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
  const once = () => new Promise((resolve) => {
    const request = http.request(hub.facts.admin_url + "/devices/lamp/methods/on", {
      method: "POST", agent,
      headers: { Authorization: "Bearer " + hub.facts.admin_token },
    }, (response) => response.resume().on("end", () => resolve(response.statusCode === 200)));
    request.on("error", () => resolve(false));
    request.end("{}");
  });
  const begin = performance.now();
  const asked = [];
  while (performance.now() - begin < seconds * 1000) {
    const due = Math.floor((performance.now() - begin) / 1000 * RATE);
    while (asked.length < due) asked.push(once());
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const answered = (await Promise.all(asked)).filter(Boolean).length;
  agent.destroy();
  const rate = answered / (performance.now() - begin) * 1000;
  return { asked: asked.length, answered, rate };
}

test(`${RATE} calls a second for ${LOAD_S} s: bounded memory, all told or counted`, async () => {
  const alone = MEASURES ? await load(10) : null;
  const page = await open(browser, hub);
  await shows(page, /live/, ".connection");
  await page.evaluate(() => {
    window.frames_ = [];
    let last = performance.now();
    const tick = (now) => {
      window.frames_.push(now - last);
      last = now;
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  });
  const { asked, answered, rate } = await load(LOAD_S);
  assert.equal(answered, asked);
  await until(async () => {
    const calls = await hub.json("GET", "/calls?payloads=0&last=1");
    return (await page.evaluate(async () => (await import("/inspector/store.js")).store.calls.at(-1)?.id))
      === calls.at(-1).id;
  }, "the page has caught up");
  const { length } = await page.evaluate(async () =>
    ({ length: (await import("/inspector/store.js")).store.calls.length }));
  assert.ok(length <= 5500, `${length} calls are kept`);
  const frames = (await page.evaluate(() => window.frames_)).sort((a, b) => a - b);
  const p95 = frames[Math.floor(frames.length * 0.95)];
  const client = await page.createCDPSession();
  await client.send("HeapProfiler.collectGarbage");
  const { JSHeapUsedSize } = await page.metrics();
  assert.ok(JSHeapUsedSize < 50e6, `${JSHeapUsedSize} bytes of heap`);
  if (MEASURES) {
    console.log(`measured: ${rate.toFixed(0)} calls/s for ${LOAD_S} s, without the page ${
      alone.rate.toFixed(0)}; heap ${(JSHeapUsedSize / 1e6).toFixed(1)} MB; p95 of a frame ${
      p95.toFixed(0)} ms`);
    assert.ok(p95 < 50, `p95 of a frame: ${p95} ms`);
    assert.ok(rate > 0.95 * alone.rate, `${rate} calls/s, without the page ${alone.rate}`);
  }
  await picture(page, "load");
  await go(page, "traffic");
  await shows(page, /p99|99/, "main");
  await picture(page, "traffic");
  await page.close();
});
