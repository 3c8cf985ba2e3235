// A session's status as an icon with its name: never by colour alone.
import {
  CalendarClock,
  CircleCheck,
  CircleSlash,
  CircleX,
  Hourglass,
  LoaderCircle,
  Lock,
  type LucideIcon,
  Terminal,
  Undo2,
} from "lucide-react";
import type { Status } from "../api/view";
import { statusName } from "./sessions/view";

const LOOKS: Record<Status, { icon: LucideIcon; look: string; isTurning?: boolean }> = {
  waiting_for_approval: { icon: Hourglass, look: "text-warn" },
  scheduled: { icon: CalendarClock, look: "text-busy" },
  provisioning: { icon: LoaderCircle, look: "text-busy", isTurning: true },
  available: { icon: CircleCheck, look: "text-good" },
  logged_in: { icon: Terminal, look: "text-accent" },
  locked: { icon: Lock, look: "text-bad" },
  canceling: { icon: Undo2, look: "text-warn" },
  failed: { icon: CircleX, look: "text-bad" },
  completed: { icon: CircleCheck, look: "text-quiet" },
  canceled: { icon: CircleX, look: "text-quiet" },
  denied: { icon: CircleSlash, look: "text-quiet" },
  expired: { icon: Hourglass, look: "text-quiet" },
};

/** The status. */
export function StatusMark({ status }: { status: Status }) {
  const { icon: Icon, look, isTurning } = LOOKS[status];
  return (
    <span className={`inline-flex items-center gap-1.5 font-medium whitespace-nowrap ${look}`}>
      <Icon size={15} aria-hidden="true" className={`shrink-0 ${isTurning ? "animate-spin" : ""}`} />
      {statusName(status)}
    </span>
  );
}
