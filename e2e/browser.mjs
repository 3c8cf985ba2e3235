// Chromium, without a profile and without asking anybody outside.
import { chromium } from "playwright-core";

const EXECUTABLE = "/usr/bin/chromium";
/** How long anything on the page may take, on a machine that does other work at the same time. */
const LIMIT_MS = 30_000;
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A browser in which each person gets a page of their own with `page()`: no sign-in is shared. */
export async function open() {
  const browser = await chromium.launch({ executablePath: EXECUTABLE, headless: true, args: ARGUMENTS });
  return { page: () => newPage(browser), close: () => browser.close() };
}

/** A page whose `faults` collects what its console complains of. */
async function newPage(browser) {
  // The certificate is self-made.
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1440, height: 900 } });
  context.setDefaultTimeout(LIMIT_MS);
  const page = await context.newPage();
  page.faults = [];
  page.on("pageerror", (error) => page.faults.push(String(error)));
  page.on("console", (message) => {
    // The browser logs every refused request, and the journey has itself refused a sign-in.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) page.faults.push(message.text());
  });
  return page;
}
