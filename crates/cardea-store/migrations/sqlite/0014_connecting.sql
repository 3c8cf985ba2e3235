-- From where a user showed a second factor at the gateway, and when last: they are not asked again at once.
create table gateway_factor (
    user_id text not null,
    network text not null,
    shown_at integer not null,
    constraint gateway_factor_pk primary key (user_id, network),
    constraint gateway_factor_of_user foreign key (user_id) references object (id) on delete cascade
) strict;
