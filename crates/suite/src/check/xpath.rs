//! XPath 1.0 over a page: html5ever reads it as a browser does, and the tree is handed to an XPath
//! library that knows XML only. Elements are in no namespace, so that `//form` finds them.

use scraper::{Html, Node};
use sxd_document::Package;
use sxd_document::dom::{ChildOfElement, Document, Element};
use sxd_document::parser;
use sxd_xpath::{Context, Factory};

use super::{Reason, Value};

/// The XPath library walks a tree by recursion; browsers, too, nest no deeper than about this.
const MOST_NESTED: usize = 500;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Markup {
    Html,
    Xml,
}

pub(super) fn xpath(text: &str, markup: Markup, path: &str) -> Result<Option<Value>, Reason> {
    let package = match markup {
        Markup::Html => from_html(text)?,
        Markup::Xml => from_xml(text)?,
    };
    let document = package.as_document();
    let built = Factory::new().build(path);
    let built = built.map_err(|error| format!("\"{path}\" is no XPath: {error}"))?;
    let built = built.ok_or_else(|| "the XPath is empty".to_owned())?;
    let found = built
        .evaluate(&Context::new(), document.root())
        .map_err(|error| format!("\"{path}\" has no value: {error}"))?;
    Ok(match found {
        sxd_xpath::Value::Boolean(value) => Some(Value::Bool(value)),
        sxd_xpath::Value::Number(number) => Some(number_value(number)),
        sxd_xpath::Value::String(text) => Some(Value::String(text)),
        sxd_xpath::Value::Nodeset(nodes) => Some(Value::Nodes(nodes.size())),
    })
}

/// XPath has one kind of number; whole ones compare with the integers of a file.
fn number_value(number: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() < EXACT {
        Value::Integer(number as i64)
    } else {
        Value::Float(number)
    }
}

fn from_xml(text: &str) -> Result<Package, Reason> {
    let package = parser::parse(text).map_err(|error| format!("the body is no XML: {error}"))?;
    let roots = package.as_document().root().children().into_iter();
    let mut open: Vec<_> = roots.filter_map(|child| Some((child.element()?, 1))).collect();
    while let Some((element, depth)) = open.pop() {
        nested(depth)?;
        let children = element.children().into_iter();
        open.extend(children.filter_map(|child| Some((child.element()?, depth + 1))));
    }
    Ok(package)
}

fn from_html(text: &str) -> Result<Package, Reason> {
    let html = Html::parse_document(text);
    let package = Package::new();
    let document = package.as_document();
    let mut open: Vec<_> = html.tree.root().children().rev().map(|node| (node, None, 1)).collect();
    while let Some((node, parent, depth)) = open.pop() {
        nested(depth)?;
        let element = match node.value() {
            Node::Element(element) => {
                let made = document.create_element(xml_name(element.name()).as_str());
                for (name, value) in element.attrs() {
                    made.set_attribute_value(xml_name(name).as_str(), value);
                }
                Some(made)
            }
            Node::Text(text) => {
                append(document, parent, document.create_text(text).into());
                continue;
            }
            Node::Comment(comment) => {
                append(document, parent, document.create_comment(comment).into());
                continue;
            }
            _ => parent,
        };
        if let (Some(made), Node::Element(_)) = (element, node.value()) {
            append(document, parent, made.into());
        }
        open.extend(node.children().rev().map(|child| (child, element, depth + 1)));
    }
    Ok(package)
}

/// An error for what is nested deeper than is safe.
fn nested(depth: usize) -> Result<(), Reason> {
    if depth > MOST_NESTED {
        return Err(format!("the body is nested deeper than {MOST_NESTED} elements"));
    }
    Ok(())
}

/// The XPath library's document holds one element and no text: what is beside `<html>` is dropped.
fn append<'d>(document: Document<'d>, parent: Option<Element<'d>>, child: ChildOfElement<'d>) {
    match (parent, child) {
        (Some(parent), child) => parent.append_child(child),
        (None, ChildOfElement::Element(element)) => document.root().append_child(element),
        (None, _) => {}
    }
}

/// What HTML allows in a name and XML does not becomes `_`; Django's pages have none of it.
fn xml_name(name: &str) -> String {
    name.chars()
        .map(|character| match character {
            character if character.is_alphanumeric() || "-_.".contains(character) => character,
            _ => '_',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "<!doctype html><title>Board</title><ul id=list><li class='a b'>1<li>2 \
        é</ul><form method=post><input name=csrf value='x&amp;y'></form><p @click=go>end";

    #[track_caller]
    fn check(path: &str, expected: Option<&Value>) {
        assert_eq!(xpath(PAGE, Markup::Html, path).unwrap().as_ref(), expected);
    }

    #[test]
    fn a_page_is_read_as_a_browser_reads_it() {
        let text = |text: &str| Some(Value::String(text.to_owned()));
        check("string(//title)", text("Board").as_ref());
        check("string(/html/head/title)", text("Board").as_ref());
        check("count(//li)", Some(&Value::Integer(2)));
        check("//li", Some(&Value::Nodes(2)));
        check("//li[contains(@class, 'b')]", Some(&Value::Nodes(1)));
        check("normalize-space(//li[2])", text("2 é").as_ref());
        check("string(//input[@name='csrf']/@value)", text("x&y").as_ref());
        check("boolean(//form[@method='post'])", Some(&Value::Bool(true)));
        check("//table", Some(&Value::Nodes(0)));
        check("string(//table)", text("").as_ref());
        check("//p", Some(&Value::Nodes(1)));
    }

    #[test]
    fn xml_and_what_is_none() {
        let one = xpath("<a><b/></a>", Markup::Xml, "count(/a/b)").unwrap();
        assert_eq!(one, Some(Value::Integer(1)));
        assert!(xpath("<a><b></a>", Markup::Xml, "//b").is_err());
        assert!(xpath("<a/>", Markup::Xml, "//a[").is_err());
        assert!(xpath("<a/>", Markup::Xml, "strong(//a)").is_err());
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |name: &str, depth: usize| {
            format!("<{name}>").repeat(depth) + &format!("</{name}>").repeat(depth)
        };
        for (name, markup, root) in [("div", Markup::Html, 2), ("a", Markup::Xml, 0)] {
            let found = xpath(&nested(name, 450), markup, "count(//*[string(.) = ''])").unwrap();
            let head = i64::from(markup == Markup::Html);
            assert_eq!(found, Some(Value::Integer(450 + root + head)));
            assert!(xpath(&nested(name, 1000), markup, "//b").is_err());
        }
    }
}
