//! The rules, as sequences of events. Orders are written down as one would say them.

use super::*;

struct Case {
    fleet: Fleet,
    now: Instant,
}

fn start(workers: usize) -> Case {
    start_with(BootFailure::IsTriedAgain, workers)
}

fn start_with(boot_failure: BootFailure, workers: usize) -> Case {
    let fleet = Fleet::new(workers, Duration::from_secs(30), boot_failure);
    let mut case = Case { fleet, now: Instant::now() };
    let orders = case.on(Event::Start);
    assert_eq!(orders.len(), workers, "{orders:?}");
    case
}

fn serving(workers: usize) -> Case {
    let mut case = start(workers);
    for worker in 1..=workers as u64 {
        assert_eq!(case.on(Event::Ready(worker)), ["available"]);
    }
    case.after(60);
    case
}

impl Case {
    fn on(&mut self, event: Event) -> Vec<String> {
        self.fleet.on(event, self.now).into_iter().map(say).collect()
    }

    fn reloads(&mut self) -> Vec<String> {
        let target = self.fleet.target();
        self.on(Event::Reload { target, graceful: Duration::from_secs(30) })
    }

    fn after(&mut self, seconds: u64) -> Vec<String> {
        self.now += Duration::from_secs(seconds);
        self.on(Event::Tick)
    }

    fn exits(&mut self, worker: WorkerId, code: i32) -> Vec<String> {
        self.on(Event::Exited { worker, end: Ended::Code(code) })
    }

    fn is_killed(&mut self, worker: WorkerId) -> Vec<String> {
        self.on(Event::Exited { worker, end: Ended::Signal(9) })
    }

    fn refuses(&mut self, worker: WorkerId, code: u8, reason: &str) -> Vec<String> {
        assert!(self.on(Event::Refused { worker, code, reason: reason.to_owned() }).is_empty());
        self.exits(worker, code.into())
    }
}

fn say(order: Order) -> String {
    match order {
        Order::Spawn(worker) => format!("spawn {worker}"),
        Order::Retire(worker) => format!("retire {worker}"),
        Order::Kill(worker, signal) => format!("{} {worker}", &signal.as_str()[3..]),
        Order::StopListening => "stop listening".to_owned(),
        Order::Reopen => "reopen".to_owned(),
        Order::Unavailable(None) => "available".to_owned(),
        Order::Unavailable(Some(reason)) => format!("unavailable: {reason}"),
        Order::Adopt => "adopt".to_owned(),
        Order::Abandon => "abandon".to_owned(),
        Order::Replant(wait) => format!("replant in {:.1}s", wait.as_secs_f64()),
        Order::Say(_, text) => text,
        Order::SetDoors(doors) => format!("doors {doors:?}"),
        Order::Goodbye => "Shutting down: Master".to_owned(),
        Order::Exit(code) => format!("exit {code}"),
    }
}

#[test]
fn where_it_is_asked_for_a_worker_that_can_not_boot_ends_everything_and_has_the_last_word() {
    let mut case = start_with(BootFailure::Ends, 2);
    let orders = case.refuses(1, 3, "ModuleNotFoundError: No module named 'nope'");
    assert_eq!(orders, ["stop listening", "TERM 2"]);
    let reason = "Reason: Worker failed to boot: ModuleNotFoundError: No module named 'nope'";
    assert_eq!(case.exits(2, 0), ["Shutting down: Master", reason, "exit 3"]);
}

