-- The first schema. Text ids sort by time of creation; times are microseconds since 1970, UTC; enumerations and JSON
-- are text that the store reads back through their types. What is compared
-- or sorted is `collate "C"`: byte order, as on SQLite.

create table installation (
    id text collate "C" not null,
    created_at bigint not null,
    single bigint not null,
    constraint installation_pk primary key (id),
    constraint installation_single_unique unique (single),
    constraint installation_single_is_one check (single = 1)
);

create table object (
    id text collate "C" not null,
    kind text collate "C" not null,
    name text not null,
    name_fold text collate "C" not null,
    spec text not null,
    version bigint not null,
    created_at bigint not null,
    updated_at bigint not null,
    constraint object_pk primary key (id),
    constraint object_name_unique unique (kind, name_fold)
);

-- A retired secret stays while a grant that is out needs it to be taken away, so it outlives its object.
create table secret (
    id text collate "C" not null,
    object_id text collate "C" not null,
    field text not null,
    sealed bytea not null,
    digest bytea not null,
    created_at bigint not null,
    retired_at bigint,
    constraint secret_pk primary key (id)
);
create index secret_live on secret (object_id) where retired_at is null;

create table password (
    user_id text collate "C" not null,
    hash text not null,
    changed_at bigint not null,
    constraint password_pk primary key (user_id),
    constraint password_of_user foreign key (user_id) references object (id) on delete cascade
);

create table set_up (
    digest bytea not null,
    expires_at bigint not null,
    used_at bigint,
    constraint set_up_pk primary key (digest)
);

create table sign_in (
    id text collate "C" not null,
    user_id text collate "C" not null,
    digest bytea not null,
    created_at bigint not null,
    expires_at bigint not null,
    last_seen_at bigint not null,
    ended_at bigint,
    constraint sign_in_pk primary key (id),
    constraint sign_in_digest_unique unique (digest)
);
create index sign_in_open on sign_in (user_id) where ended_at is null;

create table token (
    id text collate "C" not null,
    user_id text collate "C" not null,
    name text not null,
    digest bytea not null,
    created_at bigint not null,
    expires_at bigint not null,
    operator_issued boolean not null,
    last_used_at bigint,
    constraint token_pk primary key (id),
    constraint token_digest_unique unique (digest)
);

-- Next free account number per resource; it only rises.
create table uid_mark (
    host text collate "C" not null,
    next_uid bigint not null,
    constraint uid_mark_pk primary key (host)
);

-- `*_fold` columns are what searching and sorting look at: folded by the product, the same on every database.
create table session (
    id text collate "C" not null,
    request_id text collate "C" not null,
    user_id text collate "C" not null,
    user_name text not null,
    user_fold text collate "C" not null,
    activity_id text collate "C" not null,
    activity_name text not null,
    activity_fold text collate "C" not null,
    resource_id text collate "C" not null,
    resource_name text not null,
    resource_fold text collate "C" not null,
    policy_id text collate "C" not null,
    policy_name text not null,
    profile_id text collate "C" not null,
    profile_name text not null,
    pins text not null,
    account_name text collate "C" not null,
    account_uid bigint not null,
    notes text not null,
    ticket text not null,
    requested_at bigint not null,
    start_at bigint,
    end_at bigint,
    status text collate "C" not null,
    reason text,
    progress text,
    listed boolean not null,
    clean boolean not null,
    closes_as text,
    cleanup_since bigint,
    cleanup_attempts bigint not null,
    cleanup_stalled boolean not null,
    wake_at bigint,
    fence bigint not null,
    version bigint not null,
    search_fold text not null,
    constraint session_pk primary key (id)
);
create index session_wake on session (wake_at, id) where wake_at is not null;
create index session_listed on session (listed, requested_at, id);
create index session_of_user on session (user_id, listed, requested_at, id);
create index session_unclean on session (id) where not clean;

-- The ledger: one row per privilege, written before the target is touched.
create table grant_entry (
    id text collate "C" not null,
    session_id text collate "C" not null,
    ordinal bigint not null,
    resource_id text collate "C" not null,
    target text not null,
    account_name text not null,
    account_uid bigint not null,
    kind text not null,
    privilege text not null,
    token text not null,
    state text collate "C" not null,
    expires_at bigint,
    observed_before text,
    placed_at bigint,
    removed_at bigint,
    attempts bigint not null,
    last_error text,
    evidence text,
    scanned_at bigint,
    constraint grant_entry_pk primary key (id),
    constraint grant_entry_ordinal_unique unique (session_id, ordinal),
    constraint grant_entry_of_session foreign key (session_id) references session (id),
    constraint grant_entry_state_known
        check (state in ('planned', 'placing', 'placed', 'removing', 'removed', 'preexisting'))
);
create index grant_entry_out on grant_entry (id) where state in ('placing', 'placed', 'removing');
create index grant_entry_out_on on grant_entry (resource_id) where state in ('placing', 'placed', 'removing');
create index grant_entry_unscanned on grant_entry (resource_id, removed_at)
    where kind = 'account' and state = 'removed' and scanned_at is null;

create table session_log (
    session_id text collate "C" not null,
    line bigint not null,
    at bigint not null,
    level text not null,
    stage text not null,
    message text not null,
    constraint session_log_pk primary key (session_id, line),
    constraint session_log_of_session foreign key (session_id) references session (id),
    constraint session_log_level_known check (level in ('debug', 'info', 'warn', 'error')),
    constraint session_log_stage_known check (stage in ('request', 'pre_session', 'session', 'post_session'))
);

create table connection (
    id text collate "C" not null,
    session_id text collate "C" not null,
    user_id text collate "C" not null,
    peer text not null,
    opened_at bigint not null,
    closed_at bigint,
    close_reason text,
    constraint connection_pk primary key (id),
    constraint connection_of_session foreign key (session_id) references session (id)
);
create index connection_by_session on connection (session_id, id);
create index connection_open on connection (session_id) where closed_at is null;

-- `canonical` is the entry itself, byte for byte; the other columns are there to find it.
create table audit (
    id text collate "C" not null,
    at bigint not null,
    actor text not null,
    verb text not null,
    subject text not null,
    outcome text not null,
    canonical bytea not null,
    constraint audit_pk primary key (id),
    constraint audit_outcome_known check (outcome in ('ok', 'refused'))
);

-- SQLite's json_each, as far as lists of texts need it: `id in (select value from json_each($1))` runs on both.
create function json_each(list text) returns table (value text) language sql immutable strict parallel safe
    as $$ select json_array_elements_text(list::json) $$;
