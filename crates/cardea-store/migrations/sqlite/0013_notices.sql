-- What is told outside, by mail and webhook, and invitations.

-- One row for one receiver. `facts` is what it says, as it was when it happened. `wake_at` is null when nothing is to be
-- done any more.
create table notice (
    id text not null,
    kind text not null,
    outlet text not null,
    receiver text not null,
    user_id text,
    request_id text,
    sessions text not null,
    invitation_id text,
    facts text not null,
    state text not null,
    created_at integer not null,
    wake_at integer,
    give_up_at integer not null,
    attempts integer not null,
    last_error text,
    done_at integer,
    claim_node text,
    claim_until integer,
    version integer not null,
    constraint notice_pk primary key (id),
    constraint notice_state_known check (state in ('waiting', 'sent', 'failed', 'dropped'))
) strict;
create index notice_wake on notice (outlet, wake_at, id) where wake_at is not null;
create index notice_by_state on notice (state, id);

-- The newest of a user is the only one that counts. Only the digest of what the link holds.
create table invitation (
    id text not null,
    user_id text not null,
    digest blob not null,
    created_at integer not null,
    expires_at integer not null,
    used_at integer,
    voided_at integer,
    constraint invitation_pk primary key (id),
    constraint invitation_digest_unique unique (digest),
    constraint invitation_of_user foreign key (user_id) references object (id) on delete cascade
) strict;
create index invitation_open on invitation (user_id) where used_at is null and voided_at is null;
