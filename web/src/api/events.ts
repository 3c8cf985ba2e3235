// The live link: one event stream for the whole page, reopened for ever, with a growing pause, when it breaks.
import type { Alert, ApprovalChange, Grant, SessionChange } from "./view";

/** How the link is: being opened for the first time, up, or broken and being tried again. */
export type Link = "opening" | "live" | "lost";

/** Who is told what. */
export type Listener = {
  onSession(change: SessionChange): void;
  onGrant(change: Grant): void;
  onApproval(change: ApprovalChange): void;
  /** Something that a person should look at. */
  onAlert(alert: Alert): void;
  /** Events may have been missed: everything has to be read anew. */
  onReset(): void;
  /** Activities, policies, resources or standing locks changed. */
  onConfiguration(): void;
  onLink(link: Link): void;
  /** The server refuses the stream for good; perhaps the sign-in ended. */
  onRefused(): void;
};

const PATH = "/api/v1/events";
const PAUSE_FIRST_MS = 1_000;
const PAUSE_MAX_MS = 15_000;

/** Opens the link. The result closes it. */
export function openLink(listener: Listener): () => void {
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let pause = PAUSE_FIRST_MS;

  function open(): void {
    clearTimeout(timer);
    source?.close();
    let isNew = true;
    const stream = new EventSource(PATH);
    source = stream;
    stream.addEventListener("ready", () => {
      pause = PAUSE_FIRST_MS;
      listener.onLink("live");
      // A stream that the browser resumed brings what was missed, or says `reset`. A new one starts from now.
      if (isNew) listener.onReset();
      isNew = false;
    });
    stream.addEventListener("session", (event) => listener.onSession(JSON.parse(event.data)));
    stream.addEventListener("grant", (event) => listener.onGrant(JSON.parse(event.data)));
    stream.addEventListener("approval", (event) => listener.onApproval(JSON.parse(event.data)));
    stream.addEventListener("alert", (event) => listener.onAlert(JSON.parse(event.data)));
    stream.addEventListener("configuration", () => listener.onConfiguration());
    stream.addEventListener("reset", () => listener.onReset());
    stream.addEventListener("error", () => {
      listener.onLink("lost");
      if (stream.readyState !== EventSource.CLOSED) return; // The browser tries again by itself.
      listener.onRefused();
      timer = setTimeout(open, pause * (0.75 + Math.random() / 4));
      pause = Math.min(pause * 2, PAUSE_MAX_MS);
    });
  }

  globalThis.addEventListener("online", open);
  listener.onLink("opening");
  open();
  return () => {
    globalThis.removeEventListener("online", open);
    clearTimeout(timer);
    source?.close();
  };
}
