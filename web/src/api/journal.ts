// Bridges the gap between a fetch and the event stream: what happened while an answer was on its way is merged into
// the answer, so a slow answer can never undo a newer event.
import { Changes } from "./ledger";

const recordings = new Set<Changes>();

/** Hands a change to every recording that runs. */
export function record(add: (changes: Changes) => void): void {
  for (const recording of recordings) add(recording);
}

/** Fetches, and gives the answer together with the changes that arrived meanwhile. */
export async function withChanges<T>(fetch: () => Promise<T>): Promise<[T, Changes]> {
  const recording = new Changes();
  recordings.add(recording);
  try {
    return [await fetch(), recording];
  } finally {
    recordings.delete(recording);
  }
}
