//! Shell scripts as the tests' second opinion: what `mount`, `find` and GNU tar say.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder of its own, removed at the end.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        use std::hash::{BuildHasher, Hasher};
        let number = std::hash::RandomState::new().build_hasher().finish();
        let path = std::env::temp_dir().join(format!("rootfs-{name}-{number:016x}"));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = Command::new("rm").arg("-rf").arg(&self.0).status();
    }
}

/// Runs a script in `folder`, in a mount namespace of its own; its output.
pub(crate) fn bash(folder: &Path, script: &str) -> String {
    let output = Command::new("unshare")
        .args(["--mount", "--", "bash", "-euc"])
        .arg(format!("umask 022\n{script}"))
        .current_dir(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}\n{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The options of an overlay as this crate's callers mount it.
pub(crate) const OPTIONS: &str = "userxattr,metacopy=off,index=off,xino=off";

/// Everything that a process can see in the current folder: one line an entry, content and
/// attributes included; times in whole seconds, that of the folder itself left out.
pub(crate) const LIST: &str = r#"
find . -mindepth 1 \( -type d -printf '%P|d|%m|%U:%G|%Ts\n' \) -o \( -type l -printf '%P|l|%U:%G|%Ts|%l\n' \) \
  -o \( -type f -printf '%P|f|%m|%U:%G|%Ts|%s\n' \) -o -printf '%P|%y|%m|%U:%G|%Ts\n' | sort
find . \( -type c -o -type b \) -exec stat -c '%n %t:%T' {} + | sort
find . -type f -exec sha256sum {} + | sort
find . -mindepth 1 -exec getfattr -h -d -m '^(user\.(?!overlay)|security.capability|system.posix)' -e hex {} + 2>/dev/null | grep -v 'user.overlay' | paste -sd' ' | sed 's/# file: /\n/g' | grep = | sort || true
"#;

/// Applies the tar `$1` to the folder `$2` as the OCI image specification says (layer.md), with GNU
/// tar and nothing of ours.
pub(crate) const APPLY: &str = r#"
apply() {
  local tar=$1 to=$2
  tar -tf "$tar" --quoting-style=literal | while IFS= read -r name; do
    [ -n "$name" ] || continue  # the second half of a name with a line end
    base=$(basename "$name"); dir=$(dirname "$name")
    case $base in
      .wh.*) rm -rf "$to/$dir/${base#.wh.}" ;;
      *) if [ -e "$to/$name" -o -L "${to}/${name%/}" ]; then
           case $name in
             */) [ -d "$to/${name%/}" -a ! -L "$to/${name%/}" ] || rm -rf "$to/${name%/}" ;;
             *) rm -rf "$to/$name" ;;
           esac
         fi ;;
    esac
  done
  tar -xpf "$tar" -C "$to" --numeric-owner --xattrs --xattrs-include='*' --exclude='.wh.*'
}
"#;
