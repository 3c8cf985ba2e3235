-- Second factors of users, what a sign-in has shown and from where, and what a token may do.

-- `peer` and `agent` are what the device said when it signed in. `password_at` and `factor_at` say when a password and a second
-- factor were last shown in this sign-in. All are null in rows of before.
alter table sign_in add column peer text;
alter table sign_in add column agent text;
alter table sign_in add column password_at integer;
alter table sign_in add column factor_at integer;
create index sign_in_of_user on sign_in (user_id, id);

-- Words with spaces between; null in rows of before, which may do all that their user may.
alter table token add column scopes text;
alter table token add column revoked_at integer;
create index token_of_user on token (user_id, id);

-- The secret of a user's authenticator app, sealed. `last_step` is the newest time step whose code was taken: none is taken twice.
create table totp (
    user_id text not null,
    secret_id text not null,
    sealed blob not null,
    created_at integer not null,
    last_step integer not null,
    constraint totp_pk primary key (user_id),
    constraint totp_of_user foreign key (user_id) references object (id) on delete cascade
) strict;

-- One that was handed out and not proven yet: it counts for nothing.
create table totp_enrolment (
    user_id text not null,
    secret_id text not null,
    sealed blob not null,
    expires_at integer not null,
    constraint totp_enrolment_pk primary key (user_id),
    constraint totp_enrolment_of_user foreign key (user_id) references object (id) on delete cascade
) strict;

create table recovery_code (
    user_id text not null,
    digest blob not null,
    created_at integer not null,
    used_at integer,
    constraint recovery_code_pk primary key (user_id, digest),
    constraint recovery_code_of_user foreign key (user_id) references object (id) on delete cascade
) strict;

-- Between the password and the second factor.
create table sign_in_ticket (
    digest blob not null,
    user_id text not null,
    peer text not null,
    expires_at integer not null,
    attempts integer not null,
    constraint sign_in_ticket_pk primary key (digest),
    constraint sign_in_ticket_of_user foreign key (user_id) references object (id) on delete cascade
) strict;
create index sign_in_ticket_of_one on sign_in_ticket (user_id, expires_at);
