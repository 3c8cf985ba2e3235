//! What makes a host unlike the others.

use std::process::Command;

use super::LinuxHost;

/// A host that is not started yet. Without a further word it shares the machine's network, disk and clock, and runs cron
/// and at.
#[must_use = "a plan does nothing until it is started"]
pub struct HostPlan {
    name: String,
    pub(super) disk: Option<String>,
    pub(super) own_network: bool,
    clock: Option<String>,
    without: Vec<&'static str>,
    pub(super) yields: bool,
}

impl HostPlan {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), disk: None, own_network: false, clock: None, without: Vec::new(), yields: false }
    }

    /// A disk of this size (`64m`) in memory. It is lost when the host stops.
    pub fn disk(mut self, size: &str) -> Self {
        self.disk = Some(size.to_owned());
        self
    }

    /// A network of its own, so that [`LinuxHost::link_down`] can make the host unreachable. It reaches the machine and
    /// nothing else.
    pub fn own_network(mut self) -> Self {
        self.own_network = true;
        self
    }

    /// The host's programs, sshd and sudo among them, read a clock that is off by this much (`+1h`, `-90m`). The kernel's
    /// own clock stays right: `/proc`, and the times that it writes on files.
    pub fn clock_off(mut self, by: &str) -> Self {
        self.clock = Some(by.to_owned());
        self
    }

    /// A host on which there is no cron.
    pub fn without_cron(mut self) -> Self {
        self.without.push("cron");
        self
    }

    /// A host on which there is no at.
    pub fn without_at(mut self) -> Self {
        self.without.push("at");
        self
    }

    /// The host's programs leave the processor to others of this machine. On a machine of its own a host takes nothing away from
    /// Cardea; many hosts here would.
    pub fn yielding(mut self) -> Self {
        self.yields = true;
        self
    }

    /// Starts the host and waits until it answers. Panics with the reason when it cannot.
    pub fn start(self) -> LinuxHost {
        LinuxHost::start_as(self)
    }

    pub(super) fn has_clock_of_its_own(&self) -> bool {
        self.clock.is_some()
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Says it to the host's script.
    pub(super) fn describe(&self, command: &mut Command) {
        command.env("WITHOUT", self.without.join(" "));
        command.envs(self.disk.as_ref().map(|size| ("DISK", size)));
        command.envs(self.clock.as_ref().map(|by| ("CLOCK", by)));
    }
}
