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

-- Whether it is, or could be, on its target. Indexes look at this and not at the state, which changes more often.
alter table grant_entry add column is_out integer
    generated always as (state in ('placing', 'placed', 'removing')) virtual;
drop index grant_entry_out;
drop index grant_entry_out_on;
drop index grant_entry_unscanned;
drop index grant_entry_shared;
create index grant_entry_out on grant_entry (id) where is_out;
create index grant_entry_out_on on grant_entry (resource_id) where is_out;
create index grant_entry_unscanned on grant_entry (resource_id, removed_at)
    where kind = 'account' and removed_at is not null and scanned_at is null;
create index grant_entry_shared on grant_entry (share_key) where share_key is not null and is_out;