#[test]
fn workers_that_can_not_boot_at_start_are_tried_again_one_at_a_time() {
    let mut case = start(3);
    case.after(1);
    let broken = "Worker failed to boot, next try in 0.0s. Reason: broken";
    assert_eq!(case.refuses(1, 3, "broken"), [broken, "unavailable: broken"]);
    assert_eq!(case.after(1), Vec::<String>::new(), "others are on their way");
    assert_eq!(case.refuses(2, 3, "broken"), [broken, "unavailable: broken"]);
    assert_eq!(case.refuses(3, 3, "broken"), [broken, "unavailable: broken", "spawn 4"]);
    case.after(1);
    let again = case.refuses(4, 3, "broken");
    assert_eq!(again[0], "Worker failed to boot, next try in 0.5s. Reason: broken");
    assert_eq!(case.after(1), ["spawn 5"]);
    assert_eq!(case.on(Event::Ready(5)), ["available", "spawn 6", "spawn 7"]);
}

#[test]
fn a_reload_asked_for_while_nobody_can_boot_is_tried_at_once() {
    let mut case = start(1);
    for worker in 1..4 {
        case.after(1);
        case.refuses(worker, 3, "broken");
    }
    assert_eq!(case.reloads(), ["spawn 4"]);
    assert_eq!(case.on(Event::Ready(4)), ["available", "adopt"]);
}

#[test]
fn an_application_that_can_not_be_preloaded_is_tried_again_by_another_nursery() {
    let fleet = Fleet::new(2, Duration::from_secs(30), BootFailure::IsTriedAgain);
    let mut case = Case { fleet, now: Instant::now() };
    let fails = || Event::NotPreloaded { code: 3, reason: "broken".to_owned() };
    let first = case.on(fails());
    assert_eq!(first[1..], ["unavailable: broken", "replant in 0.0s"]);
    assert_eq!(case.on(fails()).last().unwrap(), "replant in 0.5s");
    case.after(1);
    assert_eq!(case.on(Event::Start), ["spawn 1"]);
    assert_eq!(case.on(Event::Ready(1)), ["available", "spawn 2"]);
}

#[test]
fn where_it_is_asked_for_an_application_that_can_not_be_preloaded_ends_everything() {
    let fleet = Fleet::new(2, Duration::from_secs(30), BootFailure::Ends);
    let mut case = Case { fleet, now: Instant::now() };
    let orders = case.on(Event::NotPreloaded { code: 4, reason: "broken".to_owned() });
    assert_eq!(orders.last().unwrap(), "exit 4");
}

#[test]
fn a_stop_while_nobody_can_boot_is_a_stop() {
    let mut case = start(1);
    case.refuses(1, 3, "broken");
    case.refuses(2, 3, "broken");
    let orders = case.on(Event::Terminate);
    assert_eq!(orders, ["stop listening", "Shutting down: Master", "exit 0"]);
}

#[test]
fn a_worker_told_to_leave_while_it_boots_is_replaced() {
    for boot_failure in [BootFailure::Ends, BootFailure::IsTriedAgain] {
        let mut case = start_with(boot_failure, 1);
        let lost = "Worker lost: the worker exited with code 0 while it started";
        assert_eq!(case.exits(1, 0), [lost, "spawn 2"]);
        let orders = case.on(Event::Exited { worker: 2, end: Ended::Signal(15) });
        assert_eq!(orders, ["Worker lost: the worker was killed by SIGTERM while it started"]);
        assert_eq!(case.after(1), ["spawn 3"]);
        assert_eq!(case.on(Event::Ready(3)), ["available"]);
    }
}

#[test]
fn once_one_has_booted_another_that_does_not_is_tried_again() {
    let mut case = start(2);
    case.on(Event::Ready(2));
    let orders = case.refuses(1, 3, "too many connections");
    assert_eq!(
        orders,
        ["Worker failed to boot, next try in 0.0s. Reason: too many connections", "spawn 3"]
    );
}

#[test]
fn a_reload_asked_for_while_starting_is_not_forgotten() {
    let mut case = start(2);
    assert_eq!(case.reloads(), ["spawn 3", "spawn 4"]);
    assert_eq!(case.on(Event::Ready(1)), ["available"]);
    case.on(Event::Ready(3));
    assert_eq!(case.on(Event::Ready(4)), ["available", "adopt", "retire 1", "TERM 2"]);
}

