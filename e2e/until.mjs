// Waiting for what is not on the page.
import { setTimeout as pause } from "node:timers/promises";

const LIMIT_MS = 30_000;
const EVERY_MS = 100;

/** Looks until the condition holds, or fails with `what`. */
export async function until(what, condition) {
  const deadline = performance.now() + LIMIT_MS;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${LIMIT_MS / 1000} s: ${what}`);
    await pause(EVERY_MS);
  }
}
