//! Prints the tree of YAML files with types and places, or writes a file's values anew.
//!
//! `cargo run --example tree -- FILE...` or `cargo run --example tree -- --emit INDENT FILE`

use spanned_yaml::{EmitValue, Node, Resolved, Value, emit, parse, render};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, indent, path] = args.as_slice()
        && flag == "--emit"
    {
        let source = std::fs::read_to_string(path)?;
        print!("{}", emit(&value(&parse(&source)?), indent.parse()?));
        return Ok(());
    }
    for path in args {
        let source = std::fs::read_to_string(&path)?;
        println!("== {path}");
        match parse(&source) {
            Ok(node) => tree(&node, 0),
            Err(diagnostic) => {
                println!("ERR");
                eprint!("{}", render(&diagnostic, &path, &source));
            }
        }
    }
    Ok(())
}

fn value(node: &Node) -> EmitValue {
    match &node.value {
        Value::Null => EmitValue::Null,
        Value::Scalar(scalar) => scalar.text.as_str().into(),
        Value::Sequence(items) => EmitValue::Seq(items.iter().map(value).collect()),
        Value::Mapping(entries) => EmitValue::Map(
            entries
                .iter()
                .map(|(k, v)| (k.as_str().unwrap_or_default().to_owned(), value(v)))
                .collect(),
        ),
    }
}

fn tree(node: &Node, depth: usize) {
    let pad = " ".repeat(depth);
    let place = format!("{}:{}", node.span.line, node.span.column);
    match &node.value {
        Value::Null => println!("{pad}null"),
        Value::Scalar(scalar) => {
            let tag = match scalar.resolved() {
                Resolved::Null => "!!null",
                Resolved::Bool(_) => "!!bool",
                Resolved::Int(_) => "!!int",
                Resolved::Float(_) => "!!float",
                Resolved::Timestamp => "!!timestamp",
                Resolved::String => "!!str",
            };
            println!("{pad}{tag} {:?}", scalar.text);
        }
        Value::Sequence(items) => {
            println!("{pad}seq {place}");
            items.iter().for_each(|item| tree(item, depth + 1));
        }
        Value::Mapping(entries) => {
            println!("{pad}map {place}");
            for (key, value) in entries {
                tree(key, depth + 1);
                tree(value, depth + 1);
            }
        }
    }
}
