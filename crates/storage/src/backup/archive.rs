//! The file: a tar archive under zstd, written and read by a thread of its own.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How hard zstd tries: its own default.
const LEVEL: i32 = 3;
/// Members in hand at the same time.
const AHEAD: usize = 2;
/// Bytes of a member, at most: a file of WhatsApp's has 100 MB, a part of a table far less.
const LARGEST: u64 = 1024 * 1024 * 1024;

/// A member of the archive.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

/// Writes an archive beside its place, and moves it there when it is whole.
pub(super) struct Writer {
    members: mpsc::Sender<Member>,
    thread: JoinHandle<io::Result<()>>,
}

impl Writer {
    /// Begins a file that only its owner can read.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let place = path.to_owned();
        if place.exists() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the file is there already"));
        }
        let part = unfinished(&place);
        let file = private(&part)?;
        let (members, mut given) = mpsc::channel(AHEAD);
        let thread = tokio::task::spawn_blocking(move || {
            let written = write(&file, &mut given);
            // An archive without its last member was given up.
            match written {
                Ok(true) => file.sync_all().and_then(|()| std::fs::rename(&part, &place)),
                Ok(false) => std::fs::remove_file(&part),
                Err(error) => {
                    let _ = std::fs::remove_file(&part);
                    Err(error)
                }
            }
        });
        Ok(Self { members, thread })
    }

    /// Adds a member; waits while the disk is behind.
    pub(super) async fn add(&self, name: String, bytes: Vec<u8>) -> io::Result<()> {
        let sent = self.members.send(Member { name, bytes }).await;
        sent.map_err(|_| io::Error::other("the archive cannot be written"))
    }

    /// Adds the last member and makes the file durable.
    pub(super) async fn finish(self, name: &str, bytes: Vec<u8>) -> io::Result<()> {
        self.add(name.to_owned(), bytes).await?;
        self.end().await
    }

    /// Ends without the last member, and says why the archive could not be written.
    pub(super) async fn end(self) -> io::Result<()> {
        drop(self.members);
        self.thread.await.map_err(io::Error::other)?
    }
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

fn private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Returns whether the last member was the manifest.
fn write(file: &File, given: &mut mpsc::Receiver<Member>) -> io::Result<bool> {
    let buffer = BufWriter::new(file);
    let mut archive = tar::Builder::new(zstd::Encoder::new(buffer, LEVEL)?);
    let mut whole = false;
    while let Some(member) = given.blocking_recv() {
        let mut header = tar::Header::new_ustar();
        header.set_size(member.bytes.len() as u64);
        header.set_mode(0o600);
        archive.append_data(&mut header, &member.name, member.bytes.as_slice())?;
        whole = member.name == super::MANIFEST;
    }
    archive.into_inner()?.finish()?.flush()?;
    Ok(whole)
}

/// Reads an archive, member by member.
pub(super) struct Reader {
    members: mpsc::Receiver<io::Result<Member>>,
}

impl Reader {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let (give, members) = mpsc::channel(AHEAD);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = read(file, &give) {
                let _ = give.blocking_send(Err(error));
            }
        });
        Ok(Self { members })
    }

    /// The next member; `None` at the end.
    pub(super) async fn next(&mut self) -> io::Result<Option<Member>> {
        self.members.recv().await.transpose()
    }
}

fn read(file: File, give: &mpsc::Sender<io::Result<Member>>) -> io::Result<()> {
    let mut archive = tar::Archive::new(zstd::Decoder::new(BufReader::new(file))?);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.to_string_lossy().into_owned();
        let mut bytes = Vec::new();
        let length = entry.by_ref().take(LARGEST + 1).read_to_end(&mut bytes)?;
        if length as u64 > LARGEST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{name} is too large")));
        }
        if give.blocking_send(Ok(Member { name, bytes })).is_err() {
            return Ok(());
        }
    }
    Ok(())
}
