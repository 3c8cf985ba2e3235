// Passkeys, with an authenticator that Chromium plays: made, used after the password and alone, shown again, removed.
import { join } from "node:path";
import { expectClean } from "./axe.mjs";

const NARROW = { width: 390, height: 844 };
const WIDE = { width: 1440, height: 900 };

/** As `person`, who has no second factor and gets rid of it in the end. */
export async function passkeys({ browser, checks, folder, url, person }) {
  const page = await browser.page();
  const cdp = await page.context().newCDPSession(page);
  const dialog = page.getByRole("dialog");
  const button = (name) => page.getByRole("button", { name, exact: true });
  const isIn = () => button("Sign in").waitFor({ state: "detached" }).then(() => page.getByRole("navigation").first().waitFor());
  const password = async () => {
    await page.getByLabel("User").fill(person.user);
    await page.getByLabel("Password", { exact: true }).fill(person.password);
    await button("Sign in").click();
  };
  const out = async () => {
    await page.evaluate(() => fetch("/api/v1/sign-out", { method: "POST" }));
    await page.goto(url);
    await button("Sign in").waitFor();
  };
  /** Wide and narrow, each in light and dark. */
  const look = async (name) => {
    await expectClean(page, join(folder, `${name}.png`));
    await page.setViewportSize(NARROW);
    await expectClean(page, join(folder, `${name}-narrow.png`));
    await page.setViewportSize(WIDE);
  };

  await checks.run("a passkey is made in the profile, and the first one gives recovery codes", async () => {
    await cdp.send("WebAuthn.enable");
    const options = { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true };
    await cdp.send("WebAuthn.addVirtualAuthenticator", {
      options: { ...options, isUserVerified: true, automaticPresenceSimulation: true },
    });
    await page.goto(url);
    await look("sign-in-passkey");
    await password();
    await isIn();
    await page.goto(`${url}/profile`);
    await button("Add a passkey").click();
    await dialog.getByLabel("Name of the passkey").fill("Laptop");
    await look("passkey-new");
    await dialog.getByRole("button", { name: "Create the passkey" }).click();
    await dialog.getByRole("list", { name: "Recovery codes" }).waitFor();
    await dialog.getByRole("button", { name: "I have kept them" }).click();
    await page.getByRole("list", { name: "Passkeys" }).getByText("Laptop").waitFor();
    await look("profile-passkey");
  });

  await checks.run("it is the second step after the password", async () => {
    await out();
    await password();
    await button("Use a passkey").waitFor();
    await look("passkey-second-step");
    await button("Use a passkey").click();
    await isIn();
  });

  await checks.run("it signs in alone, without a name or a password", async () => {
    await out();
    await button("Sign in with a passkey").click();
    await isIn();
    const me = await page.evaluate(async () => (await fetch("/api/v1/me")).json());
    if (me.user !== person.user) throw new Error(`it is ${me.user}`);
  });

  await checks.run("it is shown again before something sensitive", async () => {
    await page.goto(`${url}/profile`);
    // A quarter of an hour does not go by here: the refusal is played, the proof and what follows are the server's.
    const refusal = { type: "/problems/factor-needed", title: "Show who you are again", status: 403, request_id: "played" };
    const body = JSON.stringify({ ...refusal, detail: "Too long ago.", methods: ["passkey", "recovery_code"] });
    const answer = { status: 403, contentType: "application/problem+json", body };
    await page.route("**/api/v1/me/factors/recovery-codes", (route) => route.fulfill(answer), { times: 1 });
    await button("New recovery codes").click();
    await dialog.getByRole("button", { name: "Use a passkey" }).waitFor();
    await look("passkey-again");
    const proof = page.waitForResponse((response) => response.url().endsWith("/api/v1/me/proof"));
    await dialog.getByRole("button", { name: "Use a passkey" }).click();
    if ((await proof).status() !== 200) throw new Error("the server did not take the passkey");
    await dialog.getByRole("list", { name: "Recovery codes" }).waitFor();
    await dialog.getByRole("button", { name: "I have kept them" }).click();
  });

  await checks.run("removed, it opens nothing any more, and the password is enough again", async () => {
    await button("Remove the passkey Laptop").click();
    await page.getByText("None. With one,", { exact: false }).waitFor();
    await out();
    await button("Sign in with a passkey").click();
    await page.getByRole("alert").filter({ hasText: "not known here" }).waitFor();
    await password();
    await isIn();
  });
  return page;
}
