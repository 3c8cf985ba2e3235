-- Who is vouched for outside, and on the way there.

-- A person there is one user here. The row goes when the user is linked anew.
create table external_identity (
    provider_id text collate "C" not null,
    subject text collate "C" not null,
    user_id text collate "C" not null,
    name text collate "C" not null,
    linked_at bigint not null,
    constraint external_identity_pk primary key (provider_id, subject),
    constraint external_identity_user_unique unique (user_id),
    constraint external_identity_by foreign key (provider_id) references object (id) on delete cascade,
    constraint external_identity_of_user foreign key (user_id) references object (id) on delete cascade
);

-- What providers give, beside what the specs of groups say.
create table external_membership (
    user_id text collate "C" not null,
    group_id text collate "C" not null,
    since bigint not null,
    constraint external_membership_pk primary key (user_id, group_id),
    constraint external_membership_of_user foreign key (user_id) references object (id) on delete cascade,
    constraint external_membership_in_group foreign key (group_id) references object (id) on delete cascade
);

-- Sign-ins that were made on a provider's word. `sid` is its own name for that.
create table external_sign_in (
    sign_in_id text collate "C" not null,
    provider_id text collate "C" not null,
    subject text collate "C" not null,
    sid text collate "C",
    constraint external_sign_in_pk primary key (sign_in_id),
    constraint external_sign_in_is foreign key (sign_in_id) references sign_in (id) on delete cascade,
    constraint external_sign_in_by foreign key (provider_id) references object (id) on delete cascade
);
create index external_sign_in_by_subject on external_sign_in (provider_id, subject);
create index external_sign_in_by_sid on external_sign_in (provider_id, sid);

-- Browsers that were sent to a provider and are not back yet. `sign_in_id` if it is only to show who they are again.
create table oidc_trip (
    digest bytea not null,
    provider_id text collate "C" not null,
    sign_in_id text collate "C",
    return_to text collate "C" not null,
    peer text collate "C" not null,
    expires_at bigint not null,
    constraint oidc_trip_pk primary key (digest),
    constraint oidc_trip_to foreign key (provider_id) references object (id) on delete cascade,
    constraint oidc_trip_of foreign key (sign_in_id) references sign_in (id) on delete cascade
);
create index oidc_trip_expires on oidc_trip (expires_at);
create index oidc_trip_from on oidc_trip (peer);

-- Words of providers that somebody has left: none is taken twice.
create table oidc_logout (
    provider_id text collate "C" not null,
    digest bytea not null,
    expires_at bigint not null,
    constraint oidc_logout_pk primary key (provider_id, digest),
    constraint oidc_logout_by foreign key (provider_id) references object (id) on delete cascade
);
create index oidc_logout_expires on oidc_logout (expires_at);
