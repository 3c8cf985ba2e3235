// What there is to say of a user in a word, and who matches a search. Pure: no network, no React.
import type { Directory, StandingLock, User } from "../../api/view";
import { fullTime } from "../time";

export type State = "active" | "away" | "disabled" | "expired" | "locked";
/** What a directory says of somebody whom it lets in no more. */
export type Away = Directory["away"][number];

/** Why the directory of somebody lets them in no more, if so. */
export function awayOf(user: User, directories: Directory[]): Away | undefined {
  return directories.flatMap((directory) => directory.away).find((away) => away.id === user.id);
}

/** Why somebody may do nothing now, if so. */
export function stateOf(user: User, locks: StandingLock[], now: number, away?: Away): State {
  if (locks.some((lock) => lock.id === user.id)) return "locked";
  if (user.spec.disabled) return "disabled";
  const { expires_at } = user.spec;
  if (expires_at && Date.parse(expires_at) <= now) return "expired";
  return away ? "away" : "active";
}

/** The state as people read it, with when it will be another. */
export function stateText(user: User, state: State, away?: Away): string {
  const { expires_at } = user.spec;
  if (state === "away" && away) return AWAY[away.reason];
  if (state === "active") return expires_at ? `Expires ${fullTime(expires_at)}` : "Active";
  return { away: "Kept out", locked: "Locked", disabled: "Disabled", expired: "Expired" }[state];
}

const AWAY: Record<Away["reason"], string> = {
  disabled: "Disabled in the directory",
  expired: "Expired in the directory",
  gone: "Gone from the directory",
};

/** Who has all the words somewhere, by name. */
export function find(users: User[], text: string): User[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return users
    .filter(({ name, spec }) => {
      const all = [name, spec.full_name, spec.email, ...spec.roles].join("\n").toLowerCase();
      return words.every((word) => all.includes(word));
    })
    .sort((a, b) => a.name.localeCompare(b.name));
}
