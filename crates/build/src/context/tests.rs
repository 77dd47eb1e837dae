use std::time::Duration;

use super::*;
use crate::Indexes;

/// Indexes in memory; how often one was put.
#[derive(Default)]
struct Kept(Mutex<(HashMap<PathBuf, Vec<u8>>, usize)>);

impl Indexes for Kept {
    fn get(&self, folder: &Path) -> Option<Vec<u8>> {
        self.0.lock().unwrap().0.get(folder).cloned()
    }

    fn put(&self, folder: &Path, index: &[u8]) {
        let mut kept = self.0.lock().unwrap();
        kept.0.insert(folder.to_owned(), index.to_owned());
        kept.1 += 1;
    }
}

impl Kept {
    fn puts(&self) -> usize {
        self.0.lock().unwrap().1
    }

    fn look(&self, read_up_to: u64) -> Look<'_> {
        Look {
            indexes: Some(self),
            read_up_to,
        }
    }
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let temp = tempfile::tempdir().unwrap();
    for (file, text) in files {
        let at = temp.path().join(file);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(at, text).unwrap();
    }
    // Until a later change is sure to show.
    std::thread::sleep(Duration::from_millis(150));
    temp
}

fn all() -> Selection {
    Selection::new(&Select::default(), &[]).unwrap()
}

fn own(patterns: &[&str]) -> Select {
    Select {
        patterns: patterns.iter().map(ToString::to_string).collect(),
        ..Select::default()
    }
}

fn paths(files: &dyn Files) -> Vec<String> {
    files.tree().iter().map(|e| e.path.to_string()).collect()
}

#[test]
fn what_was_found_out_is_kept_and_written_only_when_something_is_new() {
    let temp = folder(&[("a", "1"), ("d/b", "2")]);
    let kept = Kept::default();
    let look = kept.look(u64::MAX);
    // Nothing is unread where all is to be read; and where there is nothing to read, nothing is read.
    let scan = |look: &Look<'_>| {
        let context = LocalContext::open(temp.path(), None).unwrap();
        let (files, scanned) = context.scan(&all(), look).unwrap();
        assert_eq!(files.tree().len(), 4);
        (scanned.known, scanned.read, scanned.unread)
    };
    assert_eq!(scan(&look), (0, 2, 0));
    assert_eq!((scan(&look), kept.puts()), ((2, 0, 0), 1));
    assert_eq!((scan(&kept.look(0)), kept.puts()), ((2, 0, 0), 1));
    // By another way to the same folder, too.
    let link = temp.path().with_extension("link");
    #[cfg(unix)]
    std::os::unix::fs::symlink(temp.path(), &link).unwrap();
    let context = LocalContext::open(&link, None).unwrap();
    assert_eq!(context.scan(&all(), &look).unwrap().1.known, 2);
    fs::remove_file(link).unwrap();
    // Damage is as nothing.
    kept.put(
        &fs::canonicalize(temp.path()).unwrap(),
        b"kilnindx and so on",
    );
    assert_eq!(scan(&look), (0, 2, 0));
}

#[test]
fn what_somebody_read_is_learnt() {
    let temp = folder(&[("a", "1"), ("d/b", "2")]);
    let kept = Kept::default();
    let context = LocalContext::open(temp.path(), None).unwrap();
    let patterns = own(&["a", "d"]);
    let files = context.files(&patterns, &kept.look(0)).unwrap();
    let unread = |files: &dyn Files| {
        let is_unread = |e: &&Entry| e.file().is_some_and(kiln_layer::File::is_unread);
        files.tree().iter().filter(is_unread).count()
    };
    assert_eq!(unread(&*files), 2);
    let mut read = kiln_layer::InMemory::new();
    for (path, text) in [("a", "1"), ("d/b", "2")] {
        let path: LayerPath = path.parse().unwrap();
        let mut content = String::new();
        let mut open = files.open(&path).unwrap();
        io::Read::read_to_string(&mut open, &mut content).unwrap();
        assert_eq!(content, text);
        read.file(path, kiln_layer::Meta::default(), content);
    }
    let digest = |path: &LayerPath| read.tree().file(path).map(|(_, file)| file.digest);
    context.learn(&patterns, &kept.look(0), &digest);
    assert_eq!(kept.puts(), 1);
    let context = LocalContext::open(temp.path(), None).unwrap();
    let files = context.files(&patterns, &kept.look(0)).unwrap();
    assert_eq!(unread(&*files), 0);
    let whole = context
        .files(&patterns, &Kept::default().look(u64::MAX))
        .unwrap();
    assert_eq!(files.tree(), whole.tree());
}

