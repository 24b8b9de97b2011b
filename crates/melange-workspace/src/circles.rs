//! Packages whose environments need one another.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// For each package, whose packages its environment installs, and one of them.
pub(crate) type Edges = BTreeMap<String, BTreeMap<String, String>>;

/// The shortest way from a package over others back to itself.
pub(crate) fn way_back(edges: &Edges, members: &BTreeSet<String>, start: &str) -> Option<Vec<String>> {
    let mut from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut open = VecDeque::from([start]);
    while let Some(name) = open.pop_front() {
        for next in edges.get(name).into_iter().flat_map(BTreeMap::keys) {
            if next == start {
                let mut way = vec![name.to_owned()];
                let mut at = name;
                while let Some(before) = from.get(at) {
                    way.push((*before).to_owned());
                    at = before;
                }
                way.reverse();
                return Some(way);
            }
            if members.contains(next) && !from.contains_key(next.as_str()) {
                from.insert(next, name);
                open.push_back(next);
            }
        }
    }
    None
}

/// The sets of packages that all need one another, by Tarjan's algorithm without recursion.
pub(crate) fn circles(edges: &Edges) -> Vec<BTreeSet<String>> {
    let names: Vec<&str> = edges.keys().map(String::as_str).collect();
    let number: HashMap<&str, usize> = names.iter().enumerate().map(|(at, name)| (*name, at)).collect();
    let next: Vec<Vec<usize>> = edges
        .values()
        .map(|needs| {
            needs
                .keys()
                .filter_map(|need| number.get(need.as_str()).copied())
                .collect()
        })
        .collect();
    let count = names.len();
    let (mut index, mut low, mut on_stack) = (vec![usize::MAX; count], vec![0; count], vec![false; count]);
    let (mut stack, mut found, mut counter) = (Vec::new(), Vec::new(), 0);
    for root in 0..count {
        if index[root] != usize::MAX {
            continue;
        }
        let mut work = vec![(root, 0)];
        while let Some((at, edge)) = work.pop() {
            if edge == 0 {
                index[at] = counter;
                low[at] = counter;
                counter += 1;
                stack.push(at);
                on_stack[at] = true;
            }
            match next[at].get(edge) {
                Some(&to) => {
                    work.push((at, edge + 1));
                    if index[to] == usize::MAX {
                        work.push((to, 0));
                    } else if on_stack[to] {
                        low[at] = low[at].min(index[to]);
                    }
                }
                None => {
                    if let Some((parent, _)) = work.last() {
                        low[*parent] = low[*parent].min(low[at]);
                    }
                    if low[at] == index[at] {
                        let mut members = BTreeSet::new();
                        while let Some(member) = stack.pop() {
                            on_stack[member] = false;
                            members.insert(names[member].to_owned());
                            if member == at {
                                break;
                            }
                        }
                        let is_circle = members.len() > 1 || next[at].contains(&at);
                        if is_circle {
                            found.push(members);
                        }
                    }
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(pairs: &[(&str, &[&str])]) -> Edges {
        let needs = |needs: &[&str]| {
            needs
                .iter()
                .map(|need| ((*need).to_owned(), (*need).to_owned()))
                .collect()
        };
        pairs
            .iter()
            .map(|(name, list)| ((*name).to_owned(), needs(list)))
            .collect()
    }

    #[test]
    fn circles_are_found_and_nothing_else() {
        let graph = edges(&[
            ("a", &["b"]),
            ("b", &["c", "d"]),
            ("c", &["a"]),
            ("d", &["e"]),
            ("e", &[]),
            ("self", &["self", "e"]),
            ("x", &["y"]),
            ("y", &["x", "a"]),
        ]);
        let mut found: Vec<Vec<String>> = circles(&graph)
            .into_iter()
            .map(|set| set.into_iter().collect())
            .collect();
        found.sort();
        assert_eq!(found, [vec!["a", "b", "c"], vec!["self"], vec!["x", "y"]]);
    }

    #[test]
    fn the_shortest_way_back_is_found() {
        let graph = edges(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &["a"])]);
        let members = circles(&graph).remove(0);
        assert_eq!(way_back(&graph, &members, "a").unwrap(), ["a", "c"]);
        assert_eq!(way_back(&graph, &members, "b").unwrap(), ["b", "c", "a"]);
    }
}
