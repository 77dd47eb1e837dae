//! `cargo xtask demo`: what a newcomer to images is taught, played from end to end. Every command is
//! printed as one would type it, and timed. Needs nothing but Rust and a Linux machine; says which
//! way it took where there is a choice.

mod base;
mod page;
mod stage;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::Result;
use crate::process;
use stage::{Place, Stage};

/// The name under which the application is built.
const APP: &str = "my-flask-app";

/// The container in which it serves.
const CONTAINER: &str = "my-flask";

pub(crate) fn command(arguments: &[String]) -> Result<ExitCode> {
    let (mut offline, mut kiln) = (false, None);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match (argument.as_str(), argument.as_str() == "--kiln") {
            ("--offline", _) => offline = true,
            (_, true) => kiln = rest.next().map(PathBuf::from),
            _ => return Err("the arguments are --offline and --kiln PROGRAM".into()),
        }
    }
    let root = process::root()?;
    let kiln = kiln.map_or_else(|| build(&root), Ok)?;
    let place = Place::make(&root, kiln)?;
    let base = base::make(&place, offline)?;
    println!("\n{}\n", base.said());
    let mut stage = Stage::new(&place);
    play(&mut stage, &place, &base)?;
    stage.summary();
    println!("\n{}", base.said());
    Ok(ExitCode::SUCCESS)
}

/// kiln, as this checkout has it.
fn build(root: &Path) -> Result<PathBuf> {
    println!("Building kiln itself; the first time this takes some minutes.");
    let package = ["build", "--quiet", "--package", "kiln-cli"];
    match process::succeeds(process::cargo(root).args(package))? {
        true => Ok(stage::target(root).join("debug/kiln")),
        false => Err("kiln does not compile".into()),
    }
}

fn play(stage: &mut Stage<'_>, place: &Place, base: &base::Base) -> Result<()> {
    let app = place.copy_application()?;
    stage.kiln(&["import", &base.tar, "debian:bookworm-slim"])?;

    stage.title("Build the application");
    let dockerfile = match base.online {
        true => vec![],
        false => vec!["-f", "offline.Dockerfile"],
    };
    let build = [&["build", "-t", APP][..], &dockerfile, &["."]].concat();
    stage.within(&app).kiln(&build)?;
    stage.kiln(&["images"])?;
    stage.kiln(&["history", APP])?;

    stage.title("Change the program, and build again: only what depends on it runs");
    let program = app.join("app.py");
    let text = fs::read_to_string(&program)?;
    fs::write(
        &program,
        text.replace("<h1>{GREETING}!</h1>", "<h1>{GREETING} again!</h1>"),
    )?;
    println!("$ sed -i 's/{{GREETING}}!/{{GREETING}} again!/' app.py");
    stage.kiln(&build)?;
    stage.title("Once more: nothing runs");
    stage.kiln(&build)?;

    stage.title("Push it to a registry, remove it, and pull it");
    let registry = place.registry()?;
    println!("({})", registry.said());
    let name = format!("{}/{APP}", registry.address());
    stage.kiln(&["tag", APP, &name])?;
    stage.kiln(&["push", &name])?;
    stage.kiln(&["rmi", APP, &name, "debian:bookworm-slim"])?;
    stage.kiln(&["system", "prune", "-f", "-a"])?;
    stage.kiln(&["pull", &name])?;

    stage.title("Run it in the background, fetch its page, follow its log, and stop it");
    let served = serve(stage, &name);
    // Whatever became of it, nothing is left running.
    stage.kiln(&["rm", "-f", CONTAINER])?;
    served
}

fn serve(stage: &mut Stage<'_>, image: &str) -> Result<()> {
    let port = page::free_port(5000)?;
    let publish = format!("{port}:5000");
    stage.kiln(&["run", "-d", "--name", CONTAINER, "-p", &publish, image])?;
    let mut log = stage.start(&["logs", "-f", CONTAINER])?;
    let page = page::fetch(port, &mut log);
    stage.kiln(&["ps"])?;
    stage.kiln(&["stop", CONTAINER])?;
    log.wait()?;
    let page = page?;
    println!("$ curl http://localhost:{port}/\n{page}");
    if !page.contains("Hello from kiln again!") {
        return Err(format!("that is not the page of the application: {page}").into());
    }
    Ok(())
}
