//! What a configuration and the command line say of resources, as limits of a guest.

use melange_config::types::Resources;
use melange_pipeline::runner::Limits;

use crate::failure::{Failure, Outcome};

/// More processes than any build has, and fewer than bring a machine down.
const MOST_PROCESSES: u64 = 32 * 1024;

/// The limits of a guest; none where no resources are stated.
pub(crate) fn limits(resources: Option<&Resources>) -> Outcome<Limits> {
    let Some(resources) = resources else {
        return Ok(Limits::default());
    };
    let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let cpus = given(&resources.cpu)
        .map(|text| parse_cpus(&text))
        .transpose()
        .map_err(Failure::usage)?;
    let memory = given(&resources.memory)
        .map(|text| parse_memory(&text))
        .transpose()
        .map_err(Failure::usage)?;
    Ok(Limits {
        memory,
        cpus,
        processes: Some(MOST_PROCESSES),
    })
}

/// Reads an amount of memory as Kubernetes writes it: `4Gi`, `500M`, a number of bytes.
fn parse_memory(text: &str) -> Result<u64, String> {
    let units = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1_u64 << 40),
        ("k", 1000),
        ("K", 1000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
        ("", 1),
    ];
    let error = || format!("the memory `{text}` is not an amount such as 4Gi or 500M");
    let (number, unit) = units
        .iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))
        .ok_or_else(error)?;
    let number: f64 = number.trim().parse().map_err(|_| error())?;
    match number > 0.0 {
        true => Ok((number * *unit as f64) as u64),
        false => Err(error()),
    }
}

/// Reads a number of processors as Kubernetes writes it: `2`, `0.5`, `500m`.
fn parse_cpus(text: &str) -> Result<f64, String> {
    let (number, unit) = text
        .strip_suffix('m')
        .map_or((text, 1.0), |number| (number, 1e-3));
    match number.trim().parse::<f64>() {
        Ok(number) if number > 0.0 => Ok(number * unit),
        _ => Err(format!(
            "the processors `{text}` are not a number such as 2 or 500m"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_read_as_kubernetes_writes_them() {
        assert_eq!(parse_memory("4Gi"), Ok(4 << 30));
        assert_eq!(parse_memory("500M"), Ok(500_000_000));
        assert_eq!(parse_memory("1024"), Ok(1024));
        assert_eq!(parse_cpus("500m"), Ok(0.5));
        assert_eq!(parse_cpus("2"), Ok(2.0));
        for text in ["", "x", "-1Gi", "0"] {
            assert!(parse_memory(text).is_err() && parse_cpus(text).is_err(), "{text}");
        }
    }
}
