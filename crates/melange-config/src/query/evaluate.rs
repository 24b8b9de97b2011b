//! What templates make of values.

use std::cmp::Ordering;

use spanned_yaml::nearest;

use super::Problem;
use super::template::{Base, Command, Node, Operand, Pipeline};
use super::value::Value;

/// The longest text that a template may make.
const LONGEST: usize = 16 << 20;

type Evaluated<T> = Result<T, Problem>;

/// Fills a template.
pub(super) fn fill(nodes: &[Node], data: &Value) -> Evaluated<String> {
    let mut state = State::new(data);
    state.nodes(nodes, data)?;
    Ok(state.out)
}

/// The value of a single pipeline.
pub(super) fn value(pipeline: &Pipeline, data: &Value) -> Evaluated<Value> {
    State::new(data).pipeline(pipeline, data)
}

/// How a list of nodes ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Through,
    Break,
    Continue,
}

struct State {
    out: String,
    variables: Vec<(String, Value)>,
}

impl State {
    fn new(data: &Value) -> Self {
        Self {
            out: String::new(),
            variables: vec![(String::new(), data.clone())],
        }
    }

    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Evaluated<Flow> {
        let outer = self.variables.len();
        let mut flow = Flow::Through;
        for node in nodes {
            flow = self.node(node, dot)?;
            if flow != Flow::Through {
                break;
            }
        }
        self.variables.truncate(outer);
        Ok(flow)
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Evaluated<Flow> {
        match node {
            Node::Text(text) => self.out.push_str(text),
            Node::Print(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                if pipeline.variables.is_empty() {
                    let text = printed(&value).map_err(|text| Problem::new(pipeline.at, text))?;
                    self.out.push_str(&text);
                }
            }
            Node::If(pipeline, yes, no) => {
                let outer = self.variables.len();
                let holds = self.pipeline(pipeline, dot)?.is_true();
                let flow = self.nodes(if holds { yes } else { no }, dot)?;
                self.variables.truncate(outer);
                return Ok(flow);
            }
            Node::With(pipeline, yes, no) => {
                let outer = self.variables.len();
                let value = self.pipeline(pipeline, dot)?;
                let flow = match value.is_true() {
                    true => self.nodes(yes, &value)?,
                    false => self.nodes(no, dot)?,
                };
                self.variables.truncate(outer);
                return Ok(flow);
            }
            Node::Range(pipeline, body, otherwise) => self.range(pipeline, body, otherwise, dot)?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        match self.out.len() > LONGEST {
            true => Err(Problem::new(0, format!("it makes more than {LONGEST} bytes"))),
            false => Ok(Flow::Through),
        }
    }

    fn range(
        &mut self,
        pipeline: &Pipeline,
        body: &[Node],
        otherwise: &[Node],
        dot: &Value,
    ) -> Evaluated<()> {
        let outer = self.variables.len();
        let all = self.commands(pipeline, dot)?;
        let items: Vec<(Value, Value)> = match all {
            Value::List(items) => (0..).map(Value::Int).zip(items).collect(),
            Value::Map(entries) => entries
                .into_iter()
                .map(|(key, value)| (Value::Text(key), value))
                .collect(),
            Value::Nil => Vec::new(),
            other => {
                let text = format!("`range` goes over lists and maps, not {}", other.kind());
                return Err(Problem::new(pipeline.at, text));
            }
        };
        if items.is_empty() {
            self.nodes(otherwise, dot)?;
        }
        for (key, item) in items {
            match &pipeline.variables[..] {
                [value] => self.declare(value, item.clone()),
                [index, value] => {
                    self.declare(index, key);
                    self.declare(value, item.clone());
                }
                _ => {}
            }
            let flow = self.nodes(body, &item)?;
            self.variables.truncate(outer);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(())
    }

    fn declare(&mut self, name: &str, value: Value) {
        self.variables.push((name.to_owned(), value));
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Evaluated<Value> {
        let value = self.commands(pipeline, dot)?;
        if let Some(name) = pipeline.variables.first() {
            if pipeline.assigns {
                let known = self.variables.iter_mut().rev().find(|(known, _)| known == name);
                let (_, variable) = known.ok_or_else(|| undefined(pipeline.at, name))?;
                *variable = value.clone();
            } else {
                self.declare(name, value.clone());
            }
        }
        Ok(value)
    }

    fn commands(&mut self, pipeline: &Pipeline, dot: &Value) -> Evaluated<Value> {
        let mut last = None;
        for command in &pipeline.commands {
            last = Some(self.command(command, dot, last)?);
        }
        Ok(last.unwrap_or(Value::Nil))
    }

    fn command(&mut self, command: &Command, dot: &Value, piped: Option<Value>) -> Evaluated<Value> {
        let Some((first, arguments)) = command.operands.split_first() else {
            return Ok(Value::Nil);
        };
        let Base::Function(name) = &first.base else {
            if let Some(argument) = arguments.first() {
                return Err(Problem::new(
                    argument.at,
                    "what stands before this takes no arguments",
                ));
            }
            return match piped {
                Some(_) => Err(Problem::new(first.at, "this takes no arguments")),
                None => self.operand(first, dot),
            };
        };
        // `and` and `or` look at no more than they must.
        if let ("and" | "or", false) = (name.as_str(), arguments.is_empty()) {
            for argument in arguments {
                let value = self.operand(argument, dot)?;
                if value.is_true() == (name == "or") {
                    return Ok(value);
                }
                if piped.is_none() && std::ptr::eq(argument, &arguments[arguments.len() - 1]) {
                    return Ok(value);
                }
            }
            return Ok(piped.unwrap_or(Value::Nil));
        }
        let mut values = Vec::with_capacity(arguments.len() + 1);
        for argument in arguments {
            values.push(self.operand(argument, dot)?);
        }
        values.extend(piped);
        let result = call(name, &values).map_err(|text| Problem::new(command.at, text))?;
        follow(result, first)
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Evaluated<Value> {
        let base = match &operand.base {
            Base::Dot => dot.clone(),
            Base::Variable(name) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                known.ok_or_else(|| undefined(operand.at, name))?.1.clone()
            }
            Base::Literal(value) => value.clone(),
            Base::Inner(pipeline) => self.pipeline(pipeline, dot)?,
            Base::Function(name) => call(name, &[]).map_err(|text| Problem::new(operand.at, text))?,
        };
        follow(base, operand)
    }
}

fn undefined(at: usize, name: &str) -> Problem {
    Problem::new(at, format!("variable `${name}` is not defined"))
}

/// Follows the fields behind an operand.
fn follow(base: Value, operand: &Operand) -> Evaluated<Value> {
    operand.fields.iter().try_fold(base, |value, field| match value {
        Value::Record(fields) => {
            let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
            let found = fields.into_iter().find(|(name, _)| name == field);
            found.map(|(_, value)| value).ok_or_else(|| {
                let hint = match nearest(field, names.iter().copied()) {
                    Some(near) => format!("did you mean `.{near}`?"),
                    None => format!("there are .{}", names.join(", .")),
                };
                Problem::new(operand.at, format!("there is no field `.{field}`; {hint}"))
            })
        }
        Value::Map(mut entries) => Ok(entries.remove(field).unwrap_or(Value::Nil)),
        other => {
            let text = format!("`.{field}` is asked of {}", other.kind());
            Err(Problem::new(operand.at, text))
        }
    })
}

fn printed(value: &Value) -> Result<String, String> {
    value
        .text()
        .ok_or_else(|| "this is a whole section: ask for one of its fields, or for JSON".to_owned())
}

fn call(name: &str, arguments: &[Value]) -> Result<Value, String> {
    let texts = || arguments.iter().map(printed).collect::<Result<Vec<_>, _>>();
    let one = || match arguments {
        [value] => Ok(value),
        _ => Err(format!("`{name}` takes one value")),
    };
    Ok(match name {
        "not" => Value::Bool(!one()?.is_true()),
        "len" => Value::Int(match one()? {
            Value::Text(text) => text.len() as i128,
            Value::List(items) => items.len() as i128,
            Value::Map(entries) => entries.len() as i128,
            other => {
                return Err(format!(
                    "`len` takes a text, a list or a map, not {}",
                    other.kind()
                ));
            }
        }),
        "and" | "or" => one()?.clone(),
        "print" => Value::Text(print(arguments)?),
        "println" => Value::Text(texts()?.join(" ") + "\n"),
        "printf" => Value::Text(printf(arguments)?),
        "index" => index(arguments)?,
        "slice" => slice(arguments)?,
        "eq" | "ne" | "lt" | "le" | "gt" | "ge" => Value::Bool(compare(name, arguments)?),
        _ => return Err(format!("there is no function `{name}`")),
    })
}

/// Joins texts, with a blank between two values neither of which is a text.
fn print(arguments: &[Value]) -> Result<String, String> {
    let mut out = String::new();
    let mut after_text = true;
    for value in arguments {
        let is_text = matches!(value, Value::Text(_));
        if !is_text && !after_text {
            out.push(' ');
        }
        out.push_str(&printed(value)?);
        after_text = is_text;
    }
    Ok(out)
}

fn printf(arguments: &[Value]) -> Result<String, String> {
    let Some((Value::Text(format), mut values)) = arguments.split_first() else {
        return Err("`printf` takes a format first".to_owned());
    };
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let verb = chars.next().unwrap_or('%');
        if verb == '%' {
            out.push('%');
            continue;
        }
        let (value, rest) = values.split_first().ok_or("`printf` has too few values")?;
        values = rest;
        match (verb, value) {
            ('s' | 'v', value) => out.push_str(&printed(value)?),
            ('d', Value::Int(number)) => out.push_str(&number.to_string()),
            ('q', Value::Text(text)) => out.push_str(&format!("{text:?}")),
            ('t', Value::Bool(value)) => out.push_str(&value.to_string()),
            (verb, value) => return Err(format!("`printf` cannot write {} as %{verb}", value.kind())),
        }
    }
    match values.is_empty() {
        true => Ok(out),
        false => Err("`printf` has too many values".to_owned()),
    }
}

fn index(arguments: &[Value]) -> Result<Value, String> {
    let (first, keys) = arguments.split_first().ok_or("`index` takes a list or a map")?;
    keys.iter()
        .try_fold(first.clone(), |value, key| match (value, key) {
            (Value::List(items), Value::Int(place)) => {
                let item = usize::try_from(*place).ok().and_then(|place| items.get(place));
                item.cloned()
                    .ok_or_else(|| format!("the list has no item {place}"))
            }
            (Value::Map(mut entries), Value::Text(key)) => {
                Ok(entries.remove(key).unwrap_or(Value::Text(String::new())))
            }
            (value, key) => Err(format!("`index` cannot take {} of {}", key.kind(), value.kind())),
        })
}

fn slice(arguments: &[Value]) -> Result<Value, String> {
    let (first, bounds) = arguments.split_first().ok_or("`slice` takes a text or a list")?;
    let bound = |place: usize, otherwise: usize| match bounds.get(place) {
        None => Ok(otherwise),
        Some(Value::Int(bound)) => usize::try_from(*bound).map_err(|_| "a bound is below 0".to_owned()),
        Some(other) => Err(format!("a bound is {}", other.kind())),
    };
    let outside = || "a bound of `slice` is outside".to_owned();
    match first {
        Value::Text(text) => {
            let part = text
                .get(bound(0, 0)?..bound(1, text.len())?)
                .ok_or_else(outside)?;
            Ok(Value::Text(part.to_owned()))
        }
        Value::List(items) => {
            let part = items
                .get(bound(0, 0)?..bound(1, items.len())?)
                .ok_or_else(outside)?;
            Ok(Value::List(part.to_vec()))
        }
        other => Err(format!("`slice` takes a text or a list, not {}", other.kind())),
    }
}

fn compare(name: &str, arguments: &[Value]) -> Result<bool, String> {
    let (first, others) = arguments
        .split_first()
        .ok_or_else(|| format!("`{name}` takes two values"))?;
    let order = |other: &Value| match (first, other) {
        (Value::Bool(_), Value::Bool(_)) if matches!(name, "eq" | "ne") => Ok(first.compare(other)),
        _ => match first.compare(other) {
            Some(order) => Ok(Some(order)),
            None => Err(format!(
                "`{name}` cannot compare {} with {}",
                first.kind(),
                other.kind()
            )),
        },
    };
    if name == "eq" {
        if others.is_empty() {
            return Err("`eq` takes two values".to_owned());
        }
        for other in others {
            if order(other)? == Some(Ordering::Equal) {
                return Ok(true);
            }
        }
        return Ok(false);
    }
    let [other] = others else {
        return Err(format!("`{name}` takes two values"));
    };
    let order = order(other)?;
    Ok(match name {
        "ne" => order != Some(Ordering::Equal),
        "lt" => order == Some(Ordering::Less),
        "le" => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        "gt" => order == Some(Ordering::Greater),
        _ => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    })
}
