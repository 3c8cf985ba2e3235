// The main job as a person does it: a browser, a real ssh client and real hosts, from sign-in to proven clean-up.
//
//   node journey.mjs WORLD.json REPORT.xml FOLDER
//
// WORLD describes a running Cardea (cargo xtask test starts one); REPORT is JUnit's XML; screenshots go to FOLDER.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expectClean } from "./axe.mjs";
import { open } from "./browser.mjs";
import { Checks } from "./checks.mjs";
import { Host, login } from "./host.mjs";
import { until } from "./until.mjs";

const [worldFile, reportFile, folder] = process.argv.slice(2);
const world = JSON.parse(await readFile(worldFile, "utf8"));
const host = new Host(world.hosts.find((each) => each.name === "web1"), world.root_key);
const before = await host.accounts();

const { page, close } = await open();
const checks = new Checks(page, folder);
const checked = (name) => checks.run(`accessible: ${name}`, () => expectClean(page, join(folder, `${name}.png`)));
/** What the later steps need to know of the session. */
const session = {};

const row = () => page.getByRole("row").filter({ hasText: "Linux admin" });
const status = (text) => row().getByText(text, { exact: true }).waitFor();

await checks.run("a wrong password is refused with a sentence", async () => {
  await page.goto(world.url);
  await signIn("not-the-password");
  await page.getByRole("alert").filter({ hasText: /\S/ }).first().waitFor();
});
await checked("sign-in");

await checks.run("alice signs in and sees no sessions", async () => {
  await signIn(world.password);
  await page.getByRole("button", { name: "Create Session" }).first().waitFor();
});
await checked("empty");

await checks.run("the wizard offers what policies give and creates a session", async () => {
  await page.getByRole("button", { name: "Create Session" }).first().click();
  const wizard = page.getByRole("dialog");
  await wizard.getByText("Linux admin").first().click();
  await wizard.getByRole("button", { name: "Next" }).click();
  await wizard.getByRole("checkbox", { name: /web1/ }).check();
  await expectClean(page, join(folder, "wizard.png"));
  await wizard.getByRole("button", { name: "Next" }).click();
  await wizard.getByLabel(/Notes/).fill("Browser journey");
  await wizard.getByRole("button", { name: "Next" }).click();
  await wizard.getByText("Browser journey").waitFor();
  await wizard.getByRole("button", { name: "Finish" }).click();
  await wizard.waitFor({ state: "hidden" });
});

await checks.run("the session turns Available by itself", async () => {
  await status("Available");
  const [only] = await sessions();
  Object.assign(session, only);
});
await checked("available");

await checks.run("the account is on the host, and may use sudo through the gateway", async () => {
  expect(await host.has(session.login_account), `${session.login_account} is on the host`);
  const answer = await login(world.ssh, session.id, "sudo -n id -u; id -un");
  expect(answer.stdout === `0\n${session.login_account}\n`, `sudo works: ${JSON.stringify(answer)}`);
});

await checks.run("Logged In is seen while a shell is open, and Available after it", async () => {
  const shell = login(world.ssh, session.id, "head -c 1");
  await status("Logged In");
  await page.screenshot({ path: join(folder, "logged-in.png") });
  shell.stdin.end("x");
  await shell;
  await status("Available");
});

await checks.run("View Logs tells the steps", async () => {
  await row().getByRole("checkbox").check();
  await page.getByRole("button", { name: "View Logs" }).click();
  const log = page.getByRole("dialog");
  await log.getByRole("row").nth(3).waitFor();
  await expectClean(page, join(folder, "log.png"));
  await page.keyboard.press("Escape");
  await log.waitFor({ state: "hidden" });
});

await checks.run("End Session cuts the open connection and the row goes", async () => {
  const shell = login(world.ssh, session.id, "sleep 600");
  await status("Logged In");
  await page.getByRole("button", { name: "End Session" }).first().click();
  const dialog = page.getByRole("dialog").or(page.getByRole("alertdialog"));
  await dialog.getByRole("button", { name: "End Session" }).click();
  expect((await shell).code === 255, "ssh is cut and ends with 255");
  await row().first().waitFor({ state: "detached" });
});
await checked("ended");

await checks.run("nothing is left on the host, and the ledger says so", async () => {
  const out = await get("/api/v1/grants?state=out");
  expect(out.items.length === 0, `the ledger is empty: ${JSON.stringify(out.items)}`);
  await until("the host's accounts are as before", async () => (await host.accounts()) === before);
  const refused = await login(world.ssh, session.id, "true");
  expect(refused.code === 255, "an ended session is refused");
});

await checks.run("the page showed no error of its own", async () => {
  expect(page.faults.length === 0, page.faults.join("\n"));
});

await close();
await checks.report(reportFile);
process.exit(checks.failed === 0 ? 0 : 1);

async function signIn(password) {
  await page.getByLabel("User").fill(world.user);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** Asks the API as the page would: with its cookie. */
async function get(path) {
  return page.evaluate(async (address) => (await fetch(address)).json(), path);
}

async function sessions() {
  return (await get("/api/v1/sessions?view=active&scope=mine")).items;
}

function expect(holds, what) {
  if (!holds) throw new Error(`not so: ${what}`);
}
