//! The way from the root of a document to a value.

use std::fmt;

use crate::node::Node;

/// Names a value of a document by the keys and places on the way to it.
///
/// ```
/// use spanned_yaml::NodePath;
///
/// let document = spanned_yaml::parse("pipeline:\n- with: {uri: x}\n")?;
/// let path = NodePath::root().key("pipeline").index(0).key("with").key("uri");
/// assert_eq!(path.to_string(), "pipeline[0].with.uri");
/// assert_eq!(path.of(&document).and_then(|node| node.as_str()), Some("x"));
/// # Ok::<(), spanned_yaml::Diagnostic>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodePath {
    pub(crate) segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Key(String),
    Index(usize),
}

impl NodePath {
    /// The document itself.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// Goes on to the value of a key.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.segments.push(Segment::Key(key.into()));
        self
    }

    /// Goes on to an item of a list, counted from 0.
    #[must_use]
    pub fn index(mut self, index: usize) -> Self {
        self.segments.push(Segment::Index(index));
        self
    }

    /// Follows the path through a tree.
    #[must_use]
    pub fn of<'a>(&self, root: &'a Node) -> Option<&'a Node> {
        self.segments
            .iter()
            .try_fold(root, |node, segment| match segment {
                Segment::Key(key) => node.get(key),
                Segment::Index(index) => node.as_seq()?.get(*index),
            })
    }

    /// The path to what the value is in, and the last step from there.
    pub(crate) fn split_last(&self) -> Option<(Self, &Segment)> {
        let (last, before) = self.segments.split_last()?;
        let parent = Self {
            segments: before.to_vec(),
        };
        Some((parent, last))
    }
}

impl fmt::Display for NodePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, segment) in self.segments.iter().enumerate() {
            match segment {
                Segment::Key(key) if place == 0 => f.write_str(key)?,
                Segment::Key(key) => write!(f, ".{key}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
