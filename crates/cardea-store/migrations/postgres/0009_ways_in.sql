-- Ways in beside the keys that the configuration has: one-time tokens, keys that people register themselves, and what a
-- certificate of Cardea's own takes.

-- A one-time token for the gateway, by digest. Its row goes when it is used.
create table launch_token (
    digest bytea not null,
    session_id text collate "C" not null,
    user_id text collate "C" not null,
    expires_at bigint not null,
    constraint launch_token_pk primary key (digest),
    constraint launch_token_of_session foreign key (session_id) references session (id)
);
create index launch_token_by_session on launch_token (session_id, expires_at);

-- A key that its user registered. `body` is type and base64 of the OpenSSH line.
create table own_key (
    id text collate "C" not null,
    user_id text collate "C" not null,
    name text collate "C" not null,
    body text collate "C" not null,
    created_at bigint not null,
    constraint own_key_pk primary key (id),
    constraint own_key_body_unique unique (body),
    constraint own_key_of_user foreign key (user_id) references object (id) on delete cascade
);
create index own_key_by_user on own_key (user_id, id);

-- When a key last let somebody in, whoever registered it.
create table key_use (
    fingerprint text collate "C" not null,
    used_at bigint not null,
    constraint key_use_pk primary key (fingerprint)
);

-- The key that signs certificates for people, sealed: at every node the same.
alter table installation add column user_ca_id text collate "C";
alter table installation add column user_ca bytea;
