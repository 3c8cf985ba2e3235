// What a request needs before it can be sent, page by page. Pure; the server has the last word.
import type { Problem } from "../../api/problem";
import type { CustomField, MyActivity, NewSessions, Schedule, Session, Way } from "../../api/view";
import { fold } from "../sessions/view";
import { fromLocal, toLocal } from "../time";

/** The pages in their order. */
export const PAGES = ["Activity", "Resources", "Notes", "Scheduling", "Review"] as const;
export type PageName = (typeof PAGES)[number];

/** The server's limits. */
export const RESOURCES_MAX = 50;
export const NOTES_MAX = 4_000;
export const TICKET_MAX = 200;

const AHEAD_MAX_MS = 366 * 86_400_000;
const VALUE_MAX = 256;

/** What the person chose and wrote so far. */
export type Draft = {
  activity: string;
  resources: string[];
  policy: string;
  notes: string;
  ticket: string;
  /** Values of custom fields by their names, as texts. */
  custom: Record<string, string>;
  /** When to begin, as a `datetime-local` field holds it; empty for at once. */
  start: string;
  /** Whether to begin at a time to come. */
  isLater: boolean;
};
export const EMPTY: Draft = {
  activity: "",
  resources: [],
  policy: "",
  notes: "",
  ticket: "",
  custom: {},
  start: "",
  isLater: false,
};

/** The same request once more: at once, and for the same reason. What it may not ask for any more the pages say. */
export function draftLike(session: Session): Draft {
  return {
    ...EMPTY,
    activity: session.activity,
    resources: [session.resource],
    policy: session.policy,
    notes: session.notes,
    ticket: session.ticket,
    custom: { ...session.custom },
  };
}

/** What is wrong, by the name of the field; a custom field is `custom/NAME`. */
export type Faults = Record<string, string>;

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

/** What else the request asks for, by the profiles that it will be under; each name once. */
export function customFields(rules: Way[]): CustomField[] {
  const found = new Map<string, CustomField>();
  for (const field of rules.flatMap((way) => way.custom_fields)) {
    const known = found.get(field.name);
    if (!known) found.set(field.name, field);
    else if (field.required && !known.required) found.set(field.name, { ...known, required: true });
  }
  return [...found.values()];
}

/** What a field is called. */
export function labelOf(field: CustomField): string {
  return field.label || field.name;
}

/** What is wrong with the value of a custom field. */
export function faultOf(field: CustomField, given: string | undefined): string | undefined {
  const value = given?.trim() ?? "";
  if (!value) return field.required ? `Fill in: ${labelOf(field)}.` : undefined;
  if ([...value].length > VALUE_MAX) return `Write at most ${VALUE_MAX} characters.`;
  if (field.type === "number" && !/^-?\d{1,18}$/.test(value)) return "Write a whole number.";
  if (field.type === "date" && Number.isNaN(Date.parse(value))) return "Write a day.";
  return undefined;
}

/** When the hours of all policies have begun, if any is closed now. */
export function opensAt(rules: Way[]): string | undefined {
  return rules
    .flatMap((way) => way.opens_at ?? [])
    .sort((a, b) => Date.parse(a) - Date.parse(b))
    .at(-1);
}

/** The hours of a policy, as people read them. */
export function hours({ windows, zone }: Schedule): string {
  const each = windows.map(({ days, from, to }) => {
    const when = days.length === 0 || days.length === 7 ? "every day" : days.map(dayName).join(", ");
    return `${when} ${from}–${to}`;
  });
  return `${each.join("; ")} (${zone})`;
}

function dayName(day: string): string {
  return day.charAt(0).toUpperCase() + day.slice(1);
}

/** How many have to approve it at most; 0 if nobody has to. */
export function approvalsOf(rules: Way[]): number {
  return Math.max(0, ...rules.filter((way) => way.requires_approval).map((way) => way.approvals_needed));
}

/** What keeps the person from leaving a page forwards. */
export function faultsOn(
  page: PageName,
  activity: MyActivity | undefined,
  draft: Draft,
  now = Date.now(),
): Faults {
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
    for (const field of customFields(rules)) {
      const fault = faultOf(field, draft.custom[field.name]);
      if (fault) faults[`custom/${field.name}`] = fault;
    }
  }
  if (page === "Scheduling") {
    const fault = startFault(draft, rulesOf(activity, draft), now);
    if (fault) faults.start_at = fault;
  }
  return faults;
}

function startFault(draft: Draft, rules: Way[], now: number): string | undefined {
  const opens = opensAt(rules);
  if (!draft.isLater) {
    return opens ? "The hours of the access policy are over for now: choose a time within them." : undefined;
  }
  const at = fromLocal(draft.start)?.getTime();
  if (at === undefined) return "Write date and time.";
  if (at <= now) return "Write a time to come.";
  return at > now + AHEAD_MAX_MS ? "Write a time within the next 366 days." : undefined;
}

/** The start that is proposed: when the hours begin, or else the next full hour. */
export function startProposed(rules: Way[], now: Date): string {
  const opens = opensAt(rules);
  // Fields hold whole minutes: a second before the hours begin is too early.
  if (opens) return toLocal(new Date(Math.ceil(Date.parse(opens) / 60_000) * 60_000));
  const next = new Date(now);
  next.setHours(next.getHours() + 1, 0, 0, 0);
  return toLocal(next);
}

const PAGE_OF: Record<string, PageName> = {
  activity: "Activity",
  resources: "Resources",
  policy: "Resources",
  notes: "Notes",
  ticket: "Notes",
  custom: "Notes",
  start_at: "Scheduling",
};

/** The server's refusal, field by field, and the first page that has something to mend. */
export function faultsOf(problem: Problem, draft: Draft): { faults: Faults; page: PageName | undefined } {
  const faults: Faults = {};
  for (const { pointer, message } of problem.fields) {
    const [name = "", rest] = pointer.replace(/^\//, "").split("/");
    if (!(name in PAGE_OF)) continue;
    // Which of several resources it is about is known by its place only.
    const resource = name === "resources" && rest ? draft.resources[Number(rest)] : undefined;
    const key = name === "custom" ? `custom/${rest}` : name;
    const text = resource ? `${resource}: ${message}` : message;
    faults[key] = faults[key] ? `${faults[key]} ${text}` : text;
  }
  const touched = Object.keys(faults).map((key) => PAGE_OF[key.split("/")[0] ?? ""]);
  return { faults, page: PAGES.find((page) => touched.includes(page)) };
}

/** The request that Finish sends. */
export function requestOf(activity: MyActivity, draft: Draft): NewSessions {
  const policy = policyOf(activity, draft);
  const custom = customFields(rulesOf(activity, draft)).flatMap(({ name }): [string, string][] => {
    const value = draft.custom[name]?.trim();
    return value ? [[name, value]] : [];
  });
  const start = draft.isLater ? fromLocal(draft.start) : undefined;
  return {
    activity: activity.activity,
    resources: draft.resources,
    ...(policy ? { policy } : {}),
    notes: draft.notes.trim(),
    ticket: draft.ticket.trim(),
    ...(custom.length > 0 ? { custom: Object.fromEntries(custom) } : {}),
    ...(start ? { start_at: start.toISOString() } : {}),
  };
}
