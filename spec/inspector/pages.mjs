/* Every page and every key; what axe-core says of each page, in light and dark. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { address, browse, drawn, go, Hub, open, picture, setScheme, shows, text, until }
  from "./stage.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
// What each page must show, of the hub of Hub.populate.
const PAGES = [
  ["calls", /lamp[^]*weak[^]*lamp[^]*on/], ["calls/1", /Timeline[^]*received/],
  ["calls/4", /404103[^]*Why/], ["calls/2?show=diff", /Compared with/],
  ["invoke", /Device|device/], ["devices", /away[^]*lamp/], ["devices/lamp", /floor/],
  ["faults", /Faults/], ["time", /\+1 min/], ["jobs", /Jobs/], ["traffic", /Traffic/],
  ["messages", /Messages/], ["setup", /IOTHUB_CONNECTION_STRING|ports|Ports/],
];

let hub, browser, page;

before(async () => {
  hub = await new Hub().start();
  await hub.populate();
  browser = await browse();
  page = await open(browser, hub);
  await shows(page, /lamp/, "main");
});

after(async () => {
  await browser?.close();
  await hub?.close();
});

// Puppeteer runs it in the page's world past the policy, which forbids the page eval.
async function violations() {
  await page.evaluate(AXE);
  const found = await page.evaluate(async () => (await axe.run(document)).violations);
  return found.map(({ id, nodes }) => `${id}: ${nodes.map((node) =>
    `${node.target} ${node.failureSummary.replace(/\s+/g, " ")}`).join("; ")}`);
}

for (const scheme of ["light", "dark"]) {
  for (const [place, pattern] of PAGES) {
    test(`#/${place} opens, ${scheme}, without violations of axe-core`, async () => {
      await setScheme(page, scheme);
      await go(page, place);
      await shows(page, pattern, "main");
      await picture(page, `${place.replace(/\W/g, "-")}-${scheme}`);
      assert.deepEqual(await violations(), []);
      assert.deepEqual(page.wrong, []);
    });
  }
}

test("each page fits a narrow screen", async () => {
  await setScheme(page, "light");
  await page.setViewport({ width: 380, height: 720 });
  for (const [place, pattern] of PAGES) {
    await go(page, place);
    await shows(page, pattern, "main");
    const { scrollWidth, clientWidth } = await page.evaluate(() => ({
      scrollWidth: document.documentElement.scrollWidth,
      clientWidth: document.documentElement.clientWidth,
    }));
    assert.ok(scrollWidth <= clientWidth, `${place}: ${scrollWidth} > ${clientWidth}`);
  }
  await picture(page, "narrow");
  await page.setViewport({ width: 1180, height: 760 });
});

// Keys --------------------------------------------------------------------------

async function fresh() {
  await page.close();
  page = await open(browser, hub);
  await shows(page, /weak/, "main");
}

const press = async (...keys) => {
  for (const key of keys) await page.keyboard.press(key);
};
const at = async (pattern) => {
  await until(async () => pattern.test(await address(page)), String(pattern));
  await drawn(page);
};
const rowOf = () => text(page, "tr.cursor");

async function calls() {
  await go(page, "calls");
  await shows(page, /weak/, "main");
  await page.evaluate(() => document.activeElement.blur());
}

test("j and k move, Enter opens, Esc comes back to the same row", async () => {
  await fresh();
  await press("j");
  await until(async () => (await rowOf()).includes("away"), "the first row");
  await press("j");
  await until(async () => (await rowOf()).includes("weak"), "the second row");
  await press("j", "k");
  await until(async () => (await rowOf()).includes("weak"), "the second row again");
  await press("Enter");
  await at(/^#\/calls\/3$/);
  await shows(page, /Timeline/, "main");
  await press("Escape");
  await at(/^#\/calls(\?|$)/);
  await until(async () => (await rowOf()).includes("weak"), "back at its row");
});

test("/ filters, the filter is in the address and comes back with it", async () => {
  await calls();
  await press("/");
  assert.equal(await page.evaluate(() => document.activeElement.ariaLabel), "Filter");
  await page.keyboard.type("device:la* method:on");
  await at(/^#\/calls\?filter=device:la\*\+method:on$/);
  await until(async () => !/weak|away/.test(await text(page, "tbody")), "filtered");
  const other = await open(browser, hub, { url: page.url() });
  await shows(other, /\bon\b/, "tbody");
  assert.doesNotMatch(await text(other, "tbody"), /weak|away/);
  await other.close();
  await page.bringToFront();
  await press("Escape", "Escape");
  await at(/^#\/calls$/);
});

test("p pauses without losing, and goes on", async () => {
  await calls();
  await press("p");
  await shows(page, /Go on/, "main");
  await hub.call("lamp", "on", { level: 77 });
  await shows(page, /Go on \(1 new\)/, "main");
  await press("p");
  await shows(page, /Pause/, "main");
});

test("i, t and ? from every page", async () => {
  for (const place of ["calls", "devices", "setup"]) {
    await go(page, place);
    await at(new RegExp("^#/" + place));
    await press("i");
    await at(/^#\/invoke/);
    await page.evaluate(() => document.activeElement.blur());
    await press("t");
    await at(/^#\/time/);
    await press("?");
    await shows(page, /Keys/, "dialog[open]");
    assert.deepEqual(await violations(), []);
    await press("Escape");
    await until(() => page.evaluate(() => !document.querySelector("dialog[open]")),
      "the help is closed");
  }
});

test("d compares, r calls again, in a call", async () => {
  await go(page, "calls/2");
  await shows(page, /Timeline/, "main");
  await press("d");
  await at(/show=diff/);
  await shows(page, /40[^]*41/, "main");
  await press("d");
  await at(/^#\/calls\/2$/);
  const before = (await hub.json("GET", "/calls")).length;
  await press("r");
  await until(async () => (await hub.json("GET", "/calls")).length === before + 1);
  const last = (await hub.json("GET", "/calls")).at(-1);
  assert.deepEqual([last.method, last.payload], ["on", { level: 41 }]);
});

test("everything is reached by Tab, and the focus can be seen", async () => {
  await calls();
  const count = await page.evaluate(() => {
    window.unreached = new Set([...document.querySelectorAll("a[href], button, input, select, textarea")]
      .filter((each) => each.tabIndex >= 0 && !each.disabled && each.checkVisibility()));
    return window.unreached.size;
  });
  assert.ok(count > 10, String(count));
  // Tab begins where the focus was last, so it takes up to two rounds.
  for (let i = 0; i < 2 * count + 10; i++) {
    await press("Tab");
    const { name, outline } = await page.evaluate(() => {
      const at = document.activeElement;
      window.unreached.delete(at);
      return {
        name: at.innerText || at.ariaLabel,
        outline: at === document.body ? null : getComputedStyle(at).outlineStyle,
      };
    });
    assert.notEqual(outline, "none", name);
  }
  assert.deepEqual(await page.evaluate(() =>
    [...window.unreached].map((each) => each.outerHTML.slice(0, 100))), []);
});

test("a payload of <script> is text", async () => {
  const payload = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>";
  await hub.json("PUT", "/devices/lamp", { methods: { on: { payload } } });
  await hub.call("lamp", "on", { [payload]: payload });
  const { id } = (await hub.json("GET", "/calls")).at(-1);
  for (const place of ["calls/" + id, `calls/${id}?show=diff`, "invoke?call=" + id]) {
    await go(page, place);
    await shows(page, place.startsWith("invoke") ? /./ : /<script>/, "main");
    assert.doesNotMatch(await page.title(), /owned/);
    assert.equal(await page.evaluate(() => document.querySelectorAll("main script, main img").length), 0);
  }
  assert.deepEqual(page.wrong, []);
});

test("keys are shown when the user asks for them, and not before", async () => {
  const { connection_string: secret } = await hub.json("GET", "/devices/lamp");
  const keys = [secret, ...Object.values(hub.facts.connection_strings)]
    .map((each) => /SharedAccessKey=(.+)$/.exec(each)[1]);
  const shown = async () => {
    const all = await page.evaluate(() => document.documentElement.outerHTML);
    return keys.filter((key) => all.includes(key));
  };
  for (const [place] of PAGES) {
    await go(page, place);
    await shows(page, /./, "main");
    assert.deepEqual(await shown(), [], place);
  }
  await go(page, "devices/lamp");
  await shows(page, /Reveal/, "main");
  await page.evaluate(() => [...document.querySelectorAll("main button")]
    .find((button) => button.innerText === "Reveal").click());
  await until(async () => (await shown()).includes(keys[0]), "the key is shown");
});

test("the mark of a fault is in sight on a small desktop", async () => {
  await hub.json("POST", "/faults", { stage: "request", action: "delay", device: "lamp", delay: 0.05 });
  await hub.call("lamp", "on");
  await page.setViewport({ width: 980, height: 560 });
  await go(page, "calls");
  await shows(page, /fault/, "tbody");
  const { right, end } = await page.evaluate(() => ({
    right: document.querySelector(".mark.fault").getBoundingClientRect().right,
    end: document.querySelector(".list").getBoundingClientRect().right,
  }));
  assert.ok(right <= end, `${right} > ${end}`);
});
