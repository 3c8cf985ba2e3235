// What a request needs before it can be sent, page by page. Pure; the server has the last word.
import type { Problem } from "../../api/problem";
import type { MyActivity, NewSessions, Way } from "../../api/view";
import { fold } from "../sessions/view";

/** The pages in their order. */
export const PAGES = ["Activity", "Resources", "Notes", "Review"] as const;
export type PageName = (typeof PAGES)[number];

/** The server's limits. */
export const RESOURCES_MAX = 50;
export const NOTES_MAX = 4_000;
export const TICKET_MAX = 200;

/** What the person chose and wrote so far. */
export type Draft = { activity: string; resources: string[]; policy: string; notes: string; ticket: string };
export const EMPTY: Draft = { activity: "", resources: [], policy: "", notes: "", ticket: "" };

/** A field's name and what is wrong with it. */
export type Faults = Partial<Record<keyof Draft, string>>;

/** Activities whose name or whose effect holds the text. */
export function findActivities(activities: MyActivity[], text: string): MyActivity[] {
  const wanted = fold(text);
  return activities.filter((it) => fold([it.activity, ...it.actions].join("\n")).includes(wanted));
}

const words = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

/** Each resource once, with every way to it. */
export function resourcesOf(activity: MyActivity | undefined): { resource: string; ways: Way[] }[] {
  const found = new Map<string, Way[]>();
  for (const way of activity?.ways ?? []) found.set(way.resource, [...(found.get(way.resource) ?? []), way]);
  return [...found]
    .map(([resource, ways]) => ({ resource, ways }))
    .sort((a, b) => words.compare(a.resource, b.resource));
}

/** How the selected resources can be reached. */
export type Choice =
  /** Each has one way: there is nothing to choose. */
  | { kind: "none"; ways: Way[] }
  /** Some have several ways; these policies fit all of them. One entry stands for the policy's rules. */
  | { kind: "choose"; policies: Way[] }
  /** Some have several ways and no policy fits all. */
  | { kind: "impossible" };

/** One request names one policy at most, so it has to fit every selected resource. */
export function choiceOf(activity: MyActivity | undefined, resources: string[]): Choice {
  const ways = resourcesOf(activity)
    .filter((it) => resources.includes(it.resource))
    .map((it) => it.ways);
  if (ways.every((each) => each.length === 1)) return { kind: "none", ways: ways.flat() };
  const policies = (ways[0] ?? []).filter((way) =>
    ways.every((each) => each.some((other) => other.policy === way.policy)),
  );
  return policies.length > 0 ? { kind: "choose", policies } : { kind: "impossible" };
}

/** The rules that the request will be under, as far as they are settled. */
export function rulesOf(activity: MyActivity | undefined, draft: Draft): Way[] {
  const choice = choiceOf(activity, draft.resources);
  if (choice.kind === "none") return choice.ways;
  if (choice.kind === "choose")
    return choice.policies.filter((way) => way.policy === policyOf(activity, draft));
  return [];
}

/** The policy to name: the chosen one, or the only one that fits all; empty when none needs to be named. */
export function policyOf(activity: MyActivity | undefined, draft: Draft): string {
  const choice = choiceOf(activity, draft.resources);
  if (choice.kind !== "choose") return "";
  const only = choice.policies.length === 1 ? choice.policies[0]?.policy : undefined;
  return only ?? choice.policies.find((way) => way.policy === draft.policy)?.policy ?? "";
}

/** What keeps the person from leaving a page forwards. */
export function faultsOn(page: PageName, activity: MyActivity | undefined, draft: Draft): Faults {
  const faults: Faults = {};
  if (page === "Activity" && !activity) faults.activity = "Choose an activity.";
  if (page === "Resources") {
    if (draft.resources.length === 0) faults.resources = "Select at least one resource.";
    if (draft.resources.length > RESOURCES_MAX)
      faults.resources = `Select at most ${RESOURCES_MAX} resources.`;
    const choice = choiceOf(activity, draft.resources);
    if (choice.kind === "impossible") {
      faults.resources =
        "No single access policy covers all selected resources: request them one after another.";
    } else if (choice.kind === "choose" && !policyOf(activity, draft)) {
      faults.policy = "Several access policies fit: choose one.";
    }
  }
  if (page === "Notes") {
    const rules = rulesOf(activity, draft);
    if (rules.some((way) => way.require_notes) && !draft.notes.trim())
      faults.notes = "Write why you need this.";
    if ([...draft.notes].length > NOTES_MAX) faults.notes = `Write at most ${NOTES_MAX} characters.`;
    if (rules.some((way) => way.require_ticket) && !draft.ticket.trim())
      faults.ticket = "Write the ticket number.";
    if ([...draft.ticket].length > TICKET_MAX) faults.ticket = `Write at most ${TICKET_MAX} characters.`;
  }
  return faults;
}

const PAGE_OF: Record<keyof Draft, PageName> = {
  activity: "Activity",
  resources: "Resources",
  policy: "Resources",
  notes: "Notes",
  ticket: "Notes",
};

/** The server's refusal, field by field, and the first page that has something to mend. */
export function faultsOf(problem: Problem): { faults: Faults; page: PageName | undefined } {
  const faults: Faults = {};
  for (const field of Object.keys(EMPTY) as (keyof Draft)[]) {
    const message = problem.field(`/${field}`);
    if (message) faults[field] = message;
  }
  const touched = (Object.keys(faults) as (keyof Draft)[]).map((field) => PAGE_OF[field]);
  return { faults, page: PAGES.find((page) => touched.includes(page)) };
}

/** The request that Finish sends. */
export function requestOf(activity: MyActivity, draft: Draft): NewSessions {
  const policy = policyOf(activity, draft);
  return {
    activity: activity.activity,
    resources: draft.resources,
    ...(policy ? { policy } : {}),
    notes: draft.notes.trim(),
    ticket: draft.ticket.trim(),
  };
}
