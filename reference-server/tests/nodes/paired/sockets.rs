//! The TCP connections of a process, as Linux tells.

use std::collections::BTreeSet;
use std::fs;

/// How many connections a process has to the port of an address, those included of which the other
/// end was closed and its own was not.
pub(super) fn connected(process: u32, url: &str) -> usize {
    let authority = url.split('/').nth(2).unwrap();
    let port: u16 = authority.rsplit_once(':').unwrap().1.parse().unwrap();
    let own = sockets_of(process);
    let table = fs::read_to_string(format!("/proc/{process}/net/tcp")).unwrap();
    let is_to_it = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, _, remote, _, _, _, _, _, _, inode, ..] = fields[..] else { return false };
        let remote = remote.rsplit_once(':').map(|(_, port)| u16::from_str_radix(port, 16));
        remote == Some(Ok(port)) && own.contains(inode)
    };
    table.lines().skip(1).filter(|line| is_to_it(line)).count()
}

/// The inodes of a process' sockets.
fn sockets_of(process: u32) -> BTreeSet<String> {
    let files = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let links = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    let inode = |link: std::path::PathBuf| {
        let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
        Some(inode.to_owned())
    };
    links.filter_map(inode).collect()
}
