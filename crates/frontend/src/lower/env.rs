//! ARG, ENV and LABEL.

use kiln_parser::{Diagnostic, Span, ast};

use super::{Effect, Lowerer, Place, State};
use crate::{Declared, Source};

/// All words see the environment as it was before the instruction.
pub(super) fn env(env: &ast::Env<'_>, state: &mut State) -> Result<Effect, Diagnostic> {
    let pairs = pairs(&env.pairs, state, "ENV")?;
    for (name, value) in &pairs {
        state.image.config.set_env(name, value);
        state.args.hide(name);
    }
    Effect::config(listed("ENV", &pairs))
}

pub(super) fn label(label: &ast::Label<'_>, state: &mut State) -> Result<Effect, Diagnostic> {
    let pairs = pairs(&label.pairs, state, "LABEL")?;
    let created_by = listed("LABEL", &pairs);
    state.image.config.labels.extend(pairs);
    Effect::config(created_by)
}

fn listed(keyword: &str, pairs: &[(String, String)]) -> String {
    let pairs: Vec<_> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
    format!("{keyword} {}", pairs.join(" "))
}

fn pairs(
    pairs: &[ast::Pair<'_>],
    state: &State,
    keyword: &str,
) -> Result<Vec<(String, String)>, Diagnostic> {
    let pair = |pair: &ast::Pair<'_>| {
        let name = state.expand(&pair.key)?;
        named(&name, pair.key.span(), keyword)?;
        Ok((name, state.expand(&pair.value)?))
    };
    pairs.iter().map(pair).collect()
}

fn named(name: &str, span: Span, keyword: &str) -> Result<(), Diagnostic> {
    match name.is_empty() {
        true => {
            let message = format!("{keyword}: a name is blank");
            Err(Diagnostic::error("blank-name", span, message))
        }
        false => Ok(()),
    }
}

impl Lowerer<'_, '_> {
    /// Each pair sees those before it. A value comes from the build's arguments, else from the
    /// default, else, where there is no default, from the global scope.
    pub(super) fn arg(
        &mut self,
        arg: &ast::Arg<'_>,
        state: &mut State,
        place: &Place,
    ) -> Result<Effect, Diagnostic> {
        let mut listed = Vec::new();
        for pair in &arg.pairs {
            let name = pair.name.raw().to_owned();
            let default = pair.default.as_ref().map(|word| state.expand(word));
            let given = self.options.build_args.get(&name).cloned();
            let own = given.or(default.transpose()?);
            let global = self.survey.globals.get(&name);
            let by = match (&own, &pair.default, global) {
                (None, None, Some(_)) => Source::Global,
                _ => Source::Own,
            };
            let value = own.or(global.map(str::to_owned));
            listed.push(match &value {
                Some(value) => format!("{name}={value}"),
                None => name.clone(),
            });
            state.args.declare(&name, value.clone());
            self.declared.push(Declared {
                name,
                value,
                by,
                line: place.origin.line,
            });
        }
        Effect::config(format!("ARG {}", listed.join(" ")))
    }
}
