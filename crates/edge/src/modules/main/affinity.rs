//! `worker_cpu_affinity`: which processors each thread may run on.

use nix::sched::CpuSet;

use crate::{conf::ConfError, load::Args};

#[derive(Clone)]
pub(super) enum Affinity {
    /// One processor each, in turn, of these.
    Auto(Vec<usize>),
    /// Those of the thread's own mask; of the last one, where there are more threads than masks.
    Masks(Vec<Vec<usize>>),
}

impl Affinity {
    pub(super) fn read(args: &Args<'_>) -> Result<Affinity, ConfError> {
        if args.word(0) == "auto" {
            return match args.len() {
                1 => {
                    let all = std::thread::available_parallelism().map_or(1, usize::from);
                    Ok(Affinity::Auto((0..all).collect()))
                }
                2 => Ok(Affinity::Auto(mask(args, 1)?)),
                _ => {
                    let name = "worker_cpu_affinity";
                    let message = format!("invalid number of arguments in \"{name}\" directive");
                    Err(args.complain(message))
                }
            };
        }
        let masks = (0..args.len()).map(|place| mask(args, place));
        Ok(Affinity::Masks(masks.collect::<Result<_, _>>()?))
    }

    /// The processors of one thread; `None`: any.
    pub(super) fn of(&self, thread: usize) -> Option<CpuSet> {
        let processors: &[usize] = match self {
            Affinity::Auto(all) => {
                let place = thread.checked_rem(all.len())?;
                &all[place..=place]
            }
            Affinity::Masks(masks) => masks.get(thread).or(masks.last())?,
        };
        let mut set = CpuSet::new();
        for processor in processors {
            set.set(*processor).ok()?;
        }
        Some(set)
    }
}

/// `0101`: the last digit is the first processor.
fn mask(args: &Args<'_>, place: usize) -> Result<Vec<usize>, ConfError> {
    let mut processors = Vec::new();
    let digits = args.word(place).chars().rev().filter(|digit| *digit != ' ');
    for (processor, digit) in digits.enumerate() {
        if processor >= CpuSet::count() {
            let most = CpuSet::count();
            let message = format!("\"worker_cpu_affinity\" supports up to {most} CPUs only");
            return Err(args.complain(message));
        }
        match digit {
            '0' => (),
            '1' => processors.push(processor),
            other => {
                let message = format!("invalid character \"{other}\" in \"worker_cpu_affinity\"");
                return Err(args.complain(message));
            }
        }
    }
    Ok(processors)
}
