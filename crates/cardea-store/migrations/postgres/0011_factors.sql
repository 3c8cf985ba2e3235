-- Second factors of users, what a sign-in has shown and from where, and what a token may do.

-- `peer` and `agent` are what the device said when it signed in. `password_at` and `factor_at` say when a password and a second
-- factor were last shown in this sign-in. All are null in rows of before.
alter table sign_in add column peer text collate "C";
alter table sign_in add column agent text collate "C";
alter table sign_in add column password_at bigint;
alter table sign_in add column factor_at bigint;
create index sign_in_of_user on sign_in (user_id, id);

-- Words with spaces between; null in rows of before, which may do all that their user may.
alter table token add column scopes text collate "C";
alter table token add column revoked_at bigint;
create index token_of_user on token (user_id, id);

-- The secret of a user's authenticator app, sealed. `last_step` is the newest time step whose code was taken: none is taken twice.
create table totp (
    user_id text collate "C" not null,
    secret_id text collate "C" not null,
    sealed bytea not null,
    created_at bigint not null,
    last_step bigint not null,
    constraint totp_pk primary key (user_id),
    constraint totp_of_user foreign key (user_id) references object (id) on delete cascade
);

-- One that was handed out and not proven yet: it counts for nothing.
create table totp_enrolment (
    user_id text collate "C" not null,
    secret_id text collate "C" not null,
    sealed bytea not null,
    expires_at bigint not null,
    constraint totp_enrolment_pk primary key (user_id),
    constraint totp_enrolment_of_user foreign key (user_id) references object (id) on delete cascade
);

create table recovery_code (
    user_id text collate "C" not null,
    digest bytea not null,
    created_at bigint not null,
    used_at bigint,
    constraint recovery_code_pk primary key (user_id, digest),
    constraint recovery_code_of_user foreign key (user_id) references object (id) on delete cascade
);

-- Between the password and the second factor.
create table sign_in_ticket (
    digest bytea not null,
    user_id text collate "C" not null,
    peer text collate "C" not null,
    expires_at bigint not null,
    attempts bigint not null,
    constraint sign_in_ticket_pk primary key (digest),
    constraint sign_in_ticket_of_user foreign key (user_id) references object (id) on delete cascade
);
create index sign_in_ticket_of_one on sign_in_ticket (user_id, expires_at);