#[test]
fn an_application_that_is_not_there_is_exit_code_4() {
    let mut case = start_with(BootFailure::Ends, 1);
    let orders = case.refuses(1, 4, "no attribute 'app'");
    assert_eq!(orders[2], "Reason: App failed to load: no attribute 'app'");
    assert_eq!(orders.last().unwrap(), "exit 4");
}

#[test]
fn a_worker_that_dies_without_a_word_while_booting_is_a_boot_failure_too() {
    let mut case = start_with(BootFailure::Ends, 1);
    let orders = case.is_killed(1);
    assert!(
        orders.contains(
            &"Reason: Worker failed to boot: the worker was killed by SIGKILL while it started"
                .to_owned()
        )
    );
    assert_eq!(orders.last().unwrap(), "exit 3");
}

#[test]
fn a_killed_worker_is_replaced_at_once() {
    let mut case = serving(2);
    assert_eq!(case.is_killed(1), ["spawn 3"]);
    assert_eq!(case.on(Event::Ready(3)), ["available"]);
}

#[test]
fn workers_that_never_live_are_tried_later_and_later() {
    let mut case = serving(1);
    assert_eq!(case.is_killed(1), ["spawn 2"]);
    let first = case.refuses(2, 3, "broken");
    assert_eq!(
        first,
        [
            "Worker failed to boot, next try in 0.0s. Reason: broken",
            "unavailable: broken",
            "spawn 3"
        ]
    );
    let second = case.refuses(3, 3, "broken");
    assert_eq!(second[0], "Worker failed to boot, next try in 0.5s. Reason: broken");
    assert_eq!(second.len(), 2);
    assert_eq!(case.after(1), ["spawn 4"]);
    let third = case.refuses(4, 3, "broken");
    assert_eq!(third[0], "Worker failed to boot, next try in 1.0s. Reason: broken");
    for worker in 5..20 {
        assert_eq!(case.after(30), [format!("spawn {worker}")]);
        case.refuses(worker, 3, "broken");
    }
    assert_eq!(case.after(29), Vec::<String>::new(), "half a minute is the longest");
    assert_eq!(case.after(1), ["spawn 20"]);
    assert_eq!(case.on(Event::Ready(20)), ["available"]);
    case.after(60);
    assert_eq!(case.is_killed(20), ["spawn 21"], "it had lived: no delay");
}

#[test]
fn workers_killed_while_they_boot_are_replaced_and_nobody_is_sent_away() {
    let mut case = serving(2);
    assert_eq!(case.is_killed(1), ["spawn 3"]);
    assert_eq!(case.is_killed(2), ["spawn 4"]);
    let lost = "Worker lost: the worker was killed by SIGKILL while it started";
    assert_eq!(case.is_killed(3), [lost, "spawn 5"]);
    assert_eq!(case.is_killed(4), [lost]);
    assert_eq!(case.after(1), ["spawn 6"]);
    assert_eq!(case.on(Event::Ready(5)), ["available"]);
    assert_eq!(case.on(Event::Ready(6)), ["available"]);
}

#[test]
fn workers_killed_again_and_again_while_they_boot_are_a_failure_to_boot() {
    let mut case = serving(1);
    case.is_killed(1);
    for worker in 2..5 {
        assert_eq!(case.is_killed(worker).len(), 1 + usize::from(worker == 2));
        case.after(2);
    }
    let orders = case.is_killed(5);
    assert_eq!(orders[1], "unavailable: the worker was killed by SIGKILL while it started");
}

#[test]
fn a_worker_killed_during_a_reload_is_replaced_and_the_reload_goes_on() {
    let mut case = serving(2);
    case.reloads();
    assert_eq!(case.is_killed(3).last().unwrap(), "spawn 5");
    assert_eq!(case.on(Event::Ready(4)), ["available"]);
    assert_eq!(case.on(Event::Ready(5)), ["available", "adopt", "retire 1", "retire 2"]);
}

