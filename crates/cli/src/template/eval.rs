//! A tree applied to a value.

use serde_json::Value;

use super::{
    Error, error, functions,
    parse::{Node, Operand, Pipe},
};

struct Scope<'a> {
    root: &'a Value,
    variables: Vec<(String, Value)>,
    out: String,
}

pub(super) fn render(nodes: &[Node], value: &Value) -> Result<String, Error> {
    let mut scope = Scope {
        root: value,
        variables: Vec::new(),
        out: String::new(),
    };
    scope.nodes(nodes, value)?;
    Ok(scope.out)
}

impl Scope<'_> {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<(), Error> {
        for node in nodes {
            self.node(node, dot)?;
        }
        Ok(())
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<(), Error> {
        match node {
            Node::Text(text) => self.out.push_str(text),
            Node::Print(pipe) => {
                let value = self.pipe(pipe, dot)?;
                match pipe.variables.first() {
                    Some(name) => self.variables.push((name.clone(), value)),
                    None => self.out.push_str(&functions::show(&value)),
                }
            }
            Node::If {
                condition,
                then,
                otherwise,
                with,
            } => {
                let depth = self.variables.len();
                let value = self.pipe(condition, dot)?;
                if let Some(name) = condition.variables.first() {
                    self.variables.push((name.clone(), value.clone()));
                }
                match functions::truth(&value) {
                    true if *with => self.nodes(then, &value)?,
                    true => self.nodes(then, dot)?,
                    false => self.nodes(otherwise, dot)?,
                }
                self.variables.truncate(depth);
            }
            Node::Range {
                over,
                body,
                otherwise,
            } => self.range(over, body, otherwise, dot)?,
        }
        Ok(())
    }

    fn range(
        &mut self,
        over: &Pipe,
        body: &[Node],
        otherwise: &[Node],
        dot: &Value,
    ) -> Result<(), Error> {
        let items: Vec<(Value, Value)> = match self.pipe(over, dot)? {
            Value::Null => Vec::new(),
            Value::Array(list) => list
                .into_iter()
                .enumerate()
                .map(|(i, v)| (Value::from(i), v))
                .collect(),
            Value::Object(map) => {
                let mut pairs: Vec<_> = map.into_iter().collect();
                pairs.sort_by(|a, b| a.0.cmp(&b.0));
                pairs
                    .into_iter()
                    .map(|(k, v)| (Value::from(k), v))
                    .collect()
            }
            other => return error(format!("range over `{}`", functions::show(&other))),
        };
        if items.is_empty() {
            return self.nodes(otherwise, dot);
        }
        for (key, value) in items {
            let depth = self.variables.len();
            match &over.variables[..] {
                [one] => self.variables.push((one.clone(), value.clone())),
                [k, v, ..] => {
                    self.variables.push((k.clone(), key));
                    self.variables.push((v.clone(), value.clone()));
                }
                [] => {}
            }
            self.nodes(body, &value)?;
            self.variables.truncate(depth);
        }
        Ok(())
    }

    fn pipe(&self, pipe: &Pipe, dot: &Value) -> Result<Value, Error> {
        let mut last = None;
        for command in &pipe.commands {
            last = Some(self.command(command, last, dot)?);
        }
        Ok(last.unwrap_or(Value::Null))
    }

    fn command(
        &self,
        words: &[Operand],
        piped: Option<Value>,
        dot: &Value,
    ) -> Result<Value, Error> {
        let Some((first, rest)) = words.split_first() else {
            return error("an empty command");
        };
        let mut arguments = Vec::new();
        for word in rest {
            arguments.push(self.operand(word, dot)?);
        }
        arguments.extend(piped);
        match first {
            Operand::Function(name) => functions::call(name, &arguments),
            // The one method that people use: `.Label "key"`.
            Operand::Field(path) if path.last().is_some_and(|n| n == "Label") => {
                let labels = labels(dot, path)?;
                let key = arguments
                    .first()
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                Ok(labels.get(key).cloned().unwrap_or_else(|| Value::from("")))
            }
            operand if arguments.is_empty() => self.operand(operand, dot),
            _ => error("only functions take arguments"),
        }
    }

    fn operand(&self, operand: &Operand, dot: &Value) -> Result<Value, Error> {
        match operand {
            Operand::Function(name) => functions::call(name, &[]),
            Operand::Field(path) => field(dot, path),
            Operand::Variable(name, path) if name.is_empty() => field(self.root, path),
            Operand::Variable(name, path) => {
                let found = self.variables.iter().rev().find(|(n, _)| n == name);
                match found {
                    Some((_, value)) => field(value, path),
                    None => error(format!("undefined variable `${name}`")),
                }
            }
            Operand::Literal(value) => Ok(value.clone()),
            Operand::Pipe(pipe) => self.pipe(pipe, dot),
        }
    }
}

/// The labels that `.Label` is asked of: `Label` where a row has them, whose `Labels` is a text for
/// people then, else `Labels`.
fn labels(dot: &Value, path: &[String]) -> Result<Value, Error> {
    field(dot, path).or_else(|_| {
        let mut path = path.to_vec();
        path.pop();
        path.push("Labels".to_owned());
        field(dot, &path)
    })
}

fn field(value: &Value, path: &[String]) -> Result<Value, Error> {
    let mut at = value;
    for name in path {
        at = match at {
            Value::Object(map) => match map.get(name) {
                Some(inner) => inner,
                None => {
                    let mut have: Vec<&str> = map.keys().map(String::as_str).collect();
                    have.sort_unstable();
                    let have = have.join(", ");
                    return error(format!("there is no field `{name}` (there are: {have})"));
                }
            },
            Value::Null => return Ok(Value::Null),
            other => {
                let shown = functions::show(other);
                return error(format!("there is no field `{name}` in `{shown}`"));
            }
        };
    }
    Ok(at.clone())
}
