//! An XML document as a tree of few elements: no recursion, no document type, no entities but the
//! five of XML and character references; prefixes of names are passed over.

use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;

/// Elements of one document.
pub const ELEMENTS_MAX: usize = 1024;
/// Elements inside one another.
pub const DEPTH_MAX: usize = 16;
/// Octets of one document.
pub const OCTETS_MAX: usize = 64 * 1024;

/// A document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    elements: Vec<Node>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    name: String,
    attributes: Vec<(String, String)>,
    children: Vec<usize>,
    /// What stands between its tags, without what stands between those of its children.
    text: String,
}

/// An element of a document.
#[derive(Clone, Copy, Debug)]
pub struct Element<'a> {
    tree: &'a Tree,
    node: &'a Node,
}

/// Why there is no document: where it cannot be read, or that it is too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// It is not well-formed.
    Malformed,
    /// It is larger than [`ELEMENTS_MAX`], [`DEPTH_MAX`] or [`OCTETS_MAX`].
    Limit,
}

impl Tree {
    /// Reads a document.
    ///
    /// # Errors
    /// The first fault.
    pub fn parse(document: &[u8]) -> Result<Self, Error> {
        if document.len() > OCTETS_MAX {
            return Err(Error::Limit);
        }
        let text = std::str::from_utf8(document).map_err(|_| Error::Malformed)?;
        let mut reader = Reader::from_str(text);
        let mut tree = Self::default();
        let mut open: Vec<usize> = Vec::new();
        loop {
            match reader.read_event().map_err(|_| Error::Malformed)? {
                Event::Start(tag) => {
                    let node = tree.push(&tag, &open)?;
                    open.push(node);
                }
                Event::Empty(tag) => {
                    tree.push(&tag, &open)?;
                }
                Event::End(_) => {
                    open.pop().ok_or(Error::Malformed)?;
                }
                Event::GeneralRef(reference) => {
                    let letter = letter(&reference).ok_or(Error::Malformed)?;
                    tree.append(&open, letter.encode_utf8(&mut [0; 4]));
                }
                Event::DocType(_) => return Err(Error::Malformed),
                Event::Text(text) => tree.append(&open, &text.xml10_content()),
                Event::CData(text) => tree.append(&open, &text.xml10_content()),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
                Event::Eof => break,
            }
        }
        match open.is_empty() && !tree.elements.is_empty() {
            true => Ok(tree),
            false => Err(Error::Malformed),
        }
    }

    fn push(&mut self, tag: &BytesStart<'_>, open: &[usize]) -> Result<usize, Error> {
        let index = self.elements.len();
        if index == ELEMENTS_MAX || open.len() == DEPTH_MAX {
            return Err(Error::Limit);
        }
        if open.is_empty() && index > 0 {
            return Err(Error::Malformed);
        }
        let mut node = Node {
            name: tag.local_name().as_ref().to_owned(),
            ..Node::default()
        };
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|_| Error::Malformed)?;
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            let value = value.map_err(|_| Error::Malformed)?.into_owned();
            let name = attribute.key.local_name().as_ref().to_owned();
            node.attributes.push((name, value));
        }
        self.elements.push(node);
        if let Some(parent) = open
            .last()
            .and_then(|&parent| self.elements.get_mut(parent))
        {
            parent.children.push(index);
        }
        Ok(index)
    }

    fn append(&mut self, open: &[usize], text: &str) {
        if let Some(node) = open.last().and_then(|&node| self.elements.get_mut(node)) {
            node.text.push_str(text);
        }
    }

    /// The outermost element.
    pub fn root(&self) -> Option<Element<'_>> {
        let node = self.elements.first()?;
        Some(Element { tree: self, node })
    }
}

impl<'a> Element<'a> {
    /// Its name, without prefix.
    pub fn name(self) -> &'a str {
        &self.node.name
    }

    /// The value of an attribute.
    pub fn attribute(self, name: &str) -> Option<&'a str> {
        let mut attributes = self.node.attributes.iter();
        let (_, value) = attributes.find(|(known, _)| known == name)?;
        Some(value)
    }

    /// What stands in it, without white space around it.
    pub fn text(self) -> &'a str {
        self.node.text.trim()
    }

    /// The elements in it.
    pub fn children(self) -> impl Iterator<Item = Element<'a>> {
        let tree = self.tree;
        let nodes = self.node.children.iter();
        nodes.filter_map(move |&index| {
            let node = tree.elements.get(index)?;
            Some(Element { tree, node })
        })
    }

    /// The first element of a name in it.
    pub fn child(self, name: &str) -> Option<Element<'a>> {
        self.children().find(|child| child.name() == name)
    }
}

/// What a character reference stands for, or one of the five entities of XML 1.0 4.6.
fn letter(reference: &BytesRef<'_>) -> Option<char> {
    if let Ok(Some(letter)) = reference.resolve_char_ref() {
        return Some(letter);
    }
    match reference.xml10_content().as_ref() {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => None,
    }
}
