-- Several people may say that an SSH key is theirs: it is whose use of it the gateway saw. And of the challenges for passkeys only
-- those are kept that were answered: what was asked is with whoever was asked, sealed.

alter table own_key rename to own_key_before;
create table own_key (
    id text not null,
    user_id text not null,
    name text not null,
    body text not null,
    created_at integer not null,
    -- When its user first came in with it. Null until then: it counts for them, and keeps nobody else from it.
    proven_at integer,
    constraint own_key_pk primary key (id),
    constraint own_key_claim_unique unique (user_id, body),
    constraint own_key_of_user foreign key (user_id) references object (id) on delete cascade
) strict;
insert into own_key (id, user_id, name, body, created_at) select id, user_id, name, body, created_at from own_key_before;
drop table own_key_before;
create index own_key_by_user on own_key (user_id, id);
create unique index own_key_proven_unique on own_key (body) where proven_at is not null;

drop table passkey_challenge;
-- No answer counts twice. A row goes when its challenge would be over anyway.
create table passkey_answered (
    id text not null,
    expires_at integer not null,
    constraint passkey_answered_pk primary key (id)
) strict;
create index passkey_answered_over on passkey_answered (expires_at);
