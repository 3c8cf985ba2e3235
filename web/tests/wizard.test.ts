import { describe, expect, it } from "vitest";
import { Problem } from "../src/api/problem";
import type { CustomField } from "../src/api/view";
import {
  approvalsOf,
  choiceOf,
  customFields,
  type Draft,
  draftLike,
  EMPTY,
  faultOf,
  faultsOf,
  faultsOn,
  findActivities,
  hours,
  policyOf,
  requestOf,
  resourcesOf,
  rulesOf,
  startProposed,
} from "../src/parts/wizard/rules";
import { activity, session, way } from "./samples";

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

const field = (part: Partial<CustomField>): CustomField => ({
  name: "count",
  label: "",
  type: "text",
  required: false,
  choices: [],
  ...part,
});

describe("custom fields", () => {
  const impact = field({ name: "impact", type: "choice", required: true, choices: ["some", "all"] });
  const count = field({ type: "number", label: "Hosts" });
  const asking = activity("Full root", [
    way("web1", "Operations", { custom_fields: [impact, count] }),
    way("db1", "Databases", { custom_fields: [{ ...count, required: true }] }),
  ]);

  it("are asked for once each, and required if any profile requires them", () => {
    const names = (resources: string[]) =>
      customFields(rulesOf(asking, draft({ resources }))).map((it) => [it.name, it.required]);
    expect(names(["web1"])).toEqual([
      ["impact", true],
      ["count", false],
    ]);
    expect(names(["web1", "db1"])).toEqual([
      ["count", true],
      ["impact", true],
    ]);
  });

  it("keep one on their page until they are filled in rightly", () => {
    const custom = { count: "many" };
    expect(faultsOn("Notes", asking, draft({ resources: ["web1"], custom }))).toEqual({
      "custom/impact": "Fill in: impact.",
      "custom/count": "Write a whole number.",
    });
    const right = { impact: "all", count: "-3" };
    expect(faultsOn("Notes", asking, draft({ resources: ["web1"], custom: right }))).toEqual({});
  });

  it.each([
    ["number", "1.5", true],
    ["number", "12", false],
    ["date", "2026-12-31", false],
    ["date", "soon", true],
    ["text", "x".repeat(257), true],
  ] as const)("of type %s: %j is wrong: %s", (type, value, isWrong) => {
    expect(faultOf(field({ type }), value) !== undefined).toBe(isWrong);
  });

  it("are sent by name, without those that are empty or belong to another profile", () => {
    const custom = { impact: "all", count: " ", other: "x" };
    expect(requestOf(asking, draft({ resources: ["web1"], custom })).custom).toEqual({ impact: "all" });
  });
});

describe("the start", () => {
  const now = new Date("2026-11-23T10:20:00");
  const on = (part: Partial<Draft>, rules = root) =>
    faultsOn("Scheduling", rules, draft({ resources: ["web1"], ...part }), now.getTime()).start_at;

  it("is now, or a time to come within a year", () => {
    expect(on({})).toBeUndefined();
    expect(on({ isLater: true })).toMatch(/date and time/);
    expect(on({ isLater: true, start: "2026-11-23T10:19" })).toMatch(/to come/);
    expect(on({ isLater: true, start: "2027-11-30T10:00" })).toMatch(/366 days/);
    expect(on({ isLater: true, start: "2026-11-24T08:00" })).toBeUndefined();
  });

  it("cannot be now while the hours of the policy are over", () => {
    const opens_at = new Date("2026-11-24T08:00:30").toISOString();
    const closed = activity("Full root", [way("web1", "Operations", { opens_at })]);
    expect(on({}, closed)).toMatch(/within them/);
    expect(startProposed(closed.ways, now)).toBe("2026-11-24T08:01");
    expect(startProposed([], now)).toBe("2026-11-23T11:00");
  });

  it("is sent in UTC, and only if it was chosen", () => {
    const start = "2026-11-24T08:00";
    const resources = ["web1"];
    expect(requestOf(root, draft({ resources, start })).start_at).toBeUndefined();
    expect(requestOf(root, draft({ resources, start, isLater: true })).start_at).toBe(
      new Date(start).toISOString(),
    );
  });
});

describe("what a policy asks for", () => {
  it("is told in words: hours and approvals", () => {
    const windows = [{ days: ["mon" as const, "tue" as const], from: "08:00", to: "18:00" }];
    expect(hours({ zone: "Europe/Berlin", windows })).toBe("Mon, Tue 08:00–18:00 (Europe/Berlin)");
    expect(hours({ zone: "UTC", windows: [{ days: [], from: "00:00", to: "24:00" }] })).toMatch(/^every day/);
    const waiting = { requires_approval: true, approvals_needed: 2 };
    expect(approvalsOf([way("web1", "a"), way("db1", "b", waiting)])).toBe(2);
    expect(approvalsOf([way("web1", "a")])).toBe(0);
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

  it("is proposed once more as it was, and at once", () => {
    const before = session({
      resource: "db1",
      policy: "Emergency",
      notes: "why",
      ticket: "T-1",
      wanted_start_at: "2026-11-23T10:00:00Z",
      custom: { impact: "all", hosts: "3" },
    });
    expect(draftLike(before)).toEqual(
      draft({
        resources: ["db1"],
        policy: "Emergency",
        notes: "why",
        ticket: "T-1",
        custom: { impact: "all", hosts: "3" },
      }),
    );
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
      { pointer: "/custom/impact", message: "takes one of: some, all" },
      { pointer: "/start_at", message: "is closed then" },
    ]);
    expect(faultsOf(problem, draft({ resources: ["web1", "db1"] }))).toEqual({
      faults: {
        resources: "db1: is gone",
        ticket: "there is no such ticket",
        "custom/impact": "takes one of: some, all",
        start_at: "is closed then",
      },
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
