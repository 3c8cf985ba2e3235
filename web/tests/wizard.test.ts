import { describe, expect, it } from "vitest";
import { Problem } from "../src/api/problem";
import {
  choiceOf,
  type Draft,
  EMPTY,
  faultsOf,
  faultsOn,
  findActivities,
  policyOf,
  requestOf,
  resourcesOf,
  rulesOf,
} from "../src/parts/wizard/rules";
import { activity, way } from "./samples";

const emergency = { require_notes: true, require_ticket: true, max_duration: "PT4H" };
const root = activity("Full root", [
  way("web1", "Operations"),
  way("db1", "Operations"),
  way("db1", "Emergency", emergency),
  way("db2", "Emergency", emergency),
  way("db2", "Databases"),
]);
const draft = (part: Partial<Draft>): Draft => ({ ...EMPTY, activity: "Full root", ...part });

describe("what can be requested", () => {
  it("finds activities by name and by what they give", () => {
    const list = [activity("Full root", []), activity("Read logs", [], ["member of adm"])];
    expect(findActivities(list, " ROOT ").map((it) => it.activity)).toEqual(["Full root"]);
    expect(findActivities(list, "adm").map((it) => it.activity)).toEqual(["Read logs"]);
  });

  it("lists each resource once", () => {
    expect(resourcesOf(root).map((it) => [it.resource, it.ways.length])).toEqual([
      ["db1", 2],
      ["db2", 2],
      ["web1", 1],
    ]);
  });
});

describe("the policy", () => {
  it("is no choice where each resource has one way", () => {
    expect(choiceOf(root, ["web1"]).kind).toBe("none");
    expect(policyOf(root, draft({ resources: ["web1"] }))).toBe("");
  });

  it("has to be chosen where several fit", () => {
    const resources = ["db1"];
    expect(faultsOn("Resources", root, draft({ resources })).policy).toMatch(/choose one/);
    expect(faultsOn("Resources", root, draft({ resources, policy: "Emergency" }))).toEqual({});
  });

  it("is the one that fits all selected resources", () => {
    expect(policyOf(root, draft({ resources: ["db1", "db2"] }))).toBe("Emergency");
    expect(policyOf(root, draft({ resources: ["db1", "web1"], policy: "Emergency" }))).toBe("Operations");
  });

  it("is asked for in parts where none fits all", () => {
    expect(faultsOn("Resources", root, draft({ resources: ["db2", "web1"] })).resources).toMatch(
      /one after another/,
    );
  });

  it("of an earlier selection is forgotten", () => {
    expect(policyOf(root, draft({ resources: ["db2"], policy: "Operations" }))).toBe("");
  });
});

describe("what keeps one on a page", () => {
  it("is a missing activity or resource", () => {
    expect(faultsOn("Activity", undefined, EMPTY).activity).toBeDefined();
    expect(faultsOn("Resources", root, draft({})).resources).toBeDefined();
  });

  it("is more resources than a request may have", () => {
    const many = activity(
      "x",
      Array.from({ length: 51 }, (_, i) => way(`r${i}`, "p")),
    );
    const resources = many.ways.map((it) => it.resource);
    expect(faultsOn("Resources", many, draft({ resources })).resources).toMatch(/at most 50/);
    expect(faultsOn("Resources", many, draft({ resources: resources.slice(1) }))).toEqual({});
  });

  it("is a note or ticket that the profile asks for, and only then", () => {
    const strict = draft({ resources: ["db1"], policy: "Emergency", notes: "  " });
    expect(Object.keys(faultsOn("Notes", root, strict))).toEqual(["notes", "ticket"]);
    expect(faultsOn("Notes", root, { ...strict, notes: "why", ticket: "CHG-1" })).toEqual({});
    expect(faultsOn("Notes", root, draft({ resources: ["web1"] }))).toEqual({});
  });

  it("is too long a text, counted in characters", () => {
    const rules = draft({ resources: ["web1"], notes: "😀".repeat(4_000), ticket: "x".repeat(201) });
    expect(Object.keys(faultsOn("Notes", root, rules))).toEqual(["ticket"]);
  });
});

describe("the request", () => {
  it("names the policy only where it matters, and trims texts", () => {
    expect(requestOf(root, draft({ resources: ["web1"], notes: " why ", ticket: "" }))).toEqual({
      activity: "Full root",
      resources: ["web1"],
      notes: "why",
      ticket: "",
    });
    expect(requestOf(root, draft({ resources: ["db1"], policy: "Emergency" })).policy).toBe("Emergency");
  });

  it("is under the rules of the chosen policy", () => {
    const rules = rulesOf(root, draft({ resources: ["db1"], policy: "Emergency" }));
    expect(rules.map((it) => it.max_duration)).toEqual(["PT4H"]);
  });
});

describe("a refusal of the server", () => {
  it("goes to its fields, and back to the first page with one", () => {
    const problem = new Problem("invalid-input", 422, "no", [
      { pointer: "/ticket", message: "there is no such ticket" },
      { pointer: "/resources/1", message: "is gone" },
    ]);
    expect(faultsOf(problem, draft({ resources: ["web1", "db1"] }))).toEqual({
      faults: { resources: "db1: is gone", ticket: "there is no such ticket" },
      page: "Resources",
    });
  });

  it("without fields stays where it is", () => {
    expect(faultsOf(new Problem("unavailable", 503, "later"), EMPTY)).toEqual({
      faults: {},
      page: undefined,
    });
  });
});
