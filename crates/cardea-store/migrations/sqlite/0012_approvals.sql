-- Approval in tiers: whom a session asked and whose turn it is, and in which tier somebody decided.

alter table session add column asked text;
-- An extension that waits for approval.
alter table session add column wish text;
alter table approval add column tier integer not null default 0;
-- Which extension it is about; 0 for the session itself.
alter table approval add column extension integer not null default 0;
-- When whoever gave it lost the right to.
alter table approval add column fell_at integer;
create index approval_by_approver on approval (approver_id, session_id);

-- A session that began without anybody's yes, and what somebody said of it afterwards.
create table review (
    session_id text not null,
    profile_id text not null,
    user_id text not null,
    due_at integer not null,
    verdict text,
    reason text,
    reviewer_id text,
    reviewer_name text,
    reviewed_at integer,
    constraint review_pk primary key (session_id),
    constraint review_of_session foreign key (session_id) references session (id)
) strict;
create index review_open on review (due_at) where reviewed_at is null;
