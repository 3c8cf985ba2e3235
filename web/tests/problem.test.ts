import { describe, expect, it } from "vitest";
import { Problem } from "../src/api/problem";

describe("problems", () => {
  const sent = {
    type: "/problems/invalid-input",
    title: "Invalid input",
    status: 422,
    detail: "Correct it.",
    request_id: "r",
  };

  it("carry the server's sentence, slug and fields", () => {
    const problem = Problem.of(422, { ...sent, fields: [{ pointer: "/notes", message: "too long" }] });
    expect([problem.slug, problem.message, problem.field("/notes")]).toEqual([
      "invalid-input",
      "Correct it.",
      "too long",
    ]);
    expect(problem.field("/note")).toBeUndefined();
  });

  it("say how long to wait", () => {
    const problem = Problem.of(429, { ...sent, type: "/problems/too-many-attempts", fields: [] }, "30");
    expect(problem.message).toBe("Correct it. Try again in 30 seconds.");
  });

  it("are made of anything else that an answer can be", () => {
    expect(Problem.of(500, "<html>").slug).toBe("unexpected");
    expect(Problem.of(502, "<html>").isUnreachable).toBe(true);
    expect(Problem.from(new TypeError("Failed to fetch")).isUnreachable).toBe(true);
  });
});
