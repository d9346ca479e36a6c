//! What a process uses: CPU of all its threads, memory, descriptors.

use std::fs;
use std::time::Duration;

/// CPU and memory of one process and those that it started, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Time on a CPU, user and system, summed over the threads there are: `schedstat` counts it in
    /// nanoseconds as the scheduler does, where `stat` counts ticks.
    pub cpu: Duration,
    /// Time in which they could have run and had no CPU, counted likewise.
    pub waited: Duration,
    /// Resident set.
    pub rss_kib: u64,
    /// Open file descriptors.
    pub descriptors: usize,
}

impl Usage {
    /// That of process `pid` and its children, however deep; `None` when there is none.
    pub fn of(pid: u32) -> Option<Usage> {
        let mut sum = Usage::of_one(pid)?;
        let mut parents = vec![pid];
        while let Some(parent) = parents.pop() {
            for child in children(parent) {
                // One that has just ended has no figures any more.
                let usage = Usage::of_one(child).unwrap_or_default();
                sum.cpu += usage.cpu;
                sum.waited += usage.waited;
                sum.rss_kib += usage.rss_kib;
                sum.descriptors += usage.descriptors;
                parents.push(child);
            }
        }
        Some(sum)
    }

    /// CPU time of one thread of the kernel; `None` when there is none.
    pub fn of_thread(id: u32) -> Option<Duration> {
        let schedstat = fs::read_to_string(format!("/proc/{id}/schedstat")).ok()?;
        Some(times(&schedstat)?.0)
    }

    fn of_one(pid: u32) -> Option<Usage> {
        let (mut cpu, mut waited) = (Duration::ZERO, Duration::ZERO);
        for task in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
            // A thread may end between the two calls.
            let Ok(schedstat) = fs::read_to_string(task.path().join("schedstat")) else {
                continue;
            };
            let (ran, queued) = times(&schedstat)?;
            cpu += ran;
            waited += queued;
        }
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
        Some(Usage {
            cpu,
            waited,
            rss_kib: rss_kib(&status)?,
            descriptors,
        })
    }
}

/// Processes that a process has started and that run.
fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    let tasks = tasks.into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let pids = lists.map(|list| list.split_whitespace().flat_map(str::parse).collect());
    pids.flat_map(|pids: Vec<u32>| pids).collect()
}

/// The first two fields of `schedstat`: nanoseconds spent on a CPU, and waiting for one.
fn times(schedstat: &str) -> Option<(Duration, Duration)> {
    let mut fields = schedstat.split_whitespace().map(str::parse);
    let mut next = || fields.next()?.ok().map(Duration::from_nanos);
    Some((next()?, next()?))
}

fn rss_kib(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_of_the_kernel_are_read() {
        let found = times("1234567890 42 7\n").expect("three fields");
        assert_eq!(
            found,
            (
                Duration::from_nanos(1_234_567_890),
                Duration::from_nanos(42)
            )
        );
        assert_eq!(times(""), None);
        let status = "Name:\tstrowger\nVmHWM:\t   14000 kB\nVmRSS:\t   13820 kB\n";
        assert_eq!(rss_kib(status), Some(13_820));
    }

    #[test]
    fn a_process_that_works_uses_cpu_and_memory() {
        let pid = std::process::id();
        let before = Usage::of(pid).expect("this process runs");
        assert!(before.rss_kib > 100 && before.descriptors > 2, "{before:?}");
        let mut sum = 0_u64;
        while Usage::of(pid).expect("this process runs").cpu <= before.cpu {
            sum = (0..1_000_000_u64).fold(sum, u64::wrapping_add);
        }
        std::hint::black_box(sum);
    }
}
