-- What looks at directories found.

-- Users whom their directory lets in no more.
create table directory_absence (
    user_id text not null,
    provider_id text not null,
    reason text not null,
    since integer not null,
    constraint directory_absence_pk primary key (user_id),
    constraint directory_absence_of foreign key (user_id) references object (id) on delete cascade,
    constraint directory_absence_by foreign key (provider_id) references object (id) on delete cascade,
    constraint directory_absence_reason_known check (reason in ('disabled', 'expired', 'gone'))
) strict;

-- When each directory is looked at next, by which node now, and how the last look ended.
create table directory_sync (
    provider_id text not null,
    due_at integer not null,
    claim_node text,
    claim_until integer,
    ended_at integer,
    error text,
    succeeded_at integer,
    constraint directory_sync_pk primary key (provider_id),
    constraint directory_sync_of foreign key (provider_id) references object (id) on delete cascade
) strict;
