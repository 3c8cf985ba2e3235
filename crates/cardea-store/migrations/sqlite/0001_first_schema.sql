-- The first schema. Text ids sort by time of creation; times are microseconds since 1970, UTC; enumerations and JSON
-- are text that the store reads back through their types.

create table installation (
    id text not null,
    created_at integer not null,
    single integer not null,
    constraint installation_pk primary key (id),
    constraint installation_single_unique unique (single),
    constraint installation_single_is_one check (single = 1)
) strict;

create table object (
    id text not null,
    kind text not null,
    name text not null,
    name_fold text not null,
    spec text not null,
    version integer not null,
    created_at integer not null,
    updated_at integer not null,
    constraint object_pk primary key (id),
    constraint object_name_unique unique (kind, name_fold)
) strict;

-- A retired secret stays while a grant that is out needs it to be taken away, so it outlives its object.
create table secret (
    id text not null,
    object_id text not null,
    field text not null,
    sealed blob not null,
    digest blob not null,
    created_at integer not null,
    retired_at integer,
    constraint secret_pk primary key (id)
) strict;
create index secret_live on secret (object_id) where retired_at is null;

create table password (
    user_id text not null,
    hash text not null,
    changed_at integer not null,
    constraint password_pk primary key (user_id),
    constraint password_of_user foreign key (user_id) references object (id) on delete cascade
) strict;

create table set_up (
    digest blob not null,
    expires_at integer not null,
    used_at integer,
    constraint set_up_pk primary key (digest)
) strict;

create table sign_in (
    id text not null,
    user_id text not null,
    digest blob not null,
    created_at integer not null,
    expires_at integer not null,
    last_seen_at integer not null,
    ended_at integer,
    constraint sign_in_pk primary key (id),
    constraint sign_in_digest_unique unique (digest)
) strict;
create index sign_in_open on sign_in (user_id) where ended_at is null;

create table token (
    id text not null,
    user_id text not null,
    name text not null,
    digest blob not null,
    created_at integer not null,
    expires_at integer not null,
    operator_issued integer not null constraint operator_issued_is_bool check (operator_issued in (0, 1)),
    last_used_at integer,
    constraint token_pk primary key (id),
    constraint token_digest_unique unique (digest)
) strict;

-- Next free account number per resource; it only rises.
create table uid_mark (
    host text not null,
    next_uid integer not null,
    constraint uid_mark_pk primary key (host)
) strict;

-- `*_fold` columns are what searching and sorting look at: folded by the product, the same on every database.
create table session (
    id text not null,
    request_id text not null,
    user_id text not null,
    user_name text not null,
    user_fold text not null,
    activity_id text not null,
    activity_name text not null,
    activity_fold text not null,
    resource_id text not null,
    resource_name text not null,
    resource_fold text not null,
    policy_id text not null,
    policy_name text not null,
    profile_id text not null,
    profile_name text not null,
    pins text not null,
    account_name text not null,
    account_uid integer not null,
    notes text not null,
    ticket text not null,
    requested_at integer not null,
    start_at integer,
    end_at integer,
    status text not null,
    reason text,
    progress text,
    listed integer not null constraint listed_is_bool check (listed in (0, 1)),
    clean integer not null constraint clean_is_bool check (clean in (0, 1)),
    closes_as text,
    cleanup_since integer,
    cleanup_attempts integer not null,
    cleanup_stalled integer not null constraint cleanup_stalled_is_bool check (cleanup_stalled in (0, 1)),
    wake_at integer,
    fence integer not null,
    version integer not null,
    search_fold text not null,
    constraint session_pk primary key (id)
) strict;
create index session_wake on session (wake_at, id) where wake_at is not null;
create index session_listed on session (listed, requested_at, id);
create index session_of_user on session (user_id, listed, requested_at, id);
create index session_unclean on session (id) where not clean;

-- The ledger: one row per privilege, written before the target is touched.
create table grant_entry (
    id text not null,
    session_id text not null,
    ordinal integer not null,
    resource_id text not null,
    target text not null,
    account_name text not null,
    account_uid integer not null,
    kind text not null,
    privilege text not null,
    token text not null,
    state text not null,
    expires_at integer,
    observed_before text,
    placed_at integer,
    removed_at integer,
    attempts integer not null,
    last_error text,
    evidence text,
    scanned_at integer,
    constraint grant_entry_pk primary key (id),
    constraint grant_entry_ordinal_unique unique (session_id, ordinal),
    constraint grant_entry_of_session foreign key (session_id) references session (id),
    constraint grant_entry_state_known
        check (state in ('planned', 'placing', 'placed', 'removing', 'removed', 'preexisting'))
) strict;
create index grant_entry_out on grant_entry (id) where state in ('placing', 'placed', 'removing');
create index grant_entry_out_on on grant_entry (resource_id) where state in ('placing', 'placed', 'removing');
create index grant_entry_unscanned on grant_entry (resource_id, removed_at)
    where kind = 'account' and state = 'removed' and scanned_at is null;

create table session_log (
    session_id text not null,
    line integer not null,
    at integer not null,
    level text not null,
    stage text not null,
    message text not null,
    constraint session_log_pk primary key (session_id, line),
    constraint session_log_of_session foreign key (session_id) references session (id),
    constraint session_log_level_known check (level in ('debug', 'info', 'warn', 'error')),
    constraint session_log_stage_known check (stage in ('request', 'pre_session', 'session', 'post_session'))
) strict;

create table connection (
    id text not null,
    session_id text not null,
    user_id text not null,
    peer text not null,
    opened_at integer not null,
    closed_at integer,
    close_reason text,
    constraint connection_pk primary key (id),
    constraint connection_of_session foreign key (session_id) references session (id)
) strict;
create index connection_by_session on connection (session_id, id);
create index connection_open on connection (session_id) where closed_at is null;

-- `canonical` is the entry itself, byte for byte; the other columns are there to find it.
create table audit (
    id text not null,
    at integer not null,
    actor text not null,
    verb text not null,
    subject text not null,
    outcome text not null,
    canonical blob not null,
    constraint audit_pk primary key (id),
    constraint audit_outcome_known check (outcome in ('ok', 'refused'))
) strict;