#[test]
fn only_what_is_selected_and_not_ignored_is_looked_at() {
    let files = [
        ("a", "1"),
        ("d/b", "2"),
        ("d/c", "3"),
        ("e/x/f", "4"),
        ("other", "5"),
    ];
    let temp = folder(&files);
    fs::write(temp.path().join(".dockerignore"), "d\n!d/c\n").unwrap();
    let context = LocalContext::open(temp.path(), None).unwrap();
    let kept = Kept::default();
    let look = kept.look(u64::MAX);
    for (patterns, want) in [
        (&["a", "d"][..], &["/", "a", "d", "d/c"][..]),
        (&["e/*"], &["/", "e", "e/x", "e/x/f"]),
        (&["d/b"], &["/"]),
        (&["none"], &["/"]),
        (
            &["."],
            &[
                "/",
                ".dockerignore",
                "a",
                "d",
                "d/c",
                "e",
                "e/x",
                "e/x/f",
                "other",
            ],
        ),
    ] {
        let files = context.files(&own(patterns), &look).unwrap();
        assert_eq!(paths(&*files), want, "{patterns:?}");
    }
}

#[cfg(unix)]
#[test]
fn entries_have_the_owners_and_modes_of_a_context() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let temp = folder(&[("run", "1"), ("data", "2")]);
    let mode = |p: &str, mode| {
        fs::set_permissions(temp.path().join(p), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("run", 0o710);
    mode("data", 0o660);
    symlink("data", temp.path().join("link")).unwrap();
    fs::hard_link(temp.path().join("data"), temp.path().join("data2")).unwrap();
    let modes = |plain| {
        let context = LocalContext::open(temp.path(), None)
            .unwrap()
            .plain_modes(plain);
        let look = Look {
            indexes: None,
            read_up_to: u64::MAX,
        };
        let files = context.files(&own(&["."]), &look).unwrap();
        let of = |p: &str| files.tree().get(&p.parse().unwrap()).unwrap().meta.clone();
        let all = ["run", "data", "data2"].map(of);
        assert!(
            files
                .tree()
                .iter()
                .all(|e| (e.meta.uid, e.meta.gid) == (0, 0))
        );
        all.map(|meta| meta.mode)
    };
    assert_eq!(modes(false), [0o710, 0o660, 0o660]);
    assert_eq!(modes(true), [0o755, 0o644, 0o644]);
}

#[cfg(unix)]
#[test]
fn a_link_that_is_selected_brings_what_it_leads_to() {
    let temp = folder(&[("real/x", "1"), ("real/y", "2"), ("other", "3")]);
    std::os::unix::fs::symlink("real/x", temp.path().join("link")).unwrap();
    let context = LocalContext::open(temp.path(), None).unwrap();
    let look = Look {
        indexes: None,
        read_up_to: u64::MAX,
    };
    let files = context.files(&own(&["link"]), &look).unwrap();
    assert_eq!(paths(&*files), ["/", "link", "real", "real/x"]);
}

#[test]
fn an_ignore_file_that_cannot_be_read_stops_the_build() {
    let temp = folder(&[
        ("a", "1"),
        ("other.dockerignore", "# rules\n*.log\n[z-a]\n"),
    ]);
    let at = temp.path().join(".dockerignore");
    let open = |file: Option<&str>| {
        let file = file.map(|name| temp.path().join(name));
        LocalContext::open(temp.path(), file.as_deref())
    };
    let error = open(Some("other")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "other.dockerignore:3: bad pattern `[z-a]`"
    );
    assert!(error.hint_text().unwrap().contains("`]`"));
    open(Some("none")).unwrap();
    fs::create_dir(&at).unwrap();
    let error = open(Some("none")).unwrap_err();
    assert!(error.to_string().ends_with(".dockerignore`"), "{error}");
    // A pipe that nobody writes to is not waited for.
    #[cfg(unix)]
    {
        fs::remove_dir(&at).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&at).status();
        assert!(made.unwrap().success());
        let error = open(None).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, "it is not a regular file");
    }
}
