//! A reload, from HUP to its end: a candidate is made aside, its workers have to stand, and then it is
//! what is in force; or everything stays as it was, and the log says why.

use std::rc::Rc;

use serde_json::Value;

use super::{
    Supervisor,
    fleet::Event,
    hook,
    inbox::Notice,
    lifecycle::{self, Lifecycle},
    reload::Candidate,
};
use crate::{
    log::{self, Outputs},
    settings::Settings,
};

/// What takes the place of what is in force, once the workers stand.
pub(super) struct Trial {
    pub(super) settings: Rc<Settings>,
    /// The same, for those who ask.
    pub(super) config: Value,
    pub(super) outputs: Box<Outputs>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    No,
    Yes,
}

impl Supervisor {
    /// A candidate, aside.
    pub(super) fn prepare(&mut self) {
        self.preparing = Some(Again::No);
        let (recipe, inbox) = (self.recipe.clone(), Rc::clone(&self.gateway.inbox));
        tokio::task::spawn_local(async move {
            inbox.put_notice(Notice::Prepared(recipe.prepare_with_logs().await));
        });
    }

    pub(super) fn prepared(
        &mut self,
        prepared: Result<(Box<Candidate>, Box<Outputs>), String>,
    ) -> Option<Event> {
        let again = self.preparing.take() == Some(Again::Yes);
        if again && !self.fleet.is_leaving() {
            // What was prepared may be older than what was asked for last.
            if let Ok((_, outputs)) = prepared {
                log::close(*outputs);
            }
            self.prepare();
            return None;
        }
        match prepared {
            Ok((candidate, outputs)) => {
                let Candidate { settings, config, nursery } = *candidate;
                let possible = Lifecycle::may_become(&settings)
                    .and_then(|()| self.listeners.add(&self.gateway, &settings));
                if let Err(reason) = possible {
                    log::close(*outputs);
                    self.gave_up(&reason);
                    return None;
                }
                nursery.tell(hook("on_reload", &[]));
                let (target, graceful) = (settings.workers, settings.graceful_timeout);
                self.nurseries.insert(self.fleet.next_generation(), nursery);
                if let Some(before) = self.trial.replace(Trial { settings, config, outputs }) {
                    log::close(*before.outputs);
                }
                Some(Event::Reload { target, graceful })
            }
            Err(reason) => {
                self.gave_up(&reason);
                None
            }
        }
    }

    pub(super) fn gave_up(&self, reason: &str) {
        self.lifecycle.reloaded(&self.gateway);
        self.gateway
            .log
            .error(format_args!("Reload failed, the old workers serve on. Reason: {reason}"));
    }

    /// The workers of a reload stand: its settings are the ones in force.
    pub(super) fn adopt(&mut self) {
        let Some(Trial { settings, config, outputs }) = self.trial.take() else { return };
        let gateway = &self.gateway;
        if let Some(folder) = &settings.chdir
            && let Err(error) = std::env::set_current_dir(folder)
        {
            let folder = folder.display();
            gateway.log.error(format_args!("can't chdir to \"{folder}\": {error}"));
        }
        gateway.log.exchange(*outputs);
        gateway.tls.renew(&settings, &gateway.log);
        gateway.settings.replace(settings);
        gateway.census.set_config(config);
        self.lifecycle.move_pid_file(gateway);
        self.settle();
    }

    /// No listener and no nursery beyond what the settings in force ask for.
    pub(super) fn settle(&mut self) {
        self.listeners.keep_only(&self.gateway.settings());
        lifecycle::publish(&self.gateway, &self.listeners);
        self.lifecycle.reloaded(&self.gateway);
        self.dismiss();
    }

    /// Nurseries of which nothing more is wanted.
    pub(super) fn dismiss(&mut self) {
        let (fleet, children) = (&self.fleet, &self.children);
        self.nurseries.retain(|generation, _| {
            fleet.may_spawn(*generation)
                || children.values().any(|child| child.generation == *generation)
        });
    }
}
