// What went wrong with a call, in one shape: the server's problem details (RFC 9457), or no answer at all.
import type { Method, ProblemBody } from "./view";

/** One field that the server refused. */
export type FieldProblem = { pointer: string; message: string };

/** What has to be shown first, and the ticket to show it with where the sign-in is half done. */
export type Wanted = { methods: Method[]; ticket: string | undefined };

/** A call that did not work. `message` is a sentence for people; code looks at `slug` only. */
export class Problem extends Error {
  /** Stable name of what happened, such as `changed-meanwhile`; `unreachable` when there was no answer. */
  readonly slug: string;
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  readonly fields: FieldProblem[];
  readonly wanted: Wanted | undefined;

  constructor(slug: string, status: number, message: string, fields: FieldProblem[] = [], wanted?: Wanted) {
    super(message);
    this.name = "Problem";
    this.slug = slug;
    this.status = status;
    this.fields = fields;
    this.wanted = wanted;
  }

  /** Nobody answered: worth trying again. */
  get isUnreachable(): boolean {
    return this.slug === "unreachable" || (this.status >= 502 && this.status <= 504);
  }

  /** The message for one field, if the server refused it. Pointers below it count too. */
  field(pointer: string): string | undefined {
    return this.fields.find((field) => field.pointer === pointer || field.pointer.startsWith(`${pointer}/`))
      ?.message;
  }

  /** Reads the body of an answer that is not a success. */
  static of(status: number, body: unknown, retryAfter?: string | null): Problem {
    if (!isProblem(body)) {
      return new Problem(
        "unexpected",
        status,
        `Cardea gave an answer that this page cannot read (${status}).`,
      );
    }
    const slug = body.type.replace(/^.*\/problems\//, "");
    const wait = retryAfter ? ` Try again in ${retryAfter} seconds.` : "";
    const wanted = body.methods && { methods: body.methods, ticket: body.ticket ?? undefined };
    return new Problem(slug, status, `${body.detail ?? body.title}${wait}`, body.fields ?? [], wanted);
  }

  /** Turns anything thrown into a problem. */
  static from(error: unknown): Problem {
    if (error instanceof Problem) return error;
    return new Problem("unreachable", 0, "Cardea does not answer. Check your connection, then try again.");
  }
}

function isProblem(body: unknown): body is ProblemBody {
  return typeof body === "object" && body !== null && "type" in body && "title" in body;
}
