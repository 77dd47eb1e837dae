//! From a Dockerfile to its graph: the frontend is asked again until it needs no more base images.

use std::collections::BTreeMap;

use kiln_frontend::{Lowered, Lowering, NamedContext, Resolved, lower};
use kiln_graph::{GraphBuilder, NodeId};
use kiln_image::Platform;

use crate::{Error, ErrorKind, Event, Named, Network, Place, Report, Request, bases::Bases};

/// What the frontend is told of a request, for the first of its platforms.
pub(crate) fn options(request: &Request) -> kiln_frontend::Options {
    let first = request.platforms.first().cloned();
    options_for(request, first.unwrap_or_else(Platform::host))
}

/// The same for one of them.
pub(crate) fn options_for(request: &Request, platform: Platform) -> kiln_frontend::Options {
    let mut build_args: BTreeMap<String, String> = request.build_args.iter().cloned().collect();
    if let Some(epoch) = request.settings.epoch {
        build_args
            .entry("SOURCE_DATE_EPOCH".to_owned())
            .or_insert_with(|| epoch.to_string());
    }
    kiln_frontend::Options {
        file: request.file.clone(),
        build_args,
        target: request.target.clone(),
        platform,
        build_platform: Platform::host(),
        contexts: request.contexts.iter().map(named).collect(),
        context_time: request.context.time(),
        named_times: request.contexts.iter().filter_map(time).collect(),
        network: match request.run.network {
            Network::None => kiln_graph::Network::None,
            Network::Host => kiln_graph::Network::Host,
            Network::Default => kiln_graph::Network::Default,
        },
        ignore: request.context.ignore().cloned(),
        ..kiln_frontend::Options::default()
    }
}

/// What the frontend is told of a context: which it is, not what is in it.
fn named((name, context): (&String, &Named)) -> (String, NamedContext) {
    let told = match context {
        Named::Files(_) => NamedContext::Folder(name.clone()),
        Named::Image(reference) => NamedContext::Image(reference.to_string()),
        Named::Layout(image) => NamedContext::Image(image.reference().to_string()),
        Named::Scratch => NamedContext::Image("scratch".to_owned()),
        Named::Target(stage) => NamedContext::Target(stage.clone()),
    };
    (name.clone(), told)
}

/// When a context was made, where it knows.
fn time((name, context): (&String, &Named)) -> Option<(String, i64)> {
    match context {
        Named::Files(files) => Some((name.clone(), files.time()?)),
        _ => None,
    }
}

/// Calls the frontend until it needs no more base images. `known` keeps those that were looked up, also
/// where something is wrong.
pub(crate) fn lower_all(
    file: &kiln_parser::Dockerfile<'_>,
    options: &kiln_frontend::Options,
    known: &mut kiln_frontend::Bases,
    bases: &Bases<'_>,
    on: &(dyn Fn(Event<'_>) + Sync),
) -> Result<Lowered, Error> {
    loop {
        let lowering = lower(file, options, known)
            .map_err(|found| Error::dockerfile(found.iter().map(finding).collect()))?;
        let needed = match lowering {
            Lowering::Done(lowered) => return Ok(*lowered),
            Lowering::Need(needed) => needed,
        };
        for (base, found) in resolve_all(needed, bases, on) {
            let found = found.map_err(|e| at_base(e, &base))?;
            on(Event::Resolved(&base.reference, found.digest));
            let resolved = Resolved {
                manifest: found.digest,
                config: found.config.into_value(),
            };
            known.insert(base.reference, base.platform, resolved);
        }
    }
}

/// One graph of all that the platforms need: what is the same for several of them is one node.
pub(crate) fn unite(lowered: &mut [Lowered]) {
    if lowered.len() < 2 {
        return;
    }
    let mut union = GraphBuilder::new();
    for one in &mut *lowered {
        let mut ids: Vec<NodeId> = Vec::with_capacity(one.graph.len());
        for (_, node) in one.graph.iter() {
            let inputs: Vec<NodeId> = node.inputs.iter().map(|i| ids[i.index()]).collect();
            let known = union.len();
            let id = union.add(node.op.clone(), &inputs, node.origin.clone());
            if union.len() > known {
                union.name(id, node.name.clone());
            }
            ids.push(id);
        }
        one.target = ids[one.target.index()];
        for stage in &mut one.stages {
            stage.node = ids[stage.node.index()];
        }
        for step in &mut one.steps {
            step.node = ids[step.node.index()];
        }
    }
    let union = union.finish();
    for one in lowered {
        one.graph = union.clone();
    }
}

/// A finding of the frontend. One without a place is about a flag or the whole: no line is shown.
pub(crate) fn finding(d: &kiln_parser::Diagnostic) -> Report {
    let mut report = Report::from(d);
    report.place = report.place.filter(|place| place.end > 0);
    report
}

/// Tells that a registry is asked for `base`.
fn asked<'a>(on: &'a (dyn Fn(Event<'_>) + Sync), base: &'a kiln_frontend::Base) -> impl Fn() + 'a {
    || on(Event::Resolving(&base.reference))
}

type Found = Result<crate::bases::Base, Error>;

/// Looks base images up, all at once.
fn resolve_all(
    needed: Vec<kiln_frontend::Base>,
    bases: &Bases<'_>,
    on: &(dyn Fn(Event<'_>) + Sync),
) -> Vec<(kiln_frontend::Base, Found)> {
    if let [_] = &needed[..] {
        // The usual case is worth no thread.
        return needed
            .into_iter()
            .map(|base| {
                let found = bases.resolve(&base.reference, &base.platform, &asked(on, &base));
                (base, found)
            })
            .collect();
    }
    let found: Vec<Found> = std::thread::scope(|scope| {
        let one = |base: &kiln_frontend::Base| {
            bases.resolve(&base.reference, &base.platform, &asked(on, base))
        };
        let threads: Vec<_> = needed
            .iter()
            .map(|base| scope.spawn(move || one(base)))
            .collect();
        let lost = || Error::new(ErrorKind::Io, "a thread panicked");
        threads
            .into_iter()
            .map(|t| t.join().unwrap_or_else(|_| Err(lost())))
            .collect()
    });
    needed.into_iter().zip(found).collect()
}

fn at_base(e: Error, base: &kiln_frontend::Base) -> Error {
    let place = Place {
        start: base.span.start,
        end: base.span.end,
    };
    match &base.hint {
        Some(hint) => e.hint(hint.clone()).at(Some(place)),
        None => e.at(Some(place)),
    }
}
