// What there is to say of a user in a word, and who matches a search. Pure: no network, no React.
import type { StandingLock, User } from "../../api/view";
import { fullTime } from "../time";

export type State = "active" | "disabled" | "expired" | "locked";

/** Why somebody may do nothing now, if so. */
export function stateOf(user: User, locks: StandingLock[], now: number): State {
  if (locks.some((lock) => lock.id === user.id)) return "locked";
  if (user.spec.disabled) return "disabled";
  const { expires_at } = user.spec;
  return expires_at && Date.parse(expires_at) <= now ? "expired" : "active";
}

/** The state as people read it, with when it will be another. */
export function stateText(user: User, state: State): string {
  const { expires_at } = user.spec;
  if (state === "active") return expires_at ? `Expires ${fullTime(expires_at)}` : "Active";
  return { locked: "Locked", disabled: "Disabled", expired: "Expired" }[state];
}

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
