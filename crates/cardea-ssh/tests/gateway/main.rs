//! The gateway between the real `ssh` client and a real sshd. Needs root, for the throw-away host.

mod certificates;
mod commands;
mod ends;
mod factors;
mod flow;
mod holds;
mod refusals;
mod strangers;
mod terminal;
mod tokens;
mod world;
