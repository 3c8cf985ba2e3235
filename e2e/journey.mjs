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
import { passkeys } from "./passkeys.mjs";
import { until } from "./until.mjs";

const [worldFile, reportFile, folder] = process.argv.slice(2);
const world = JSON.parse(await readFile(worldFile, "utf8"));
const host = new Host(world.hosts.find((each) => each.name === "web1"), world.root_key);
const before = await host.accounts();

const browser = await open();
const page = await browser.page();
/** The administrator's and the approver's pages; each is signed in when its turn comes. */
const [admin, bob] = [await browser.page(), await browser.page()];
const checks = new Checks(page, folder);
const checked = (name, which = page) =>
  checks.run(`accessible: ${name}`, () => expectClean(which, join(folder, `${name}.png`)));
/** What the later steps need to know of the session. */
const session = {};

const row = (which = page, activity = "Linux admin") => which.getByRole("row").filter({ hasText: activity });
const status = (text, which = page) => row(which).getByText(text, { exact: true }).waitFor();
const goTo = (name, which = page) => which.getByRole("navigation").getByRole("link", { name }).click();

await checks.run("a wrong password is refused with a sentence", async () => {
  await signIn(page, { user: world.user, password: "not-the-password" });
  await page.getByRole("alert").filter({ hasText: /\S/ }).first().waitFor();
});
await checked("sign-in");

