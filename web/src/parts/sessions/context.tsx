// What rows and details need from the page around them: who looks, and what they can set going.
import { createContext, useContext } from "react";
import type { Me, Session } from "../../api/view";

export type Page = {
  me: Me;
  /** Asks for confirmation, then ends. */
  onEnd: (sessions: Session[]) => void;
  onLog: (session: Session) => void;
};

const PageContext = createContext<Page | undefined>(undefined);
export const PageProvider = PageContext;

export function usePage(): Page {
  const page = useContext(PageContext);
  if (!page) throw new Error("this part is only used inside the sessions page");
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
  const isOpen = session.status === "available" || session.status === "logged_in";
  if (!isOpen || session.user !== me.user) return undefined;
  return `ssh -p ${me.gateway.port} ${session.id}@${me.gateway.host}`;
}