#[test]
fn failures_of_long_ago_delay_nothing() {
    let mut case = serving(1);
    case.is_killed(1);
    for worker in 2..8 {
        case.refuses(worker, 3, "broken");
        case.after(30);
    }
    assert_eq!(case.on(Event::Ready(8)), ["available"]);
    case.after(60);
    assert_eq!(case.on(Event::More), ["spawn 9"]);
    assert_eq!(case.is_killed(9).last().unwrap(), "spawn 10");
}

#[test]
fn workers_that_requests_kill_are_replaced_at_once() {
    let mut case = serving(1);
    for worker in 1..20 {
        case.fleet.has_worked(worker);
        assert_eq!(case.is_killed(worker), [format!("spawn {}", worker + 1)]);
        case.on(Event::Ready(worker + 1));
    }
}

#[test]
fn a_crash_loop_of_ready_workers_backs_off_as_well() {
    let mut case = serving(1);
    assert_eq!(case.is_killed(1), ["spawn 2"]);
    case.on(Event::Ready(2));
    assert_eq!(case.is_killed(2), ["spawn 3"]);
    case.on(Event::Ready(3));
    assert!(case.is_killed(3).is_empty());
    assert_eq!(case.after(1), ["spawn 4"]);
}

#[test]
fn a_reload_brings_all_new_workers_before_an_old_one_goes() {
    let mut case = serving(2);
    assert_eq!(case.reloads(), ["spawn 3", "spawn 4"]);
    assert_eq!(case.on(Event::Ready(3)), ["available"]);
    assert_eq!(case.on(Event::Ready(4)), ["available", "adopt", "retire 1", "retire 2"]);
    assert_eq!(case.on(Event::Drained(1)), ["TERM 1"]);
    assert!(case.exits(1, 0).is_empty());
    assert_eq!(case.on(Event::Drained(2)), ["TERM 2"]);
    assert!(case.exits(2, 0).is_empty());
    assert!(!case.fleet.needs_ticks());
}

#[test]
fn a_reload_that_can_not_boot_leaves_the_old_workers_and_has_the_last_word() {
    let mut case = serving(2);
    case.reloads();
    assert_eq!(case.on(Event::Ready(4)), ["available"]);
    assert_eq!(case.refuses(3, 3, "SyntaxError: invalid syntax"), ["retire 4", "abandon"]);
    assert_eq!(case.on(Event::Drained(4)), ["TERM 4"]);
    assert_eq!(
        case.exits(4, 0),
        ["Reload failed, the old workers serve on. Reason: SyntaxError: invalid syntax"]
    );
    assert!(case.after(60).is_empty(), "nothing is tried again until the next hang-up");
    assert_eq!(case.reloads(), ["spawn 5", "spawn 6"]);
    case.on(Event::Ready(5));
    assert_eq!(case.on(Event::Ready(6)), ["available", "adopt", "retire 1", "retire 2"]);
}

#[test]
fn an_old_worker_that_dies_during_a_failed_reload_is_replaced() {
    let mut case = serving(1);
    case.reloads();
    assert!(case.is_killed(1).is_empty(), "the new one is on its way");
    let orders = case.refuses(2, 3, "broken");
    assert_eq!(orders.last().unwrap(), "spawn 3");
}

#[test]
fn two_reloads_in_a_row_end_with_the_last() {
    let mut case = serving(1);
    case.reloads();
    assert_eq!(case.reloads(), ["spawn 3"]);
    assert_eq!(case.on(Event::Ready(3)), ["available", "adopt", "retire 1", "TERM 2"]);
}

