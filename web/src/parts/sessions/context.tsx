// What rows and details need from the page around them: who looks, and what they can set going.
import { createContext, useContext } from "react";
import { isOpen } from "../../api/lists";
import type { Me, Session } from "../../api/view";

/** What lies over the page. Sessions are as they were when it opened: the list may lose them meanwhile. */
export type Window =
  | { kind: "grants" | "locks" | "reviews" }
  /** `like` a session that is over. */
  | { kind: "create"; like?: Session }
  | { kind: "extend" | "launch" | "lock" | "log" | "password" | "unlock"; session: Session }
  | { kind: "approve" | "deny" | "end"; sessions: Session[] };

export type Page = {
  me: Me;
  /** Opens a window over the page. */
  onOpen: (window: Window) => void;
  /** Shows one session by itself. */
  onSession: (id: string) => void;
  /** Goes to the page of approvals; not there where one is on it. */
  onApprovals?: (() => void) | undefined;
};

const PageContext = createContext<Page | undefined>(undefined);
export const PageProvider = PageContext;

export function usePage(): Page {
  const page = useContext(PageContext);
  if (!page) throw new Error("this part is only used inside a page of sessions");
  return page;
}

/** Whether the row around is the one that the keyboard is at: only its controls are tab stops. */
export const ActiveRow = createContext(false);

/** The `tabIndex` of a control inside a row. */
export function useRowTab(): 0 | -1 {
  return useContext(ActiveRow) ? 0 : -1;
}

/** The command that opens the session through the gateway; only for one's own that is open. */
export function sshCommand(session: Session, me: Me): string | undefined {
  if (!isOpen(session.status) || session.user !== me.user) return undefined;
  return `ssh -p ${me.gateway.port} ${session.id}@${me.gateway.host}`;
}

/** A session as its controls name it. */
export function nameOf(session: Session): string {
  return `${session.activity} on ${session.resource}`;
}
