// Short names for the views of the generated schema, so that the rest of the code never spells out its paths.
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Grant = Schemas["GrantView"];
export type GrantState = Grant["state"];
export type LogLine = Schemas["LogLineView"];
export type LogLevel = LogLine["level"];
export type Stage = LogLine["stage"];
export type Me = Schemas["Me"];
export type MyActivity = Schemas["MyActivityView"];
export type NewSessions = Schemas["NewSessions"];
export type ProblemBody = Schemas["Problem"];
export type Status = Schemas["Status"];
export type Way = Schemas["WayView"];

/** A session as the event stream tells it: without its grants, which have events of their own. */
export type SessionChange = Schemas["SessionSummary"] & { grants?: Grant[] };
/** A session with its grants. */
export type Session = SessionChange & { grants: Grant[] };
/** What became of one of several sessions that were to be ended. */
export type Ended = Schemas["EndedSession"];
