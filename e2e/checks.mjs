// Checks that follow on one another: after the first that fails, the rest are not reached, and count as failed.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

export class Checks {
  #page;
  #folder;
  #results = [];

  /** Takes a screenshot of the page into the folder when a check fails. */
  constructor(page, folder) {
    this.#page = page;
    this.#folder = folder;
  }

  /** How many failed. */
  get failed() {
    return this.#results.filter((each) => each.error).length;
  }

  /** Runs one check. */
  async run(name, check) {
    const began = performance.now();
    let error = this.failed ? "not reached" : undefined;
    if (!error) {
      error = await check().then(() => undefined, (thrown) => String(thrown?.stack ?? thrown));
      if (error) await this.#look();
    }
    const seconds = (performance.now() - began) / 1000;
    this.#results.push({ name, error, seconds });
    console.log(`${error ? "FAILED" : "ok    "} ${seconds.toFixed(1).padStart(5)} s  ${name}${error ? `\n${error}` : ""}`);
  }

  async #look() {
    const path = join(this.#folder, "failed.png");
    await this.#page.screenshot({ path }).catch(() => console.log("no screenshot: the page is gone"));
    console.log(`a screenshot of the failure is ${path}`);
  }

  /** Writes JUnit's XML. */
  async report(path) {
    const cases = this.#results.map(({ name, error, seconds }) => {
      const body = error ? `<failure>${escaped(error)}</failure>` : "";
      return `<testcase name="${escaped(name)}" time="${seconds.toFixed(3)}">${body}</testcase>`;
    });
    const totals = `tests="${cases.length}" failures="${this.failed}" errors="0"`;
    await writeFile(path, `<testsuites ${totals}><testsuite name="journey" ${totals}>${cases.join("\n")}</testsuite></testsuites>\n`);
  }
}

function escaped(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;");
}