#[test]
fn a_used_worker_stays_until_its_replacement_is_ready() {
    let mut case = serving(2);
    assert_eq!(case.on(Event::Used(1)), ["spawn 3"]);
    assert!(case.on(Event::Used(1)).is_empty());
    assert_eq!(case.on(Event::Ready(3)), ["available", "retire 1"]);
    assert_eq!(case.on(Event::Drained(1)), ["TERM 1"]);
    assert!(case.exits(1, 0).is_empty());
}

#[test]
fn more_and_fewer() {
    let mut case = serving(1);
    assert_eq!(case.on(Event::More), ["spawn 2"]);
    assert_eq!(case.on(Event::Ready(2)), ["available"]);
    assert_eq!(case.on(Event::Fewer), ["retire 1"]);
    assert!(case.on(Event::Fewer).is_empty(), "never below one");
}

#[test]
fn a_worker_that_has_grown_too_large_is_recycled_too() {
    let mut case = serving(1);
    assert_eq!(case.on(Event::Grown(1)), ["spawn 2"]);
    assert_eq!(case.on(Event::Ready(2)), ["available", "retire 1"]);
}

#[test]
fn a_replacement_that_can_not_boot_leaves_the_used_worker_serving() {
    let mut case = serving(1);
    assert_eq!(case.on(Event::Used(1)), ["spawn 2"]);
    let orders = case.refuses(2, 3, "broken");
    assert_eq!(
        orders,
        ["Worker failed to boot, next try in 0.0s. Reason: broken", "spawn 3"],
        "nobody is sent away, and the old one stays"
    );
    assert_eq!(case.on(Event::Ready(3)), ["available", "retire 1"]);
}

#[test]
fn fewer_workers_is_the_oldest_ones_finishing_what_they_have() {
    let mut case = serving(3);
    assert_eq!(case.on(Event::Fewer), ["retire 1"]);
    assert_eq!(case.on(Event::Fewer), ["retire 2"]);
    assert_eq!(case.on(Event::Drained(2)), ["TERM 2"]);
    assert!(case.exits(2, 0).is_empty());
    assert_eq!(case.on(Event::Drained(1)), ["TERM 1"]);
    assert!(case.exits(1, 0).is_empty(), "nobody takes their place");
}

#[test]
fn workers_told_to_leave_from_outside_are_replaced_at_once_each_time() {
    let mut case = serving(1);
    for worker in 1..20 {
        assert_eq!(case.exits(worker, 0), [format!("spawn {}", worker + 1)]);
        assert_eq!(case.on(Event::Ready(worker + 1)), ["available"]);
    }
}

#[test]
fn a_stuck_worker_is_replaced_at_once_and_aborted_when_it_has_nothing_else_in_hand() {
    let mut case = serving(1);
    assert_eq!(case.on(Event::Stuck(1)), ["retire 1", "spawn 2"]);
    assert!(case.on(Event::Stuck(1)).is_empty(), "another request of it");
    assert_eq!(case.on(Event::Ready(2)), ["available"]);
    assert_eq!(case.on(Event::Drained(1)), ["ABRT 1"]);
    assert!(case.on(Event::Drained(1)).is_empty());
    assert!(case.after(1).is_empty());
    assert_eq!(case.after(1), ["KILL 1"]);
    assert!(case.is_killed(1).is_empty());
}

#[test]
fn what_else_a_stuck_worker_has_is_not_waited_for_without_end() {
    let mut case = serving(1);
    case.on(Event::Stuck(1));
    assert_eq!(case.on(Event::Ready(2)), ["available"]);
    assert!(case.after(29).is_empty());
    assert_eq!(case.after(1), ["ABRT 1"]);
    assert_eq!(case.after(2), ["KILL 1"]);
}

#[test]
fn a_worker_that_is_stuck_while_we_stop_is_not_replaced() {
    let mut case = serving(1);
    case.on(Event::Terminate);
    assert_eq!(case.on(Event::Stuck(1)), ["retire 1"]);
    assert_eq!(case.on(Event::Drained(1)), ["ABRT 1"]);
    assert!(case.on(Event::Quiet).is_empty(), "it has been told");
    assert_eq!(case.exits(1, 1), ["Shutting down: Master", "exit 0"]);
}

