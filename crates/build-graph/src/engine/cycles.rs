//! Nodes that need one another in a circle.

use std::collections::VecDeque;

use super::nodes::{Nodes, Number};
use crate::{Cycle, CycleStep};

/// The shortest circle among the nodes that wait, `None` if there is none. Of several of the same length it is the one with
/// the first node in alphabetical order.
pub(super) fn shortest(nodes: &Nodes) -> Option<Cycle> {
    let waits = |number: Number| {
        let needs = nodes.list[number].needs.iter().map(|(need, _)| *need);
        needs.filter(|need| nodes.list[*need].is_waiting())
    };
    let mut starts = within_circles(nodes, &waits);
    starts.sort_by(|a, b| nodes.list[*a].id.cmp(&nodes.list[*b].id));
    let mut best: Option<Vec<Number>> = None;
    for start in starts {
        let most = best.as_ref().map_or(usize::MAX, Vec::len);
        if let Some(circle) = circle_from(start, nodes.list.len(), most, &waits) {
            best = Some(circle);
        }
    }
    Some(cycle(nodes, &best?))
}

/// The nodes that are left when those which wait for none of the others, or which none of the others waits for, are taken
/// away again and again. Every circle is among them.
fn within_circles<I: Iterator<Item = Number>>(nodes: &Nodes, waits: &impl Fn(Number) -> I) -> Vec<Number> {
    let waiting: Vec<Number> = (0..nodes.list.len())
        .filter(|number| nodes.list[*number].is_waiting())
        .collect();
    let mut reverse = vec![Vec::new(); nodes.list.len()];
    for &from in &waiting {
        waits(from).for_each(|to| reverse[to].push(from));
    }
    let mut out: Vec<usize> = (0..nodes.list.len())
        .map(|number| waits(number).count())
        .collect();
    let mut into: Vec<usize> = reverse.iter().map(Vec::len).collect();
    let mut is_left = vec![false; nodes.list.len()];
    waiting.iter().for_each(|number| is_left[*number] = true);
    let mut ends: Vec<Number> = waiting
        .iter()
        .copied()
        .filter(|number| out[*number] == 0 || into[*number] == 0)
        .collect();
    while let Some(end) = ends.pop() {
        if !std::mem::take(&mut is_left[end]) {
            continue;
        }
        for &from in &reverse[end] {
            out[from] -= 1;
            if out[from] == 0 {
                ends.push(from);
            }
        }
        for to in waits(end) {
            into[to] = into[to].saturating_sub(1);
            if into[to] == 0 {
                ends.push(to);
            }
        }
    }
    waiting.into_iter().filter(|number| is_left[*number]).collect()
}

/// The shortest circle through a node, if it has fewer nodes than `most`.
fn circle_from<I: Iterator<Item = Number>>(
    start: Number,
    count: usize,
    most: usize,
    waits: &impl Fn(Number) -> I,
) -> Option<Vec<Number>> {
    let mut came_from = vec![None; count];
    let mut queue = VecDeque::from([(start, 1)]);
    while let Some((number, length)) = queue.pop_front() {
        if length >= most {
            return None;
        }
        for next in waits(number) {
            if next == start {
                let mut circle = vec![number];
                while let Some(before) = came_from[circle[circle.len() - 1]] {
                    circle.push(before);
                }
                circle.reverse();
                return Some(circle);
            }
            if came_from[next].is_none() {
                came_from[next] = Some(number);
                queue.push_back((next, length + 1));
            }
        }
    }
    None
}

fn cycle(nodes: &Nodes, circle: &[Number]) -> Cycle {
    let next = circle.iter().cycle().skip(1);
    let steps = circle.iter().zip(next).map(|(from, to)| {
        let node = &nodes.list[*from];
        let need = node
            .needs
            .iter()
            .find(|(need, _)| need == to)
            .map(|(_, need)| need);
        CycleStep {
            node: node.id.clone(),
            reason: need.map_or_else(String::new, |need| need.reason.clone()),
            origin: need.and_then(|need| need.origin.clone()),
        }
    });
    Cycle {
        steps: steps.collect(),
    }
}
