//! `cargo xtask demo`: what a newcomer to images is taught, played from end to end. Every command is
//! printed as one would type it, and timed. Needs nothing but Rust and a Linux machine; says which
//! way it took where there is a choice.

mod base;
mod page;
mod stage;

use std::fs;
use std::process::ExitCode;

use crate::Result;
use crate::process;
use stage::{Place, Stage};

/// The name under which the application is built.
const APP: &str = "my-flask-app";

pub(crate) fn command(arguments: &[String]) -> Result<ExitCode> {
    let offline = match arguments {
        [] => false,
        [one] if one == "--offline" => true,
        _ => return Err("the only argument is --offline".into()),
    };
    let root = process::root()?;
    println!("Building kiln itself; the first time this takes some minutes.");
    let built = process::succeeds(process::cargo(&root).args([
        "build",
        "--quiet",
        "--package",
        "kiln-cli",
    ]))?;
    if !built {
        return Err("kiln does not compile".into());
    }
    let place = Place::make(&root)?;
    let base = base::make(&place, offline)?;
    println!("\n{}\n", base.said());
    let mut stage = Stage::new(&place);
    play(&mut stage, &place, &base)?;
    stage.summary();
    println!("\n{}", base.said());
    Ok(ExitCode::SUCCESS)
}

fn play(stage: &mut Stage<'_>, place: &Place, base: &base::Base) -> Result<()> {
    let app = place.copy_application()?;
    stage.kiln(&["import", &base.tar, "debian:demo"])?;

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
    stage.kiln(&["rmi", APP, &name, "debian:demo"])?;
    stage.kiln(&["system", "prune", "-f", "-a"])?;
    stage.kiln(&["pull", &name])?;

    stage.title("Run it, and fetch its page");
    let port = page::free_port(5000)?;
    let publish = format!("{port}:5000");
    let mut running = stage.start(&["run", "--rm", "-p", &publish, &name])?;
    let page = page::fetch(port, &mut running);
    stage.interrupt(running)?;
    let page = page?;
    println!("$ curl http://localhost:{port}/\n{page}");
    if !page.contains("Hello from kiln again!") {
        return Err(format!("that is not the page of the application: {page}").into());
    }
    Ok(())
}
