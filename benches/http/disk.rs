//! How fast the disk makes things durable: no durable send can be quicker.

use std::fs::File;
use std::io::Write as _;
use std::time::{Duration, Instant};

/// Appends 4 KiB and flushes, for a second.
pub(crate) fn print() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = File::create(folder.path().join("flush")).unwrap();
    let begun = Instant::now();
    let mut count = 0_u32;
    while begun.elapsed() < Duration::from_secs(1) {
        file.write_all(&[7; 4096]).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    let rate = f64::from(count) / begun.elapsed().as_secs_f64();
    println!("{:44} {rate:8.0} fdatasync/s (4 KiB appended each time)", "disk");
}
