//! What a RUN does to an overlay, row by row: the layer's tar applied to a copy of what was below
//! gives what the merged mount showed, and so does the upper directory used as a layer itself.

use std::sync::Arc;

use kiln_layer::{Files, Kind, LayerPath, Packed, Root, RootLayer, Time, Times, Tree};
use kiln_rootfs::{Bodies as _, Direct};

use crate::shell::{APPLY, LIST, OPTIONS, Scratch, bash};

/// A layer of which only the tree is asked.
struct Only(Tree);

impl Files for Only {
    fn tree(&self) -> &Tree {
        &self.0
    }

    fn open(&self, path: &LayerPath) -> std::io::Result<Box<dyn std::io::Read + Send>> {
        panic!("`{path}` is opened")
    }
}

fn root_of(layers: Vec<&Packed>) -> Root {
    let layer = |packed: &Packed| RootLayer {
        diff_id: packed.diff_id,
        files: Arc::new(Only(packed.tree.clone())),
    };
    Root::new(layers.into_iter().map(layer).collect())
}

/// Everything that an upper directory has on the disk, marks and whiteouts included.
const ALL: &str =
    "find . -printf '%P %y %m %U:%G %n %T@ %l\n' | sort; getfattr -R -h -d -m - . || true";

/// What is below in every row.
const LOWER: &str = r#"
mkdir -p etc usr/bin d/sub/deep tmp empty odd
echo root:x:0:0 > etc/passwd; echo hosts > etc/hosts
echo tool > usr/bin/tool; chmod 4755 usr/bin/tool; cp usr/bin/tool usr/bin/same
echo 1 > d/one; echo 2 > d/two; echo 3 > d/sub/three; echo 4 > d/sub/deep/four
ln -s one d/link; ln d/one d/hard; chmod 1777 tmp; mkfifo odd/fifo; mknod odd/dev c 1 3
setfattr -n user.color -v red d/two
head -c 100000 /dev/zero > d/big
find . -exec touch -h -d @1600000000 {} +
"#;

struct Done {
    scratch: Scratch,
    packed: Packed,
    merged: String,
}

/// Runs `script` in an overlay on [`LOWER`], commits it with `times`, and checks both ways to see
/// the result against the merged mount.
fn run_with(name: &str, script: &str, times: Times) -> Done {
    let scratch = Scratch::new("differ");
    bash(
        &scratch.0,
        "mkdir lower upper work merged; touch -d @0 upper",
    );
    bash(&scratch.join("lower"), LOWER);
    let base = Direct
        .commit(
            &scratch.join("lower"),
            &Root::default(),
            &Tree::new(),
            &Times::Keep.into(),
        )
        .unwrap();
    let merged = bash(
        &scratch.0,
        &format!(
            "mount -t overlay overlay -o {OPTIONS},lowerdir=lower,upperdir=upper,workdir=work merged
             cd merged; ( {script} ) >&2; {LIST}"
        ),
    );
    let mut tar = std::fs::File::create(scratch.join("layer.tar")).unwrap();
    let (upper, root) = (scratch.join("upper"), root_of(vec![&base]));
    let untouched = bash(&upper, ALL);
    let shown = Direct
        .changes(&upper, &root, &Tree::new(), times, Some(&mut tar))
        .unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(bash(&upper, ALL), untouched, "{name}: nothing is changed");
    let packed = Direct
        .commit(&upper, &root, &Tree::new(), &times.into())
        .unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(
        (shown.diff_id, shown.tree),
        (packed.diff_id, packed.tree.clone())
    );
    let sum = bash(&scratch.0, "sha256sum < layer.tar");
    assert_eq!(packed.diff_id.hex(), sum[..64], "{name}");
    if times == Times::Keep {
        assert_eq!(
            applied(&scratch),
            merged,
            "{name}: the tar applied to a copy"
        );
        assert_eq!(
            mounted(&scratch),
            merged,
            "{name}: the upper directory as a layer"
        );
    } else {
        assert_eq!(applied(&scratch), mounted(&scratch), "{name}");
    }
    let stranger = bash(
        &scratch.0,
        "cd upper; getfattr -R -h -d -m 'user.overlay.opaque' . || true",
    );
    assert_eq!(stranger, "", "{name}: marks are spelled out");
    Done {
        scratch,
        packed,
        merged,
    }
}

