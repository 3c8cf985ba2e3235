-- Several people may say that an SSH key is theirs: it is whose use of it the gateway saw. And of the challenges for passkeys only
-- those are kept that were answered: what was asked is with whoever was asked, sealed.

-- When its user first came in with it. Null until then: it counts for them, and keeps nobody else from it.
alter table own_key add column proven_at bigint;
alter table own_key drop constraint own_key_body_unique;
alter table own_key add constraint own_key_claim_unique unique (user_id, body);
create unique index own_key_proven_unique on own_key (body) where proven_at is not null;

drop table passkey_challenge;
-- No answer counts twice. A row goes when its challenge would be over anyway.
create table passkey_answered (
    id text collate "C" not null,
    expires_at bigint not null,
    constraint passkey_answered_pk primary key (id)
);
create index passkey_answered_over on passkey_answered (expires_at);
