-- Passkeys of users, and what is asked of them.

-- What stands for a user at their authenticators: random, and the same for all their passkeys.
create table passkey_handle (
    user_id text collate "C" not null,
    handle bytea not null,
    constraint passkey_handle_pk primary key (user_id),
    constraint passkey_handle_handle_unique unique (handle),
    constraint passkey_handle_of_user foreign key (user_id) references object (id) on delete cascade
);

-- `kept` holds the public key and the signature counter.
create table passkey (
    id text collate "C" not null,
    user_id text collate "C" not null,
    name text collate "C" not null,
    credential bytea not null,
    kept text collate "C" not null,
    created_at bigint not null,
    used_at bigint,
    constraint passkey_pk primary key (id),
    constraint passkey_name_unique unique (user_id, name),
    constraint passkey_credential_unique unique (credential),
    constraint passkey_of_user foreign key (user_id) references object (id) on delete cascade
);

-- Each is good for one answer. `user_id` is null where nobody has said yet who they are.
create table passkey_challenge (
    digest bytea not null,
    user_id text collate "C",
    peer text collate "C" not null,
    state text collate "C" not null,
    expires_at bigint not null,
    constraint passkey_challenge_pk primary key (digest),
    constraint passkey_challenge_of_user foreign key (user_id) references object (id) on delete cascade
);
create index passkey_challenge_over on passkey_challenge (expires_at);
create index passkey_challenge_from on passkey_challenge (peer);
