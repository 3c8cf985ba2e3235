-- What is told outside, by mail and webhook, and invitations.

-- One row for one receiver. `facts` is what it says, as it was when it happened. `wake_at` is null when nothing is to be
-- done any more.
create table notice (
    id text collate "C" not null,
    kind text collate "C" not null,
    outlet text collate "C" not null,
    receiver text collate "C" not null,
    user_id text collate "C",
    request_id text collate "C",
    sessions text collate "C" not null,
    invitation_id text collate "C",
    facts text collate "C" not null,
    state text collate "C" not null,
    created_at bigint not null,
    wake_at bigint,
    give_up_at bigint not null,
    attempts bigint not null,
    last_error text collate "C",
    done_at bigint,
    claim_node text collate "C",
    claim_until bigint,
    version bigint not null,
    constraint notice_pk primary key (id),
    constraint notice_state_known check (state in ('waiting', 'sent', 'failed', 'dropped'))
);
create index notice_wake on notice (outlet, wake_at, id) where wake_at is not null;
create index notice_by_state on notice (state, id);

-- The newest of a user is the only one that counts. Only the digest of what the link holds.
create table invitation (
    id text collate "C" not null,
    user_id text collate "C" not null,
    digest bytea not null,
    created_at bigint not null,
    expires_at bigint not null,
    used_at bigint,
    voided_at bigint,
    constraint invitation_pk primary key (id),
    constraint invitation_digest_unique unique (digest),
    constraint invitation_of_user foreign key (user_id) references object (id) on delete cascade
);
create index invitation_open on invitation (user_id) where used_at is null and voided_at is null;
