// Sensitive calls are refused when the person showed too long ago who they are: then the person is asked, and the call is
// sent once more.
import { Problem } from "./problem";
import type { Method } from "./view";

/** Asks the person; true when they showed one of these. */
export type Asker = (methods: Method[]) => Promise<boolean>;

let asker: Asker | undefined;
let asking: Promise<boolean> | undefined;

/** Takes the asking over, until the returned function is called. */
export function takeAsking(next: Asker): () => void {
  asker = next;
  return () => {
    if (asker === next) asker = undefined;
  };
}

/** Several calls that are refused together are one question. */
function ask(methods: Method[]): Promise<boolean> {
  if (!asker) return Promise.resolve(false);
  asking ??= asker(methods).finally(() => {
    asking = undefined;
  });
  return asking;
}

/** Sends a request, and once more if a factor was wanted and then shown. */
export async function withProof(
  request: Request,
  send: (request: Request) => Promise<Response>,
): Promise<Response> {
  const again = request.clone();
  const answer = await send(request);
  if (answer.status !== 403) return answer;
  const problem = Problem.of(403, await readJson(answer.clone()));
  if (problem.slug !== "factor-needed" || !problem.wanted) return answer;
  return (await ask(problem.wanted.methods)) ? send(again) : answer;
}

async function readJson(answer: Response): Promise<unknown> {
  try {
    return await answer.json();
  } catch {
    return undefined;
  }
}