#[test]
fn a_retiring_worker_is_not_waited_for_without_end() {
    let mut case = serving(1);
    case.reloads();
    assert_eq!(case.on(Event::Ready(2)), ["available", "adopt", "retire 1"]);
    assert!(case.after(29).is_empty());
    assert_eq!(case.after(1), ["KILL 1"]);
}

#[test]
fn terminate_lets_requests_finish_and_workers_after_them() {
    let mut case = serving(2);
    assert_eq!(case.on(Event::Terminate), ["stop listening"]);
    assert!(case.after(5).is_empty());
    assert_eq!(case.on(Event::Quiet), ["TERM 1", "TERM 2"]);
    assert!(case.exits(1, 0).is_empty());
    assert_eq!(case.exits(2, 0), ["Shutting down: Master", "exit 0"]);
}

#[test]
fn terminate_has_an_end() {
    let mut case = serving(1);
    case.on(Event::Terminate);
    assert!(case.after(29).is_empty());
    assert_eq!(case.after(1), ["KILL 1"]);
    assert_eq!(case.is_killed(1), ["Shutting down: Master", "exit 0"]);
}

#[test]
fn quit_is_quick_also_after_terminate() {
    let mut case = serving(1);
    assert_eq!(case.on(Event::Terminate), ["stop listening"]);
    assert_eq!(case.on(Event::Quit), ["QUIT 1"]);
    assert_eq!(case.after(2), ["KILL 1"]);
    assert_eq!(case.is_killed(1), ["Shutting down: Master", "exit 0"]);
}

#[test]
fn terminate_while_starting() {
    let mut case = start(1);
    assert_eq!(case.on(Event::Terminate), ["stop listening"]);
    assert_eq!(case.on(Event::Quiet), ["TERM 1"]);
    assert_eq!(
        case.on(Event::Exited { worker: 1, end: Ended::Signal(15) }),
        ["Shutting down: Master", "exit 0"]
    );
}

#[test]
fn a_worker_killed_while_we_stop_is_not_replaced() {
    let mut case = serving(2);
    case.on(Event::Terminate);
    assert!(case.is_killed(1).is_empty());
    assert_eq!(case.on(Event::Quiet), ["TERM 2"]);
}

#[test]
fn withdrawing_waits_for_those_who_are_connected_and_hup_brings_workers_back() {
    let mut case = serving(2);
    assert_eq!(case.on(Event::Withdraw), ["doors Shut"]);
    assert!(case.on(Event::Withdraw).is_empty());
    assert_eq!(case.on(Event::Quiet), ["retire 1", "retire 2"]);
    for worker in [1, 2] {
        assert_eq!(case.on(Event::Drained(worker)), [format!("TERM {worker}")]);
        assert!(case.exits(worker, 0).is_empty());
    }
    assert_eq!(case.fleet.target(), 0);
    let reload = Event::Reload { target: 1, graceful: Duration::from_secs(30) };
    assert_eq!(case.on(reload), ["spawn 3"]);
    assert_eq!(case.on(Event::Ready(3)), ["available", "adopt", "doors Open"]);
}

#[test]
fn withdrawing_has_an_end() {
    let mut case = serving(1);
    case.on(Event::Withdraw);
    assert_eq!(case.after(30), ["retire 1"]);
    assert_eq!(case.on(Event::More), ["doors Open", "spawn 2"]);
}

#[test]
fn one_that_is_dismissed_is_replaced() {
    let mut case = serving(2);
    assert_eq!(case.on(Event::Dismissed(1)), ["retire 1", "spawn 3"]);
    assert_eq!(case.on(Event::Dismissed(3)), ["TERM 3", "spawn 4"]);
    assert!(case.on(Event::Dismissed(9)).is_empty());
}
