// The one way to the server: the generated, typed client, with a time limit, and problems as exceptions.
import createClient from "openapi-fetch";
import { isAttended, UNATTENDED } from "./attention";
import { Problem } from "./problem";
import { withProof } from "./proof";
import type { paths } from "./schema";

/** The server gives up after 30 s; a little later nobody waits for it any more. */
const TIMEOUT_MS = 35_000;

/** Typed calls, one per operation of the OpenAPI document. */
export const client = createClient<paths>({
  baseUrl: globalThis.location?.origin ?? "",
  credentials: "same-origin",
  fetch: (request) => withProof(request, send),
});

function send(request: Request): Promise<Response> {
  if (request.method === "GET" && !isAttended()) request.headers.set(UNATTENDED, "1");
  return fetch(request, { signal: AbortSignal.any([request.signal, AbortSignal.timeout(TIMEOUT_MS)]) });
}

type Answer<T> = { data?: T; error?: unknown; response: Response };

/** The body of a successful answer; throws a {@link Problem} for every other outcome. */
export async function body<T>(call: Promise<Answer<T>>): Promise<T> {
  let answer: Answer<T>;
  try {
    answer = await call;
  } catch (error) {
    throw Problem.from(error);
  }
  const { data, error, response } = answer;
  if (!response.ok) throw Problem.of(response.status, error, response.headers.get("retry-after"));
  return data as T;
}
