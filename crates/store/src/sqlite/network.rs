//! Network file systems, on which SQLite's locks do not work and databases get damaged.

use std::path::Path;

use crate::error::StoreError;

/// Types of network file systems, as named in `/proc/mounts`.
const NETWORK: [&str; 21] = [
    "nfs",
    "nfs4",
    "lustre",
    "cifs",
    "smb3",
    "smbfs",
    "beegfs",
    "beegfs_nodev",
    "gpfs",
    "ceph",
    "panfs",
    "afs",
    "ncpfs",
    "pvfs2",
    "orangefs",
    "glusterfs",
    "fuse.glusterfs",
    "fuse.ceph",
    "fuse.sshfs",
    "fuse.s3fs",
    "fuse.gcsfuse",
];

/// The type of the network file system that contains a folder, or would contain it once created. `None` on a local
/// disk.
pub(crate) fn network_file_system(dir: &Path) -> Option<String> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    let absolute = std::path::absolute(dir).ok()?;
    // A missing folder will be created in its nearest existing ancestor. Links are resolved.
    let existing = absolute.ancestors().find_map(|folder| folder.canonicalize().ok())?;
    kind_of(&mounts, &existing).filter(|kind| NETWORK.contains(kind)).map(str::to_owned)
}

/// Returns an error for a folder on a network file system.
pub(crate) fn refuse(dir: &Path) -> Result<(), StoreError> {
    match network_file_system(dir) {
        Some(kind) => Err(StoreError::Network { path: dir.to_owned(), kind }),
        None => Ok(()),
    }
}

/// The type of the file system of a path: the deepest mount above it, and the last of several at the same path.
fn kind_of<'a>(mounts: &'a str, path: &Path) -> Option<&'a str> {
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((unescaped(words.next()?), words.next()?))
    });
    let above = mounts.filter(|(at, _)| path.starts_with(at));
    above.max_by_key(|(at, _)| at.len()).map(|(_, kind)| kind)
}

/// Replaces the octal escapes of spaces and other special characters.
fn unescaped(word: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .into_iter()
        .fold(word.to_owned(), |word, (from, to)| word.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
/dev/vda / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
tmpfs /home/me/fast tmpfs rw 0 0
mds@tcp:/scratch /lustre/big\\040one lustre rw 0 0
";

    #[test]
    fn the_deepest_mount_counts() {
        let kind = |path: &str| kind_of(MOUNTS, Path::new(path));
        assert_eq!(kind("/var/runs"), Some("ext4"));
        assert_eq!(kind("/home/me/runs"), Some("nfs4"));
        assert_eq!(kind("/home/me/fast/runs"), Some("tmpfs"));
        assert_eq!(kind("/homestead"), Some("ext4"));
        assert_eq!(kind("/lustre/big one/runs"), Some("lustre"));
        assert_eq!(network_file_system(Path::new("/")), None);
    }
}
