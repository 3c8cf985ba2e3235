// Sessions and grants as the server would send them; a test names only what it is about.
import type { Approval, Grant, Me, MyActivity, Session, Way } from "../src/api/view";

let count = 0;

export function session(part: Partial<Session> = {}): Session {
  count += 1;
  return {
    id: `ses_${String(count).padStart(26, "0")}`,
    request_id: "req_1",
    status: "available",
    reason: null,
    user: "alice",
    activity: "Full root",
    resource: "web1",
    policy: "Operations",
    connection_profile: "One hour",
    login_account: "alice-7kq2",
    requested_at: "2026-11-23T10:00:00.000000Z",
    wanted_start_at: null,
    start_at: "2026-11-23T10:00:01.000000Z",
    end_at: "2026-11-23T11:00:01.000000Z",
    max_duration: "PT1H",
    notes: "",
    ticket: "",
    break_glass: false,
    custom: {},
    progress: null,
    cleanup_stalled: false,
    listed: true,
    clean: false,
    closes_as: null,
    actions: {
      decide: false,
      dismiss: false,
      end: true,
      extend: false,
      launch: false,
      lock: false,
      retry: false,
      reveal_password: false,
      unlock: false,
    },
    approvals_needed: null,
    approve_by: null,
    approvers: [],
    tiers: [],
    wish: null,
    tier: null,
    own_changes: [],
    deciders: [],
    closes_at: null,
    duration: "PT1H",
    end_warnings: [],
    extension: null,
    idle_until: null,
    lock: null,
    grants: [],
    approvals: [],
    ...part,
  };
}

export function grant(part: Partial<Grant> = {}): Grant {
  count += 1;
  return {
    id: `grt_${count}`,
    session: "ses_1",
    resource: "web1",
    login_account: "alice-7kq2",
    kind: "account",
    description: "account alice-7kq2",
    state: "placed",
    placed_at: "2026-11-23T10:00:01.000000Z",
    removed_at: null,
    expires_at: null,
    attempts: 0,
    last_error: null,
    evidence: null,
    ...part,
  };
}

export function approval(part: Partial<Approval> = {}): Approval {
  count += 1;
  return {
    id: `apr_${count}`,
    approver: "bob",
    tier: 1,
    extension: 0,
    decision: "approved",
    reason: "planned work",
    at: "2026-11-23T10:00:00.500000Z",
    is_current: true,
    ...part,
  };
}

const PERMISSIONS: Record<string, Me["permissions"]> = {
  administrator: ["removals.try", "resources.lock", "sessions.lock", "sessions.see_all", "users.lock"],
  auditor: ["sessions.see_all"],
  user: ["sessions.request"],
};

/** The sign-in of who looks. */
export function signIn(part: Partial<NonNullable<Me["sign_in"]>> = {}): NonNullable<Me["sign_in"]> {
  const at = "2026-01-01T00:00:00Z";
  const times = { created_at: at, ends_at: at, fresh_until: at, idle_ends_at: at, last_seen_at: at };
  return { id: "sgn_1", ...times, methods: ["password"], must: null, ...part };
}

/** Who looks. */
export function person(user = "alice", roles: Me["roles"] = ["user"], sign_in: Me["sign_in"] = null): Me {
  const permissions = roles.flatMap((role) => PERMISSIONS[role] ?? []);
  const gateway = { host: "gate.example.com", port: 4422 };
  return { user, full_name: "", roles, permissions, via: "sign_in", gateway, sign_in };
}

export function way(resource: string, policy: string, part: Partial<Way> = {}): Way {
  return {
    resource,
    policy,
    connection_profile: `${policy} profile`,
    max_duration: "PT1H",
    require_notes: false,
    require_ticket: false,
    approvals_needed: 0,
    requires_approval: false,
    custom_fields: [],
    extension: null,
    opens_at: null,
    schedule: null,
    ...part,
  };
}

export function activity(name: string, ways: Way[], actions = ["sudo rule as root"]): MyActivity {
  return { activity: name, platform: "linux", protocol: "ssh", actions, ways };
}
