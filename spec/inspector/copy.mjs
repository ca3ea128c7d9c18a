/* What "Copy" puts on the clipboard: it is the text that is shown, and it gives the answer
   that the call gave. In a network namespace, where the ports that Azure's SDK needs are
   free. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { address, browse, go, Hub, open, shows, text, until } from "./stage.mjs";

const LUA = process.env.LUA ?? "lua5.4";
// The button of each form, and how a text of it is run.
const FORMS = [
  ["curl", (code) => ["sh", "-c", code]],
  ["directmethods", (code) => ["sh", "-c", code]],
  ["Lua", (_, file) => [LUA, file]],
  ["Node", (code) => ["node", "-e", code]],
  ["busted test", (_, file) => [LUA, "-e", "arg = { [0] = [[x]], [[" + file + "]] } require [[busted.runner]] { standalone = false }"]],
];

let hub, browser, page;

before(async () => {
  hub = await new Hub(["--mqtt-port", "8883", "--https-port", "443"]).start();
  await hub.populate();
  browser = await browse();
  await browser.defaultBrowserContext().overridePermissions(hub.facts.admin_url,
    ["clipboard-read", "clipboard-write", "clipboard-sanitized-write"]);
  page = await open(browser, hub);
  await go(page, "calls/1");
  await shows(page, /Copy as/, "main");
});

after(async () => {
  await browser?.close();
  await hub?.close();
});

const clipboard = () => page.evaluate(() => navigator.clipboard.readText());

// Press the button with this text.
const press = (name) => until(() => page.evaluate((each) => {
  const found = [...document.querySelectorAll("main button")]
    .find((button) => button.innerText.trim() === each);
  found?.click();
  return found != null;
}, name), "a button " + name);

async function copied(form) {
  await page.evaluate(() => navigator.clipboard.writeText(""));
  await press(form);
  await until(() => page.evaluate((each) => [...document.querySelectorAll(
    "main button[aria-pressed=true]")].some((button) => button.innerText.trim() === each), form));
  const name = { directmethods: "cli", "busted test": "busted", "fault rule": "fault" }[form]
    ?? form.toLowerCase();
  const expected = await (await hub.ask("GET", `/calls/1/as/${name}`)).text();
  await until(async () => (await text(page, "main pre.code[aria-label='Text to copy']")).trim()
    === expected.trim(), "the form is shown");
  await press("Copy");
  await until(async () => await clipboard() !== "", "it is copied");
  assert.equal(await clipboard(), expected);
  return expected;
}

function run(words) {
  const bin = join(hub.folder, "directmethods"); // the command line, as installed
  writeFileSync(bin, `#!/bin/sh\nexec ${LUA} ${resolve("build-aux/directmethods")} "$@"\n`,
    { mode: 0o755 });
  const done = spawnSync(words[0], words.slice(1), { encoding: "utf8", timeout: 60_000,
    env: { ...process.env, ...hub.variables(), PATH: hub.folder + ":" + process.env.PATH,
      NODE_PATH: resolve("spec/interop/node_modules"), DIRECTMETHODS_READY_FILE: hub.ready } });
  assert.equal(done.status, 0, `${words.join(" ")}\n${done.stdout}${done.stderr}`);
  return done.stdout;
}

for (const [form, how] of FORMS) {
  test(`${form}: what is copied gives the same answer`, async () => {
    const code = await copied(form);
    const file = join(hub.folder, "copied_spec.lua");
    writeFileSync(file, code);
    const before = (await hub.json("GET", "/calls")).length;
    const output = run(how(code, file));
    if (form !== "busted test") assert.match(output, /"?on"?\s*[:=]\s*true/);
    else assert.match(output, /1 success/);
    const calls = await hub.json("GET", "/calls");
    const [{ payload, response, status }] = calls;
    if (form !== "busted test") {
      assert.equal(calls.length, before + 1);
      const last = calls.at(-1);
      assert.deepEqual([last.payload, last.response, last.status], [payload, response, status]);
    }
  });
}

test("a fault rule: the next such call fails like it", async () => {
  await go(page, "calls/4"); // DeviceNotOnline
  await shows(page, /404103/, "main");
  await press("Fail the next one like this");
  await shows(page, /will fail by rule/, "main");
  const [rule] = await hub.json("GET", "/faults");
  assert.equal(rule.device, "away");
  await hub.json("DELETE", "/faults");
});

test("the other forms are copied as they are shown", async () => {
  await go(page, "calls/1");
  await shows(page, /Call 1\b/, "main");
  for (const form of ["az", "Python", "pytest", "fault rule"]) await copied(form);
});

test("y copies the form that was used last", async () => {
  const expected = await copied("curl");
  await page.evaluate(() => navigator.clipboard.writeText(""));
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("y");
  await until(async () => await clipboard() === expected, "y copies");
  assert.match(await address(page), /calls\/1$/);
});
