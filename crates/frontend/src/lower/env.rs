//! ARG, ENV and LABEL.

use kiln_parser::{Diagnostic, ast};

use super::{Effect, Lowerer, Place, State};
use crate::{Declared, Source};

impl Lowerer<'_, '_> {
    /// All words see the environment as it was before the instruction.
    pub(super) fn env(
        &mut self,
        env: &ast::Env<'_>,
        state: &mut State,
    ) -> Result<Effect, Diagnostic> {
        let pairs = self.pairs(&env.pairs, state, "ENV")?;
        for (name, value) in &pairs {
            state.image.config.set_env(name, value);
            state.args.hide(name);
        }
        Effect::config(listed("ENV", &pairs))
    }

    pub(super) fn label(
        &mut self,
        label: &ast::Label<'_>,
        state: &mut State,
    ) -> Result<Effect, Diagnostic> {
        let pairs = self.pairs(&label.pairs, state, "LABEL")?;
        let created_by = listed("LABEL", &pairs);
        state.image.config.labels.extend(pairs);
        Effect::config(created_by)
    }

    /// The pairs with their values. A name may come out blank, as with docker's builder; it is told.
    fn pairs(
        &mut self,
        pairs: &[ast::Pair<'_>],
        state: &State,
        keyword: &str,
    ) -> Result<Vec<(String, String)>, Diagnostic> {
        let mut all = Vec::new();
        for pair in pairs {
            let name = state.expand(&pair.key)?;
            if name.is_empty() {
                let message = format!("{keyword}: the name `{}` is blank", pair.key.raw());
                let warning = Diagnostic::warning("blank-name", pair.key.span(), message);
                self.warnings.push(warning);
            }
            all.push((name, state.expand(&pair.value)?));
        }
        Ok(all)
    }

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

fn listed(keyword: &str, pairs: &[(String, String)]) -> String {
    let pairs: Vec<_> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
    format!("{keyword} {}", pairs.join(" "))
}
