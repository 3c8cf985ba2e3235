// Short names for the views of the generated schema, so that the rest of the code never spells out its paths.
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Approval = Schemas["ApprovalView"];
export type Approving = Schemas["Approving"];
/** A directory of people, and how the last look at it went. */
export type Directory = Schemas["DirectoryView"];
/** What a look at a directory did. */
export type Synced = Schemas["SyncedView"];
/** A session that waits for approval or waits no more, and what was just decided about it. */
export type ApprovalChange = Schemas["ApprovalChange"];
export type Connection = Schemas["ConnectionView"];
export type CustomField = Schemas["CustomField"];
/** What one can show beside the password. */
export type Factors = Schemas["FactorsView"];
export type Grant = Schemas["GrantView"];
export type GrantState = Grant["state"];
export type Lock = Schemas["Lock"];
export type LockScope = Schemas["LockScope"];
export type LogLine = Schemas["LogLineView"];
export type LogLevel = LogLine["level"];
export type Stage = LogLine["stage"];
export type Me = Schemas["Me"];
/** A way to show who one is. */
export type Method = Schemas["Method"];
export type MyActivity = Schemas["MyActivityView"];
export type NewLock = Schemas["LockingWhole"];
export type NewSessions = Schemas["NewSessions"];
/** The password of a login account, for its user's eyes. */
export type Password = Schemas["PasswordView"];
/** A passkey that was shown. */
export type PasskeyShown = Schemas["PasskeyShown"];
export type ProblemBody = Schemas["Problem"];
/** What somebody shows to prove who they are. */
export type ProofShown = Schemas["ProofShown"];
export type Schedule = Schemas["Schedule"];
export type Review = Schemas["ReviewView"];
export type SignIn = Schemas["SignInView"];
export type SshKey = Schemas["SshKeyView"];
/** A user or a resource that is locked as a whole. */
export type StandingLock = Schemas["LockView"];
export type Status = Schemas["Status"];
/** A token, without its value. */
export type Token = Schemas["TokenView"];
export type NewToken = Schemas["NewTokenView"];
export type TokenScope = Schemas["TokenScope"];
/** A user as a configuration object. */
export type User = Schemas["User"];
export type Way = Schemas["WayView"];

/** A session as the event stream tells it: without its grants and approvals, which have events of their own. */
export type SessionChange = Schemas["SessionSummary"] & { grants?: Grant[]; approvals?: Approval[] };
/** A session with its grants and approvals. */
export type Session = SessionChange & { grants: Grant[]; approvals: Approval[] };
/** What became of one of several sessions that were to be ended. */
export type Ended = Schemas["EndedSession"];
/** Something that a person should look at: those who see everything, and whose account it is about. */
export type Alert = Schemas["AlertView"];
/** An identity provider that people can sign in by. */
export type WayIn = Schemas["WayInView"];
