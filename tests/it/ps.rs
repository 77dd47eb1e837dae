//! `kiln ps`: the table, filters and placeholders.

use kiln_tests::{base::busybox, kiln::Kiln};
use serde_json::Value;

/// One that runs and publishes a port, one that has ended, one that was never started.
fn three() -> Kiln {
    let kiln = Kiln::new();
    busybox(&kiln);
    let dockerfile =
        "FROM busybox\nRUN touch /served\nEXPOSE 80 443\nLABEL of=image\nCMD sleep 1000\n";
    kiln.build("server", &[("Dockerfile", dockerfile)]);
    kiln.ok([
        "run",
        "-d",
        "--name",
        "web",
        "-p",
        "127.0.0.1::80",
        "-v",
        "data:/data",
        "-l",
        "tier=front",
        "server",
    ]);
    let said = kiln.run([
        "run",
        "--name",
        "done",
        "busybox",
        "sh",
        "-c",
        "echo 12345 > /f; exit 3",
    ]);
    assert_eq!(said.code, 3, "{}", said.err);
    kiln.ok([
        "create",
        "--name",
        "fresh",
        "-l",
        "tier=back",
        "busybox",
        "echo",
        "a b",
    ]);
    kiln
}

#[test]
fn the_table() {
    let kiln = three();
    let out = kiln.ok(["ps", "-a"]);
    let lines: Vec<&str> = out.lines().collect();
    let heading: Vec<&str> = lines[0]
        .split("  ")
        .map(str::trim)
        .filter(|w| !w.is_empty())
        .collect();
    let columns = [
        "CONTAINER ID",
        "IMAGE",
        "COMMAND",
        "CREATED",
        "STATUS",
        "PORTS",
        "NAMES",
    ];
    assert_eq!(heading, columns);
    assert_eq!(lines.len(), 4, "{out}");
    // The newest first.
    for (line, parts) in lines[1..].iter().zip([
        &["busybox", "\"echo 'a b'\"", "Created", "fresh"][..],
        &[
            "busybox",
            "\"sh -c 'echo 12345 >…\"",
            "Exited (3) ",
            " ago",
            "done",
        ],
        &["server", "Up ", "443/tcp, 127.0.0.1:", "->80/tcp", "web"],
    ]) {
        for part in parts {
            assert!(line.contains(part), "{part}: {line}");
        }
    }
    // Only what runs.
    let out = kiln.ok(["ps"]);
    assert!(out.lines().count() == 2 && out.contains("web"), "{out}");
    let out = kiln.ok(["container", "ls", "-s"]);
    assert!(out.contains("SIZE") && out.contains("(virtual "), "{out}");
    let out = kiln.ok(["ps", "-n", "2", "--format", "{{.Names}}"]);
    assert_eq!(out, "fresh\ndone\n");
    assert_eq!(kiln.ok(["ps", "-l", "--format", "{{.Names}}"]), "fresh\n");
    let whole = kiln.ok(["ps", "-aq", "--no-trunc"]);
    let short = kiln.ok(["ps", "-aq"]);
    for (whole, short) in whole.lines().zip(short.lines()) {
        assert!(whole.len() == 64 && short.len() == 12 && whole.starts_with(short));
    }
    // docker's way to say no number at all.
    assert_eq!(kiln.ok(["ps", "-q", "-n", "-1"]), kiln.ok(["ps", "-q"]));
    let out = kiln.ok(["ps", "-a", "--no-trunc", "--filter", "name=done"]);
    assert!(out.contains("\"sh -c 'echo 12345 > /f; exit 3'\""), "{out}");
}

