-- What several nodes on one database need: who lives, which configuration is the newest, and what each node's gateway holds.

-- Rises with each change of the configuration and of what is locked as a whole.
alter table installation add column revision integer not null default 1;
-- The gateway's host key, sealed: people's clients know every node by the same one.
alter table installation add column host_key_id text;
alter table installation add column host_key blob;

-- `beats` rises while the node lives; the others watch it, and no clock of theirs is compared.
create table node (
    name text not null,
    started_at integer not null,
    seen_at integer not null,
    beats integer not null,
    constraint node_pk primary key (name)
) strict;

-- Whose gateway holds it. Null in rows of before, and for log-ins past the gateway.
alter table connection add column node text;

-- Which node's gateway made the key that a grant is.
create table gateway_key (
    grant_id text not null,
    session_id text not null,
    node text not null,
    constraint gateway_key_pk primary key (grant_id)
) strict;
create index gateway_key_of_session on gateway_key (session_id);
create index gateway_key_of_node on gateway_key (node, session_id);
