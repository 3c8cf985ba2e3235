// What lies over a page of sessions, by its kind.
import type { Me } from "../../api/view";
import { GrantsWindow } from "../grants/window";
import { LocksWindow } from "../locks";
import { LogWindow } from "../log/window";
import { ReviewsWindow } from "../reviews";
import { Wizard } from "../wizard/wizard";
import type { Window } from "./context";
import { DecideDialog } from "./decide-dialog";
import { EndDialog } from "./end-dialog";
import { ExtendDialog } from "./extend-dialog";
import { LaunchDialog } from "./launch-dialog";
import { LockDialog, UnlockDialog } from "./lock-dialog";
import { PasswordDialog } from "./password-dialog";

type Properties = { window: Window; me: Me; onClose: () => void };

export function OpenWindow({ window, me, onClose }: Properties) {
  switch (window.kind) {
    case "create":
      return <Wizard like={window.like} onClose={onClose} />;
    case "grants":
      return <GrantsWindow me={me} onClose={onClose} />;
    case "locks":
      return <LocksWindow me={me} onClose={onClose} />;
    case "reviews":
      return <ReviewsWindow onClose={onClose} />;
    case "log":
      return <LogWindow session={window.session} onClose={onClose} />;
    case "extend":
      return <ExtendDialog session={window.session} onClose={onClose} />;
    case "launch":
      return <LaunchDialog session={window.session} onClose={onClose} />;
    case "password":
      return <PasswordDialog session={window.session} onClose={onClose} />;
    case "lock":
      return <LockDialog session={window.session} onClose={onClose} />;
    case "unlock":
      return <UnlockDialog session={window.session} onClose={onClose} />;
    case "end":
      return <EndDialog sessions={window.sessions} onClose={onClose} />;
    case "approve":
    case "deny":
      return <DecideDialog sessions={window.sessions} isYes={window.kind === "approve"} onClose={onClose} />;
  }
}
