//! The built binary against real hosts, with real ssh clients: what a user relies on, from the outside.

mod bad_input;
mod command_line;
mod crash;
mod crowd;
mod events;
mod faults;
mod harness;
mod hosts;
mod main_job;
mod operators_view;
mod sign_in;
mod storm;
