//! The built binary against real hosts, with real ssh clients: what a user relies on, from the outside.

mod bad_input;
mod cluster;
mod command_line;
mod connect;
mod crash;
mod crowd;
mod dead_man;
mod events;
mod faults;
mod harness;
mod host_faults;
mod hosts;
#[cfg(feature = "fail-points")]
mod kill_points;
mod launch;
mod login;
mod main_job;
mod notices;
mod operators_view;
mod password;
mod sign_in;
mod storm;