fn applied(scratch: &Scratch) -> String {
    bash(
        &scratch.0,
        &format!("{APPLY}\nrm -rf copy; cp -a lower copy; apply layer.tar copy; cd copy; {LIST}"),
    )
}

fn mounted(scratch: &Scratch) -> String {
    bash(
        &scratch.0,
        &format!(
            "mount -t overlay overlay -o {OPTIONS},lowerdir=upper:lower merged; cd merged; {LIST}"
        ),
    )
}

fn run(name: &str, script: &str) -> Done {
    run_with(name, script, Times::Keep)
}

fn paths(packed: &Packed) -> Vec<String> {
    let shown = |entry: &kiln_layer::Entry| match &entry.kind {
        Kind::Whiteout => format!("-{}", entry.path),
        Kind::Hardlink { target } => format!("{}={target}", entry.path),
        Kind::Dir { .. } => format!("{}/", entry.path),
        _ => entry.path.to_string(),
    };
    packed.tree.iter().map(shown).collect()
}

/// What is done, and exactly the entries of the layer: `x/` a folder, `-x` a whiteout, `x=y` a hard
/// link.
const ROWS: &[(&str, &str, &[&str])] = &[
    ("nothing", "true", &[]),
    ("reading", "cat d/one; ls -R > /dev/null", &[]),
    ("a new file", "echo x > new", &["new"]),
    ("a new file in a folder", "echo x > d/new", &["d/", "d/new"]),
    (
        "a deep folder",
        "mkdir -p a/b/c; echo x > a/b/c/x",
        &["a/", "a/b/", "a/b/c/", "a/b/c/x"],
    ),
    ("appending", "echo x >> d/two", &["d/", "d/two"]),
    (
        "a changed file, time put back",
        "echo y > d/two; touch -d @1600000000 d/two",
        &["d/", "d/two"],
    ),
    ("chmod", "chmod 600 d/two", &["d/", "d/two"]),
    (
        "chown",
        "chown 5:6 usr/bin/tool",
        &["usr/", "usr/bin/", "usr/bin/tool"],
    ),
    ("chown of a link", "chown -h 5:6 d/link", &["d/", "d/link"]),
    ("touch", "touch -d @1700000000 d/two", &["d/", "d/two"]),
    ("chmod of a folder", "chmod 700 d/sub", &["d/", "d/sub/"]),
    (
        "copied up and the same",
        "chmod 700 usr/bin/same; chmod 755 usr/bin/same; chmod 4755 usr/bin/tool",
        &[],
    ),
    ("opened for writing", "exec 3>>d/two; exec 3>&-", &[]),
    ("the folder copied up alone", "chmod 755 d/sub/deep", &[]),
    ("removing a file", "rm d/two", &["d/", "-d/two"]),
    ("removing a tree", "rm -r d", &["-d"]),
    (
        "replacing a folder by a folder",
        "rm -r d; mkdir d; echo x > d/new",
        &[
            "d/", "-d/big", "-d/hard", "-d/link", "d/new", "-d/one", "-d/sub", "-d/two",
        ],
    ),
    (
        "an empty folder in the place of a full one",
        "rm -r d/sub; mkdir d/sub",
        &["d/", "d/sub/", "-d/sub/deep", "-d/sub/three"],
    ),
    (
        "folders in a replaced folder",
        "rm -r d; mkdir -p d/sub/deep; echo 4 > d/sub/deep/five",
        &[
            "d/",
            "-d/big",
            "-d/hard",
            "-d/link",
            "-d/one",
            "d/sub/",
            "d/sub/deep/",
            "d/sub/deep/five",
            "-d/sub/deep/four",
            "-d/sub/three",
            "-d/two",
        ],
    ),
    (
        "replaced by the same",
        "rm d/two; echo 2 > d/two; setfattr -n user.color -v red d/two; touch -d @1600000000 d/two d",
        &[],
    ),
    (
        "a file in the place of a folder",
        "rm -r d/sub; echo x > d/sub",
        &["d/", "d/sub"],
    ),
    (
        "a folder in the place of a file",
        "rm d/two; mkdir d/two; echo x > d/two/x",
        &["d/", "d/two/", "d/two/x"],
    ),
    (
        "a link in the place of a folder",
        "rm -r d/sub; ln -s /tmp d/sub",
        &["d/", "d/sub"],
    ),
    (
        "a folder in the place of a link",
        "rm d/link; mkdir d/link",
        &["d/", "d/link/"],
    ),
    (
        "renaming a file",
        "mv d/two d/zwei",
        &["d/", "-d/two", "d/zwei"],
    ),
    (
        "renaming over a file",
        "mv d/two d/one",
        &["d/", "d/one", "-d/two"],
    ),
    (
        "renaming a folder",
        "mv d/sub e",
        &["d/", "-d/sub", "e/", "e/deep/", "e/deep/four", "e/three"],
    ),
    (
        "renaming a folder there and back",
        "mv d/sub e; mv e d/sub; touch -d @1600000000 d",
        &[],
    ),
    (
        "a link within the layer",
        "echo x > a; ln a b; ln a tmp/c; echo y >> b",
        &["a", "b=a", "tmp/", "tmp/c=a"],
    ),
    (
        "a link to what was below",
        "ln d/two z; touch -d @1600000000 d",
        &["d/", "d/two", "z=d/two"],
    ),
    (
        "a link before what was below",
        "ln d/two a",
        &["a", "d/", "d/two=a"],
    ),
    ("a name of several", "echo x >> d/hard", &["d/", "d/hard"]),
    (
        "made and removed",
        "echo x > d/new; rm d/new; mkdir -p a/b; rm -r a; touch -d @1600000000 d",
        &[],
    ),
    (
        "fifo, devices, socket",
        "mkfifo a; mknod b c 1 5; mknod c b 7 300; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"s\")'; rm s",
        &["a", "b", "c"],
    ),
    (
        "a fifo touched and put back",
        "touch odd/fifo odd/dev; touch -d @1600000000 odd/fifo odd/dev odd",
        &[],
    ),
    (
        "attributes",
        "setfattr -n user.color -v blue d/two; setfattr -n user.x -v y d",
        &["d/", "d/two"],
    ),
    (
        "an attribute removed",
        "setfattr -x user.color d/two",
        &["d/", "d/two"],
    ),
    (
        "capabilities and setuid",
        "cp usr/bin/tool p; setcap cap_net_raw+ep p; cp usr/bin/tool q; chmod 6755 q",
        &["p", "q"],
    ),
    (
        "an access list",
        "setfacl -m u:7:r d/one || setfattr -n system.posix_acl_access -v 0x0200000001000600ffffffff020004000700000004000400ffffffff10000400ffffffff20000400ffffffff d/one",
        &["d/", "d/one"],
    ),
    ("a sparse file", "truncate -s 10M a; echo end >> a", &["a"]),
    (
        "holes in what was below",
        "truncate -s 20M d/big; truncate -s 5M d/one",
        &["d/", "d/big", "d/one"],
    ),
    (
        "ids over two million",
        "touch a; chown 2097152:4294967294 a; mkdir b; chown 4294967294:2097151 b; ln -s x l; chown -h 3000000000:5 l; chown 3000000 d/two",
        &["a", "b/", "d/", "d/two", "l"],
    ),
    (
        "setuid after a chown",
        "chown 7:8 usr/bin/tool; chmod 4755 usr/bin/tool; cp usr/bin/tool p; chown 9 p; chmod 6711 p",
        &["p", "usr/", "usr/bin/", "usr/bin/tool"],
    ),
    (
        "a folder, a link and a file change places",
        "rm -r d/sub; rm d/link d/two; ln -s two d/sub; mkdir d/two; mv d/one d/link",
        &["d/", "d/link", "-d/one", "d/sub", "d/two/"],
    ),
    (
        "a device in the place of a folder, a fifo in that of a file",
        "rm -r d/sub; mknod d/sub b 8 1; rm d/two; mkfifo d/two",
        &["d/", "d/sub", "d/two"],
    ),
    (
        "odd names",
        "echo 1 > $'a\\xff\\n'; mkdir ' '; echo 2 > ' /-'; echo 3 > 'ä'; ln -s $'\\xfe' l",
        &[" /", " /-", "a\\xff\\n", "l", "ä"],
    ),
    (
        "long names",
        "n=$(printf 'n%.0s' $(seq 250)); mkdir -p $n/$n; echo 1 > $n/$n/$n; ln -s $n/$n l; rm -r $n",
        &["l"],
    ),
    (
        "every mode",
        "for m in 0 7 70 700 1777 2755 4711 7777; do echo $m > m$m; chmod $m m$m; mkdir d$m; chmod $m d$m; done",
        &[
            "d0/", "d1777/", "d2755/", "d4711/", "d7/", "d70/", "d700/", "d7777/", "m0", "m1777",
            "m2755", "m4711", "m7", "m70", "m700", "m7777",
        ],
    ),
    (
        "a whiteout of what never was",
        "echo x > d/n; sync d/n; rm d/n; touch -d @1600000000 d",
        &[],
    ),
    (
        "the time before 1970",
        "touch -d @-5 a; touch -d @-1.5 c; mkdir e; touch -d @-2000000000.25 e; touch -d @5000000000.999999999 b; touch -d @1600000000.5 d/two; touch -d @1600000001 d/two",
        &["a", "b", "c", "d/", "d/two", "e/"],
    ),
];

