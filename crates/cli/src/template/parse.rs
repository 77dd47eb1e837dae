//! Tokens to a tree.

use serde_json::Value;

use super::{Error, error, lex::Token};

/// A piece of a template.
#[derive(Debug)]
pub(super) enum Node {
    Text(String),
    Print(Pipe),
    If {
        condition: Pipe,
        then: Vec<Node>,
        otherwise: Vec<Node>,
        /// `with`: the value becomes the dot.
        with: bool,
    },
    Range {
        over: Pipe,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
}

/// Commands, each given the value of the one before as its last argument; perhaps with variables.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) variables: Vec<String>,
    pub(super) commands: Vec<Vec<Operand>>,
}

/// A word of a command.
#[derive(Debug)]
pub(super) enum Operand {
    Function(String),
    Field(Vec<String>),
    Variable(String, Vec<String>),
    Literal(Value),
    Pipe(Pipe),
}

type Tokens = std::iter::Peekable<std::vec::IntoIter<Token>>;

pub(super) fn parse(tokens: Vec<Token>) -> Result<Vec<Node>, Error> {
    let mut tokens = tokens.into_iter().peekable();
    let (nodes, end) = block(&mut tokens, 0)?;
    match end {
        End::Text => Ok(nodes),
        End::Word(word) => error(format!("`{word}` without a block")),
    }
}

/// What ended a block.
enum End {
    Text,
    Word(String),
}

/// How deep blocks and parentheses may be nested.
const DEPTH: usize = 50;

fn block(tokens: &mut Tokens, depth: usize) -> Result<(Vec<Node>, End), Error> {
    if depth > DEPTH {
        return error("nested too deeply");
    }
    let mut nodes = Vec::new();
    while let Some(token) = tokens.next() {
        if let Token::Text(text) = token {
            nodes.push(Node::Text(text));
            continue;
        }
        // Every other token outside of an action is its beginning.
        let Some(Token::Word(word)) = tokens.peek().cloned() else {
            nodes.push(Node::Print(action(tokens, depth)?));
            continue;
        };
        match word.as_str() {
            "end" | "else" => {
                tokens.next();
                return Ok((nodes, End::Word(word)));
            }
            "if" | "with" => {
                tokens.next();
                nodes.push(condition(tokens, word == "with", depth)?);
            }
            "range" => {
                tokens.next();
                let over = action(tokens, depth)?;
                let (body, otherwise) = branches(tokens, depth)?;
                nodes.push(Node::Range {
                    over,
                    body,
                    otherwise,
                });
            }
            "define" | "template" | "block" => {
                return error(format!("`{word}` is not supported"));
            }
            _ => nodes.push(Node::Print(action(tokens, depth)?)),
        }
    }
    Ok((nodes, End::Text))
}

fn condition(tokens: &mut Tokens, with: bool, depth: usize) -> Result<Node, Error> {
    let condition = action(tokens, depth)?;
    let (then, otherwise) = branches(tokens, depth)?;
    Ok(Node::If {
        condition,
        then,
        otherwise,
        with,
    })
}

/// The body of a block and what stands behind its `else`.
fn branches(tokens: &mut Tokens, depth: usize) -> Result<(Vec<Node>, Vec<Node>), Error> {
    let (body, end) = block(tokens, depth + 1)?;
    match end {
        End::Text => error("`end` is missing"),
        End::Word(word) if word == "end" => {
            close(tokens)?;
            Ok((body, Vec::new()))
        }
        End::Word(_) => {
            if let Some(Token::Word(next)) = tokens.peek().cloned()
                && (next == "if" || next == "with")
            {
                tokens.next();
                let inner = condition(tokens, next == "with", depth + 1)?;
                return Ok((body, vec![inner]));
            }
            close(tokens)?;
            match block(tokens, depth + 1)? {
                (otherwise, End::Word(word)) if word == "end" => {
                    close(tokens)?;
                    Ok((body, otherwise))
                }
                _ => error("`end` is missing"),
            }
        }
    }
}

fn close(tokens: &mut Tokens) -> Result<(), Error> {
    match tokens.next() {
        Some(Token::Close) => Ok(()),
        _ => error("`}}` expected"),
    }
}

/// A pipe up to `}}`.
fn action(tokens: &mut Tokens, depth: usize) -> Result<Pipe, Error> {
    let pipe = pipe(tokens, &Token::Close, depth)?;
    match pipe.commands.is_empty() {
        true => error("an action is empty"),
        false => Ok(pipe),
    }
}

fn pipe(tokens: &mut Tokens, end: &Token, depth: usize) -> Result<Pipe, Error> {
    if depth > DEPTH {
        return error("nested too deeply");
    }
    let mut variables = Vec::new();
    let mut commands = Vec::new();
    let mut words = Vec::new();
    loop {
        let Some(token) = tokens.next() else {
            return error("`{{` is not closed");
        };
        if token == *end {
            if words.is_empty() && !commands.is_empty() {
                return error("a command is missing after `|`");
            }
            if !words.is_empty() {
                commands.push(words);
            }
            return Ok(Pipe {
                variables,
                commands,
            });
        }
        match token {
            Token::Pipe if words.is_empty() => return error("a command is missing before `|`"),
            Token::Pipe => commands.push(std::mem::take(&mut words)),
            Token::Comma | Token::Declare => match words.pop() {
                Some(Operand::Variable(name, path)) if path.is_empty() && words.is_empty() => {
                    variables.push(name);
                }
                _ => return error("only variables are declared"),
            },
            Token::Word(word) => words.push(match word.as_str() {
                "true" => Operand::Literal(Value::Bool(true)),
                "false" => Operand::Literal(Value::Bool(false)),
                "nil" => Operand::Literal(Value::Null),
                _ => Operand::Function(word),
            }),
            Token::Field(path) => words.push(Operand::Field(path)),
            Token::Variable(name, path) => words.push(Operand::Variable(name, path)),
            Token::String(s) => words.push(Operand::Literal(Value::String(s))),
            Token::Number(n) => words.push(Operand::Literal(number(n))),
            Token::Left => words.push(Operand::Pipe(pipe(tokens, &Token::Right, depth + 1)?)),
            other => return error(format!("unexpected {other:?}")),
        }
    }
}

/// A whole number as such.
#[allow(
    clippy::cast_possible_truncation,
    reason = "checked to be whole and small"
)]
fn number(n: f64) -> Value {
    match n.fract() == 0.0 && n.abs() < 1e15 {
        true => Value::from(n as i64),
        false => Value::from(n),
    }
}

pub(super) fn fields(nodes: &[Node]) -> Vec<String> {
    let mut names = Vec::new();
    for node in nodes {
        match node {
            Node::Text(_) => {}
            Node::Print(pipe) => names.extend(field_of(pipe)),
            Node::If { condition, .. } => names.extend(field_of(condition)),
            Node::Range { over, .. } => names.extend(field_of(over)),
        }
    }
    names
}

/// The first field that a pipe reads: what its column is called after.
fn field_of(pipe: &Pipe) -> Option<String> {
    pipe.commands
        .iter()
        .flatten()
        .find_map(|operand| match operand {
            Operand::Field(path) => path.last().cloned(),
            Operand::Pipe(inner) => field_of(inner),
            _ => None,
        })
}
