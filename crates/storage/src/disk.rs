//! The space of a disk.

use std::path::PathBuf;

use kabar_operations::{Disk, Space};

/// The disk that a folder is on.
#[derive(Debug, Clone)]
pub struct DiskOf(pub PathBuf);

impl Disk for DiskOf {
    fn space(&self) -> Option<Space> {
        let free = fs4::available_space(&self.0).ok()?;
        let total = fs4::total_space(&self.0).ok()?;
        Some(Space { free, total })
    }
}
