//! `ONBUILD`: the trigger is kept as text; it is read here only to say early what is wrong.

use super::{Cx, End, Read, Statement, heredocs, instruction};
use crate::ast::{Instruction, OnBuild};
use crate::diagnostic::Severity;
use crate::lines::Reader;
use crate::span::Span;

/// What is an error where the trigger is written. For the rest builders take any text for a
/// trigger; it fails where it is triggered.
const AT_ONCE: [&str; 3] = ["json-not-strings", "missing-equals", "missing-value"];

pub(super) fn read<'a>(
    cx: &mut Cx<'a>,
    reader: &mut Reader<'a>,
    mut st: Statement<'a>,
    behind: &str,
    end: &mut End<'_>,
) -> Option<Instruction<'a>> {
    st.flags.check("ONBUILD", &mut cx.diagnostics);
    st.requires_args(cx, "an instruction", "RUN make")?;
    let inner = Statement::read(cx, &st.args);
    let docs = heredocs(cx, reader, &inner, end);
    let refused = match inner.name.as_str() {
        "ONBUILD" => Some("ONBUILD cannot be the trigger of ONBUILD"),
        "FROM" => Some("FROM cannot be the trigger of ONBUILD"),
        "MAINTAINER" => Some("MAINTAINER cannot be the trigger of ONBUILD"),
        _ => None,
    };
    if let Some(message) = refused {
        cx.error(
            "bad-trigger",
            inner.keyword.span,
            message,
            "remove the line",
        );
        return None;
    }
    // Blanks at its end stay, as builders keep them.
    let mut trigger = format!("{}{behind}", st.args.as_str());
    for doc in &docs {
        trigger.push('\n');
        trigger.push_str(doc.body.raw());
        trigger.push_str(&doc.name);
    }
    let span = Span::new(st.args.span().start, (*end.1).max(st.args.span().end));
    let first = cx.diagnostics.len();
    let read = instruction(cx, inner, docs);
    for diagnostic in &mut cx.diagnostics[first..] {
        if !AT_ONCE.contains(&diagnostic.code) {
            diagnostic.severity = Severity::Warning;
        }
    }
    let instruction = match read {
        Some(Read::Other(instruction)) => Some(Box::new(instruction)),
        Some(Read::From(_)) | None => None,
    };
    Some(Instruction::OnBuild(OnBuild {
        trigger,
        instruction,
        span,
    }))
}
