// Whether a person is at the page. Only what a person does keeps a sign-in: what the page reads by itself, because an event
// told of a change, says so, and a page that lies open alone does not stay signed in for ever.

/** The header of a reading that nobody asked for. */
export const UNATTENDED = "cardea-unattended";
/** What is read so long after somebody did something may be because of that. */
const PRESENT_MS = 30_000;
const SIGNS = ["click", "keydown", "pointerdown", "wheel"];

// Whoever opens the page is there.
let last = Date.now();

for (const sign of SIGNS) {
  globalThis.addEventListener?.(
    sign,
    () => {
      last = Date.now();
    },
    { capture: true, passive: true },
  );
}

/** Whether somebody did something here a moment ago. */
export function isAttended(now = Date.now()): boolean {
  return now - last <= PRESENT_MS;
}
