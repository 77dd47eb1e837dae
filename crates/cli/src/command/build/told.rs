//! What a build has to say of its Dockerfile and flags, told when it is over: kiln's own findings drawn
//! beside their lines, those of docker's rules a line each. Refuses to leave one out.

use std::sync::{Mutex, PoisonError};

use kiln_build::{
    Event, Place, Report, Request,
    parser::{self, Diagnostic, Span, lint},
    rootfs::Repeated,
};

use super::Dockerfile;
use crate::{excerpt, host, units};

/// What was found so far, and the argument that says what is skipped.
pub(super) struct Told {
    all: Mutex<Vec<Report>>,
    skips: Option<String>,
}

impl Told {
    pub(super) fn new(request: &Request) -> Self {
        let mut arguments = request.build_args.iter().rev();
        let skips = arguments.find(|(name, _)| name == "BUILDKIT_DOCKERFILE_CHECK");
        Self {
            all: Mutex::default(),
            skips: skips.map(|(_, value)| value.clone()),
        }
    }

    /// Keeps what the event finds; false where it is about something else.
    pub(super) fn keeps(&self, event: &Event<'_>) -> bool {
        let found = match event {
            Event::Warning(report) => (*report).clone(),
            Event::Repeated { place, what, .. } => repeated(what, place.clone()),
            _ => return false,
        };
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(found);
        true
    }

    /// Tells all of it.
    pub(super) fn tell(&self, dockerfile: &Dockerfile) {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        // What is found while a build goes on was not asked about before.
        let file = parser::parse(&dockerfile.text).file;
        let (settings, _) = lint::Settings::of(&file, self.skips.as_deref());
        let counts = |report: &&Report| {
            let place = report.place.as_ref();
            let span = place.map_or(Span::default(), |at| Span::new(at.start, at.end));
            settings.keeps(&file, &Diagnostic::warning(report.code, span, ""))
        };
        let kept = all.iter().filter(counts);
        let (rules, own): (Vec<&Report>, Vec<&Report>) = kept.partition(|report| !report.is_own());
        for report in own {
            let drawn = excerpt::report(report, &dockerfile.name, &dockerfile.text);
            host::say(&format!("{drawn}\n"));
        }
        if !rules.is_empty() {
            host::say(&short(&rules));
        }
    }
}

/// As docker lists them below a build.
fn short(rules: &[&Report]) -> String {
    let warnings = match rules.len() {
        1 => "1 warning".to_owned(),
        n => format!("{n} warnings"),
    };
    let mut text = format!(" {warnings} found (kiln build --check shows them):\n");
    for report in rules {
        text += &format!(" - {}: {}", report.code, report.message);
        if let Some(lines) = report.lines {
            text += &format!(" (line {})", lines.first);
        }
        text.push('\n');
    }
    text
}

/// What it costs to change files that lie in a layer below.
fn repeated(what: &Repeated, place: Option<Place>) -> Report {
    let changed = [
        (what.mode, "mode"),
        (what.owner, "owner"),
        (what.attributes, "attributes"),
        (what.time, "time"),
    ];
    // The time mostly goes along with the rest.
    let said = changed.iter().filter(|(is, _)| *is).map(|(_, word)| *word);
    let mut words: Vec<&str> = said.collect();
    if words.len() > 1 {
        words.retain(|word| *word != "time");
    }
    let of = match what.files {
        1 => "a file".to_owned(),
        files => format!("{files} files"),
    };
    let message = format!(
        "this step changes only the {} of {of} of a layer below: {} are written again",
        words.join(" and the "),
        units::size(what.bytes, 3),
    );
    Report {
        error: false,
        code: "content-repeated",
        message,
        help: Some("set it where the files are made: `COPY --chmod`, `COPY --chown`, or in the RUN that makes them; `kiln image big` names them".to_owned()),
        place,
        lines: None,
    }
}
