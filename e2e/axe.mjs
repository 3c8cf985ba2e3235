// What axe-core finds on a page, in light and in dark.
import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";

const source = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

/** Fails with what is wrong, and keeps a screenshot of each look: `x.png` and `x-dark.png`. */
export async function expectClean(page, screenshot) {
  const faults = [];
  for (const [scheme, path] of [["light", screenshot], ["dark", screenshot.replace(".png", "-dark.png")]]) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    await page.evaluate(() => Promise.all(document.getAnimations().map((each) => each.playState === "running" && each.effect?.getComputedTiming().iterations !== Infinity && each.finished)));
    await page.screenshot({ path });
    // Past the content security policy: the page itself may not run what it does not bring.
    await page.evaluate(source);
    const { violations } = await page.evaluate((values) => globalThis.axe.run(document, { runOnly: { type: "tag", values } }), TAGS);
    for (const { id, help, nodes } of violations) {
      faults.push(`${scheme}: ${id}: ${help}: ${nodes.map((node) => node.target.join(" ")).join(", ")}`);
    }
  }
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
  if (faults.length) throw new Error(faults.join("\n"));
}