pub(crate) fn rows() {
    let mut wrong = Vec::new();
    for (name, script, expected) in ROWS {
        let found = paths(&run(name, script).packed);
        if found != *expected {
            wrong.push(format!("{name}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A fraction of a second is not in the tar: neither is it on the disk afterwards.
pub(crate) fn fractions_of_seconds() {
    let done = run(
        "fractions",
        "touch -d @1600000000.75 a d/two; mkdir b; touch -d @1600000000.5 b",
    );
    let two = done.packed.tree.get(&"d/two".parse().unwrap());
    assert_eq!(
        two.map(|e| e.meta.mtime),
        None,
        "the same but for a fraction"
    );
    let times = bash(
        &done.scratch.join("upper"),
        "find . -mindepth 1 -printf '%p %T@\n' | sort",
    );
    assert!(times.contains("./a 1600000000.0000000000\n"), "{times}");
    assert!(times.contains("./b 1600000000.0000000000\n"), "{times}");
}

pub(crate) fn sockets_are_left_out() {
    let bind = "import socket; socket.socket(socket.AF_UNIX).bind";
    let script = format!("rm d/two; python3 -c '{bind}(\"d/two\")'; python3 -c '{bind}(\"d/s\")'");
    let scratch = Scratch::new("sockets");
    bash(&scratch.0, "mkdir lower upper work merged");
    bash(&scratch.join("lower"), LOWER);
    let base = Direct.commit(
        &scratch.join("lower"),
        &Root::default(),
        &Tree::new(),
        &Times::Keep.into(),
    );
    let base = base.unwrap();
    bash(
        &scratch.0,
        &format!(
            "mount -t overlay overlay -o {OPTIONS},lowerdir=lower,upperdir=upper,workdir=work merged
             cd merged; {script}"
        ),
    );
    let root = root_of(vec![&base]);
    let packed = Direct
        .commit(
            &scratch.join("upper"),
            &root,
            &Tree::new(),
            &Times::Keep.into(),
        )
        .unwrap();
    assert_eq!(paths(&packed), ["d/", "-d/two"]);
    assert_eq!(
        bash(&scratch.0, "ls -A upper/d; stat -c %t:%T upper/d/two"),
        "two\n0:0\n"
    );
}

/// More folders than one thread looks into alone, deep ones and wide ones.
pub(crate) fn many_folders() {
    let script = "for i in $(seq 300); do mkdir -p m/$i/x; echo $i > m/$i/x/f; ln m/$i/x/f m/$i/l; done; rm -r d/sub; p=deep; for i in $(seq 120); do p=$p/d; done; mkdir -p $p; echo x > $p/x";
    let done = run("many folders", script);
    assert_eq!(done.packed.tree.len(), 1 + 300 * 4 + 2 + 121 + 1);
}

/// A hole takes no room in the body, which is the directory itself.
pub(crate) fn holes_stay() {
    let done = run("holes", "truncate -s 1G a; echo end >> a; truncate -s 1G b");
    let blocks = bash(&done.scratch.join("upper"), "du -sk a b | cut -f1");
    let kib: u64 = blocks.lines().map(|n| n.parse::<u64>().unwrap()).sum();
    assert!(kib < 100, "{blocks}");
}

/// A tar that nobody reads to its end.
struct Head(Vec<u8>);

impl std::io::Write for Head {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() > 1 << 20 {
            return Err(std::io::Error::other("enough"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Sizes that no field of a plain header holds: GNU tar reads them from the beginning of the tar.
pub(crate) fn files_over_8_gib() {
    let scratch = Scratch::new("large");
    let sizes = "8589934591 a; truncate -s 8589934592 b; truncate -s 1T c";
    bash(
        &scratch.0,
        &format!("mkdir upper; cd upper; truncate -s {sizes}"),
    );
    for (name, size) in [("a", 0o77777777777_u64), ("b", 8 << 30), ("c", 1 << 40)] {
        let mut head = Head(Vec::new());
        let (upper, root) = (scratch.join("upper"), Root::default());
        let error = Direct.changes(&upper, &root, &Tree::new(), Times::Keep, Some(&mut head));
        assert!(error.unwrap_err().to_string().contains("write the tar"));
        std::fs::write(scratch.join("head.tar"), head.0).unwrap();
        let listed = bash(&scratch.0, "tar -tvf head.tar 2>&1 || true");
        assert!(
            listed.contains(&format!(" {size} ")) && listed.contains(name),
            "{listed}"
        );
        std::fs::remove_file(upper.join(name)).unwrap();
    }
}

/// With an epoch no time is later, on the disk as in the tar, and what was below is not touched.
pub(crate) fn clamped_times() {
    let script =
        "echo x > new; mkdir -p a/b; ln -s x a/l; echo y >> d/two; rm d/one; touch -d @1 old";
    let done = run_with("clamped", script, Times::Clamp(1_650_000_000));
    for entry in done.packed.tree.iter().filter(|e| !e.is_whiteout()) {
        let expected = match entry.path.to_string().as_str() {
            "old" => 1,
            "usr" | "usr/bin" => 1_600_000_000,
            _ => 1_650_000_000,
        };
        assert_eq!(entry.meta.mtime, Time::at(expected), "{}", entry.path);
    }
    assert!(done.merged.contains("old|f"), "the mount was listed");
}

/// A second layer on a first: what an earlier layer whited out is not whited out again, and what
/// the body of the first shows is what the tree of the first says.
pub(crate) fn layer_upon_layer() {
    let first = run(
        "first",
        "echo new > d/new; rm d/one; rm -r d/sub; mkdir d/sub; echo t >> usr/bin/tool",
    );
    let scratch = &first.scratch;
    let base = Direct.commit(
        &scratch.join("lower"),
        &Root::default(),
        &Tree::new(),
        &Times::Keep.into(),
    );
    let root = root_of(vec![&base.unwrap(), &first.packed]);
    let merged = bash(
        &scratch.0,
        &format!(
            "mkdir upper2 work2; mount -t overlay overlay -o {OPTIONS},lowerdir=upper:lower,upperdir=upper2,workdir=work2 merged
             cd merged; ( chmod 755 d/new; chmod 644 d/new; chmod 755 d/sub; rm -rf d/sub; mkdir d/sub; echo 3 > d/sub/three; rm -f usr/bin/tool; echo x > d/one ); {LIST}"
        ),
    );
    let mut tar = std::fs::File::create(scratch.join("second.tar")).unwrap();
    let upper = scratch.join("upper2");
    let keep = Times::Keep;
    let shown = Direct.changes(&upper, &root, &Tree::new(), keep, Some(&mut tar));
    let second = Direct
        .commit(&upper, &root, &Tree::new(), &keep.into())
        .unwrap();
    assert_eq!(shown.unwrap().diff_id, second.diff_id);
    assert_eq!(
        paths(&second),
        [
            "d/",
            "d/one",
            "d/sub/",
            "d/sub/three",
            "usr/",
            "usr/bin/",
            "-usr/bin/tool"
        ]
    );
    let again = bash(
        &scratch.0,
        &format!(
            "{APPLY}\ncp -a lower copy2; apply layer.tar copy2; apply second.tar copy2; cd copy2; {LIST}"
        ),
    );
    assert_eq!(again, merged);
}

/// The tar of a committed body, packed again, is the same tar.
pub(crate) fn packed_again() {
    let done = run(
        "again",
        "echo x > a; ln a b; rm d/one; mkfifo f; cp usr/bin/tool t; rm -r d/sub; mkdir d/sub",
    );
    let mut tar = Vec::new();
    let tree = Arc::new(done.packed.tree);
    let again = Direct
        .pack(&done.scratch.join("upper"), &tree, &mut tar)
        .unwrap();
    assert_eq!(again.diff_id, done.packed.diff_id);
    assert_eq!(tar, std::fs::read(done.scratch.join("layer.tar")).unwrap());
    bash(&done.scratch.join("upper"), "echo X > a");
    let changed = Direct.pack(&done.scratch.join("upper"), &tree, &mut Vec::new());
    assert!(changed.is_err(), "a body that is not what its tree says");
}
