-- What the whole engine needs: approvals, schedules, locks, extensions, shared grants, managed accounts, claims of nodes,
-- and what is asked of hosts by the clock.

alter table session add column rules text not null default '{}';
alter table session add column custom text not null default '{}';
alter table session add column wanted_start_at bigint;
alter table session add column approve_by bigint;
-- Microseconds; nothing in rows of the first schema, whose pins say it.
alter table session add column duration bigint;
alter table session add column closes_at bigint;
alter table session add column extensions bigint not null default 0;
alter table session add column warned bigint not null default 0;
alter table session add column idle_since bigint;
alter table session add column locked text;
alter table session add column claim_node text collate "C";
alter table session add column claim_until bigint;
create index session_claimed on session (claim_node) where claim_node is not null;
create index session_of_request on session (request_id);

-- `mark_id` is the grant whose mark stands on the host: another one's where several sessions share one privilege.
alter table grant_entry add column mark_id text collate "C";
alter table grant_entry add column share_key text collate "C";
alter table grant_entry add column stage text not null default 'pre_session';
alter table grant_entry add column continue_on_error boolean not null default false;
create index grant_entry_marked on grant_entry (mark_id) where mark_id <> id;
create index grant_entry_shared on grant_entry (share_key)
    where share_key is not null and state in ('placing', 'placed', 'removing');

-- A log-in past the gateway is a connection too.
alter table connection add column direct boolean not null default false;
-- The gateway's end of a connection to the host, by which the host's log-ins are told apart.
alter table connection add column source text;

create table approval (
    id text collate "C" not null,
    session_id text collate "C" not null,
    approver_id text collate "C" not null,
    approver_name text not null,
    decision text not null,
    reason text not null,
    pins text not null,
    at bigint not null,
    constraint approval_pk primary key (id),
    constraint approval_of_session foreign key (session_id) references session (id),
    constraint approval_decision_known check (decision in ('approved', 'denied'))
);
create index approval_by_session on approval (session_id, id);

-- A user or a resource that is locked as a whole.
create table standing_lock (
    object_id text collate "C" not null,
    title text not null,
    text text not null,
    locked_by text not null,
    at bigint not null,
    constraint standing_lock_pk primary key (object_id)
);

-- What a caller's key stood for, so that a repeated request makes no second session.
create table idempotency (
    user_id text collate "C" not null,
    key text collate "C" not null,
    digest bytea not null,
    request_id text collate "C" not null,
    at bigint not null,
    constraint idempotency_pk primary key (user_id, key)
);
create index idempotency_at on idempotency (at);

-- Kept accounts on hosts. `holder` is the session that has one checked out.
create table managed_account (
    host text collate "C" not null,
    name text collate "C" not null,
    uid bigint not null,
    holder text collate "C",
    constraint managed_account_pk primary key (host, name)
);

-- What a host looked like before a session gave root there; kept until it is compared.
create table snapshot (
    session_id text collate "C" not null,
    content text not null,
    constraint snapshot_pk primary key (session_id),
    constraint snapshot_of_session foreign key (session_id) references session (id)
);

-- What is asked of a host by the clock, whatever the number of sessions on it.
create table host (
    key text collate "C" not null,
    resource_id text collate "C" not null,
    target text not null,
    wake_at bigint,
    poll_at bigint,
    sweep_at bigint,
    failures bigint not null,
    reported text not null,
    claim_node text collate "C",
    claim_until bigint,
    version bigint not null,
    constraint host_pk primary key (key)
);
create index host_wake on host (wake_at, key) where wake_at is not null;
