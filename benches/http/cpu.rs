//! Processor time from `/proc`.

use std::time::Duration;

/// Ticks of a second: `USER_HZ`, 100 on every Linux.
const TICKS: u64 = 100;

/// Processor time used so far.
#[derive(Clone, Copy)]
pub(crate) struct Used {
    pub(crate) server: Duration,
    pub(crate) database: Duration,
}

impl Used {
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            server: self.server.saturating_sub(before.server),
            database: self.database.saturating_sub(before.database),
        }
    }
}

/// Of a server and of every PostgreSQL process; a backend that ended in between is not counted, so
/// connections must stay open meanwhile.
pub(crate) fn of(server: u32) -> Used {
    let mut database = Duration::ZERO;
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if let Some((name, time)) = stat(pid)
            && name.starts_with("postgres")
        {
            database += time;
        }
    }
    Used { server: stat(server).map_or(Duration::ZERO, |(_, time)| time), database }
}

/// Name and processor time of a process: fields 2, 14 and 15 of `proc_pid_stat(5)`.
fn stat(pid: u32) -> Option<(String, Duration)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (start, rest) = text.rsplit_once(')')?;
    let name = start.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some((name, Duration::from_millis(ticks * 1_000 / TICKS)))
}

/// Resident memory of a process in MiB: `VmRSS` of `proc_pid_status(5)`.
pub(crate) fn memory(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}
