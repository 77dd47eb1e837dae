//! Heredocs as files: those of COPY and ADD, and the program of a RUN. Refuses a name that leads
//! elsewhere.

use kiln_graph::{Inline, InlineFile};
use kiln_parser::{Diagnostic, ast::Heredoc};

use super::State;
use crate::error;

/// A heredoc of COPY or ADD, variables replaced unless its delimiter is quoted.
pub(super) fn file(doc: &Heredoc<'_>, state: &State) -> Result<InlineFile, Diagnostic> {
    let look_up = |name: &str| Some(state.args.look_up(&state.image.config, name)?.into());
    let text = doc.expand_content(&look_up);
    Ok(InlineFile {
        name: name(doc)?,
        text: text.map_err(|e| error::expand(&e))?,
        mode: 0o644,
    })
}

/// The program that a RUN consists of.
pub(super) fn program(doc: &Heredoc<'_>, content: &str) -> Result<Inline, Diagnostic> {
    let file = InlineFile {
        name: name(doc)?,
        text: content.to_owned(),
        mode: 0o755,
    };
    Ok(Inline { files: vec![file] })
}

fn name(doc: &Heredoc<'_>) -> Result<String, Diagnostic> {
    let name = &doc.name;
    if name.contains('/') || matches!(name.as_str(), "" | "." | "..") {
        let message = format!("`{name}` is not the name of a file");
        let help = "the word behind `<<` names it: give the folder as the destination";
        return Err(error::error("bad-heredoc-name", doc.span, message, help));
    }
    Ok(name.clone())
}
