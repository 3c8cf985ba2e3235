-- Approval in tiers: whom a session asked and whose turn it is, and in which tier somebody decided.

alter table session add column asked text collate "C";
-- An extension that waits for approval.
alter table session add column wish text collate "C";
alter table approval add column tier bigint not null default 0;
-- Which extension it is about; 0 for the session itself.
alter table approval add column extension bigint not null default 0;
-- When whoever gave it lost the right to.
alter table approval add column fell_at bigint;
create index approval_by_approver on approval (approver_id, session_id);

-- A session that began without anybody's yes, and what somebody said of it afterwards.
create table review (
    session_id text collate "C" not null,
    profile_id text collate "C" not null,
    user_id text collate "C" not null,
    due_at bigint not null,
    verdict text collate "C",
    reason text collate "C",
    reviewer_id text collate "C",
    reviewer_name text collate "C",
    reviewed_at bigint,
    constraint review_pk primary key (session_id),
    constraint review_of_session foreign key (session_id) references session (id)
);
create index review_open on review (due_at) where reviewed_at is null;
