// Stands in for the server: tests say what it answers next, and see what it was asked.
import { vi } from "vitest";

type Asked = { method: string; path: string; body: unknown };

export class Server {
  answers: { status: number; body: unknown }[] = [];
  asked: Asked[] = [];
  /** The providers that people can sign in by. */
  waysIn: unknown[] = [];

  /** From now on every call of the page comes here. */
  stub(): void {
    vi.stubGlobal("fetch", async (request: Request) => {
      const text = await request.text();
      const { pathname } = new URL(request.url);
      const headers = { "content-type": "application/json" };
      // The sign-in page reads it by itself.
      if (pathname === "/api/v1/sign-in/providers") {
        return new Response(JSON.stringify({ items: this.waysIn }), { headers });
      }
      this.asked.push({
        method: request.method,
        path: pathname.replace("/api/v1", ""),
        body: text ? JSON.parse(text) : undefined,
      });
      const { status, body } = this.answers.shift() ?? { status: 500, body: null };
      const answer = status === 204 ? null : JSON.stringify(body);
      return new Response(answer, { status, headers });
    });
  }

  /** Answers one call. */
  answer(body: unknown, status = 200): void {
    this.answers.push({ status, body });
  }

  /** Refuses one call. */
  refuse(status: number, slug: string, detail: string, fields: unknown[] = []): void {
    this.answer({ type: `/problems/${slug}`, title: slug, status, detail, request_id: "r", fields }, status);
  }
}