await checks.run("alice signs in and sees no sessions", async () => {
  await signIn(page, world);
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
  await wizard.getByRole("radio", { name: /^Now/ }).waitFor();
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

await checks.run("alice extends her session from its row", async () => {
  await row().getByRole("button", { name: /extend/ }).click();
  const dialog = page.getByRole("dialog");
  await expectClean(page, join(folder, "extend.png"));
  await dialog.getByLabel("Minutes").fill("10");
  await dialog.getByRole("button", { name: "Extend" }).click();
  await dialog.waitFor({ state: "hidden" });
  const [now] = await sessions();
  const longer = (Date.parse(now.end_at) - Date.parse(session.end_at)) / 60_000;
  expect(longer === 10 && now.extension.left === 1, `10 minutes longer, once more possible: ${longer}`);
});

await checks.run("an administrator locks it, and alice sees it at once with the message", async () => {
  await signIn(admin, world.administrator);
  await row(admin).getByRole("button", { name: /^Lock/ }).click();
  const dialog = admin.getByRole("dialog");
  await dialog.getByLabel("Title").fill("Being looked into");
  await dialog.getByLabel("Text").fill("Ask the administrator.");
  await expectClean(admin, join(folder, "lock.png"));
  await dialog.getByRole("button", { name: "Lock", exact: true }).click();
  await status("Locked");
  await row().getByText("Being looked into", { exact: true }).waitFor();
  await row().getByRole("button", { name: /^Details/ }).click();
  await page.getByText("the host confirmed that its account is shut", { exact: false }).waitFor();
  const refused = await login(world.ssh, session.id, "true");
  expect(refused.code === 255, "a locked session is refused");
});
await checked("locked");

await checks.run("the administrator unlocks it, and it works as before", async () => {
  await row(admin).getByRole("button", { name: /^Unlock/ }).click();
  const dialog = admin.getByRole("dialog");
  await dialog.getByLabel("Reason").fill("Nothing found");
  await dialog.getByRole("button", { name: "Unlock" }).click();
  await status("Available");
  await row().getByRole("button", { name: /^Details/ }).click();
  const answer = await login(world.ssh, session.id, "sudo -n id -u");
  expect(answer.stdout === "0\n", `sudo works again: ${JSON.stringify(answer)}`);
});
await checked("administrator", admin);

await checks.run("End Session cuts the open connection and the row goes", async () => {
  const shell = login(world.ssh, session.id, "sleep 600");
  await status("Logged In");
  await page.getByRole("button", { name: "End Session" }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "End Session" }).click();
  expect((await shell).code === 255, "ssh is cut and ends with 255");
  await row().first().waitFor({ state: "detached" });
});
await checked("ended");

await checks.run("what needs approval waits for it, with the fields that its profile adds", async () => {
  await page.getByRole("button", { name: "Create Session" }).first().click();
  const wizard = page.getByRole("dialog");
  const next = () => wizard.getByRole("button", { name: "Next" }).click();
  await wizard.getByRole("radio", { name: /Emergency root/ }).check();
  await next();
  await wizard.getByRole("checkbox", { name: /web1/ }).check();
  await next();
  await wizard.getByLabel(/Notes/).fill("The site is down");
  await next();
  await wizard.getByText("Fill in: Who is affected.").waitFor();
  await expectClean(page, join(folder, "wizard-notes.png"));
  await wizard.getByLabel(/Who is affected/).selectOption("everybody");
  await next();
  await expectClean(page, join(folder, "wizard-scheduling.png"));
  await next();
  await wizard.getByText("Somebody has to approve this", { exact: false }).waitFor();
  await expectClean(page, join(folder, "wizard-review.png"));
  await wizard.getByRole("button", { name: "Finish" }).click();
  await row(page, "Emergency root").getByText("Waiting for Approval", { exact: true }).waitFor();
  await row(page, "Emergency root").getByText(/waits for bob/).waitFor();
});
await checked("waiting");

await checks.run("bob approves it with a reason, and it begins by itself", async () => {
  await signIn(bob, world.approver);
  await goTo(/^Approvals/, bob);
  await row(bob, "Emergency root").getByRole("checkbox").check();
  await expectClean(bob, join(folder, "approvals.png"));
  await bob.getByRole("toolbar").getByRole("button", { name: "Approve" }).click();
  const dialog = bob.getByRole("dialog");
  await dialog.getByText("The site is down").waitFor();
  await dialog.getByRole("button", { name: "Approve" }).click();
  await dialog.getByText(/^Write why/).waitFor();
  await dialog.getByLabel("Reason").fill("Go on");
  await dialog.getByLabel(/^Shorter/).fill("20");
  await expectClean(bob, join(folder, "approve.png"));
  await dialog.getByRole("button", { name: "Approve" }).click();
  await dialog.waitFor({ state: "hidden" });
  await row(bob, "Emergency root").waitFor({ state: "detached" });
  await row(page, "Emergency root").getByText("Available", { exact: true }).waitFor();
  await row(page, "Emergency root").getByRole("button", { name: /^End/ }).click();
  await page.getByRole("dialog").getByRole("button", { name: "End Session" }).click();
  await row(page, "Emergency root").first().waitFor({ state: "detached" });
});

await checks.run("a session for tomorrow is under Scheduled, and can be ended there", async () => {
  await page.getByRole("button", { name: "Create Session" }).first().click();
  const wizard = page.getByRole("dialog");
  const next = () => wizard.getByRole("button", { name: "Next" }).click();
  await wizard.getByRole("radio", { name: /Linux admin/ }).check();
  await next();
  await wizard.getByRole("checkbox", { name: /db1/ }).check();
  await next();
  await next();
  await wizard.getByRole("radio", { name: /At a time to come/ }).check();
  await wizard.getByLabel(/^Date and time/).fill(await tomorrow());
  await next();
  await wizard.getByRole("button", { name: "Finish" }).click();
  await wizard.waitFor({ state: "hidden" });
  await goTo(/^Scheduled/);
  await row().getByText(/^begins in/).waitFor();
  await expectClean(page, join(folder, "scheduled.png"));
  await row().getByRole("button", { name: /^End/ }).click();
  await page.getByRole("dialog").getByRole("button", { name: "End Session" }).click();
  await row().first().waitFor({ state: "detached" });
});

await checks.run("History tells how each of them ended", async () => {
  await goTo("History");
  await row(page, "Emergency root").getByText("Completed", { exact: true }).waitFor();
  await row().getByText("Canceled", { exact: true }).waitFor();
  await row(page, "Emergency root").getByRole("button", { name: /^Details/ }).click();
  await page.getByText("by bob", { exact: false }).waitFor();
});
await checked("history");

await checks.run("nothing is left on the host, and the ledger says so", async () => {
  const out = await get("/api/v1/grants?state=out");
  expect(out.items.length === 0, `the ledger is empty: ${JSON.stringify(out.items)}`);
  await until("the host's accounts are as before", async () => (await host.accounts()) === before);
  const refused = await login(world.ssh, session.id, "true");
  expect(refused.code === 255, "an ended session is refused");
});

const keys = await passkeys({ browser, checks, folder, url: world.url, person: world.approver });

await checks.run("the page showed no error of its own", async () => {
  const faults = [page, admin, bob, keys].flatMap((each) => each.faults);
  expect(faults.length === 0, faults.join("\n"));
});

await browser.close();
await checks.report(reportFile);
process.exit(checks.failed === 0 ? 0 : 1);

async function signIn(which, { user, password }) {
  if (!which.url().startsWith(world.url)) await which.goto(world.url);
  await which.getByLabel("User").fill(user);
  await which.getByLabel("Password", { exact: true }).fill(password);
  await which.getByRole("button", { name: "Sign in", exact: true }).click();
}

/** This time tomorrow, as the browser's field takes it, in the browser's zone. */
async function tomorrow() {
  return page.evaluate(() => {
    const at = new Date(Date.now() + 86_400_000);
    return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
  });
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
