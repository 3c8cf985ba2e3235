-- What looks at directories found.

-- Users whom their directory lets in no more.
create table directory_absence (
    user_id text collate "C" not null,
    provider_id text collate "C" not null,
    reason text collate "C" not null,
    since bigint not null,
    constraint directory_absence_pk primary key (user_id),
    constraint directory_absence_of foreign key (user_id) references object (id) on delete cascade,
    constraint directory_absence_by foreign key (provider_id) references object (id) on delete cascade,
    constraint directory_absence_reason_known check (reason in ('disabled', 'expired', 'gone'))
);

-- When each directory is looked at next, by which node now, and how the last look ended.
create table directory_sync (
    provider_id text collate "C" not null,
    due_at bigint not null,
    claim_node text collate "C",
    claim_until bigint,
    ended_at bigint,
    error text collate "C",
    succeeded_at bigint,
    constraint directory_sync_pk primary key (provider_id),
    constraint directory_sync_of foreign key (provider_id) references object (id) on delete cascade
);
