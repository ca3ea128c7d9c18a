/* A hub with a tier and more devices than a page shows: the page finds any of them, and
   shows how full the tier's buckets are. */

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { browse, go, Hub, open, picture, shows, text, until } from "./stage.mjs";

const DEVICES = 2_000;
const idOf = (n) => "meter-" + String(n).padStart(5, "0");

let hub, browser, page;

before(async () => {
  hub = new Hub(["--plain", "--mqtt-port", "0", "--https-port", "0", "--tier", "S1"]);
  const file = join(hub.folder, "config.json");
  writeFileSync(file, JSON.stringify({
    devices: Array.from({ length: DEVICES }, (_, n) => ({ id: idOf(n) })),
  }));
  hub.words.push("--config", file);
  await hub.start();
  browser = await browse();
  page = await open(browser, hub);
  await shows(page, /live/, ".connection");
});

after(async () => {
  await browser?.close();
  await hub?.close();
});

// What the page has asked of /devices, with how many the hub gave.
async function answers(act) {
  const seen = [];
  const note = async (response) => {
    if (new URL(response.url()).pathname === "/devices")
      seen.push((await response.json().catch(() => [])).length);
  };
  page.on("response", note);
  await act();
  page.off("response", note);
  return seen;
}

test("Devices finds any of them, and asks for no more than a page", async () => {
  const counts = await answers(async () => {
    await go(page, "devices");
    await shows(page, /meter-00000/, "tbody");
    await page.focus("#find");
    await page.keyboard.type("R-01876");
    await until(async () => (await text(page, "tbody")).trim().startsWith(idOf(1876)), "found");
  });
  assert.match(await text(page, ".head"), /Devices\s+1\b/);
  assert.ok(counts.every((count) => count <= 500), String(counts));
  await picture(page, "devices-found");
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await shows(page, /not connected/, "main");
});

test("Invoke offers any of them while its id is typed", async () => {
  await go(page, "invoke");
  await shows(page, /Payload/, "main");
  const counts = await answers(async () => {
    await page.focus("#first");
    await page.keyboard.type("1999");
    await until(() => page.evaluate((id) => [...document.querySelectorAll("#devices option")]
      .map((option) => option.value).includes(id), idOf(1999)), "it is offered");
  });
  assert.ok(counts.every((count) => count <= 50), String(counts));
});

test("Traffic shows how full the tier's buckets are, live", async () => {
  await go(page, "traffic");
  await shows(page, /Throttles of S1[^]*Method calls[^]*40 of 40[^]*40\/s/, "main");
  await shows(page, /Messages of the day\s+400,000 of 400,000/, "main");
  await hub.call(idOf(1), "read");
  await shows(page, /Messages of the day\s+399,99\d of 400,000/, "main");
  await picture(page, "throttles");
  assert.deepEqual(page.wrong, []);
});
