//! Where everything is kept that is measured: a file system of its own with a journal, where that
//! can be made. One without is slow for minutes after many files were removed, and then whoever
//! comes next is measured too long.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::process;

/// Its size; only what is written takes room.
const SIZE: u64 = 24 << 30;

/// An empty folder, removed in the end.
pub(super) struct Disk {
    pub(super) folder: PathBuf,
    image: Option<PathBuf>,
}

impl Disk {
    pub(super) fn make(folder: &Path) -> Result<Self> {
        // What a run that was killed has left. Its image may be in use for a moment longer: the new
        // one is another file.
        let _ = unmount(folder);
        let image = folder.with_extension("ext4");
        let _ = fs::remove_file(&image);
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
        let image = match mount(&image, folder) {
            Ok(()) => Some(image),
            Err(e) => {
                println!("not run: a file system with a journal: {e}");
                let _ = fs::remove_file(image);
                None
            }
        };
        let folder = folder.to_owned();
        Ok(Self { folder, image })
    }

    /// What it is, for those who read the numbers.
    pub(super) fn about(&self) -> &'static str {
        match self.image {
            Some(_) => "ext4 with a journal, on a loop device",
            None => "the disk at hand",
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Some(image) = &self.image {
            let _ = unmount(&self.folder);
            let _ = fs::remove_file(image);
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn mount(image: &Path, folder: &Path) -> Result<()> {
    File::create(image)?.set_len(SIZE)?;
    let mut make = Command::new("mkfs.ext4");
    process::output(make.args(["-q", "-F", "-O", "has_journal"]).arg(image))?;
    let mut mount = Command::new("mount");
    process::output(mount.args(["-o", "loop,noatime"]).arg(image).arg(folder))?;
    Ok(())
}

fn unmount(folder: &Path) -> Result<()> {
    let mounts = mounts()?;
    if !mounts.iter().any(|at| at == folder) {
        return Err("it is not mounted".into());
    }
    process::output(Command::new("umount").arg("-l").arg(folder))?;
    Ok(())
}

/// Unmounts what somebody has left mounted inside of a folder.
pub(super) fn unmount_inside(folder: &Path) -> Result<()> {
    // What was mounted last stands last.
    for at in mounts()?.iter().rev() {
        if at != folder && at.starts_with(folder) {
            process::output(Command::new("umount").arg("-l").arg(at))?;
        }
    }
    Ok(())
}

fn mounts() -> Result<Vec<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let places = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    Ok(places.map(PathBuf::from).collect())
}
