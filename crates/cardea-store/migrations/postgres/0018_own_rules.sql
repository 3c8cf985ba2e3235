-- Which object each user changed last, and when: an approver is told if somebody asks for something by rules that they changed
-- themselves lately.
create table rule_change (
    user_id text not null,
    object_id text not null,
    at bigint not null,
    constraint rule_change_pk primary key (user_id, object_id),
    constraint rule_change_of_user foreign key (user_id) references object (id) on delete cascade
);