#[test]
fn filters() {
    let kiln = three();
    let web = kiln.ok(["ps", "-q"]);
    let web = web.trim();
    for (filters, names) in [
        (&["name=do"][..], "done"),
        (&["name=^o"], ""),
        (&["name=web", "name=fresh"], "fresh web"),
        (&[&format!("id={web}")], "web"),
        (&["label=tier"], "fresh web"),
        (&["label=tier=back"], "fresh"),
        (&["label=of=image", "label=tier=front"], "web"),
        (&["exited=3"], "done"),
        (&["exited=0"], ""),
        (&["status=created"], "fresh"),
        (&["status=exited", "status=running"], "done web"),
        (&["ancestor=busybox"], "fresh done web"),
        (&["ancestor=server"], "web"),
        (&["ancestor=nothing"], ""),
        (&["before=done"], "web"),
        (&["since=done"], "fresh"),
        (&["volume=data"], "web"),
        (&["volume=/data"], "web"),
        (&["network=bridge", "name=web"], "web"),
        (&["network=host"], ""),
        (&["health=none", "name=web"], "web"),
        (&["health=healthy"], ""),
        (&["expose=443"], "web"),
        (&["expose=400-500/tcp"], "web"),
        (&["publish=1-65535"], "web"),
    ] {
        let mut args = vec!["ps", "-a", "--format", "{{.Names}}"];
        for filter in filters {
            args.extend(["--filter", filter]);
        }
        let out = kiln.ok(&args);
        assert_eq!(
            out.split_whitespace().collect::<Vec<_>>().join(" "),
            names,
            "{filters:?}"
        );
    }
    // A state that is asked for is looked for among all.
    assert_eq!(
        kiln.ok(["ps", "-f", "status=created", "--format", "{{.Names}}"]),
        "fresh\n"
    );
    for (filter, why) in [
        ("foo", "bad format of filter (expected name=value)"),
        ("foo=bar", "invalid filter 'foo'"),
        ("status=gone", "invalid filter 'status=gone'"),
        ("exited=x", "invalid filter 'exited=x'"),
        ("health=x", "invalid filter 'health=x'"),
        ("before=nobody", "No such container: nobody"),
    ] {
        let said = kiln.fails(["ps", "--filter", filter]);
        assert!(said.err.contains(why), "{}", said.err);
    }
}

#[test]
fn placeholders() {
    let kiln = three();
    let all = "{{.ID}}|{{.Image}}|{{.Command}}|{{.CreatedAt}}|{{.RunningFor}}|{{.Ports}}|{{.State}}|\
               {{.Status}}|{{.Size}}|{{.Names}}|{{.Labels}}|{{.Label \"tier\"}}|{{.Mounts}}|\
               {{.LocalVolumes}}|{{.Networks}}";
    let out = kiln.ok(["ps", "--format", all]);
    let parts: Vec<&str> = out.trim_end().split('|').collect();
    assert_eq!(parts.len(), 15, "{out}");
    assert_eq!((parts[1], parts[6], parts[9]), ("server", "running", "web"));
    assert!(
        parts[3].ends_with("+0000 UTC") && parts[4].ends_with(" ago"),
        "{out}"
    );
    assert!(parts[8].contains("(virtual "), "{out}");
    assert_eq!(parts[10], "of=image,tier=front");
    assert_eq!(&parts[11..], ["front", "data", "1", "bridge"]);
    let out = kiln.ok(["ps", "-a", "--format", "json"]);
    let rows: Vec<Value> = out
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[1]["State"], "exited");
    assert_eq!(rows[2]["Labels"], "of=image,tier=front");
    assert!(rows[2].get("Label").is_none(), "{}", rows[2]);
    let out = kiln.ok(["ps", "-a", "--format", "table {{.Names}}\t{{.State}}"]);
    assert_eq!(
        out,
        "NAMES     STATE\nfresh     created\ndone      exited\nweb       running\n"
    );
    // An image whose name went to another is shown by its id.
    kiln.ok(["tag", "busybox", "server"]);
    let image = kiln.ok(["ps", "--format", "{{.Image}}"]);
    assert!(image.trim().len() == 12 && image != "server\n", "{image}");
    // As the user wants it.
    let config = kiln.scratch().join(".docker/config.json");
    kiln_tests::kiln::write(&config, r#"{"psFormat": "{{.Names}}!"}"#);
    assert_eq!(kiln.ok(["ps"]), "web!\n");
    kiln.ok(["rm", "-f", "web"]);
}
