//! What cannot be started says why.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use kiln_sandbox::{Error, ErrorKind, Io, Mount, Process, RootSpec, Spec};
use kiln_tests::harness::Outcome;

use crate::cases;
use crate::world::{World, shell};

cases![
    programs_that_are_not_there,
    programs_that_cannot_be_executed,
    interpreters_that_are_not_there,
    working_directories_that_are_not_there,
    targets_that_are_not_there,
    sources_that_are_not_there,
    layers_that_are_not_there,
    what_is_not_carried_out,
];

fn fails(world: &World, process: Process) -> Error {
    let layers = world.layers(&[]);
    world
        .run(&Spec::new(layers.root.clone(), process))
        .unwrap_err()
}

fn with_path(argv: &[&str]) -> Process {
    let mut process = shell("");
    process.argv = argv.iter().map(Into::into).collect();
    process
}

fn programs_that_are_not_there(world: &World) -> Outcome {
    let error = fails(world, with_path(&["foo"]));
    assert_eq!(
        error.to_string(),
        "exec: \"foo\": executable file not found in $PATH"
    );
    assert_eq!(
        (error.kind(), error.docker_code()),
        (ErrorKind::NotFound, 127)
    );
    let error = fails(world, with_path(&["/foo"]));
    assert_eq!(
        error.to_string(),
        "exec: \"/foo\": stat /foo: no such file or directory"
    );
    assert_eq!(
        (error.kind(), error.docker_code()),
        (ErrorKind::NotFound, 127)
    );
    Ok(())
}

fn programs_that_cannot_be_executed(world: &World) -> Outcome {
    let error = fails(world, with_path(&["/etc/passwd"]));
    assert_eq!(
        error.to_string(),
        "exec: \"/etc/passwd\": permission denied"
    );
    assert_eq!(
        (error.kind(), error.docker_code()),
        (ErrorKind::NotExecutable, 126)
    );
    let error = fails(world, with_path(&["/etc"]));
    assert_eq!(
        (error.kind(), error.docker_code()),
        (ErrorKind::NotExecutable, 126)
    );
    Ok(())
}

fn interpreters_that_are_not_there(world: &World) -> Outcome {
    if !world.native {
        return Err("a runtime says it after the start, on its own error stream".into());
    }
    for (text, code, hint) in [
        (
            "#!/bin/bash\n",
            127,
            "its interpreter `/bin/bash` is not in the image",
        ),
        (
            "#!/bin/sh\r\ntrue\r\n",
            127,
            "its first line ends with a carriage return: save the file with Unix line ends",
        ),
        ("echo no line\n", 126, "it has no `#!` line"),
    ] {
        let scratch = world.scratch();
        let script = scratch.path().join("script");
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let layers = world.layers(&[scratch.path()]);
        let error = world
            .run(&Spec::new(layers.root.clone(), with_path(&["/script"])))
            .unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("exec /script: "), "{text}");
        assert_eq!(text.lines().nth(1), Some(hint));
        assert_eq!(error.docker_code(), code);
    }
    Ok(())
}

fn working_directories_that_are_not_there(world: &World) -> Outcome {
    let mut process = shell("true");
    process.cwd = "/nowhere".into();
    let error = fails(world, process);
    assert_eq!(error.kind(), ErrorKind::WorkingDirectory, "{error}");
    let text = "chdir to cwd (\"/nowhere\") set in config.json failed: no such file or directory";
    assert_eq!(error.to_string(), text);
    Ok(())
}

fn bind(source: &str, target: &str) -> Mount {
    Mount::Bind {
        source: source.into(),
        target: target.into(),
        read_only: true,
    }
}

fn targets_that_are_not_there(world: &World) -> Outcome {
    let layers = world.layers(&[]);
    let mut spec = Spec::new(layers.root.clone(), shell("true"));
    spec.mounts.push(bind("/etc/passwd", "/etc/resolv.conf"));
    let error = world.run(&spec).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mount);
    assert_eq!(error.path().unwrap(), "/etc/resolv.conf");
    let text = "mount on `/etc/resolv.conf`: it does not exist in the root";
    assert_eq!(error.to_string(), text);
    assert_eq!(
        fs::read_dir(&layers.upper).unwrap().count(),
        0,
        "nothing is made in an overlay"
    );
    Ok(())
}

fn sources_that_are_not_there(world: &World) -> Outcome {
    let layers = world.layers(&[]);
    let mut spec = Spec::new(layers.root.clone(), shell("true"));
    spec.mounts.push(bind("/nowhere", "/data"));
    let error = world.run(&spec).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mount);
    assert_eq!(
        error.to_string(),
        "mount `/nowhere` on `/data`: no such file or directory"
    );
    Ok(())
}

fn layers_that_are_not_there(world: &World) -> Outcome {
    let layers = world.layers(&[]);
    let RootSpec::Overlay { upper, work, .. } = layers.root.clone() else {
        unreachable!()
    };
    let with = |lowers: Vec<std::path::PathBuf>| {
        let root = RootSpec::Overlay {
            lowers,
            upper: upper.clone(),
            work: work.clone(),
            volatile: false,
        };
        world.run(&Spec::new(root, shell("true"))).unwrap_err()
    };
    let error = with(vec!["/no/layer".into()]);
    assert_eq!(error.kind(), ErrorKind::Root);
    assert_eq!(
        error.to_string(),
        "open the layer `/no/layer`: no such file or directory"
    );
    assert_eq!(error.path().unwrap(), "/no/layer");
    let error = with(vec![world.image.clone(); 501]);
    assert_eq!(
        error.to_string(),
        "an overlay takes 1 to 500 layers, not 501"
    );
    let error = world
        .run(&Spec::new(
            RootSpec::Directory("/no/root".into()),
            shell("true"),
        ))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "open the root `/no/root`: no such file or directory"
    );
    Ok(())
}

fn what_is_not_carried_out(world: &World) -> Outcome {
    if !world.native {
        let mut process = shell("true");
        process.terminal = true;
        let layers = world.layers(&[]);
        let spec = Spec::new(layers.root.clone(), process);
        let error = world.runner.start(&spec, Io::null()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let error = world.sh_with("true", |spec| spec.init = true).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
    Ok(())
}
